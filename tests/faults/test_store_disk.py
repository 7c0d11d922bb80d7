"""A disk that is full: a clear error, nothing half-written, and it goes on when it can."""

import asyncio
from pathlib import Path

from dcu.errors import StoreError
from dcu.store import Store
from dcu.store.schema import PAGE_SIZE
from tests.captures import SetClock, capture


async def limit(store: Store, octets: int) -> None:
    """Let the database grow to `octets` and no further: to SQLite that is a full disk."""
    await store.database._writer._database.execute(f"PRAGMA max_page_count = {octets // PAGE_SIZE}")


async def fill(store: Store) -> int:
    """Record visits of 5 captures until one is refused; return how many were kept."""
    for at in range(0, 10_000, 5):
        try:
            await store.readings.record([capture(at + row) for row in range(5)], {("M1", "load0"): at + 4})
        except StoreError as error:
            assert str(error) == "cannot write to the store: database or disk is full"  # noqa: PT017 - `at` is wanted
            return at
    raise AssertionError("the disk was never full")


async def test_a_full_disk_refuses_and_keeps_what_it_promised(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with Store.open(path, SetClock()) as store:
        await limit(store, 52_000)
        kept = await fill(store)
        assert kept > 0
        assert await store.readings.watermarks() == {("M1", "load0"): kept - 1}
        assert await store.outbox.pending() == {"load0": kept}
    async with Store.open(path, SetClock()) as store:
        found = await store.readings.captures("M1", "load0", 0, 10_000, 1000)
        assert found == [capture(at) for at in range(kept)]


async def test_when_there_is_room_again_it_goes_on_where_it_stopped(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "store.db", SetClock()) as store:
        await limit(store, 52_000)
        kept = await fill(store)
        await limit(store, 400_000)
        await store.readings.record([capture(at) for at in range(kept - 5, kept + 5)], {("M1", "load0"): kept + 4})
        block = await store.outbox.next_block("load0", 1000)
        assert block is not None
        assert block.items == tuple(capture(at) for at in range(kept + 5))


async def test_everybody_in_the_refused_batch_is_told(tmp_path: Path) -> None:
    async with Store.open(tmp_path / "store.db", SetClock()) as store:
        await limit(store, 52_000)
        await fill(store)
        big = [store.readings.record([capture(at, meter)] * 200, {}) for at, meter in enumerate(["M1", "M2", "M3"])]
        answers = await asyncio.gather(*big, return_exceptions=True)
        assert [type(answer) for answer in answers] == [StoreError] * 3
