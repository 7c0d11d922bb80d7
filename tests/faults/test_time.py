"""What clocks do to the schedule: jumps, nights in which they are changed, years beyond 32 bits, no trust at all."""

import asyncio
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from dcu.clock import Clock, ClockState, iso, seconds
from dcu.model import Order, Reason, Task
from dcu.plan.ledger import Gap
from sim.fleet import FleetPlan
from sim.truth import expected_times
from sim.virtual import VirtualClock
from tests.lines import COMPANION, LOAD, Box, assert_true, read_command, run_for, virtually

ZURICH = ZoneInfo("Europe/Zurich")
DAY = 86_400
ONE = FleetPlan(meters=1, buses=1, hls=0, seed=4)


class Jumping(VirtualClock):
    """A virtual clock that is off by `jump` seconds in its second hour."""

    jump = 0.0

    def now(self) -> float:
        return super().now() + (self.jump if 3600.0 <= self.monotonic() < 7200.0 else 0.0)


class Doubted(VirtualClock):
    current = ClockState.UNSYNCHRONISED

    def trusted(self) -> bool:
        return self.current.trusted

    def state(self) -> ClockState:
        return self.current


def wall(text: str) -> float:
    return seconds(datetime.fromisoformat(text))


class Dcu(Box):
    """A box whose own clock is not that of its meters."""

    def __init__(self, world: Clock, own: Clock) -> None:
        super().__init__(world)
        self.clock = own


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("jump", [-20 * DAY, -DAY, DAY, 3 * DAY, 8 * DAY, 20 * DAY])
def test_a_dcu_clock_that_was_off_by_days_for_an_hour_costs_no_row(jump: int, order: Order) -> None:
    async def visits(clock: VirtualClock, jump: int) -> tuple[int, list[int]]:
        own = Jumping(clock.loop, clock.origin)
        own.jump = float(jump)
        box = Dcu(clock, own)
        poll = box.poll(replace(LOAD, order=order))
        await run_for(poll, 3 * 3600.0)
        assert_true(box, box.store.captures)
        assert all(not account.gaps for account in box.store.accounts.values())
        return poll.health.visits, sorted(each.at for each in box.store.captures if each.meter == "M0001")

    def run(jump: int) -> tuple[int, list[int]]:
        return virtually(lambda clock: visits(clock, jump))

    count, rows = run(0)
    jumped, rows_jumped = run(jump)
    assert abs(jumped - count) <= 2
    assert rows_jumped == rows


@pytest.mark.parametrize(
    ("evening", "at"),
    [
        ("2027-03-27T20:00:00Z", "2027-03-28T01:30:00Z"),  # 02:30 is left out, 03:30 is shown
        ("2026-10-24T20:00:00Z", "2026-10-25T00:30:00Z"),  # 02:30 comes twice
        ("2026-11-20T20:00:00Z", "2026-11-21T01:30:00Z"),
    ],
)
def test_a_night_in_which_the_clocks_are_changed_has_one_half_past_two(evening: str, at: str) -> None:
    async def work(clock: VirtualClock) -> None:
        night = VirtualClock(clock.loop, wall(evening))
        box = Box(night)
        box.clock = night
        poll = box.poll(Task("instant", at=2.5 * 3600, zone=ZURICH, window=600.0))
        await run_for(poll, 14 * 3600.0)
        read = [each for each in box.store.captures if each.meter == "M0001"]
        assert [iso(int(each.read_at) // 60 * 60) for each in read] == [at]

    virtually(work)


RELAY = "event.disconnector"


@pytest.mark.parametrize("fast", [600.0, 7200.0, 5.0 * DAY])
def test_events_of_a_fast_clock_come_when_they_happen_and_once_when_it_is_set_right(fast: float) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        meter = box.meters[0]
        meter.clock_shift = fast
        poll = box.poll(Task(RELAY, every=300.0, backfill=3600.0))

        async def happens(code: int) -> None:
            at = meter.clock_at(clock.now())
            meter.relay.history.append((at, code))
            await run_for(poll, 330.0)
            assert [each.values[0] for each in box.store.captures if each.at == at] == [code]

        await run_for(poll, 330.0)
        await happens(59)
        meter.clock_shift = 0.0
        await run_for(poll, 330.0)
        await happens(60)
        await run_for(poll, min(fast, 3.0 * 3600.0))
        await happens(61)
        told = [(each.meter, each.at, each.values[0]) for each in box.store.captures]
        assert len(told) == len(set(told)) >= 3

    virtually(work)


@pytest.mark.parametrize("days", [3, 20])
def test_a_dcu_clock_that_was_ahead_while_it_was_believed_costs_no_row(days: int) -> None:
    """The meters tell no time, so what is not captured yet counts as missing until the clock is right again."""

    async def work(clock: VirtualClock) -> None:
        own = Jumping(clock.loop, clock.origin)
        own.jump = float(days * DAY)
        box = Dcu(clock, own)
        box.companion = replace(COMPANION, clock=replace(COMPANION.clock, index=99))
        poll = box.poll(LOAD)
        await run_for(poll, 7200.0)
        account = box.store.accounts["M0001", "load0"]
        assert account.top > clock.now() + (days - 1) * DAY
        assert account.gaps[-1].end >= account.top, "what it has not captured was asked for, and did not come"
        assert {gap.reason for gap in account.gaps} <= {Reason.PENDING, Reason.NO_RECORD}
        await run_for(poll, 3600.0)
        assert box.store.accounts["M0001", "load0"].gaps == ()
        rows = sorted(each.at for each in box.store.captures if each.meter == "M0001")
        assert rows == list(range(rows[0], int(clock.now()) - 60, 900))
        assert_true(box, box.store.captures)

    virtually(work)


@pytest.mark.parametrize(
    ("zone", "evening", "twice", "left_out"),
    [
        ("Europe/Zurich", "2026-10-24T20:00:00Z", 4, 0),  # both hours lie behind it when they are asked for
        ("Europe/Zurich", "2027-03-27T20:00:00Z", 0, 4),
        ("America/New_York", "2026-10-31T20:00:00Z", 4, 0),
        ("America/New_York", "2027-03-13T20:00:00Z", 0, 4),
    ],
)
def test_of_a_meter_that_keeps_local_time_no_row_is_lost_untold(
    zone: str, evening: str, twice: int, left_out: int
) -> None:
    async def work(clock: VirtualClock) -> None:
        night = VirtualClock(clock.loop, wall(evening))
        box = Box(night, ONE)
        meter = box.meters[0]
        meter.plate = replace(meter.plate, zone=zone)
        await run_for(box.poll(replace(LOAD, backfill=12 * 3600.0)), 20 * 3600.0)
        account = box.store.accounts["M0001", "load0"]
        first = box.store.captures[0].at
        begun = next(
            at for at in range(int(night.origin) // 900 * 900 - DAY, int(night.now())) if meter.shown(at) == first
        )
        last = next(at for at in range(int(night.now()), begun, -1) if meter.shown(at) == account.top)
        held = expected_times(meter, COMPANION.streams["load0"].name, begun, last)
        missing = {
            reason: sum(account.grid.count(gap.start, gap.end) for gap in account.gaps if gap.reason is reason)
            for reason in Reason
        }
        assert (missing[Reason.CLOCK], missing[Reason.NO_RECORD]) == (twice, left_out)
        assert len(box.store.captures) == len({each.at for each in box.store.captures}) == len(held) - twice
        told = "meter clock jumped" in {name for name, _, _ in box.reports}
        assert told == (twice > 0 and zone == "America/New_York")

    virtually(work)


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize(
    ("begin", "end", "told"),
    [
        # in New York the clocks go back at 06:00 UTC, from 02:00 to 01:00
        ("05:50", "07:05", 1),  # all of the second time, and a little more
        ("05:20", "07:10", 1),  # half of the first time too: the rows of that half come twice
        ("04:20", "07:40", 0),  # both times: all rows of them come twice, and none behind others that are here
        ("01:20", "08:20", 0),  # the hour in which it was seen last came once
        ("04:10", "05:50", 1),  # over before: the first visit of the second time tells
        ("07:05", "08:30", 1),
    ],
)
def test_an_autumn_hour_in_which_the_line_was_silent_is_told(
    begin: str, end: str, told: int, *, restarted: bool
) -> None:
    async def work(clock: VirtualClock) -> None:
        night = VirtualClock(clock.loop, wall("2026-11-01T00:00:00Z"))
        box = Box(night, ONE)
        meter = box.meters[0]
        meter.plate = replace(meter.plate, zone="America/New_York")
        load = replace(LOAD, backfill=12 * 3600.0)
        poll = box.poll(load)
        await run_for(poll, wall(f"2026-11-01T{begin}:00Z") - night.now())
        await asyncio.sleep(wall(f"2026-11-01T{end}:00Z") - night.now())
        if restarted:
            poll = box.poll(load)
        await run_for(poll, wall("2026-11-01T11:00:00Z") - night.now())
        first, last = (int(wall(f"2026-11-01T01:{minute}:00Z")) for minute in ("00", "45"))
        assert box.store.accounts["M0001", "load0"].gaps == (Gap(first, last, Reason.CLOCK),)
        assert [name for name, _, _ in box.reports].count("meter clock jumped") == told

    virtually(work)


@pytest.mark.parametrize("text", ["2038-01-19T03:00:00Z", "2040-02-29T23:30:00Z", "2106-02-07T06:00:00Z"])
def test_years_beyond_32_bits_are_read_like_others(text: str) -> None:
    async def work(clock: VirtualClock) -> None:
        late = VirtualClock(clock.loop, wall(text))
        box = Box(late)
        await run_for(box.poll(LOAD), 3600.0 + 60.0)
        assert_true(box, box.store.captures)
        for meter in box.meters:
            rows = sorted(each.at for each in box.store.captures if each.meter == meter.id)
            first, last = int(late.origin) - 3600 + 1, int(late.now()) - 60
            expected = expected_times(meter, COMPANION.streams["load0"].name, first, last)
            assert set(expected) <= set(rows)

    virtually(work)


def test_what_fell_due_without_trust_is_read_when_it_is_back_and_commands_go_on() -> None:
    async def work(clock: VirtualClock) -> None:
        own = Doubted(clock.loop, clock.origin)
        box = Dcu(clock, own)
        poll = box.poll(LOAD)
        poll.submit(read_command("M0001"))
        await run_for(poll, 3600.0)
        assert box.store.captures == []
        ((_, found, error),) = box.answers
        assert error is None
        assert found is not None
        assert found["trusted"] is False
        own.current = ClockState.HOLDOVER
        await run_for(poll, 60.0)
        assert {each.meter for each in box.store.captures} == {"M0001", "M0002"}
        assert all(each.trusted for each in box.store.captures)

    virtually(work)
