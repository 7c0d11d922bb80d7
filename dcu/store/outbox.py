"""Delivery: blocks of rows that leave the box under a sequence number, until somebody acknowledges them.

A block's number and extent are committed before it is handed out, so that whatever happens, the same number is
never published with other content. Publishing is the business of `dcu.delivery`.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from aiosqlite import Connection

from dcu.messages.envelope import RESULT, urgent
from dcu.model import LEAP, REFUSED, Capture, CommandRecord, Dropped
from dcu.store.cells import GARBLED, to_json
from dcu.store.commands import Commands
from dcu.store.database import Database
from dcu.store.numbers import POSITION_BITS, place_of, position_of
from dcu.store.readings import Readings
from dcu.store.segments import Segment
from dcu.store.spare import LEAPT

#: The most rows of one block.
BLOCK_ROWS = 1000

#: Blocks that wait when a stream is behind: then each is committed at once.
DRAIN_BLOCKS = 4

_STREAMS = "SELECT name, seq FROM streams ORDER BY stream"

_SENT = "SELECT stream, seq, sent, leapt FROM streams WHERE name = ?"

_ALLOT = "UPDATE streams SET seq = ?, sent = ? WHERE stream = ?"

_LEAPT = "UPDATE streams SET leapt = NULL WHERE stream = ?"

_PUT = "INSERT INTO outbox (stream, seq, first, last, dropped) VALUES (?, ?, ?, ?, ?)"

_SAY = "UPDATE outbox SET dropped = ? WHERE stream = ? AND seq = ?"

# what was REFUSED has come after all
_UNSAY = """
UPDATE delivered SET dropped = NULL
WHERE stream = (SELECT stream FROM streams WHERE name = ?1) AND seq = ?2 AND dropped LIKE '["refused"%'
"""

# of a segment that cannot be read its row still says the times
_TIMES = """
SELECT min(oldest), max(newest) FROM segments
WHERE place >= coalesce((SELECT place FROM segments WHERE place <= ?1 ORDER BY place DESC LIMIT 1), ?1) AND place <= ?2
"""

_DROPPED = "SELECT last, reason, oldest, newest, count FROM drops WHERE stream = ?"

_OUT = """
SELECT outbox.stream, outbox.seq, first, last, dropped FROM outbox JOIN streams USING (stream) WHERE name = ?
ORDER BY outbox.seq
"""

_OWED_ONE = """
SELECT outbox.stream, outbox.seq, first, last, dropped FROM outbox JOIN streams USING (stream)
WHERE name = ? AND outbox.seq = ?
"""

_OWED = "SELECT outbox.seq FROM outbox JOIN streams USING (stream) WHERE name = ? ORDER BY outbox.seq"

_LEAST = """
SELECT name, coalesce((SELECT min(seq) FROM outbox WHERE outbox.stream = streams.stream), seq) FROM streams
"""

# they are known by their numbers still: docs/reference/mqtt.md, dcu.resend
_KEEP = """
INSERT OR REPLACE INTO delivered SELECT outbox.* FROM outbox JOIN streams USING (stream)
WHERE name = ?1 AND outbox.seq BETWEEN ?2 AND ?3
"""

_RELEASE = "DELETE FROM outbox WHERE stream = (SELECT stream FROM streams WHERE name = ?1) AND seq BETWEEN ?2 AND ?3"

# of what was REFUSED the rows are there, once the word of that was acknowledged
_KNOWN = """
SELECT stream, seq, first, last, dropped FROM (
    SELECT outbox.* FROM outbox JOIN streams USING (stream) WHERE name = ?1 AND outbox.seq = ?2
    UNION ALL
    SELECT stream, delivered.seq, first, last, iif(dropped LIKE '["refused"%', NULL, dropped)
    FROM delivered JOIN streams USING (stream) WHERE name = ?1 AND delivered.seq = ?2)
"""

# what the head-end was, or will be, told it does not get; whether that was REFUSED
_UNSENT = """
SELECT first, last, dropped LIKE '["refused"%' FROM outbox WHERE stream = ?1 AND dropped IS NOT NULL
UNION ALL SELECT first, last, dropped LIKE '["refused"%' FROM delivered WHERE stream = ?1 AND dropped IS NOT NULL
UNION ALL SELECT first, last, 0 FROM drops WHERE stream = ?1
"""

_WAITING = "SELECT name, tail - sent FROM tails ORDER BY stream"

_PENDING = """
SELECT name, tail - sent
    + coalesce((SELECT sum(last - first + 1) FROM outbox WHERE outbox.stream = tails.stream AND dropped IS NULL), 0)
    - coalesce((SELECT count FROM drops WHERE drops.stream = tails.stream), 0)
FROM tails
"""


# where a stream's segments read since a time begin; they were recorded in the order of their places
_READ_AT = "SELECT place, rows, read FROM segments WHERE place <= ? ORDER BY place DESC LIMIT 1"

_EXTENT = "SELECT stream, sent, tail FROM tails WHERE name = ?"

#: Segments looked into in one go: others may read from the store in between.
COUNTED = 64

_READ_PIECE = "SELECT place, octets, content FROM segments WHERE place BETWEEN ? AND ? ORDER BY place LIMIT ?"


@dataclass(frozen=True, slots=True)
class Shipped:
    """Captures by how far they got: stored, of these handed out for delivery, of these acknowledged."""

    stored: int = 0
    delivered: int = 0
    acknowledged: int = 0

    def __add__(self, more: "Shipped") -> "Shipped":
        return Shipped(
            self.stored + more.stored, self.delivered + more.delivered, self.acknowledged + more.acknowledged
        )


@dataclass(frozen=True, slots=True)
class Unsent:
    """Positions of one stream of which the head-end is told that they do not come: `refused` by the broker, or `gone`.

    A segment that was sent in part stays until the rest is acknowledged: what of it was given up is in it still.
    """

    refused: tuple[tuple[int, int], ...] = ()
    gone: tuple[tuple[int, int], ...] = ()

    @classmethod
    async def of(cls, database: Database, stream: int) -> "Unsent":
        found = await database.read(_UNSENT, (stream,))
        refused, gone = ([(first, last) for first, last, of in found if bool(of) is which] for which in (True, False))
        return cls(tuple(refused), tuple(gone))

    def has(self, position: int) -> bool:
        return within(position, self.refused) or within(position, self.gone)


def within(position: int, extents: Iterable[tuple[int, int]]) -> bool:
    """Whether one of `extents`, each from its first position to its last, has `position`."""
    return any(first <= position <= last for first, last in extents)


@dataclass(frozen=True, slots=True)
class Block:
    """What is published as one message: captures, or changes of commands when the stream is `RESULT`.

    With `dropped` it has no items: it is the word of those that had to go, or of numbers that were leapt over.
    """

    stream: str
    seq: int
    items: tuple[Capture, ...] | tuple[CommandRecord, ...]
    dropped: Dropped | None = None


#: Of a block: stream, sequence number, first and last position, and what of it had to go as JSON.
_Extent = tuple[int, int, int, int, str | None]


class Outbox:
    """The streams and what of them is on its way."""

    __slots__ = ("_commands", "_database", "_draining", "_readings", "fresh")

    def __init__(self, database: Database, readings: Readings, commands: Commands) -> None:
        self._database = database
        self._readings = readings
        self._commands = commands
        self._draining = False
        #: Set after a commit that added rows to deliver, and at the start.
        self.fresh = database.fresh

    async def streams(self) -> dict[str, int]:
        """Return the streams there are, each with the sequence number its next block will have."""
        return dict(await self._database.read(_STREAMS))

    async def next_block(self, stream: str, limit: int) -> Block | None:
        """Return the next rows of `stream`, at most `limit` (≤ BLOCK_ROWS), or None when all are on their way.

        While little of it waits, the commit of data's number waits for company: then sending keeps up anyway.
        """
        waiting = sum([tail - sent for _, sent, tail in await self._database.read(_EXTENT, (stream,))])
        if not waiting:
            return None
        self._draining = waiting > DRAIN_BLOCKS * limit
        patient = not (urgent(stream) or self._draining)
        extent = await self._database.write(
            partial(self._allot, name=stream, limit=min(limit, BLOCK_ROWS)), patient=patient
        )
        return await self._handed(stream, extent) if extent else None

    async def unacknowledged(self, stream: str) -> list[Block]:
        """Return the blocks of `stream` on their way, oldest first, as they were when they were first handed out."""
        return [await self._handed(stream, extent) for extent in await self._database.read(_OUT, (stream,))]

    async def block(self, stream: str, seq: int) -> Block | None:
        """Return a block as it was first handed out; None when its number or one of its rows is not held any more."""
        for extent in await self._database.read(_KNOWN, (stream, seq)):
            *_, first, last, dropped = extent
            block = await self._block(stream, *extent)
            return block if dropped is not None or len(block.items) == last - first + 1 else None
        return None

    async def acknowledge(self, stream: str, seq: int) -> None:
        """Release a block; its rows stay in the store. One that was released before is no news."""
        await self._database.write(partial(_acknowledge, name=stream, seq=seq), patient=not self._draining)

    async def refuse(self, stream: str, seq: int) -> bool:
        """Say in place of a block on its way that the broker refuses it; its rows stay. False: there is no such block.

        When the word of that is acknowledged, `block` returns the rows again, and acknowledged they count as delivered.
        """
        for extent in await self._database.read(_OWED_ONE, (stream, seq)):
            block = await self._handed(stream, extent)
            if block.dropped is None:
                times = [item.at if isinstance(item, Capture) else int(item.changed) for item in block.items]
                lost = Dropped(REFUSED, min(times), max(times), len(times))
                await self._say(extent[0], seq, lost)
            return True
        return False

    async def acknowledge_to(self, words: Mapping[str, int]) -> None:
        """Release all blocks up to a number, of each stream in `words`."""
        await self._database.write(partial(_release_all, words=words), rows=len(words), patient=True)

    async def owed(self, stream: str) -> list[int]:
        """Return the numbers of the blocks of `stream` on their way, the lowest first."""
        return [seq for (seq,) in await self._database.read(_OWED, (stream,))]

    async def least_owed(self) -> dict[str, int]:
        """Return the lowest number of each stream that is not acknowledged: of the next block when all are."""
        return dict(await self._database.read(_LEAST))

    async def pending(self) -> dict[str, int]:
        """Return how many rows of each stream are stored and not acknowledged."""
        return dict(await self._database.read(_PENDING))

    async def waiting(self) -> dict[str, int]:
        """Return how many rows of each stream are stored and not handed out."""
        return dict(await self._database.read(_WAITING))

    async def shipped(self, stream: str, since: int, meter: str | None = None) -> Shipped:
        """Return how far the captures of `stream` with a time of `since` or later got, of all meters or of one."""
        shipped = Shipped()
        for number, sent, tail in await self._database.read(_EXTENT, (stream,)):
            out = [(first, last) for _, _, first, last, _ in await self._database.read(_OUT, (stream,))]
            unsent = await Unsent.of(self._database, number)
            first = await self._recorded_since(number, tail, since)
            while first <= tail:
                piece = await self._database.read(
                    _READ_PIECE, (place_of(number, first), place_of(number, tail), COUNTED)
                )
                if not piece:
                    break
                for segment in self._readings.readable(piece):
                    shipped += await self._counted(segment, since, meter, sent, out, unsent)
                    await asyncio.sleep(0)
                first = position_of(piece[-1][0]) + 1
        return shipped

    async def _counted(
        self, segment: Segment, since: int, meter: str | None, sent: int, out: Sequence[tuple[int, int]], unsent: Unsent
    ) -> Shipped:
        of = None if meter is None else await self._database.read("SELECT meter FROM meters WHERE name = ?", (meter,))
        stored = delivered = under_way = 0
        for first, run in segment.placed():
            if of is not None and (run.meter,) not in of:
                continue
            held = [first + row for row, at in enumerate(run.times) if at >= since]
            held = [position for position in held if not within(position, unsent.gone)]
            stored += len(held)
            left = [position for position in held if position <= sent and not within(position, unsent.refused)]
            delivered += len(left)
            under_way += sum(within(position, out) for position in left)
        return Shipped(stored, delivered, delivered - under_way)

    async def _recorded_since(self, stream: int, tail: int, since: int) -> int:
        """Return the first position recorded at `since` or later: nothing that happened since can be before it."""
        low, high = 1, tail + 1
        while low < high:
            middle = (low + high) // 2
            found = [
                (position_of(place) + rows, read)
                for place, rows, read in await self._database.read(_READ_AT, (place_of(stream, middle),))
                if place >> POSITION_BITS == stream
            ]
            after, read = found[0] if found else (1, since - 1)
            low, high = (low, middle) if middle < after and read >= since else (max(middle + 1, after), high)
        return low

    async def _allot(self, database: Connection, *, name: str, limit: int) -> _Extent | None:
        """Return the extent of a new block; the word of a leap comes before the rows, and has none."""
        await self._database.follow_clock(database)
        for stream, seq, sent, leapt in await database.execute_fetchall(_SENT, (name,)):
            last, dropped = await self._following(database, stream, sent, limit) if leapt is None else (sent, None)
            if leapt is not None:
                dropped = to_json([LEAP, 0, 0, 0, [leapt, seq - 1]])
                await database.execute(_LEAPT, (stream,))
                self._database.spare.note(LEAPT, name, None)
            if last > sent or leapt is not None:
                self._database.spare.sequence(name, seq)
                await database.execute(_ALLOT, (seq + 1, last, stream))
                await database.execute(_PUT, (stream, seq, sent + 1, last, dropped))
                return stream, seq, sent + 1, last, dropped
        return None

    async def _following(self, database: Connection, stream: int, sent: int, limit: int) -> tuple[int, str | None]:
        """Return the last position of the block behind `sent`, and what is said in place of rows that had to go."""
        for last, *fields in await database.execute_fetchall(_DROPPED, (stream,)):
            await database.execute("DELETE FROM drops WHERE stream = ?", (stream,))
            return last, to_json(fields)
        last = min(await self._database.tails.last(database, stream), sent + limit)
        # rows of before may still be salvaged
        return min(last, self._database.coming[stream][0] - 1) if stream in self._database.coming else last, None

    async def _block(self, name: str, stream: int, seq: int, first: int, last: int, dropped: str | None) -> Block:
        if dropped is not None:
            return Block(name, seq, (), _dropped(dropped, last - first + 1))
        if name == RESULT:
            return Block(name, seq, tuple(await self._commands.results(stream, first, last)))
        return Block(name, seq, tuple(await self._readings.at(stream, name, first, last)))

    async def _handed(self, name: str, extent: _Extent) -> Block:
        """Return a block that is to be sent; of one nothing of which can be read, the word of that."""
        block = await self._block(name, *extent)
        if block.items or block.dropped is not None:
            return block
        return replace(block, dropped=await self._lost(*extent[:4]))

    async def _lost(self, stream: int, seq: int, first: int, last: int) -> Dropped:
        """Return, and keep, what is said in place of a block nothing of which can be read."""
        [(oldest, newest)] = await self._database.read(_TIMES, (place_of(stream, first), place_of(stream, last)))
        lost = Dropped("damaged", oldest or 0, newest or 0, last - first + 1)
        await self._say(stream, seq, lost)
        return lost

    async def _say(self, stream: int, seq: int, lost: Dropped) -> None:
        said = to_json([lost.reason, lost.start, lost.end, lost.count])
        await self._database.write(lambda database: database.execute(_SAY, (said, stream, seq)))


def _dropped(said: str, count: int) -> Dropped:
    """Return what stands in place of a block; where that is damaged, too, only how many there were is known."""
    try:
        reason, start, end, rows, *numbers = json.loads(said)
        return Dropped(reason, start, end, rows, (numbers[0][0], numbers[0][1]) if numbers else None)
    except GARBLED:
        return Dropped("damaged", 0, 0, count)


async def _release(database: Connection, *, name: str, first: int, last: int) -> None:
    await database.execute(_KEEP, (name, first, last))
    await database.execute(_RELEASE, (name, first, last))


async def _acknowledge(database: Connection, *, name: str, seq: int) -> None:
    await database.execute(_UNSAY, (name, seq))
    await _release(database, name=name, first=seq, last=seq)


async def _release_all(database: Connection, *, words: Mapping[str, int]) -> None:
    for stream, seq in words.items():
        await _release(database, name=stream, first=0, last=seq)
