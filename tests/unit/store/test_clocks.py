"""The history of clocks: points that are bounded and move with the clock, adjustments that outlive a crash."""

from pathlib import Path

import pytest

from dcu.store import Store
from dcu.store import clocks as room
from dcu.store.clocks import Adjustment
from tests.captures import SetClock

BEGUN = Adjustment(1000, 40.5, -40, "shift")


async def test_points_are_kept_up_to_their_bound(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "POINTS_BOUND", 3)
    for at in range(10):
        await store.clocks.shows("M1", at, at / 2)
    await store.clocks.shows("M2", 3, 1.0)
    assert await store.clocks.points("M1") == [(7, 3.5), (8, 4.0), (9, 4.5)]
    assert await store.clocks.latest() == {"M1": (9, 4.5), "M2": (3, 1.0)}


async def test_an_adjustment_is_known_after_a_crash(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        await store.clocks.adjust_begins("M1", BEGUN)
    async with Store.open(path, clock) as store:
        assert await store.clocks.adjustments() == {"M1": BEGUN}
        await store.clocks.adjust_ends("M1", 0.0)
        assert await store.clocks.adjustments() == {"M1": Adjustment(1000, 40.5, -40, "shift", open=False)}


async def test_points_move_with_the_clock_so_that_drift_is_the_crystals(store: Store) -> None:
    for meter in ("M1", "M2"):
        for day in range(3):
            await store.clocks.shows(meter, 86_400 * day, 20.0 + 2 * day)
    await store.clocks.adjust_begins("M1", BEGUN)
    await store.clocks.adjust_ends("M1", -24.0)
    assert await store.clocks.points("M1") == [(0, -4.0), (86_400, -2.0), (172_800, 0.0)]
    assert await store.clocks.points("M2") == [(0, 20.0), (86_400, 22.0), (172_800, 24.0)]


async def test_a_clock_that_somebody_else_moved_begins_anew(store: Store) -> None:
    await store.clocks.shows("M1", 0, 20.0)
    await store.clocks.shows("M1", 86_400, 1.0, anew=True)
    assert await store.clocks.points("M1") == [(86_400, 1.0)]


async def test_a_point_from_when_our_own_clock_was_ahead_is_not_the_newest_for_ever(store: Store) -> None:
    for at in (0, 86_400, 900_000):
        await store.clocks.shows("M1", at, 20.0)
    await store.clocks.shows("M1", 172_800, 21.0)
    assert await store.clocks.points("M1") == [(0, 20.0), (86_400, 20.0), (172_800, 21.0)]
    assert await store.clocks.latest() == {"M1": (172_800, 21.0)}
