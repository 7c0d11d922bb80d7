"""Within its bounds whatever comes: what is old goes, what is worth least goes first, and it is told in time."""

import os
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from dcu.config import StoreSettings
from dcu.health import Progress, Storage
from dcu.keeping.storekeeping import FULL, LONG_LOG, STEADY, TELLING, Storekeeping, written_octets
from dcu.model import Capture, Command, CommandState
from dcu.store import Store
from dcu.store.room import DISK_RESERVE
from dcu.store.wreck import Note
from tests.captures import SetClock, capture

DAY = 86_400


@dataclass
class Box:
    """A store, what looks after it, a disk whose room a test sets, and what was told."""

    store: Store
    clock: SetClock
    written: int = 0
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def report(self, name: str, *, meter: str = "", **detail: object) -> None:
        self.told.append((name, detail))

    def keeping(self, **settings: Any) -> Storekeeping:
        return Storekeeping(
            self.store,
            StoreSettings(**settings),
            self.clock,
            self.report,
            Progress(0.0),
            lambda: self.written,
        )

    async def fill(self, stream: str, visits: int, *, days_ago: float = 0.0) -> None:
        """Record captures that do not compress, read some days ago."""
        for number in range(visits):
            at = int(self.clock.time - days_ago * DAY) + number
            rows = [bulky(at, stream, row) for row in range(5)]
            await self.store.readings.record(rows, {})

    async def deliver(self, stream: str) -> None:
        while (block := await self.store.outbox.next_block(stream, 1000)) is not None:
            await self.store.outbox.acknowledge(stream, block.seq)

    async def settled(self, keeping: Storekeeping) -> None:
        """Look while the clock keeps step for as long as it has to be known."""
        await keeping.step()
        self.clock.time += STEADY
        await keeping.step()

    async def held(self) -> dict[str, int]:
        return {each.stream: each.captures for each in await self.store.retention.holdings()}


def bulky(at: int, stream: str, row: int) -> Capture:
    values = tuple((at * 7919 + row * 104_729 + column) ** 5 % (1 << 60) for column in range(8))
    return replace(capture(at, stream=stream, values=values), read_at=float(at))


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    clock = SetClock()
    async with Store.open(tmp_path / "store.db", clock) as store:
        yield Box(store, clock)


async def test_what_is_older_than_its_stream_is_kept_goes(box: Box) -> None:
    await box.fill("load0", 1, days_ago=181)
    await box.fill("load0", 1, days_ago=179)
    await box.fill("instant", 1, days_ago=32)
    await box.fill("event.fraud", 1, days_ago=399)
    for stream in ("load0", "instant", "event.fraud"):
        await box.deliver(stream)
    await box.settled(box.keeping())
    assert await box.held() == {"load0": 5, "event.fraud": 5}


async def test_what_was_answered_goes_before_any_reading(box: Box) -> None:
    """Somebody asks for much, and the answers were delivered: they have taken the room of readings."""
    await box.fill("load0", 20)
    for number in range(40):
        await box.store.commands.accept(Command(f"c{number}", "meter.read", meters=("M1",)))
        await box.store.commands.change(f"c{number}", CommandState.DONE, result={"rows": [os.urandom(4000).hex()]})
    await box.deliver("result")
    used = await box.store.retention.used()
    keeping = box.keeping(budget=int(used / 0.97))
    for _ in range(3):
        box.clock.time += 10.0
        await keeping.step()
    assert await box.held() == {"load0": 100}
    assert await box.store.retention.used() < used / 2
    record, new = await box.store.commands.accept(Command("c7", "meter.read"))
    assert (record.state, new) == (CommandState.DONE, False)


async def test_what_was_not_delivered_stays_however_old(box: Box) -> None:
    await box.fill("load0", 1, days_ago=999)
    await box.settled(box.keeping())
    assert await box.held() == {"load0": 5}


async def test_a_clock_that_jumps_makes_nothing_old(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    await box.fill("load0", 1)
    await box.deliver("load0")
    keeping = box.keeping()
    await box.settled(keeping)
    ahead = 20 * 365 * DAY
    monkeypatch.setattr(box.clock, "monotonic", lambda: box.clock.time - ahead)
    box.clock.time += ahead
    for _ in range(60):
        await keeping.step()
        box.clock.time += 59
    assert await box.held() == {"load0": 5}
    box.clock.time += 60
    await keeping.step()
    assert await box.held() == {}


async def test_the_health_says_how_full_the_store_is_and_when_it_will_be(box: Box) -> None:
    keeping = box.keeping()
    seen: list[Storage | None] = [keeping.health.storage]
    await keeping.step()
    seen.append(keeping.health.storage)
    await box.fill("load0", 20)
    box.clock.time += TELLING
    await keeping.step()
    before, first, later = *seen, keeping.health.storage
    assert before is None
    assert first is not None
    assert later is not None
    assert (first.days_until_full, first.octets_per_day) == (None, None)
    assert later.days_until_full is not None
    told = asdict(later)
    assert told["days_until_full"] > 0
    answer = await keeping.answer(Command("c", "dcu.storage"))
    assert answer.pop("streams")
    assert answer.keys() == told.keys()
    # others write to the same disk meanwhile
    assert answer | {"disk_free": 0} == told | {"disk_free": 0}


async def test_without_a_clock_nothing_is_old(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    await box.fill("load0", 1, days_ago=999)
    await box.deliver("load0")
    monkeypatch.setattr(SetClock, "trusted", lambda _: False)
    await box.settled(box.keeping())
    assert await box.held() == {"load0": 5}


async def test_at_four_fifths_it_is_told_once(box: Box) -> None:
    await box.fill("load0", 60)
    used = await box.store.retention.used()
    keeping = box.keeping(budget=int(used / 0.85))
    await keeping.step()
    await keeping.step()
    [(name, detail)] = box.told
    assert (name, detail["octets"]) == ("store filling", used)
    assert await box.held() == {"load0": 300}


async def test_delivered_and_least_worth_go_first_then_unsent_and_last_of_all_billing(box: Box) -> None:
    for stream in ("billing", "event.fraud", "load0", "load1"):
        await box.fill(stream, 30)
    await box.deliver("load0")
    await box.deliver("event.fraud")
    before = await box.store.retention.used()
    keeping = box.keeping(budget=int(before / 1.1))
    await keeping.step()
    assert await box.held() == {"billing": 150, "event.fraud": 150, "load1": 150}
    assert (await keeping.room()).share < FULL
    keeping = box.keeping(budget=int(before / 1.8))
    await keeping.step()
    held = await box.held()
    assert (held["billing"], held.get("event.fraud", 0)) == (150, 0)
    assert held.get("load1", 0) < 150
    assert not box.store.readings.refuses


async def test_a_log_that_somebody_keeps_is_told_once(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    keeping = box.keeping()
    for octets in (LONG_LOG, LONG_LOG + 1, LONG_LOG + 2, 0, LONG_LOG + 3):
        monkeypatch.setattr(box.store.database, "logged", lambda octets=octets: octets)
        await keeping.step()
    told = [("store log long", {"octets": LONG_LOG + 1}), ("store log long", {"octets": LONG_LOG + 3})]
    assert box.told == told


async def test_where_nothing_is_left_to_go_data_is_refused_until_there_is_room(box: Box) -> None:
    await box.fill("load0", 10)
    assert await box.store.outbox.next_block("load0", 1000)  # under way: that stays
    keeping = box.keeping(budget=16_000)
    await keeping.step()
    assert box.store.readings.refuses
    assert await box.held() == {"load0": 50}
    keeping.settings = StoreSettings()
    await keeping.step()
    assert not box.store.readings.refuses


async def test_a_disk_that_others_fill_leaves_less(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    async def little() -> int:
        return DISK_RESERVE + size

    async def nothing() -> int:
        return 0

    assert await box.store.database.free() > 0
    await box.fill("load0", 60)
    size = await box.store.database.size()
    monkeypatch.setattr(box.store.database, "free", little)
    assert (await box.keeping().room()).capacity == 2 * size
    monkeypatch.setattr(box.store.database, "free", nothing)
    keeping = box.keeping()
    await keeping.step()
    assert (await box.held()).get("load0", 0) < 300


async def test_on_a_full_disk_copies_beside_the_store_go_before_captures(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await box.fill("load0", 60)
    used, copies = await box.store.retention.used(), ("store.db.schema6", "store.db.damaged-20270101T000000Z")
    needed = "store.db.damaged-20270102T000000Z"  # it is not salvaged yet
    for age, name in enumerate((needed, *copies)):
        (tmp_path / name).write_bytes(bytes(1000))
        os.utime(tmp_path / name, (age, age))
    Note(tmp_path / needed, "malformed", begun=True).write(tmp_path / "store.db")

    async def free() -> int:
        left = sum((tmp_path / name).exists() for name in copies)
        return DISK_RESERVE + (0, used // 2, 0)[left]

    monkeypatch.setattr(box.store.database, "size", box.store.retention.used)
    monkeypatch.setattr(box.store.database, "free", free)
    await box.keeping(budget=used).step()  # it is the budget that is used up
    assert all((tmp_path / name).exists() for name in copies)
    held = await box.held()
    await box.keeping().step()
    assert [(tmp_path / name).exists() for name in (needed, *copies)] == [True, False, True]
    assert await box.held() == held


async def test_the_forecast_is_of_what_came_since_the_start(box: Box) -> None:
    keeping = box.keeping(budget=100_000_000, endurance=10**12)
    await keeping.step()
    told = await keeping.answer(Command("c1", "dcu.storage"))
    assert (told["octets_per_day"], told["days_until_full"], told["wear_years"]) == (None, None, None)
    box.clock.time += TELLING * 24
    box.written = 1_000_000_000
    before = await box.store.retention.used()
    await box.fill("load0", 60)
    grown = await box.store.retention.used() - before
    told = await keeping.answer(Command("c1", "dcu.storage"))
    assert told["octets_per_day"] == pytest.approx(grown, rel=0.1)
    assert told["days_until_full"] == pytest.approx((0.95 * 100_000_000 - before - grown) / grown, rel=0.1)
    assert told["written_per_day"] == 1_000_000_000
    assert told["wear_years"] == pytest.approx(1000 / 365.25, abs=0.1)
    assert told["streams"]["load0"]["captures"] == 300
    assert told["streams"]["load0"]["kept_days"] == 180


def test_the_system_says_what_was_written() -> None:
    assert written_octets() is None or written_octets()  # some systems do not say
