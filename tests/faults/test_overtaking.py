"""A command and a long visit on one slow line: it overtakes between two frames, and the visit loses no row."""

import asyncio
from dataclasses import replace
from functools import partial

import pytest

from dcu.dlms.hdlc import ServerAddress
from dcu.model import INSTANT, Task
from dcu.plan.failing import FIRST_REST
from dcu.plan.overtaking import MOST_CUTS, PATIENCE
from sim.fleet import FleetPlan
from sim.truth import expected_times
from sim.virtual import VirtualClock
from tests.lines import (
    COMPANION,
    LOAD,
    REGISTERS,
    Box,
    PortAround,
    assert_true,
    read_command,
    run_for,
    settle,
    virtually,
)

#: The slowest line that meters are read on, and what the configuration offers there.
SLOW, FRAME = 1200, 264
PLAN = FleetPlan(meters=2, buses=1, baud=SLOW, hls=0, seed=4)

DAY = 86_400
DAY_LONG = Task("load0", every=float(DAY), backfill=float(DAY))

#: A command may take so many seconds to its meter's line.
BOUND = 5.0


class Watched(PortAround):
    """Notes when each frame begins to leave, and to whom."""

    def __init__(self, box: Box) -> None:
        super().__init__(box.port)
        self.sent: list[tuple[float, bytes]] = []
        self.rows_come = asyncio.Event()
        self._clock = box.clock
        box.port = self

    async def write(self, data: bytes) -> None:
        self.sent.append((self._clock.monotonic(), data))
        await super().write(data)

    async def read(self) -> bytes:
        data = await super().read()
        if self.inner.octets_received > 1000:
            self.rows_come.set()
        return data

    def reached(self, address: int, since: float) -> float:
        """Return how many seconds after `since` the first frame to the meter left."""
        octets = ServerAddress(1, address, 4).to_bytes()
        return next(at for at, data in self.sent if at >= since and data[3:7] == octets) - since


def slow_box(clock: VirtualClock) -> tuple[Box, Watched]:
    box = Box(clock, PLAN)
    box.settings = replace(box.settings, max_info=FRAME)
    return box, Watched(box)


def rows(box: Box, meter: int) -> list[int]:
    return [each.at for each in box.store.captures if each.meter == box.meters[meter].id]


@pytest.mark.parametrize("later", [0.0, 0.7, 1.9, 3.1, 6.0])
def test_a_command_reaches_its_meter_within_its_bound(later: float) -> None:
    async def work(clock: VirtualClock) -> None:
        box, watched = slow_box(clock)
        poll = box.poll(DAY_LONG)
        async with asyncio.TaskGroup() as group:
            flow = group.create_task(run_for(poll, 600.0))
            await watched.rows_come.wait()
            await asyncio.sleep(later)
            began = clock.monotonic()
            poll.submit(read_command("M0002"))
            await flow
        assert watched.reached(box.entry(1).address, began) <= BOUND
        assert [error for _, _, error in box.answers] == [None]
        assert (poll.health.yielded, poll.health.silent, poll.health.refused, poll.health.line) == (1, 0, 0, 0)
        # nobody lost a row, or has one twice
        assert_true(box, box.store.captures)
        for number, meter in enumerate(box.meters):
            profile = COMPANION.streams["load0"].name
            first = int(clock.origin) - DAY
            assert rows(box, number)[-96:] == list(expected_times(meter, profile, first, int(clock.origin)))[-96:]

    virtually(work)


def test_a_command_that_would_expire_meanwhile_does_not_wait_out_the_patience() -> None:
    async def work(clock: VirtualClock, *, expires: float | None) -> float:
        box, watched = slow_box(clock)
        poll = box.poll(DAY_LONG)
        async with asyncio.TaskGroup() as group:
            flow = group.create_task(run_for(poll, 60.0))
            await watched.rows_come.wait()
            began, visit = clock.monotonic(), read_command("M0002")
            assert visit.command is not None
            until = None if expires is None else clock.now() + expires
            poll.submit(replace(visit, command=replace(visit.command, expires=until)))
            await flow
        assert [error for _, _, error in box.answers] == [None]
        return watched.reached(box.entry(1).address, began)

    patient = virtually(partial(work, expires=None))
    assert patient >= PATIENCE
    assert virtually(partial(work, expires=600.0)) == patient
    assert virtually(partial(work, expires=4.0)) <= patient - PATIENCE / 2


def test_a_flood_of_commands_holds_a_visit_up_but_not_for_ever() -> None:
    async def work(clock: VirtualClock) -> None:
        box, watched = slow_box(clock)
        poll = box.poll(DAY_LONG)

        async def flood() -> None:
            while not rows(box, 0):
                poll.submit(read_command("M0002"))
                await asyncio.sleep(4.0)

        async with asyncio.TaskGroup() as group:
            flow = group.create_task(run_for(poll, 600.0))
            await watched.rows_come.wait()
            await flood()
            flow.cancel()
        assert poll.health.yielded <= 2 * MOST_CUTS
        assert len(rows(box, 0)) == 96

    virtually(work)


def test_what_a_visit_had_before_its_meter_fell_silent_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    class FallsSilent(PortAround):
        asked = 0

        async def write(self, data: bytes) -> None:
            self.asked += 1
            if self.asked == 4:  # SNRM, AARQ, clock and registers, rows
                box_of[0].bus.silence("M0001")
            await super().write(data)

    box_of: list[Box] = []

    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        box_of.append(box)
        known = box.poll(REGISTERS, LOAD)
        await settle(known)
        before = len(box.store.captures)
        assert before > 0
        registers = box.store.shapes["M0001"][INSTANT]["columns"]
        monkeypatch.setattr("dcu.conversation.session.LIST_BOUND", 3 + len(registers))
        await asyncio.sleep(3600.0)
        box.port = FallsSilent(box.port)
        poll = box.poll(REGISTERS, LOAD)
        await poll.step()
        assert (poll.health.silent, poll.health.ok) == (1, 0)
        await poll.handover.settled()
        kept = box.store.captures[before:]
        assert [(each.meter, each.stream) for each in kept] == [("M0001", INSTANT)]
        # the rest is due again, and only that
        await poll.step()
        box.bus.silence()
        await asyncio.sleep(FIRST_REST)
        await poll.step()
        later = [each for each in box.store.captures[before + 1 :] if each.meter == "M0001"]
        assert {each.stream for each in later} == {"load0"}

    virtually(work)
