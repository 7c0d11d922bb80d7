"""The flow of one bus against simulated meters in virtual time: what goes wrong costs time and never a wrong value."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from dcu.config import BusConfig
from dcu.errors import BusError, StoreError
from dcu.health import STEP_BOUND
from dcu.model import INSTANT, Capture, Keys, Outcome, Task, Visit
from dcu.poll import COMMAND_TRIES, IDLE_BOUND, REOPEN_DELAY, Poll
from dcu.visit import Findings
from sim.faults import Faults
from sim.fleet import FleetPlan
from sim.truth import expected_times, expected_values
from sim.virtual import VirtualClock
from tests.lines import BAUD, CIPHERED, COMPANION, ORIGIN, PAIR, Box, PortAround, read_command, virtually

REGISTERS = Task(INSTANT, every=3600.0)
LOAD = Task("load0", every=900.0, offset=5.0, backfill=3600.0)


def assert_true(box: Box, captures: list[Capture]) -> None:
    """Every value is what that meter held at that second."""
    meters = {meter.id: meter for meter in box.meters}
    for each in captures:
        assert each.values == expected_values(meters[each.meter], each.columns, each.at)
        if each.stream != INSTANT:
            times = expected_times(meters[each.meter], COMPANION.streams[each.stream].name, each.at, each.at)
            assert times == (each.at,)


async def settle(poll: Poll) -> None:
    """Step until nothing is due."""
    while not poll.health.visits or poll.plan.counts().due or poll.plan.counts().urgent:
        await poll.step()


async def run_for(poll: Poll, seconds: float) -> None:
    """Let the flow itself run for `seconds`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await poll.run()


class Losable(PortAround):
    """A port that is gone while `lost`; it counts how often somebody opened it, and when."""

    def __init__(self, box: Box) -> None:
        super().__init__(box.port)
        self.lost = False
        self.opened: list[float] = []
        self.closed = 0
        self._clock = box.clock
        box.port = self

    async def open(self) -> None:
        self.opened.append(self._clock.monotonic())
        self._check()
        await super().open()

    async def write(self, data: bytes) -> None:
        self._check()
        await super().write(data)

    async def read(self) -> bytes:
        self._check()
        return await super().read()

    async def drain(self, quiet: float) -> None:
        self._check()
        await super().drain(quiet)

    async def close(self) -> None:
        self.closed += 1
        await super().close()

    def _check(self) -> None:
        if self.lost:
            raise BusError("/dev/ttyS9: gone")


def test_what_is_due_is_read_from_every_meter_and_kept_with_its_watermarks() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        poll = box.poll(REGISTERS, LOAD)
        await settle(poll)
        assert_true(box, box.store.captures)
        assert {(each.meter, each.stream) for each in box.store.captures} == {
            (meter, stream) for meter in ("M0001", "M0002") for stream in (INSTANT, "load0")
        }
        quarter = int(ORIGIN) // 900 * 900
        assert box.store.watermarks == {(meter, "load0"): quarter for meter in ("M0001", "M0002")}
        health = poll.health
        assert (health.visits, health.ok, health.silent, health.line) == (2, 2, 0, 0)
        assert health.captures == len(box.store.captures)
        assert health.last_success is not None
        assert health.octets_sent == box.bus.counters.octets_in

    virtually(work)


def test_each_interval_brings_one_row_and_no_row_twice() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        await run_for(box.poll(LOAD), 2 * 3600.0 + 300.0)
        assert_true(box, box.store.captures)
        for meter in box.meters:
            ats = [each.at for each in box.store.captures if each.meter == meter.id]
            first, last = int(ORIGIN) - 3600, int(clock.now())
            assert ats == list(expected_times(meter, COMPANION.streams["load0"].name, first, last))

    virtually(work)


def test_a_long_backfill_comes_in_slices_and_is_complete() -> None:
    async def work(clock: VirtualClock) -> None:
        days = 4 * 86_400
        box = Box(clock)
        poll = box.poll(Task("load0", every=900.0, backfill=float(days)))
        await settle(poll)
        assert poll.health.visits >= 2 * 4
        for meter in box.meters:
            ats = [each.at for each in box.store.captures if each.meter == meter.id]
            assert ats == list(expected_times(meter, COMPANION.streams["load0"].name, int(ORIGIN) - days, int(ORIGIN)))

    virtually(work)


def test_a_silent_meter_costs_its_time_out_and_the_line_is_drained_before_the_next() -> None:
    class Listening(PortAround):
        drained: list[int]

        async def drain(self, quiet: float) -> None:
            self.drained.append(poll_of[0].health.visits)
            await super().drain(quiet)

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
        assert 2.0 < clock.monotonic() < 2.0 + 0.25 + 0.1
        await poll_of[0].step()
        assert port.drained == [0, 1]  # once after opening, once after the failure, never after a good visit
        assert poll_of[0].health.ok == 1
        assert {each.meter for each in box.store.captures} == {"M0002"}
        assert "silent" in (poll_of[0].health.error or "")

    virtually(work)


@pytest.mark.parametrize("late_by", [2.0, 2.1, 2.2, 2.3, 2.5, 3.0, 4.0])
def test_a_late_answer_of_one_meter_never_becomes_a_value_of_the_next(late_by: float) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        poll = box.poll(REGISTERS, Task("load0", every=900.0, backfill=7200.0))
        box.bus.faults = Faults(late=1.0, late_by=late_by)
        await poll.step()
        box.bus.faults = Faults()
        await settle(poll)
        assert_true(box, box.store.captures)
        assert {each.meter for each in box.store.captures} == {"M0001", "M0002"}
        assert box.bus.counters.late > 0

    virtually(work)


def test_a_dirty_line_delays_and_falsifies_nothing() -> None:
    async def work(clock: VirtualClock) -> None:
        faults = Faults(byte_errors=0.0003, frame_loss=0.02, misaddressed=0.05, late=0.02, chatter=0.1)
        box = Box(clock, FleetPlan(meters=4, buses=1, hls=128, faults=faults))
        poll = box.poll(REGISTERS, LOAD)
        await settle(poll)
        assert_true(box, box.store.captures)
        assert poll.health.visits > poll.health.ok >= 4

    virtually(work)


def test_a_meter_that_drips_is_left_and_the_watchdog_knows_that_the_flow_lives() -> None:
    class Dripping(PortAround):
        async def read(self) -> bytes:
            await asyncio.sleep(1.0)
            return b"\x7e"

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


def test_a_command_overtakes_what_is_due() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, FleetPlan(meters=5, buses=1, hls=0))
        poll = box.poll(REGISTERS)
        await poll.step()
        poll.submit(read_command("M0005"))
        await poll.step()
        ((visit, found, error),) = box.answers
        assert (visit.meter, error) == ("M0005", None)
        assert found is not None
        assert found["stream"] == INSTANT
        # what was asked for is no capture; the schedule goes on as if nothing had been
        assert [each.meter for each in box.store.captures] == ["M0001"]
        await settle(poll)
        assert sorted(each.meter for each in box.store.captures) == [f"M000{n}" for n in range(1, 6)]

    virtually(work)


def test_a_command_wakes_a_flow_that_has_nothing_to_do() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        poll = box.poll()
        async with asyncio.TaskGroup() as group:
            flow = group.create_task(run_for(poll, 60.0))
            await asyncio.sleep(3.0)
            poll.submit(read_command("M0002"))
            await asyncio.sleep(2.0)
            assert len(box.answers) == 1
            await flow

    virtually(work)


def test_a_command_is_tried_twice_and_then_answered_with_the_reason() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        box.bus.silence("M0001")
        poll = box.poll()
        poll.submit(read_command("M0001"))
        await poll.step()
        assert box.requests == COMMAND_TRIES == 2
        ((visit, found, error),) = box.answers
        assert (visit.meter, found) == ("M0001", None)
        assert error is not None
        assert "silent" in error
        assert (poll.health.visits, poll.health.silent) == (1, 1)

    virtually(work)


def test_a_command_that_succeeds_at_the_second_try_has_succeeded() -> None:
    class DeafOnce(PortAround):
        writes = 0

        async def write(self, data: bytes) -> None:
            self.writes += 1
            if self.writes > 1:
                await super().write(data)

    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        box.port = DeafOnce(box.port)
        poll = box.poll()
        poll.submit(read_command("M0001"))
        await poll.step()
        ((_, found, error),) = box.answers
        assert found is not None
        assert error is None
        assert poll.health.ok == 1

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


def test_a_command_the_meter_cannot_fulfil_is_answered_with_the_reason() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        poll = box.poll(LOAD)
        poll.submit(read_command("M0001", profile="load9", **{"from": 0, "to": 1}))
        await poll.step()
        assert [(found, error) for _, found, error in box.answers] == [(None, "M0001 has no load9")]
        # asked once, and nothing is held against the meter: its readings are not late for it
        assert (poll.health.ok, poll.health.refused) == (1, 0)
        await settle(poll)
        assert poll.health.ok == 3
        assert clock.monotonic() < 10

    virtually(work)


def test_a_command_that_waited_too_long_is_answered_and_the_line_is_left_to_others() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        poll = box.poll(LOAD)
        visit = read_command("M0001")
        assert visit.command is not None
        late = replace(visit, command=replace(visit.command, expires=clock.now()))
        poll.submit(late)
        await poll.step()
        assert [(found, error) for _, found, error in box.answers] == [(None, "expired before its meter's turn came")]
        assert (poll.health.visits, poll.port.octets_sent) == (0, 0)

    virtually(work)


def test_a_stream_that_gives_nothing_makes_a_visit_that_went_partly_well() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        poll = box.poll(LOAD)

        async def refused(*_: object) -> Findings:
            return Findings(refused={"load0": "object unavailable"})

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("dcu.visit.Reading.take", refused)
            await poll.step()
        assert (poll.health.partly, poll.health.ok, poll.plan.counts().unreachable) == (1, 0, 0)

    virtually(work)


def test_our_own_mistake_over_one_meter_does_not_cost_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        poll = box.poll(REGISTERS)
        profile = poll.archive.profile

        def mistaken(meter: str) -> Any:
            if meter == "M0001":
                raise KeyError(meter)
            return profile(meter)

        monkeypatch.setattr(poll.archive, "profile", mistaken)
        await poll.step()
        await poll.step()
        assert (poll.health.refused, poll.health.ok) == (1, 1)
        assert {each.meter for each in box.store.captures} == {"M0002"}

    virtually(work)


def test_an_unset_clock_collects_nothing_but_answers_who_asks() -> None:
    class Unset(VirtualClock):
        def trusted(self) -> bool:
            return False

    async def work(clock: VirtualClock) -> None:
        box = Box(Unset(clock.loop, 1000.0))
        poll = box.poll(REGISTERS, LOAD)
        poll.submit(read_command("M0001"))
        await run_for(poll, 4000.0)
        assert box.store.captures == []
        assert len(box.answers) == 1

    virtually(work)


def test_an_idle_flow_shows_that_it_lives() -> None:
    async def work(clock: VirtualClock) -> None:
        poll = Box(clock).poll()
        for _ in range(5):
            await poll.step()
            assert clock.monotonic() - poll.progress.last <= IDLE_BOUND
        assert clock.monotonic() == 5 * IDLE_BOUND

    virtually(work)


def test_a_flow_that_is_told_to_end_closes_its_port() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        port = Losable(box)
        await run_for(box.poll(REGISTERS), 0.1)
        assert port.closed == 1
        assert clock.monotonic() == pytest.approx(0.1)

    virtually(work)


class Cutting(PortAround):
    """Cancels the task that polls when it comes to its `number`-th wait on the port, within that wait."""

    def __init__(self, box: Box, number: int) -> None:
        super().__init__(box.port)
        self.number = number
        self.waits = 0
        box.port = self

    def _wait(self) -> None:
        self.waits += 1
        if self.waits == self.number:
            task = asyncio.current_task()
            assert task is not None
            task.get_loop().call_soon(task.cancel)

    async def open(self) -> None:
        self._wait()
        await asyncio.sleep(0)  # in memory this and `write` take no time: the cancellation has to come within them
        await super().open()

    async def write(self, data: bytes) -> None:
        self._wait()
        await asyncio.sleep(0)
        await super().write(data)

    async def read(self) -> bytes:
        self._wait()
        return await super().read()

    async def drain(self, quiet: float) -> None:
        self._wait()
        await super().drain(quiet)


def waits_of_a_visit(visit: Visit | None) -> int:
    """Return how many waits on the port a visit (the first due, or one with a command) has."""

    async def work(clock: VirtualClock) -> int:
        box = Box(clock, PAIR)
        port = Cutting(box, 0)
        poll = box.poll(LOAD)
        if visit is not None:
            poll.submit(visit)
        await poll.step()
        return port.waits

    return virtually(work)


@pytest.mark.parametrize("number", range(1, waits_of_a_visit(None) + 1))
def test_cancelled_at_any_wait_of_a_visit_the_line_is_usable_and_nothing_is_left(number: int) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, PAIR)
        port = Cutting(box, number)
        poll = box.poll(LOAD)
        task = asyncio.create_task(poll.run())
        with pytest.raises(asyncio.CancelledError):
            await task
        assert port.waits == number
        assert asyncio.all_tasks() == {asyncio.current_task()}
        # another flow on the same port, as after a lost store: all that is due arrives, and is true
        port.number = 0
        await run_for(poll, 120.0)
        assert_true(box, box.store.captures)
        assert {each.meter for each in box.store.captures} == {"M0001", "M0002"}
        assert len(box.store.captures) == len({(each.meter, each.at) for each in box.store.captures})
        assert (poll.health.line, poll.health.silent, poll.health.refused) == (0, 0, 0)

    virtually(work)


@pytest.mark.parametrize("number", range(1, waits_of_a_visit(read_command("M0002")) + 1, 3))
def test_a_command_cut_off_at_any_wait_is_told_nothing(number: int) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, PAIR)
        Cutting(box, number)
        poll = box.poll()
        poll.submit(read_command("M0002"))
        task = asyncio.create_task(poll.run())
        with pytest.raises(asyncio.CancelledError):
            await task
        assert box.answers == []

    virtually(work)


def test_outcomes_are_counted_by_kind() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, FleetPlan(meters=4, buses=1, hls=0))
        box.bus.silence("M0002")
        poll = box.poll(REGISTERS)
        poll.sessions._keys = {**box.fleet.keys, "M0003": Keys(b"wrong")}
        for _ in range(4):
            await poll.step()
        health = poll.health
        counted = {kind.value: getattr(health, kind.value) for kind in Outcome}
        assert counted == {"ok": 2, "partly": 0, "silent": 1, "refused": 1, "line": 0}
        assert health.visits == 4
        assert 0 < health.busy <= clock.monotonic()

    virtually(work)
