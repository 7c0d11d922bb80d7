"""A meter that captures more often than it did, or less: no row of it is given another's time, and none is lost."""

from dataclasses import replace
from typing import Any

import pytest

from dcu.conversation.recognition import RECOGNISE_EVERY
from dcu.conversation.shapes import CAPTURE_PERIOD
from dcu.dlms.services import Set
from dcu.model import Command, Priority, Task, Visit
from dcu.obis import format_obis
from dcu.polling.poll import Poll
from sim.meter import FIRMWARE, SimMeter
from sim.virtual import VirtualClock
from tests.faults.test_changed_meters import ONE
from tests.lines import COMPANION, Box, assert_true, run_for, settle, virtually

NAME = COMPANION.streams["load0"].name
HOURLY = Task("load0", every=3600.0, offset=5.0, backfill=7200.0)
CHANGED = ("profile changed", "M0001", {"stream": "load0"})


def captures_every(meter: SimMeter, period: int) -> None:
    meter.profiles = {**meter.profiles, NAME: replace(meter.profiles[NAME], period=period)}


async def reading(box: Box, period: int, *, compressed: bool) -> Poll:
    """Return the flow of a box that has read its meter for some hours."""
    (meter,) = box.meters
    meter.plate = replace(meter.plate, compressed=compressed)
    captures_every(meter, period)
    poll = box.poll(HOURLY)
    await settle(poll)
    await run_for(poll, 4 * 3600.0)
    await poll.handover.settled()
    return poll


def assert_every(box: Box, period: int, start: float, end: float) -> None:
    """What the meter captured from `start` to `end` is here, each row once and with what it held then."""
    rows = [each for each in box.store.captures if start < each.at <= end]
    first = (int(start) // period + 1) * period
    assert sorted(each.at for each in rows) == list(range(first, int(end) + 1, period))
    assert_true(box, rows)


@pytest.mark.parametrize(("before", "now"), [(1800, 900), (3600, 900), (900, 1800)])
def test_rows_without_a_time_of_their_own_betray_another_period_before_one_is_kept(before: int, now: int) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll = await reading(box, before, compressed=True)
        changed = clock.now()
        captures_every(box.meters[0], now)
        await run_for(poll, RECOGNISE_EVERY + 3 * 3600.0)
        await poll.handover.settled()
        assert box.reports == [CHANGED]
        assert_every(box, now, changed, clock.now() - 3600)
        account = box.store.accounts["M0001", "load0"]
        assert (account.period, account.gaps) == (now, ())

    virtually(work)


@pytest.mark.parametrize(("before", "now"), [(1800, 900), (900, 1800)])
def test_where_rows_tell_their_times_another_period_is_noticed_within_a_day(before: int, now: int) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll = await reading(box, before, compressed=False)
        captures_every(box.meters[0], now)
        await run_for(poll, RECOGNISE_EVERY + 3600.0)
        assert box.reports == [CHANGED]
        noticed = clock.now()
        await run_for(poll, 4 * 3600.0)
        await poll.handover.settled()
        assert_every(box, now, noticed, clock.now() - 3600)
        assert box.store.accounts["M0001", "load0"].period == now

    virtually(work)


def test_a_meter_that_writes_its_rows_late_is_asked_for_its_period_once_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = SimMeter.rows

    def late(self: SimMeter, profile: Any, wanted: Any, at: int) -> Any:
        return rows(self, profile, wanted, at - 30)

    monkeypatch.setattr(SimMeter, "rows", late)

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll = await reading(box, 900, compressed=True)
        asked = box.meters[0].served[FIRMWARE]
        await run_for(poll, 10 * 3600.0)
        await poll.handover.settled()
        assert (asked, box.meters[0].served[FIRMWARE]) == (2, 2), "at the start, and for its late rows"
        assert box.reports == []
        assert_true(box, box.store.captures)

    virtually(work)


def test_after_a_command_that_sets_it_the_period_is_learned_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll = await reading(box, 1800, compressed=False)
        (meter,) = box.meters

        async def perform(self: object, request: Set, permit: Any) -> None:
            permit()
            assert request.attribute.index == CAPTURE_PERIOD
            captures_every(meter, 900)

        monkeypatch.setattr("dcu.conversation.session.Session.perform", perform)
        target = {"object": format_obis(NAME), "class": 7, "attribute": CAPTURE_PERIOD}
        args = {**target, "value": 900, "type": "double-long-unsigned"}
        poll.submit(Visit("M0001", command=Command("c1", "meter.set", ("M0001",), args), priority=Priority.COMMAND))
        await poll.step()
        ((_, answer, error),) = box.answers
        assert (error, answer is not None) == (None, True)
        changed = clock.now()
        await run_for(poll, 4 * 3600.0)
        await poll.handover.settled()
        assert_every(box, 900, changed, clock.now() - 3600)
        assert box.store.accounts["M0001", "load0"].period == 900
        assert box.reports == []

    virtually(work)
