"""Collecting as its flow sees it; meters that changed between two visits are in faults/test_changed_meters."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any, Self
from unittest.mock import AsyncMock

import pytest

from dcu.conversation.session import Yielded
from dcu.conversation.visit import Findings
from dcu.errors import StoreError
from dcu.model import ALARM, INSTANT, Reason, Task
from dcu.obis import parse_obis
from dcu.plan.ledger import Asked
from dcu.polling.collecting import Collecting
from dcu.polling.poll import Poll
from sim.events import POWER_DOWN
from sim.fleet import FleetPlan
from sim.meter import FIRMWARE, SERIAL_NUMBER
from sim.virtual import VirtualClock
from tests.lines import COMPANION, Box, run_for, virtually

ONE = FleetPlan(meters=1, buses=1, hls=0, seed=4)
LOAD = Task("load0", every=900.0, backfill=3600.0)
DAY = 86_400.0
STANDARD = "event.standard"


def test_rows_that_follow_cost_no_question() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        collecting = box.poll(LOAD)._collecting
        session = await box.session()
        await collecting.gather(session, "M0001", ["load0"])
        await collecting.handover.settled()
        asked = box.meters[0].served[parse_obis("0-0:96.1.0.255")]
        box.store.captures[-1:] = [replace(box.store.captures[-1], at=box.store.captures[-1].at - 900)]
        await collecting.gather(session, "M0001", ["load0"])
        assert box.meters[0].served[parse_obis("0-0:96.1.0.255")] == asked
        await session.close()

    virtually(work)


def test_an_alarm_is_told_of_once_it_is_kept() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        collecting = box.poll(Task(ALARM, every=60.0))._collecting
        session = await box.session()
        assert not (await collecting.gather(session, "M0001", [ALARM])).alarmed
        collecting.events._words["M0001"] = 1 << 4
        box.store.failure = StoreError("disk full")
        with pytest.raises(StoreError):
            await collecting.gather(session, "M0001", [ALARM])
        box.store.failure = None
        assert (await collecting.gather(session, "M0001", [ALARM])).alarmed
        assert not (await collecting.gather(session, "M0001", [ALARM])).alarmed
        await session.close()

    virtually(work)


def test_a_meter_without_the_time_is_why_its_rows_are_not_here() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        collecting = box.poll(LOAD)._collecting
        session = await box.session()
        await collecting.gather(session, "M0001", [INSTANT, "load0"])
        assert collecting.open_reason("M0001") is Reason.PENDING
        for shift in (-7200.0, -40 * 365 * 86_400.0):
            box.meters[0].clock_shift = shift
            await collecting.gather(session, "M0001", [INSTANT])
            assert collecting.open_reason("M0001") is Reason.CLOCK
        box.meters[0].clock_shift = 0.0
        await collecting.gather(session, "M0001", [INSTANT])
        assert collecting.open_reason("M0001") is Reason.PENDING
        await session.close()

    virtually(work)


def test_a_clock_that_went_back_while_nothing_can_be_kept_is_told_in_the_ledger_later() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        collecting = box.poll(LOAD)._collecting
        session = await box.session()
        await collecting.gather(session, "M0001", ["load0"])
        await collecting.handover.settled()
        assert not box.store.accounts["M0001", "load0"].gaps
        box.meters[0].clock_shift = -3600.0
        session.meter_clock = None
        box.store.failure = StoreError("disk full")
        with pytest.raises(StoreError):
            await collecting.gather(session, "M0001", ["load0"])
        with pytest.raises(StoreError):
            await collecting.handover.settled()
        box.store.failure = None
        session.meter_clock = None
        await collecting.gather(session, "M0001", ["load0"])
        await collecting.handover.settled()
        (gap,) = box.store.accounts["M0001", "load0"].gaps
        assert (gap.reason, gap.end) == (Reason.CLOCK, box.store.accounts["M0001", "load0"].top)
        assert [name for name, _, _ in box.reports] == ["meter clock jumped"]
        await session.close()

    virtually(work)


def test_a_clock_that_goes_back_once_more_is_told_once_more_with_all_that_comes_twice() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        collecting = box.poll(replace(LOAD, backfill=5.0 * DAY))._collecting
        session = await box.session()

        async def gather(shift: float, times: int = 1) -> list[tuple[int, Reason]]:
            box.meters[0].clock_shift = shift
            for _ in range(times):
                session.meter_clock = None
                await collecting.gather(session, "M0001", ["load0"])
                await collecting.handover.settled()
            gaps = box.store.accounts["M0001", "load0"].gaps
            return [((gap.start - int(clock.now())) // 900, gap.reason) for gap in gaps]

        assert await gather(0.0, times=8) == []
        assert await gather(-DAY, times=2) == [(-96, Reason.CLOCK)]
        assert await gather(-40 * 365.0 * DAY, times=2) == [(-96, Reason.CLOCK)]
        assert await gather(-3.0 * DAY, times=2) == [(-288, Reason.CLOCK)]
        assert await gather(-2.0 * DAY) == [(-288, Reason.CLOCK)]
        assert [name for name, _, _ in box.reports].count("meter clock jumped") == 2
        await session.close()

    virtually(work)


def test_a_clock_that_comes_back_from_nowhere_behind_what_was_read_is_told_in_the_ledger() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        collecting = box.poll(LOAD)._collecting
        session = await box.session()
        for shift in (0.0, -40 * 365.0 * DAY, -1800.0):
            box.meters[0].clock_shift = shift
            session.meter_clock = None
            await collecting.gather(session, "M0001", ["load0"])
            await collecting.handover.settled()
        assert {gap.reason for gap in box.store.accounts["M0001", "load0"].gaps} == {Reason.CLOCK}
        await session.close()

    virtually(work)


@pytest.mark.parametrize("own", [True, False])
def test_who_tells_another_client_no_number_is_not_in_doubt(*, own: bool) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        meter = box.meters[0]
        collecting = box.poll(LOAD)._collecting
        session = await box.session()
        await collecting.gather(session, "M0001", ["load0"])
        asked = meter.served[FIRMWARE]
        meter.identity[SERIAL_NUMBER] = b""
        await asyncio.sleep(900.0)
        again = await box.session()
        await collecting.gather(again, "M0001", ["load0"], own=own)
        await collecting.handover.settled()
        assert meter.served[FIRMWARE] == asked + own
        await again.close()

    virtually(work)


class Failing:
    """A meter whose mains went away at `began`, and what is read of it: its load, and alarms and logs once."""

    def __init__(self, clock: VirtualClock) -> None:
        self.box, self.clock = Box(clock, ONE), clock
        self.meter = self.box.meters[0]
        now, log = int(clock.now()), COMPANION.streams[STANDARD].name
        events = self.meter.model.logs[0].between(ONE.seed, self.meter.plate.id, now + 7200, now + 30 * int(DAY))
        self.began = next(at for at, code in events if code == POWER_DOWN)
        self.asked_for = log, parse_obis("0-0:97.98.0.255")

    async def read(self, poll: Poll, until: float) -> list[int]:
        """Let the flow go on until that time; return how often log and alarms were asked for meanwhile."""
        before = [self.meter.served[name] for name in self.asked_for]
        await run_for(poll, until - self.clock.now())
        return [self.meter.served[name] - count for name, count in zip(self.asked_for, before, strict=True)]

    def poll(self, backfill: float) -> Poll:
        once = Task(STANDARD, every=300 * DAY, backfill=3600.0), Task(ALARM, every=300 * DAY)
        return self.box.poll(replace(LOAD, offset=5.0, backfill=backfill), *once)


@dataclass
class Raised:
    """A meter of whose load an hour is kept with the mains away all the time, and what a visit would find then."""

    box: Box
    collecting: Collecting

    @classmethod
    async def read(cls, clock: VirtualClock) -> Self:
        box = Box(clock, ONE)
        collecting = box.poll(LOAD)._collecting
        session = await box.session()
        await collecting.gather(session, "M0001", ["load0"])
        await collecting.handover.settled()
        await session.close()
        box.store.captures = [replace(row, values=(0x80, *row.values[1:])) for row in box.store.captures]
        assert len({int(row.at // DAY) for row in box.store.captures}) == 1 < len(box.store.captures)
        return cls(box, collecting)

    def found(self, word: int) -> Findings:
        """Return what the next quarter of an hour tells, with the status bits `word`."""
        latest = max(self.box.store.captures, key=lambda row: row.at)
        row = replace(latest, at=latest.at + 900, values=(word, *latest.values[1:]))
        return Findings([row], {("M0001", "load0"): [Asked(latest.at + 1, row.at, 900)]})


def test_a_status_bit_that_rises_has_alarms_and_logs_read_at_once_and_once() -> None:
    async def work(clock: VirtualClock) -> None:
        failing = Failing(clock)
        row = failing.began // 900 * 900 + 900  # that of the quarter hour in which the mains went away
        await asyncio.sleep(row - 2700 - clock.now())
        poll = failing.poll(3600.0)
        # the shapes are learned, and everything is read once
        assert min(await failing.read(poll, row)) >= 1
        assert await failing.read(poll, row + 60) == [1, 1]
        events = [each for each in failing.box.store.captures if each.stream == STANDARD]
        assert failing.began in {each.at for each in events}
        # the bit stays up for longer, or falls
        assert await failing.read(poll, row + 3600) == [0, 0]

    virtually(work)


def test_a_status_bit_of_the_past_that_is_read_later_on_says_nothing() -> None:
    async def work(clock: VirtualClock) -> None:
        failing = Failing(clock)
        await asyncio.sleep(failing.began + 2.5 * DAY - clock.now())
        poll = failing.poll(4 * DAY)
        while not failing.box.store.captures:
            await poll.step()
            await poll.handover.settled()
        latest = [each for each in failing.box.store.captures if each.stream == "load0"]
        assert latest[0].at > failing.began + DAY
        assert await failing.read(poll, clock.now() + 60.0) == [0, 0]
        told = {each.at: each.values[0] for each in failing.box.store.captures if each.stream == "load0"}
        assert told[failing.began // 900 * 900 + 900] == 0x80

    virtually(work)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_status_bit_that_stays_up_for_years_costs_one_row_a_visit(*, restarted: bool) -> None:
    async def work(clock: VirtualClock) -> None:
        raised = await Raised.read(clock)
        collecting = raised.box.poll(LOAD)._collecting if restarted else raised.collecting
        before = AsyncMock(side_effect=raised.box.store.before)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(raised.box.store, "before", before)
            assert await collecting._risen("M0001", raised.found(0x80)) == []
            assert await collecting._risen("M0001", raised.found(0x82)) == ["clock invalid"]
        assert [call.args[-1] for call in before.await_args_list] == [1, 1]

    virtually(work)


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(("then", "told"), [(0x00, []), (0x80, []), (0x82, ["clock invalid"])])
def test_what_rises_is_seen_against_the_newest_row_where_older_ones_of_its_day_came_behind_it(
    then: int, told: list[str], *, restarted: bool
) -> None:
    async def work(clock: VirtualClock) -> None:
        raised = await Raised.read(clock)
        first, *others = raised.box.store.captures  # the first one was a gap, and has been read of the past
        raised.box.store.captures = [*others, replace(first, values=(0, *first.values[1:]))]
        collecting = raised.box.poll(LOAD)._collecting if restarted else raised.collecting
        assert await collecting._risen("M0001", raised.found(then)) == told

    virtually(work)


@pytest.mark.parametrize("told", [{"alarmed": True}, {"alarmed": False, "risen": ["power down"]}])
def test_logs_that_a_stopped_visit_had_no_time_for_are_due_at_once(told: dict[str, Any]) -> None:
    async def work(clock: VirtualClock) -> None:
        failing = Failing(clock)
        collecting = failing.poll(3600.0)._collecting
        session = await failing.box.session()
        gathered = replace(await collecting.gather(session, "M0001", ["load0"]), **told)
        gathered.found.stopped = Yielded(open=True)
        asked = failing.meter.served[failing.asked_for[0]]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(collecting), "gather", AsyncMock(return_value=gathered))
            _, missed = await collecting.collect(session, failing.box.entry(), ["load0"])
        assert STANDARD in missed
        assert failing.meter.served[failing.asked_for[0]] == asked
        await session.close()

    virtually(work)
