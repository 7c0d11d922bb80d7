"""The open database that the parts of the store share: one writing connection, one reading one, the numbers given.

What the tables mean is said by the parts (readings, outbox, commands, counters); `dcu.store.store` puts them together.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self

import aiosqlite

from dcu.clock import Clock
from dcu.errors import StoreError
from dcu.model import Column
from dcu.store.numbers import Numbers, Tails, layouts, meters, streams
from dcu.store.schema import BUSY_SECONDS, prepare, prepare_reader, translated
from dcu.store.writer import Apply, Writer


class Database:
    """A store file while it is open. `fresh` is set after a commit that added rows to deliver, and at the start."""

    def __init__(self, writing: aiosqlite.Connection, reading: aiosqlite.Connection, clock: Clock) -> None:
        self._clock = clock
        self._reading = reading
        self._writer = Writer(writing, self._forget)
        self._meters: Numbers = meters()
        self._layouts: Numbers = layouts()
        self._streams: Numbers = streams()
        self._tails = Tails()
        self._columns: dict[int, tuple[Column, ...]] = {}
        self.fresh = self._writer.fresh

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path | str, clock: Clock) -> AsyncIterator[Self]:
        """Open or create the store at `path`, bring it to the newest schema, and close it after the last write.

        Raises StoreError when the directory or the file cannot be used, when the file is no store, is damaged, or
        has a newer schema; the file is then left as it is.
        """
        async with _connections(str(path)) as (writing, reading):
            store = cls(writing, reading, clock)
            task = asyncio.create_task(store._writer.run(), name="store writer")
            try:
                yield store
            finally:
                store._writer.close()
                await task

    @property
    def closed(self) -> bool:
        """Whether nothing can be written any more: at the end, or because a bug ended the writer."""
        return self._writer.closed

    async def size(self) -> int:
        """Return the octets of the database; its log, bounded by CHECKPOINT_OCTETS, comes on top."""
        [(octets,)] = await self._read("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        return int(octets)

    async def _write(self, apply: Apply, *, rows: int = 1, deliverable: bool = False) -> Any:
        return await self._writer.write(apply, rows=rows, deliverable=deliverable)

    async def _read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a query, as the last commit left them."""
        if self._writer.closed:
            raise StoreError("the store is closed")
        with translated("cannot read from the store"):
            return list(await self._reading.execute_fetchall(sql, parameters))

    async def _stream(self, database: aiosqlite.Connection, name: str) -> int:
        """Return the number of stream `name`; a new one begins its sequence at Unix milliseconds.

        So `seq` also grows over a re-installation that lost the store, as long as the clock was right once.
        """
        return await self._streams.number(database, name, int(self._clock.now() * 1000))

    def _forget(self) -> None:
        for cache in (self._meters, self._layouts, self._streams, self._tails):
            cache.forget()


@asynccontextmanager
async def _connections(path: str) -> AsyncIterator[tuple[aiosqlite.Connection, aiosqlite.Connection]]:
    async with AsyncExitStack() as stack:
        with translated(f"cannot open the store {path}"):
            _touch(path)
            writing = await _connect(path)
            stack.push_async_callback(writing.close)
            await prepare(writing, path)
            reading = await _connect(path)
            stack.push_async_callback(reading.close)
            await prepare_reader(reading)
        yield writing, reading


def _touch(path: str) -> None:
    """Raise OSError when the file cannot be used: a connection that fails to open leaves its thread behind for a while.

    Load profiles tell when somebody is at home: a new file is not for everybody's eyes.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640))


async def _connect(path: str) -> aiosqlite.Connection:
    """Return a started connection. A cancellation waits for it: its thread must not outlive the loop."""

    async def start() -> aiosqlite.Connection:
        # transactions begin and end where the writer says, not where the module guesses
        return await aiosqlite.connect(path, timeout=BUSY_SECONDS, isolation_level=None)

    starting = asyncio.create_task(start())
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait([starting])
        if starting.exception() is None:
            await starting.result().close()
        raise
