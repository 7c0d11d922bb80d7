"""Events of the box are kept when `report` returns, and a storm of them is counted."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dcu.errors import StoreError
from dcu.messages.events import own_event
from dcu.model import DCU_EVENTS, NO_STATUS, Capture
from dcu.report import BURST, MAX_RATES, MAX_WORD, PERIOD, Reporter
from dcu.store import Store
from tests.captures import SetClock
from tests.lines import MemoryStore


class Desk:
    """A reporter over a real store."""

    def __init__(self, store: Store, clock: SetClock) -> None:
        self.store, self.clock = store, clock
        self.reporter = Reporter(store.readings, clock, "DCU-1")

    async def kept(self, meter: str) -> list[Capture]:
        return await self.store.readings.captures(meter, DCU_EVENTS, 0, 1 << 40, 1000)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    clock = SetClock()
    async with Store.open(tmp_path / "store.db", clock) as store:
        yield Desk(store, clock)


async def test_an_event_is_in_the_store_when_report_returns_and_waits_for_delivery(desk: Desk) -> None:
    await desk.reporter.report("meter exchanged", meter="M1", was="a", now="b")
    (event,) = await desk.kept("M1")
    assert (event.at, event.status, event.columns, event.offset) == (int(desk.clock.time), NO_STATUS, (), None)
    assert own_event(event)["detail"] == {"was": "a", "now": "b"}
    assert await desk.store.outbox.pending() == {DCU_EVENTS: 1}
    assert desk.store.database.fresh.is_set()


async def test_what_is_about_no_meter_is_about_the_box(desk: Desk) -> None:
    await desk.reporter.report("dcu clock not synchronised")
    assert [own_event(event)["event"] for event in await desk.kept("DCU-1")] == ["dcu clock not synchronised"]


async def test_a_storm_is_counted_and_does_not_hide_others(desk: Desk) -> None:
    for _ in range(1000):
        await desk.reporter.report("security breach", meter="M1")
    await desk.reporter.report("security breach", meter="M2")
    await desk.reporter.report("profile changed", meter="M1")
    assert len(await desk.kept("M1")) == BURST + 1
    assert len(await desk.kept("M2")) == 1
    desk.clock.time += PERIOD
    await desk.reporter.report("security breach", meter="M1")
    await desk.reporter.report("security breach", meter="M1")
    details = [own_event(event)["detail"] for event in await desk.kept("M1")]
    assert details[-2:] == [{"left_out": 1000 - BURST}, {}]


async def test_what_is_remembered_of_rates_is_bounded(desk: Desk) -> None:
    for number in range(MAX_RATES + 10):
        desk.reporter._rate("meter found", f"M{number}")
    assert len(desk.reporter._rates) == MAX_RATES


async def test_a_word_of_a_meter_is_clipped(desk: Desk) -> None:
    await desk.reporter.report("profile changed", meter="M1", reason="x" * 10_000)
    (event,) = await desk.kept("M1")
    assert len(json.loads(str(event.values[1]))["reason"]) == MAX_WORD


async def test_what_cannot_be_kept_is_said_and_so_is_a_name_that_is_none() -> None:
    store = MemoryStore()
    store.failure = StoreError("disk full")
    reporter = Reporter(store, SetClock(), "DCU-1")
    with pytest.raises(StoreError):
        await reporter.report("meter found", meter="M1")
    with pytest.raises(KeyError):
        await reporter.report("no such event")
