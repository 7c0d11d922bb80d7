"""Runs without a chain are found again, in the order in which they were recorded; what is in order stays as it is."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from aiosqlite import Connection

from dcu.clock import DAY
from dcu.store import Store, relink
from dcu.store.relink import Relink
from dcu.store.segments import Segment
from tests.captures import SetClock, capture

#: Times of captures by visit; the last visits bring rows of days before.
VISITS = [range(at, at + 3 * 900, 900) for at in (0, 2700, DAY - 1800, DAY + 900, 2 * DAY, DAY + 9000, 5400, 9000)]

Damage = Callable[[sqlite3.Connection], object]


async def filled(path: Path) -> dict[str, list[int]]:
    """Return by meter the times that are kept, as they are found."""
    async with Store.open(path, SetClock()) as store:
        for times in VISITS:
            for meter in ("M1", "M2"):
                await store.readings.record([capture(at, meter) for at in times], {})
            await store.readings.record([capture(times[0], "M1", "daily")], {})
        return {meter: await found(store, meter) for meter in ("M1", "M2")}


async def found(store: Store, meter: str) -> list[int]:
    return [each.at for each in await store.readings.captures(meter, "load0", 0, 9 * DAY, 1000)]


async def relinked(store: Store) -> None:
    for (stream,) in await store.database.read("SELECT stream FROM streams"):
        looking = Relink(stream)
        while await store.database.write(looking.step):
            continue


def unchained(database: sqlite3.Connection, keep: Callable[[], bool] = lambda: False) -> None:
    """Let most runs lead nowhere."""
    for place, octets, content in database.execute("SELECT place, octets, content FROM segments").fetchall():
        segment = Segment.unpacked(place & 0xFFFF, octets, content)
        runs = tuple(run if keep() else run._replace(back=0) for run in segment.runs)
        changed = (*Segment(segment.first, runs).row[-2:], place)
        database.execute("UPDATE segments SET octets = ?, content = ? WHERE place = ?", changed)


def headless(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM days")
    database.execute("UPDATE marks SET day = NULL, newest = NULL")


def as_before_segments(database: sqlite3.Connection) -> None:
    headless(database)
    unchained(database)


def partly(seed: int) -> Damage:
    def damage(database: sqlite3.Connection) -> None:
        dice = random.Random(seed)
        unchained(database, lambda: dice.random() < 0.5)
        for statement in ("DELETE FROM days WHERE newest % 3 = ?", "UPDATE marks SET newest = newest - 1 WHERE ? = 1"):
            database.execute(statement, (dice.randrange(3),))

    return damage


@pytest.mark.parametrize(("piece", "chains"), [(64, 1000), (3, 1)])
@pytest.mark.parametrize("damage", [headless, unchained, as_before_segments, *map(partly, range(4))])
async def test_all_is_found_again_in_its_order(
    path: Path, damage: Damage, piece: int, chains: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relink, "PIECE", piece)
    monkeypatch.setattr(relink, "CHAINS_BOUND", chains)
    whole = await filled(path)
    with closing(sqlite3.connect(path)) as database, database:
        damage(database)
    async with Store.open(path, SetClock()) as store:
        await relinked(store)
        assert {meter: await found(store, meter) for meter in ("M1", "M2")} == whole
        assert len(await store.readings.captures("M1", "daily", 0, 9 * DAY, 1000)) == len(VISITS)


async def test_what_came_meanwhile_stays_before_what_is_put_behind_it(path: Path) -> None:
    whole = await filled(path)
    with closing(sqlite3.connect(path)) as database, database:
        as_before_segments(database)
    async with Store.open(path, SetClock()) as store:
        for at in (2 * DAY + 3600, 2 * DAY + 4500, DAY + 36_000):
            await store.readings.record([capture(at)], {})
        await relinked(store)
        assert sorted(await found(store, "M1")) == sorted([*whole["M1"], 2 * DAY + 3600, 2 * DAY + 4500, DAY + 36_000])
        assert (await found(store, "M1"))[-2:] == [2 * DAY + 3600, 2 * DAY + 4500]


async def test_what_is_lost_in_the_middle_of_a_day_parts_nothing(path: Path) -> None:
    whole = await filled(path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM segments WHERE oldest = 2700")  # the second visit's
    async with Store.open(path, SetClock()) as store:
        assert len(await found(store, "M1")) < len(whole["M1"]) - 3
        await relinked(store)
        assert await found(store, "M1") == [at for at in whole["M1"] if at not in VISITS[1]]


async def test_a_segment_that_is_damaged_is_passed_over_and_nothing_sound_is_written(path: Path) -> None:
    whole = await filled(path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE segments SET content = x'00' WHERE oldest = ?", (2 * DAY,))
    async with Store.open(path, SetClock()) as store:
        before: list[int] = []

        async def count(database: Connection) -> None:
            before.append(database.total_changes)

        await store.database.write(count)
        await relinked(store)
        rest = await found(store, "M1")
        assert rest == [at for at in whole["M1"] if at not in VISITS[4]]
        changed = before[0]
        await store.database.write(count)
        await relinked(store)
        await store.database.write(count)
        assert before[2] - before[1] == 0, "all is in order now"
        assert changed <= before[1]
