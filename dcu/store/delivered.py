"""What was acknowledged, by number: so that a block can be sent again as it was, and both sides can compare.

Blocks that are still on their way are in `outbox`.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from aiosqlite import Connection

from dcu.errors import CommandRejected
from dcu.messages.canonical import number
from dcu.model import Capture
from dcu.store.database import Database
from dcu.store.numbers import place_of
from dcu.store.outbox import Unsent, within
from dcu.store.readings import TIME_BOUND, Readings
from dcu.store.segments import SEGMENT_ROWS

#: Blocks of one stream whose numbers are known after they were acknowledged: of a block each half a minute, a week.
KNOWN_BLOCKS: Final = 20_000

#: Numbers forgotten, and blocks or segments looked at, in one go.
PIECE: Final = 200

#: Captures that are summed up for one question at most: a day of 1024 meters, twice over.
SUM_BOUND: Final = 250_000

# the numbers of a stream whose captures are of a time; a block holds whole segments or parts of them
_NUMBERS = """
SELECT delivered.seq FROM delivered JOIN streams USING (stream) WHERE name = ?1 AND delivered.seq BETWEEN ?2 AND ?3
    AND (?4 IS NULL OR EXISTS (SELECT 1 FROM segments
        WHERE place BETWEEN delivered.stream << 40 | max(first - ?6, 0) AND delivered.stream << 40 | last
        AND (place & 0xFFFFFFFFFF) + rows > first AND newest >= ?4 AND oldest <= ?5))
ORDER BY delivered.seq LIMIT ?7
"""

_FORGET = """
DELETE FROM delivered WHERE (stream, seq) IN (
    SELECT old.stream, old.seq FROM streams JOIN delivered AS old
        ON old.stream = streams.stream AND old.seq < streams.seq - ?1 LIMIT ?2)
"""

_STREAM = "SELECT stream, sent FROM streams WHERE name = ?"

_OUT = "SELECT first, last FROM outbox WHERE stream = ? AND dropped IS NULL"

_OF_TIME = """
SELECT place, octets, content FROM segments
WHERE place > ? AND place < ? AND newest >= ? AND oldest <= ? ORDER BY place LIMIT ?
"""


@dataclass(slots=True)
class Held:
    """Captures and the sum of their numbers; `pending` are those that were not acknowledged yet, and not summed."""

    captures: int = 0
    total: int = 0
    pending: int = 0
    meters: dict[str, list[int]] = field(default_factory=dict)

    def add(self, capture: Capture) -> None:
        adds = number(capture)
        self.captures += 1
        self.total += adds
        of = self.meters.setdefault(capture.meter, [0, 0])
        of[0] += 1
        of[1] += adds


class Delivered:
    """Numbers of the past."""

    __slots__ = ("_database", "_readings")

    def __init__(self, database: Database, readings: Readings) -> None:
        self._database = database
        self._readings = readings

    async def known(
        self, stream: str, first: int, last: int, limit: int, times: tuple[int, int] | None = None
    ) -> list[int]:
        """Return at most `limit` numbers from `first` to `last` that were acknowledged and are known still.

        With `times` only of blocks that share a segment with captures from the one time to the other (UTC seconds).
        """
        start, end = (None, None) if times is None else (max(times[0], -TIME_BOUND), min(times[1], TIME_BOUND))
        asked = (stream, first, last, start, end, SEGMENT_ROWS, limit)
        return [seq for (seq,) in await self._database.read(_NUMBERS, asked)]

    async def forget(self) -> None:
        """Let go of numbers beyond KNOWN_BLOCKS of each stream, a slice of them."""
        await self._database.write(_forget, patient=True)

    async def held(self, stream: str, start: int, end: int, meter: str | None = None) -> Held:
        """Sum up the captures of `stream` with start ≤ at ≤ end, of all meters or of one.

        Left out is what the head-end is told it does not get, though it may be here still. Raises
        CommandRejected when they are more than SUM_BOUND.
        """
        held = Held()
        start, end = max(start, -TIME_BOUND), min(end, TIME_BOUND)
        for of, sent in await self._database.read(_STREAM, (stream,)):
            out, unsent = await self._database.read(_OUT, (of,)), await Unsent.of(self._database, of)
            async for position, capture in self._of_time(stream, of, start, end, meter):
                if unsent.has(position):
                    continue
                if position > sent or within(position, out):
                    held.pending += 1
                else:
                    held.add(capture)
                if held.captures + held.pending > SUM_BOUND:
                    raise CommandRejected(f"more than {SUM_BOUND} captures: ask for less at once")
        return held

    async def _of_time(
        self, name: str, stream: int, start: int, end: int, meter: str | None
    ) -> AsyncIterator[tuple[int, Capture]]:
        after = place_of(stream, 0)
        while rows := await self._database.read(_OF_TIME, (after, place_of(stream + 1, 0), start, end, PIECE)):
            for segment in self._readings.readable(rows):
                for position, run in segment.placed():
                    for row, capture in enumerate(await self._readings.named(name, [run])):
                        if start <= capture.at <= end and meter in {None, capture.meter}:
                            yield position + row, capture
                await asyncio.sleep(0)
            after = rows[-1][0]


async def _forget(database: Connection) -> None:
    await database.execute(_FORGET, (KNOWN_BLOCKS, PIECE))
