"""What goes wrong between the plan and the meters, in virtual time: it costs time, never a reading."""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from dcu.config import BusConfig
from dcu.conversation.invocations import Ledger
from dcu.dlms.hdlc_link import OPEN_REPEATS
from dcu.errors import BusError, StoreError
from dcu.health import STEP_BOUND
from dcu.model import Task
from dcu.polling.idle import REOPEN_DELAY
from dcu.polling.poll import Poll
from sim.faults import Faults
from sim.fleet import FleetPlan
from sim.virtual import VirtualClock
from tests.lines import (
    BAUD,
    CIPHERED,
    LOAD,
    PAIR,
    REGISTERS,
    Box,
    Dripping,
    Losable,
    PortAround,
    assert_true,
    read_command,
    run_for,
    settle,
    virtually,
)


def test_a_silent_meter_costs_its_time_out_and_the_line_is_drained_before_the_next() -> None:
    class Listening(PortAround):
        drained: list[int]

        async def drain(self, quiet: float) -> bool:
            self.drained.append(poll_of[0].health.visits)
            return await super().drain(quiet)

    poll_of: list[Poll] = []

    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        port = Listening(box.port)
        port.drained = []
        box.port = port
        box.bus.silence("M0001")
        poll_of.append(box.poll(REGISTERS))
        await poll_of[0].step()
        assert poll_of[0].health.silent == 1
        assert 2.0 < clock.monotonic() / (1 + OPEN_REPEATS) < 2.0 + 0.25 + 0.1
        await poll_of[0].step()
        assert port.drained == [0, 1]  # once after opening, once after the failure, never after a good visit
        assert poll_of[0].health.ok == 1
        assert {each.meter for each in box.store.captures} == {"M0002"}
        assert "silent" in (poll_of[0].health.error or "")

    virtually(work)


#: Meters that know logical names, and old ones, whose answers bear no invoke-id.
generations = pytest.mark.parametrize("old", [0, 256], ids=["logical-names", "short-names"])


@generations
@pytest.mark.parametrize("late_by", [2.0, 2.1, 2.2, 2.3, 2.5, 3.0, 4.0, 4.1, 4.2, 4.3, 5.0])
def test_a_late_answer_of_one_meter_never_becomes_a_value_of_the_next(late_by: float, old: int) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, replace(PAIR, old=old))
        poll = box.poll(REGISTERS, Task("load0", every=900.0, backfill=7200.0))
        box.bus.faults = Faults(late=1.0, late_by=late_by)
        await poll.step()
        box.bus.faults = Faults()
        await settle(poll)
        assert_true(box, box.store.captures)
        assert {each.meter for each in box.store.captures} == {"M0001", "M0002"}
        assert box.bus.counters.late > 0

    virtually(work)


@generations
def test_a_dirty_line_delays_and_falsifies_nothing(old: int) -> None:
    async def work(clock: VirtualClock) -> None:
        faults = Faults(byte_errors=0.0005, frame_loss=0.2, misaddressed=0.15, late=0.02, chatter=0.1)
        box = Box(clock, FleetPlan(meters=4, buses=1, hls=128, old=old, faults=faults))
        poll = box.poll(REGISTERS, LOAD)
        await settle(poll)
        assert_true(box, box.store.captures)
        assert poll.health.ok >= 4
        assert box.bus.counters.lost > 10

    virtually(work)


def test_a_meter_that_drips_is_left_and_the_watchdog_knows_that_the_flow_lives() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        box.port = Dripping(box.port)
        box.settings = BusConfig("line", "memory", BAUD, inter_octet=2.0)
        poll = box.poll(REGISTERS)
        async with asyncio.TaskGroup() as group:
            step = group.create_task(poll.step())
            while not step.done():
                assert not poll.progress.stuck(clock.monotonic())
                await asyncio.sleep(STEP_BOUND / 3)
        assert poll.health.silent == 1

    virtually(work)


def test_a_lost_port_is_opened_again_after_its_delay_and_blames_no_meter() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        port = Losable(box)
        port.lost = True
        poll = box.poll(REGISTERS)
        for _ in range(3):
            await poll.step()
        assert port.opened == [0.0, REOPEN_DELAY, 2 * REOPEN_DELAY]
        assert (poll.health.line, poll.health.error) == (3, "/dev/ttyS9: gone")
        assert poll.plan.counts().unreachable == 0
        port.lost = False
        await settle(poll)
        assert poll.health.ok == 2
        assert len(port.opened) == 4
        assert_true(box, box.store.captures)

    virtually(work)


def test_a_port_lost_within_a_visit_is_opened_again_and_the_visit_made_again() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        port = Losable(box)
        poll = box.poll(REGISTERS)
        async with asyncio.TaskGroup() as group:
            step = group.create_task(poll.step())
            await asyncio.sleep(0.4)
            port.lost = True
            await step
        assert poll.health.line == 1
        port.lost = False
        await settle(poll)
        assert len(port.opened) == 2
        assert {each.meter for each in box.store.captures} == {"M0001", "M0002"}

    virtually(work)


class Impatient(PortAround):
    """The other end hangs up after every visit; what is written to a line that was hung up breaks."""

    def __init__(self, box: Box) -> None:
        super().__init__(box.port)
        self.gone = False
        self.opened = 0
        box.port = self

    async def open(self) -> None:
        self.opened += 1
        self.gone = False
        await super().open()

    def hung_up(self) -> bool:
        return self.gone

    async def write(self, data: bytes) -> None:
        if self.gone:
            raise BusError("gateway: the line was closed at the other end")
        await super().write(data)


def test_a_line_that_is_hung_up_between_visits_costs_none_of_them() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        port = Impatient(box)
        poll = box.poll(REGISTERS)
        for _ in range(2):
            await poll.step()
            port.gone = True
        assert (poll.health.visits, poll.health.ok, poll.health.line) == (2, 2, 0)
        assert port.opened == 2
        assert_true(box, box.store.captures)

    virtually(work)


def test_a_lost_line_leaves_the_other_lines_alone() -> None:
    async def work(clock: VirtualClock) -> None:
        broken, sound = Box(clock), Box(clock)
        Losable(broken).lost = True
        async with asyncio.TaskGroup() as group:
            for box in (broken, sound):
                group.create_task(run_for(box.poll(REGISTERS, LOAD), 3600.0))
        assert broken.store.captures == []
        assert {each.meter for each in sound.store.captures} == {"M0001", "M0002"}
        assert len(sound.store.captures) == 2 * (1 + 4 + 4)

    virtually(work)


def test_a_store_error_stops_the_flow_and_what_could_not_be_kept_is_read_again() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        port = Losable(box)
        poll = box.poll(LOAD)
        box.store.failure = StoreError("disk full")
        with pytest.raises(StoreError, match="disk full"):
            await poll.run()
        assert port.closed == 1
        assert box.store.watermarks == {}
        assert poll.health.captures == 0
        box.store.failure = None
        await run_for(poll, 60.0)
        assert len(port.opened) == 2
        assert {each.meter for each in box.store.captures} == {"M0001", "M0002"}
        assert (poll.health.line, poll.health.silent, poll.health.refused) == (0, 0, 0)
        assert_true(box, box.store.captures)

    virtually(work)


def test_without_invocation_counters_a_ciphered_meter_is_not_visited() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        poll = box.poll(LOAD)
        box.store.failure = StoreError("disk full")
        with pytest.raises(StoreError):
            await poll.run()
        assert box.requests == 0

    virtually(work)


def test_a_command_that_met_a_lost_store_is_carried_out_when_the_flow_starts_again() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        poll = box.poll()
        box.store.failure = StoreError("disk full")
        poll.submit(read_command("M0001"))
        with pytest.raises(StoreError):
            await poll.run()
        assert box.answers == []
        box.store.failure = None
        await run_for(poll, 60.0)
        ((visit, found, error),) = box.answers
        assert (visit.meter, error) == ("M0001", None)
        assert found is not None

    virtually(work)


def test_a_command_for_a_lost_port_is_answered_at_once() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        Losable(box).lost = True
        poll = box.poll()
        poll.submit(read_command("M0001"))
        await poll.step()
        assert [(found, error) for _, found, error in box.answers] == [(None, "/dev/ttyS9: gone")]

    virtually(work)


class CutAt:
    """Awaits `work` and cancels the task it runs in at its `number`-th suspension, whatever is waited for there."""

    def __init__(self, work: Coroutine[Any, Any, None], number: int) -> None:
        self.number = number
        self.suspensions = 0
        self._work = work

    def __await__(self) -> Generator[Any, Any, None]:
        step: Callable[[], Any] = partial(self._work.send, None)
        try:
            while True:
                waited_for = step()
                self.suspensions += 1
                if self.suspensions == self.number:
                    task = asyncio.current_task()
                    assert task is not None
                    asyncio.get_running_loop().call_soon(task.cancel)
                step = partial(self._work.send, None)
                try:
                    yield waited_for
                except BaseException as error:  # noqa: BLE001 - it is the work's to deal with
                    step = partial(self._work.throw, error)
        except StopIteration:
            return


async def cut(work: CutAt) -> None:
    await work


def suspensions(*, command: bool) -> int:
    """Return how often a flow waits in its first visit, which learns the meter and reads it, or carries a command."""

    async def work(clock: VirtualClock) -> int:
        poll = make_poll(Box(clock, CIPHERED), command=command)
        counted = CutAt(poll.step(), 0)
        await counted
        assert poll.health.ok == 1
        return counted.suspensions

    return virtually(work)


def given(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the invocation counters that are taken from now on, as they are."""
    take, counters = Ledger.take, list[int]()

    def noted(self: Ledger) -> int:
        counters.append(take(self))
        return counters[-1]

    monkeypatch.setattr(Ledger, "take", noted)
    return counters


def make_poll(box: Box, *, command: bool) -> Poll:
    poll = box.poll() if command else box.poll(LOAD)
    if command:
        poll.submit(read_command("M0001"))
    return poll


@pytest.mark.parametrize("number", range(1, suspensions(command=False) + 1))
def test_cancelled_at_any_wait_of_a_visit_the_line_is_usable_and_nothing_is_left(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    counters = given(monkeypatch)

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        port = Losable(box)
        poll = make_poll(box, command=False)
        task = asyncio.create_task(cut(CutAt(poll.run(), number)))
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert port.closed == 1
        # the same flow again, as after a lost store: all that is due arrives, once, and is true
        await run_for(poll, 60.0)
        assert_true(box, box.store.captures)
        assert len(box.store.captures) == len({each.at for each in box.store.captures}) == 4
        assert (poll.health.line, poll.health.silent, poll.health.refused) == (0, 0, 0)
        # and no invocation counter was given twice
        assert len(counters) > 1
        assert all(earlier < later for earlier, later in pairwise(counters))

    virtually(work)


@pytest.mark.parametrize("number", range(1, suspensions(command=True)))
def test_a_command_cut_off_at_any_wait_is_told_nothing(number: int) -> None:
    """Only the last wait is beyond that: there the journal has been told already."""

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        poll = make_poll(box, command=True)
        with pytest.raises(asyncio.CancelledError):
            await asyncio.create_task(cut(CutAt(poll.run(), number)))
        assert box.answers == []

    virtually(work)
