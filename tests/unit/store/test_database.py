"""Opening and closing: nothing that was promised is lost, nothing outlives the store."""

import asyncio
import threading
from pathlib import Path

import pytest

from dcu.errors import StoreError
from dcu.store import Store
from tests.captures import SetClock, capture


async def test_what_waits_at_the_end_is_still_written(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        waiting = [asyncio.create_task(store.readings.record([capture(at)], {})) for at in range(20)]
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    async with Store.open(path, clock) as store:
        assert await store.outbox.pending() == {"load0": 20}


async def test_a_closed_store_refuses(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        pass
    with pytest.raises(StoreError, match="the store is closed"):
        await store.readings.record([capture(1)], {})
    with pytest.raises(StoreError, match="the store is closed"):
        await store.readings.watermarks()


async def test_nothing_outlives_the_store(path: Path, clock: SetClock) -> None:
    threads, tasks = set(threading.enumerate()), asyncio.all_tasks()
    async with Store.open(path, clock) as store:
        await store.readings.record([capture(1)], {})
    assert asyncio.all_tasks() == tasks
    for thread in set(threading.enumerate()) - threads:
        if not thread.name.startswith("asyncio_"):  # the loop's own, which ends them itself
            thread.join(timeout=10)
            assert not thread.is_alive()
    names = {file.name for file in path.parent.iterdir()}
    assert names == {path.name, path.with_suffix(".spare").name}  # the log is copied and gone


async def test_an_error_of_the_body_comes_out_as_it_is(path: Path, clock: SetClock) -> None:
    with pytest.raises(ZeroDivisionError):
        async with Store.open(path, clock):
            _ = 1 / 0


@pytest.mark.parametrize("turns", range(0, 60, 3))
async def test_cancelled_at_any_moment_it_opens_again_whole(path: Path, clock: SetClock, turns: int) -> None:
    async def work() -> None:
        async with Store.open(path, clock) as store:
            for at in range(100):
                await store.readings.record([capture(at)], {("M1", "load0"): at})

    task = asyncio.create_task(work())
    for _ in range(turns):
        await asyncio.sleep(0.0005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with Store.open(path, clock) as store:
        marks, pending = await store.readings.watermarks(), await store.outbox.pending()
        assert pending.get("load0", 0) == marks.get(("M1", "load0"), -1) + 1


async def test_size_grows_with_what_is_kept(store: Store) -> None:
    before = await store.database.size()
    await store.readings.record([capture(at) for at in range(100)], {})
    assert await store.database.size() > before


async def test_a_new_stream_begins_its_sequence_at_unix_milliseconds(store: Store, clock: SetClock) -> None:
    await store.readings.record([capture(1)], {})
    assert await store.outbox.streams() == {"load0": int(clock.time * 1000)}


async def test_a_new_file_is_not_for_everybody(path: Path, store: Store) -> None:
    assert path.stat().st_mode & 0o007 == 0
