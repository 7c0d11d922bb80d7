"""Hours of a whole fleet in virtual time: the daemon's own flows, a real store; captures and books are true."""

from pathlib import Path

import pytest

from bench.bookkeeping import contradictions
from bench.collecting import Collecting, play, setup_of
from dcu.plan.planner import DEAD_SHARE
from sim.faults import Faults
from sim.fleet import FleetPlan

#: Just behind a quarter of an hour.
ORIGIN = 1_790_000_100.0
QUARTER = 900
HOUR = 3600

TIMETABLE = {
    "instant": (QUARTER, 0),
    "load0": (QUARTER, 2 * HOUR),
    "daily": (86_400, 3 * 86_400),
    "event.fraud": (QUARTER, 7 * 86_400),
}

#: One on a line, and one behind the gateway.
DEAD = ("M0001", "M0040")


@pytest.mark.timeout(300)  # a minute's work, on a machine that may have other work
@pytest.mark.no_cover  # some thousand visits, each like the others
def test_six_hours_on_lossy_lines_with_dead_meters_end_even(tmp_path: Path) -> None:
    plan = FleetPlan(meters=40, buses=3, tcp_meters=10, faults=Faults(frame_loss=0.01))

    async def scenario(site: Collecting) -> None:
        site.fleet.silence(*DEAD)
        await site.collect(3 * HOUR)
        assert await contradictions(site, "load0", DEAD, {}) == []
        for name, poll in site.polls.items():
            spent = sum(poll.airtimes.seconds.get(meter, 0.0) for meter in DEAD)
            assert spent <= DEAD_SHARE * 3 * HOUR, name
        site.fleet.silence()
        await site.collect(3 * HOUR)
        assert await contradictions(site, "load0", (), dict.fromkeys(DEAD, 3.0 * HOUR)) == []
        for line in await site.account(TIMETABLE):
            assert line.wrong == 0, line
            assert line.stored == line.delivered > 0, line
            assert line.missing == 0 or line.stream == "instant", line

    play(setup_of(plan, TIMETABLE), tmp_path, scenario, origin=ORIGIN)
