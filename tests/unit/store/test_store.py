"""The store as a whole: its parts are over one file, write into one transaction and end together."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from aiosqlite import Connection

from dcu.errors import StoreError
from dcu.model import Reach
from dcu.store import Store
from tests.captures import SetClock, capture

SHAPE = {"period": 900}


async def test_what_parts_write_at_once_is_kept_or_undone_together(store: Store) -> None:
    async def broken(database: Connection) -> None:
        await database.execute("INSERT INTO nowhere VALUES (1)")

    def writing() -> list[Coroutine[Any, Any, object]]:
        return [
            store.readings.record([capture(1)], {}),
            store.descriptors.put("M1", "load0", SHAPE),
            store.reaches.reached("M1", Reach.REACHABLE, 1.0),
        ]

    async def kept() -> tuple[object, ...]:
        rows = await store.readings.captures("M1", "load0", 0, 9, 9)
        return rows, await store.descriptors.of("M1"), await store.reaches.since(0.0)

    refused = await asyncio.gather(*writing(), store.database.write(broken), return_exceptions=True)
    assert [type(each) for each in refused] == [StoreError] * 4
    assert await kept() == ([], {}, [])
    await asyncio.gather(*writing())
    assert await kept() == ([capture(1)], {"load0": SHAPE}, [("M1", 1.0, Reach.REACHABLE)])


async def test_after_the_end_every_part_refuses(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        await store.commands.unfinished()
    assert store.database.closed
    for asked in (store.commands.unfinished, store.lines.added, store.outbox.streams, store.retention.holdings):
        with pytest.raises(StoreError, match="closed"):
            await asked()
