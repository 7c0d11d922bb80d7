"""Delivery: blocks of rows that leave the box under a sequence number, until somebody acknowledges them.

A block's number and extent are committed before it is handed out, so that whatever happens, the same number is
never published with other content. Publishing is the business of `dcu.deliver`.
"""

from dataclasses import dataclass
from functools import partial

from aiosqlite import Connection

from dcu.messages.envelope import RESULT
from dcu.model import Capture, CommandRecord
from dcu.store.commands import Commands
from dcu.store.readings import Readings

#: The most rows of one block.
BLOCK_ROWS = 1000

_STREAMS = "SELECT name, seq FROM streams ORDER BY stream"

_SENT = "SELECT stream, seq, sent FROM streams WHERE name = ?"

_ALLOT = "UPDATE streams SET seq = ?, sent = ? WHERE stream = ?"

_PUT = "INSERT INTO outbox (stream, seq, first, last) VALUES (?, ?, ?, ?)"

_OUT = """
SELECT outbox.stream, outbox.seq, first, last FROM outbox JOIN streams USING (stream) WHERE name = ?
ORDER BY outbox.seq
"""

_RELEASE = "DELETE FROM outbox WHERE stream = (SELECT stream FROM streams WHERE name = ?) AND seq = ?"

_PENDING = """
SELECT name, tail - sent + coalesce((SELECT sum(last - first + 1) FROM outbox WHERE outbox.stream = tails.stream), 0)
FROM tails
"""


@dataclass(frozen=True, slots=True)
class Block:
    """What is published as one message: captures, or changes of commands when the stream is `RESULT`."""

    stream: str
    seq: int
    items: tuple[Capture, ...] | tuple[CommandRecord, ...]


class Outbox(Readings, Commands):
    """The streams and what of them is on its way."""

    async def streams(self) -> dict[str, int]:
        """Return the streams there are, each with the sequence number its next block will have."""
        return dict(await self._read(_STREAMS))

    async def next_block(self, stream: str, limit: int) -> Block | None:
        """Return the next rows of `stream`, at most `limit` (≤ BLOCK_ROWS), or None when all are on their way."""
        extent = await self._write(partial(self._allot, name=stream, limit=min(limit, BLOCK_ROWS)))
        return await self._block(stream, *extent) if extent else None

    async def unacknowledged(self, stream: str) -> list[Block]:
        """Return the blocks of `stream` on their way, oldest first, as they were when they were first handed out."""
        return [await self._block(stream, *extent) for extent in await self._read(_OUT, (stream,))]

    async def acknowledge(self, stream: str, seq: int) -> None:
        """Release a block; its rows stay in the store. One that was released before is no news."""
        await self._write(partial(_release, name=stream, seq=seq))

    async def pending(self) -> dict[str, int]:
        """Return how many rows of each stream are stored and not acknowledged."""
        return dict(await self._read(_PENDING))

    async def _allot(self, database: Connection, *, name: str, limit: int) -> tuple[int, int, int, int] | None:
        """Return (stream, seq, first, last) of a new block."""
        for stream, seq, sent in await database.execute_fetchall(_SENT, (name,)):
            last = min(await self._tails.last(database, stream), sent + limit)
            if last > sent:
                await database.execute(_ALLOT, (seq + 1, last, stream))
                await database.execute(_PUT, (stream, seq, sent + 1, last))
                return stream, seq, sent + 1, last
        return None

    async def _block(self, name: str, stream: int, seq: int, first: int, last: int) -> Block:
        if name == RESULT:
            return Block(name, seq, tuple(await self._results(stream, first, last)))
        return Block(name, seq, tuple(await self._run(stream, first, last)))


async def _release(database: Connection, *, name: str, seq: int) -> None:
    await database.execute(_RELEASE, (name, seq))
