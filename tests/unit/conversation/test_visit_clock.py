"""When the meter's clock is asked for: always, but for rows that go on over an association where it was measured."""

import asyncio
from dataclasses import replace

import pytest

from dcu.conversation.shapes import learn
from dcu.conversation.visit import CLOCK_FRESH, Reading
from dcu.model import INSTANT, Task
from dcu.plan.backfill import Range
from sim.fleet import FleetPlan
from sim.profiles import CLOCK
from sim.virtual import VirtualClock
from tests.lines import COMPANION, Box, assert_true, run_for, virtually

ONE = FleetPlan(meters=1, buses=1, hls=0, seed=4, clock_spread=20.0)


class Visits:
    """Readings of one meter over one association."""

    def __init__(self, box: Box) -> None:
        self.box = box

    async def open(self) -> None:
        self.session = await self.box.session()
        self.shapes = await learn(self.session, COMPANION, [INSTANT, "load0", "event.fraud"])

    async def read(self, *streams: str) -> tuple[float | None, bool]:
        """Return the offset found, and whether the meter was asked for its clock."""
        now = int(self.box.clock.now())
        wanted = {each: None if each == INSTANT else Range(now - 3599, now, more=False) for each in streams}
        meter = self.box.meters[0]
        before = meter.served[CLOCK]
        found = await Reading(self.box.entry(), COMPANION, self.shapes, wanted).take(self.session, self.box.clock)
        assert_true(self.box, found.captures)
        return found.offset, meter.served[CLOCK] > before


def test_rows_over_an_association_that_measured_the_clock_come_without_it() -> None:
    async def work(clock: VirtualClock) -> None:
        visits = Visits(Box(clock, ONE))
        await visits.open()
        first, asked = await visits.read("load0")
        assert asked
        assert first == pytest.approx(visits.box.meters[0].plate.clock_offset, abs=1.0)
        await asyncio.sleep(60.25)
        again, asked = await visits.read("load0")
        assert not asked
        assert again == pytest.approx(first, abs=1e-4)
        # what is not captured on whole periods, or has no time of its own, needs it
        assert (await visits.read(INSTANT))[1]
        assert (await visits.read("event.fraud"))[1]
        assert (await visits.read("load0", "event.fraud"))[1]
        assert (await visits.read())[1]

    virtually(work)


def test_it_is_measured_anew_after_a_while_and_when_somebody_set_it() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        box.meters[0].plate = replace(box.meters[0].plate, inactivity=2 * CLOCK_FRESH)
        visits = Visits(box)
        await visits.open()
        await visits.read("load0")
        await asyncio.sleep(CLOCK_FRESH)
        assert (await visits.read("load0"))[1]
        visits.session.meter_clock = None
        assert (await visits.read("load0"))[1]

    virtually(work)


def test_a_set_dcu_clock_moves_the_offset_and_not_what_is_known_of_the_meter() -> None:
    class Settable(VirtualClock):
        ahead = 0.0

        def now(self) -> float:
            return super().now() + self.ahead

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        box.clock = wall = Settable(clock.loop, clock.now())
        visits = Visits(box)
        await visits.open()
        before, _ = await visits.read("load0")
        wall.ahead = 100.0
        after, asked = await visits.read("load0")
        assert not asked
        assert before is not None
        assert after == pytest.approx(before - 100.0, abs=1e-4)

    virtually(work)


def test_rows_read_by_the_flow_without_the_clock_are_complete_and_true() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll = box.poll(Task("load0", every=60.0, backfill=3600.0))
        await run_for(poll, 3600.0)
        assert poll.health.resumed > 50
        assert box.meters[0].served[CLOCK] <= 1 + 3600 // CLOCK_FRESH
        rows = [each.at for each in box.store.captures]
        assert rows == list(range(rows[0], int(clock.now()), 900))
        assert len(rows) == 8
        assert_true(box, box.store.captures)

    virtually(work)
