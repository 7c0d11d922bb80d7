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
from dcu.store.numbers import place_of
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

_WAITING = "SELECT name, tail - sent FROM tails ORDER BY stream"

_PENDING = """
SELECT name, tail - sent + coalesce((SELECT sum(last - first + 1) FROM outbox WHERE outbox.stream = tails.stream), 0)
FROM tails
"""


# where a stream's rows recorded since a time begin; they were recorded in the order of their places
_READ_AT = "SELECT read_at FROM captures WHERE place = ?"

_EXTENT = "SELECT stream, sent, tail FROM tails WHERE name = ?"

_SHIPPED = """
SELECT count(*), coalesce(sum(place <= ?3), 0), coalesce(sum(place <= ?3 AND NOT EXISTS (
    SELECT 1 FROM outbox WHERE stream = place >> 40 AND place & 0xFFFFFFFFFF BETWEEN first AND last)), 0)
FROM captures JOIN meters USING (meter)
WHERE place BETWEEN ?1 AND ?2 AND at >= ?4 AND (?5 IS NULL OR meters.name = ?5)
"""

#: Rows counted in one go: others may read from the store in between.
COUNTED = 20_000


@dataclass(frozen=True, slots=True)
class Shipped:
    """Captures by how far they got: stored, of these handed out for delivery, of these acknowledged."""

    stored: int = 0
    delivered: int = 0
    acknowledged: int = 0


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

    async def waiting(self) -> dict[str, int]:
        """Return how many rows of each stream are stored and not handed out."""
        return dict(await self._read(_WAITING))

    async def shipped(self, stream: str, since: int, meter: str | None = None) -> Shipped:
        """Return how far the captures of `stream` with a time of `since` or later got, of all meters or of one."""
        counts = [0, 0, 0]
        for number, sent, tail in await self._read(_EXTENT, (stream,)):
            first = await self._recorded_since(number, tail, since)
            for start in range(first, tail + 1, COUNTED):
                span = (place_of(number, start), place_of(number, min(start + COUNTED - 1, tail)))
                [more] = await self._read(_SHIPPED, (*span, place_of(number, sent), since, meter))
                counts = list(map(sum, zip(counts, more, strict=True)))
        return Shipped(*counts)

    async def _recorded_since(self, stream: int, tail: int, since: int) -> int:
        """Return the first position recorded at `since` or later: nothing that happened since can be before it."""
        low, high = 1, tail + 1
        while low < high:
            middle = (low + high) // 2
            found = await self._read(_READ_AT, (place_of(stream, middle),))
            low, high = (low, middle) if not found or found[0][0] >= since else (middle + 1, high)
        return low

    async def _allot(self, database: Connection, *, name: str, limit: int) -> tuple[int, int, int, int] | None:
        """Return (stream, seq, first, last) of a new block."""
        for stream, seq, sent in await database.execute_fetchall(_SENT, (name,)):
            last = min(await self._tails.last(database, stream), sent + limit)
            if last > sent:
                self._spare.sequence(name, seq)
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
