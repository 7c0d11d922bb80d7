"""What goes wrong with meters, and what the ledger then says: the whole road from the line to the gaps."""

import asyncio

import pytest

from dcu.model import INSTANT, Order, Reason, Task
from dcu.plan.unconfirmed import CONFIRM_AFTER
from sim.fleet import FleetPlan
from sim.household import DAY
from sim.meter import SERIAL_NUMBER
from sim.virtual import VirtualClock
from tests.lines import LOAD, Box, Losable, PortAround, assert_true, run_for, settle, virtually

QUARTER = 900
KEY = ("M0001", "load0")
ONE = FleetPlan(meters=1, buses=1, hls=0, seed=4)
YEARS = 40 * 365 * DAY

#: How long simulated meters keep their load profile.
KEPT = 60 * DAY


@pytest.mark.no_cover  # two months of rows
def test_what_a_meters_buffer_has_lost_is_no_record() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        oldest = (int(clock.now()) - KEPT) // QUARTER * QUARTER + QUARTER
        poll = box.poll(Task("load0", every=900.0, backfill=63.0 * DAY))
        await settle(poll)
        assert {gap.reason for gap in box.store.accounts[KEY].gaps} == {Reason.PENDING}
        await run_for(poll, 2.5 * CONFIRM_AFTER)
        await poll.handover.settled()
        account = box.store.accounts[KEY]
        (gap,) = account.gaps
        assert (gap.start, gap.reason) == (account.since, Reason.NO_RECORD)
        # the buffer loses its oldest row each quarter of an hour while it is being read
        assert oldest - QUARTER <= gap.end <= oldest
        taken = [each for each in box.store.captures if each.meter == "M0001"]
        assert len(taken) == len({each.at for each in taken}) == account.grid.count(gap.end + QUARTER, account.top)

    virtually(work)


def test_a_clock_forty_years_off_is_the_reason_of_what_is_missing_and_moves_nothing_else() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        poll = box.poll(LOAD)
        await settle(poll)
        before = box.store.watermarks[KEY]
        meter = box.meters[0]
        meter.clock_shift = float(YEARS)
        await run_for(poll, 6 * 3600.0)
        assert poll.why("M0001") is Reason.CLOCK
        now = int(clock.now())
        assert before < box.store.watermarks[KEY] <= now, "never beyond the present, whatever the meter shows"
        assert {gap.reason for gap in box.store.accounts[KEY].gaps} == {Reason.CLOCK}
        meter.clock_shift = 0.0
        await run_for(poll, 2 * 3600.0)
        assert poll.why("M0001") is Reason.PENDING
        (gap,) = box.store.accounts[KEY].gaps
        assert gap.start == before + QUARTER
        assert gap.end <= now - 3600
        assert_true(box, box.store.captures)
        assert box.store.accounts["M0002", "load0"].gaps == ()

    virtually(work)


def test_a_clock_forty_years_slow_settles_nothing_that_it_has_not_captured() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        poll = box.poll(LOAD)
        await settle(poll)
        before = box.store.watermarks[KEY]
        box.meters[0].clock_shift = -float(YEARS)
        await run_for(poll, 6 * 3600.0)
        assert poll.why("M0001") is Reason.CLOCK
        assert box.store.watermarks[KEY] == before
        box.meters[0].clock_shift = 0.0
        await run_for(poll, 2 * 3600.0)
        assert poll.why("M0001") is Reason.PENDING
        assert int(clock.now()) - 2 * QUARTER < box.store.watermarks[KEY]
        assert box.store.accounts[KEY].gaps == ()
        assert_true(box, box.store.captures)

    virtually(work)


@pytest.mark.parametrize("days", [0.25, 0.75, 1.0, 1.25, 5.0])
@pytest.mark.parametrize("order", Order)
def test_of_a_clock_days_slow_all_is_read_that_it_has_captured(days: float, order: Order) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        box.meters[0].clock_shift = -days * DAY
        poll = box.poll(Task("load0", every=900.0, offset=5.0, backfill=10.0 * DAY, order=order))
        since = int(clock.now()) - 10 * DAY
        await run_for(poll, 3 * 3600.0)
        account = box.store.accounts[KEY]
        assert account.gaps == ()
        shown = int(clock.now() - days * DAY)
        ats = sorted(each.at for each in box.store.captures)
        assert ats == list(range(account.since, account.top + 1, QUARTER))
        assert since <= account.since < since + 2 * QUARTER
        assert shown - 2 * QUARTER < account.top <= shown
        assert_true(box, box.store.captures)

    virtually(work)


def test_a_clock_two_hours_slow_is_waited_for() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        box.meters[0].clock_shift = -7200.0
        poll = box.poll(Task("load0", every=900.0, backfill=3.0 * 3600))
        await run_for(poll, 4 * 3600.0)
        assert poll.why("M0001") is Reason.PENDING
        assert box.store.accounts[KEY].gaps == ()
        assert int(clock.now()) - 7200 - 2 * QUARTER < box.store.watermarks[KEY] < int(clock.now()) - 7200
        assert_true(box, box.store.captures)

    virtually(work)


def test_what_is_not_here_has_the_reason_of_now() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        port = Losable(box)
        poll = box.poll(LOAD)
        await settle(poll)
        assert poll.why("M0001") is Reason.PENDING
        box.bus.silence("M0001")
        await run_for(poll, 3600.0)
        assert (poll.why("M0001"), poll.why("M0002")) == (Reason.UNREACHABLE, Reason.PENDING)
        port.lost = True
        await run_for(poll, 3600.0)
        assert poll.why("M0002") is Reason.LINE
        port.lost = False
        box.bus.silence()
        await run_for(poll, 3600.0)
        assert (poll.why("M0001"), poll.why("M0002")) == (Reason.PENDING, Reason.PENDING)
        # nobody was there to ask, but the meters kept it all
        assert [account.gaps for account in box.store.accounts.values()] == [(), ()]
        assert_true(box, box.store.captures)

    virtually(work)


def test_a_meter_that_never_answers_newest_first_keeps_its_whole_past_to_be_read() -> None:
    """It answers at last when more than a slice is waiting: that is pending, and read."""

    class Deaf(PortAround):
        deaf = True

        async def write(self, data: bytes) -> None:
            if not self.deaf:
                await super().write(data)

    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        port = Deaf(box.port)
        box.port = port
        poll = box.poll(LOAD)
        since = int(clock.now()) - int(LOAD.backfill)
        await run_for(poll, 2.5 * DAY)
        port.deaf = False
        await run_for(poll, 3600.0)
        for meter in box.meters:
            account = box.store.accounts[meter.id, "load0"]
            assert account.gaps == ()
            ats = sorted(each.at for each in box.store.captures if each.meter == meter.id)
            assert ats == list(range(account.since, account.top + 1, QUARTER))
            assert account.since >= since

    virtually(work)


@pytest.mark.parametrize(("away", "backfill"), [(10, 2), (2, 10)])
def test_the_meter_that_takes_anothers_place_is_read_as_far_back_as_a_new_one(away: int, backfill: int) -> None:
    """And no further than the last row of any stream of the old one, which hung there until then."""

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        days = Task("daily", every=86_400.0, backfill=backfill * float(DAY))
        tasks = Task("load0", every=900.0, offset=5.0, backfill=backfill * float(DAY)), days
        await settle(box.poll(*tasks))
        before = box.store.watermarks[KEY]
        await asyncio.sleep(away * float(DAY))
        box.meters[0].identity[SERIAL_NUMBER] = b"another"
        now, known = int(clock.now()), len(box.store.captures)
        await settle(box.poll(*tasks))
        since = max(before + 1, now - backfill * DAY)
        rows = [each.at for each in box.store.captures[known:] if each.stream == "load0"]
        assert since - QUARTER < min(rows) <= since + 2 * QUARTER
        assert len(rows) == (max(rows) - min(rows)) // QUARTER + 1
        assert min(each.at for each in box.store.captures[known:] if each.stream == "daily") >= since
        account = box.store.accounts[KEY]
        assert account.top == max(rows)
        assert {gap.reason for gap in account.gaps} <= {Reason.NO_RECORD}
        assert sum(gap.end - gap.start + QUARTER for gap in account.gaps) == (min(rows) - before - QUARTER)

    virtually(work)


def test_what_was_left_to_read_of_a_meter_is_not_asked_of_the_one_that_takes_its_place() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        tasks = Task(INSTANT, every=3600.0), Task("load0", every=900.0, offset=5.0, backfill=5.0 * DAY)
        poll = box.poll(*tasks)
        await poll.step()
        assert box.store.accounts[KEY].pending
        box.meters[0].identity[SERIAL_NUMBER] = b"another"
        again = box.poll(*tasks)  # after a start a meter is asked who it is
        await settle(again)
        assert [name for name, _, _ in box.reports] == ["meter exchanged"]
        account = box.store.accounts[KEY]
        assert account.pending == ()
        assert {gap.reason for gap in account.gaps} == {Reason.NO_RECORD}
        newest = max(each.at for each in box.store.captures if each.stream == "load0")
        assert account.top == newest

    virtually(work)
