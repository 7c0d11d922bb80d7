"""Generations of secrets: kept whole, moved one by one, and gone when another one is in force."""

from pathlib import Path

from dcu.store import Store
from dcu.store.generations import Sealed
from tests.captures import SetClock

FIRST = Sealed("M1", 1, "current", 10.0, {"encryption": b"e1", "authentication": b"a1"})
SECOND = Sealed("M1", 2, "pending", 20.0, {"encryption": b"e2"})
OTHER = Sealed("M2", 1, "pending", 30.0, {"password": b"p"})


async def test_what_was_added_is_there_after_a_restart(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        for sealed in (FIRST, OTHER, SECOND):
            await store.generations.begin(sealed)
    async with Store.open(path, clock) as store:
        assert await store.generations.all() == [FIRST, SECOND, OTHER]


async def test_a_state_moves_with_its_time_and_leaves_the_rest(store: Store, clock: SetClock) -> None:
    for sealed in (FIRST, SECOND, OTHER):
        await store.generations.begin(sealed)
    assert await store.generations.move("M1", 2, "written") == clock.time
    moved = Sealed("M1", 2, "written", clock.time, SECOND.secrets)
    assert await store.generations.all() == [FIRST, moved, OTHER]


async def test_a_generation_in_force_is_the_only_one_of_its_meter(store: Store, clock: SetClock) -> None:
    for sealed in (FIRST, SECOND, OTHER):
        await store.generations.begin(sealed)
    await store.generations.move("M1", 2, "current", alone=True)
    assert await store.generations.all() == [Sealed("M1", 2, "current", clock.time, SECOND.secrets), OTHER]
    assert len(await store.database.read("SELECT * FROM secrets")) == 2


async def test_one_that_is_dropped_leaves_its_meters_other(store: Store) -> None:
    await store.generations.begin(FIRST)
    await store.generations.begin(SECOND)
    await store.generations.drop("M1", 2)
    assert await store.generations.all() == [FIRST]
