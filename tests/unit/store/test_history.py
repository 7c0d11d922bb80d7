"""The days of the box: kept in place of what they were, bounded, told newest first, and readable with the shell."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dcu.store import Store
from dcu.store import history as room
from tests.captures import SetClock

DAY = 20_779


async def test_a_day_is_kept_in_place_of_what_it_was(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        await store.history.keep_day(DAY, {"visits": 1})
        await store.history.keep_day(DAY, {"visits": 2, "buses": {"a": {"busy": 3}}})
        await store.history.keep_day(DAY + 1, {"visits": 5})
    async with Store.open(path, clock) as store:
        assert await store.history.day(DAY) == {"visits": 2, "buses": {"a": {"busy": 3}}}
        assert await store.history.days(0, 9) == [
            (DAY + 1, {"visits": 5}),
            (DAY, {"visits": 2, "buses": {"a": {"busy": 3}}}),
        ]
        assert await store.history.days(1, 9) == (await store.history.days(0, 9))[1:]
        assert (await store.history.day(DAY - 1), await store.history.day_count()) == ({}, 2)


async def test_of_too_many_days_those_far_away_go(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "KEPT_DAYS", 3)
    for day in (DAY, DAY + 1, DAY + 2):
        await store.history.keep_day(day, {})
    await store.history.keep_day(DAY + 5000, {})  # a clock that was set wrong takes one of them
    assert [day for day, _ in await store.history.days(0, 9)] == [DAY + 5000, DAY + 2, DAY + 1]
    for day in (DAY + 3, DAY + 4):
        await store.history.keep_day(day, {})
    assert [day for day, _ in await store.history.days(0, 9)] == [DAY + 4, DAY + 3, DAY + 2]


async def test_a_day_that_cannot_be_read_has_no_figures(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        await store.history.keep_day(DAY, {"visits": 1})
        await store.history.keep_day(DAY + 1, {"visits": 1})
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE history SET figures = iif(day = ?, '{', '[1]')", (DAY,))
    async with Store.open(path, clock) as store:
        assert await store.history.days(0, 9) == [(DAY + 1, {}), (DAY, {})]
        assert await store.history.day(DAY) == {}


async def test_people_can_read_the_days(path: Path, clock: SetClock) -> None:
    """The question of docs/operate/storage.md."""
    text = Path("docs/operate/storage.md").read_text()
    question = text.partition('sqlite3 -box store.db "')[2].partition('"')[0]
    async with Store.open(path, clock) as store:
        figures = {"starts": 1, "visits": 9, "failed": 2, "success": {"load0": 0.5}, "uplink": {"connections": 4}}
        await store.history.keep_day(DAY, figures)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute(question).fetchall() == [("2026-11-22", 1, 9, 2, '{"load0":0.5}', 4)]
