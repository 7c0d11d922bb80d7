"""The history of reachability: what changed, how it stood before, and how much of it is kept."""

from pathlib import Path

import pytest

from dcu.model import Reach
from dcu.store import Store
from dcu.store import reach as room
from tests.captures import SetClock

UP, WEAK, DOWN = Reach.REACHABLE, Reach.DEGRADED, Reach.UNREACHABLE


async def test_changes_are_there_after_a_restart_by_meter_and_time(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        for meter, state, at in (("M2", UP, 5.5), ("M1", UP, 10.0), ("M1", DOWN, 30.0), ("M1", WEAK, 20.0)):
            await store.reaches.reached(meter, state, at)
    async with Store.open(path, clock) as store:
        assert await store.reaches.since(0) == [
            ("M1", 10.0, UP),
            ("M1", 20.0, WEAK),
            ("M1", 30.0, DOWN),
            ("M2", 5.5, UP),
        ]


async def test_a_span_begins_with_how_the_meter_stood(store: Store) -> None:
    for meter, state, at in (("M1", UP, 10.0), ("M1", DOWN, 30.0), ("M2", WEAK, 1.0), ("M3", UP, 50.0)):
        await store.reaches.reached(meter, state, at)
    assert await store.reaches.since(29.0) == [
        ("M1", 10.0, UP),
        ("M1", 30.0, DOWN),
        ("M2", 1.0, WEAK),
        ("M3", 50.0, UP),
    ]
    assert await store.reaches.since(30.0) == [("M1", 30.0, DOWN), ("M2", 1.0, WEAK), ("M3", 50.0, UP)]


async def test_a_change_in_the_same_moment_counts_in_its_place(store: Store) -> None:
    await store.reaches.reached("M1", WEAK, 10.0)
    await store.reaches.reached("M1", UP, 10.0)
    assert await store.reaches.since(0) == [("M1", 10.0, UP)]


async def test_a_meter_that_comes_and_goes_does_not_fill_the_store(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "REACH_BOUND", 3)
    await store.reaches.reached("M2", UP, 0.0)
    for at in range(10):
        await store.reaches.reached("M1", UP, at)
    assert await store.reaches.since(0) == [("M1", 7.0, UP), ("M1", 8.0, UP), ("M1", 9.0, UP), ("M2", 0.0, UP)]


async def test_what_a_clock_that_was_ahead_has_told_does_not_hide_what_came_after(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        for meter, ahead in (("M1", 86_400.0), ("M2", 0.0)):
            await store.reaches.reached(meter, UP, 100.0 + ahead, sure=True)
            await store.reaches.reached(meter, WEAK, 3600.0, sure=True)
            await store.reaches.reached(meter, DOWN, 3700.0, sure=True)
    async with Store.open(path, clock) as store:
        assert await store.reaches.away() == [("M1", 3600.0, 1), ("M2", 3600.0, 1)]
        assert [line for line in await store.reaches.since(7200.0) if line[0] == "M1"] == [("M1", 3700.0, DOWN)]
        # a time that nobody is sure of, as of a clock that lost its own, costs none of the history
        await store.reaches.reached("M2", UP, 5.0)
        assert len(await store.reaches.since(0)) == 2 + 4
