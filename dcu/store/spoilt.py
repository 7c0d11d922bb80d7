"""Segments that turned out to be unreadable: let go of, so that nobody meets them again; meters are asked once more.

Who finds them is `readings`, which leaves them out. What a whole damaged file costs is the business of `wreck`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from aiosqlite import Connection

from dcu.clock import DAY
from dcu.model import Reason
from dcu.plan.ledger import GAP_BOUND, Account, absent, bounded, given_up
from dcu.store.database import Database
from dcu.store.marks import Mark, keep
from dcu.store.numbers import POSITION_BITS, place_of, position_of
from dcu.store.readings import Readings
from dcu.store.segments import NOTHING

#: Seconds of capture times that are looked through for what was in a segment; one of a long backfill is only told.
LONGEST: Final = 2 * DAY

#: Segments unpacked, and marks written, in one go.
PIECE: Final = 64

_SEGMENT = "SELECT rows, oldest, newest, streams.name FROM segments JOIN streams ON stream = ? WHERE place = ?"

_EMPTY = "UPDATE segments SET octets = ?, content = ? WHERE place = ?"

#: The first position that nobody has acknowledged.
_OPEN = """
SELECT min(sent + 1, coalesce((SELECT min(first) FROM outbox WHERE outbox.stream = streams.stream), sent + 1))
FROM streams WHERE stream = ?
"""

_FIRST = "SELECT place, newest FROM segments WHERE place > ? AND place < ? ORDER BY place LIMIT 1"

_MARKED = "SELECT meter FROM marks WHERE stream = ? AND since IS NOT NULL AND watermark IS NOT NULL AND period > 0"

_OF_TIME = """
SELECT place, octets, content FROM segments
WHERE place > ? AND place < ? AND newest >= ? AND oldest <= ? ORDER BY place LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class Forfeited:
    """A segment that was let go of: its captures with times from `start` to `end`, and how many are asked for again."""

    stream: str
    count: int
    start: int
    end: int
    again: int


class Spoilt:
    """Letting go of what cannot be read."""

    __slots__ = ("_database", "_readings")

    def __init__(self, database: Database, readings: Readings) -> None:
        self._database = database
        self._readings = readings

    async def forfeit(self) -> list[Forfeited]:
        """Let go of the segments found to be unreadable; return what it was.

        What nobody has acknowledged of them becomes time that is still to be asked for. Captures of streams without a
        period, and those of a long backfill, are only told of. Raises StoreError.
        """
        found = []
        for place in sorted(self._readings.spoilt):
            stream = place >> POSITION_BITS
            for rows, oldest, newest, name in await self._database.read(_SEGMENT, (stream, place)):
                [(open_from,)] = await self._database.read(_OPEN, (stream,))
                waits = position_of(place) + rows > open_from
                again = await self.ask_again(stream, oldest, newest) if waits else 0
                await self._database.write(partial(_let_go, place=place))
                found.append(Forfeited(name, rows, oldest, newest, again))
            self._readings.spoilt.discard(place)
        return found

    async def _lost_of(self, stream: int, oldest: int, newest: int) -> Mapping[int, Sequence[int]]:
        """Return by meter the capture times that count as present and are in no segment that can be read."""
        # before the segments: what comes meanwhile is in them, and is no loss
        marks = [
            await Mark.find(self._database.reading, meter, stream)
            for (meter,) in await self._database.read(_MARKED, (stream,))
        ]
        accounts = {mark.meter: mark.account for mark in marks if mark.account is not None}
        # a row may lie half a period beside the point that it belongs to
        margin = max((account.period for account in accounts.values()), default=0)
        if newest - oldest > LONGEST or not await self._reaches_back(stream, oldest - margin):
            return {}
        held = await self._times(stream, oldest - margin, newest + margin)
        lost = {meter: absent(account, oldest, newest, held.get(meter, ())) for meter, account in accounts.items()}
        return {meter: times for meter, times in lost.items() if times}

    async def _reaches_back(self, stream: int, time: int) -> bool:
        """Whether what has gone of a stream for its age, or for want of room, is older than `time`, as far as is known.

        What was delivered and has gone is in no segment either, and is no loss.
        """
        first = await self._database.read(_FIRST, (place_of(stream, 0), place_of(stream + 1, 0)))
        return any(position_of(place) == 1 or newest < time for place, newest in first)

    async def _times(self, stream: int, oldest: int, newest: int) -> Mapping[int, list[int]]:
        """Return by meter the times of captures that are held of a stream, those from `oldest` to `newest`."""
        held: dict[int, list[int]] = {}
        after = place_of(stream, 0)
        while rows := await self._database.read(_OF_TIME, (after, place_of(stream + 1, 0), oldest, newest, PIECE)):
            for segment in self._readings.readable(rows):
                for run in segment.runs:
                    held.setdefault(run.meter, []).extend(at for at in run.times if oldest <= at <= newest)
                await asyncio.sleep(0)
            after = rows[-1][0]
        return held

    async def ask_again(self, stream: int, oldest: int, newest: int) -> int:
        """Enter as still to be asked for what was lost of these capture times; return how many that are."""
        lost = await self._lost_of(stream, oldest, newest)
        meters = list(lost)
        for begin in range(0, len(meters), PIECE):
            piece = {meter: lost[meter] for meter in meters[begin : begin + PIECE]}
            await self._database.write(partial(_owe, stream=stream, lost=piece), rows=len(piece))
        return sum(map(len, lost.values()))


async def _owe(database: Connection, *, stream: int, lost: Mapping[int, Sequence[int]]) -> None:
    """Enter capture times as still to be asked for."""
    marks = [await Mark.find(database, meter, stream) for meter in lost]
    for mark in marks:
        if mark.account is not None:
            account = given_up(mark.account, lost[mark.meter], Reason.PENDING)
            gaps = bounded(account.gaps, GAP_BOUND)
            mark.account = Account(account.since, account.period, account.watermark, gaps)
    await keep(database, marks)


async def _let_go(database: Connection, *, place: int) -> None:
    # the row stays until it is old: its positions, the last of the stream even, must not be given again
    await database.execute(_EMPTY, (*NOTHING, place))
