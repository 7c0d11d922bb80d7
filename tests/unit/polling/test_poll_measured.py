"""What visits are said to take: what the timetable asks for each time, not what catches up with a long absence."""

import pytest

from dcu.model import Task
from dcu.plan.airtime import ENOUGH
from sim.fleet import FleetPlan
from sim.virtual import VirtualClock
from tests.lines import Box, run_for, settle, virtually

LOAD = Task("load0", every=900.0, backfill=20 * 86_400.0)
STREAMS = frozenset({"load0"})


@pytest.mark.no_cover  # weeks of rows
def test_rows_that_are_caught_up_with_do_not_make_the_scheduled_visits_dearer() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, FleetPlan(meters=4, buses=1, hls=0, seed=4))
        poll = box.poll(LOAD)
        await settle(poll)
        (access,) = {meter.access for meter in box.fleet.archive}
        assert not poll.measured.means
        busy, visits = poll.health.busy, poll.health.visits
        await run_for(poll, ENOUGH * 900.0)
        usual = (poll.health.busy - busy) / (poll.health.visits - visits)
        (mean,) = poll.measured.means.items()
        assert (mean[0][0], mean[0][2]) == (access, STREAMS)
        assert abs(mean[1].seconds - usual) < 0.1 * usual

    virtually(work)
