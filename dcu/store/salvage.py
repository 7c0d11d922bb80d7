"""The background of a salvage, window by window: captures that were not acknowledged, then those that were.

How a damaged file is read, and what comes before the store is used, is in `wreck`.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from aiosqlite import Connection

from dcu.store.database import Database
from dcu.store.numbers import POSITION_BITS, place_of
from dcu.store.relink import PIECE, Relink
from dcu.store.schema import translated
from dcu.store.segments import SEGMENT_ROWS
from dcu.store.spoilt import Spoilt
from dcu.store.wreck import PUT_SALVAGED, WINDOW, Note, Row, Salvaged, window

#: Holes that are looked at, the newest: each is a page at least.
HOLES_BOUND: Final = 64

#: The last position that there can be.
POSITIONS: Final = (1 << POSITION_BITS) - 1

_HOLES = """
WITH laid AS (
    SELECT place + rows AS after, lead(place) OVER following AS next, min(oldest, lead(oldest) OVER following) AS begin,
        max(newest, lead(newest) OVER following) AS end
    FROM segments WHERE place BETWEEN ?1 AND ?2 WINDOW following AS (ORDER BY place))
SELECT begin, end FROM laid WHERE next > after AND next > ?3 ORDER BY after DESC LIMIT ?4
"""

_SENT = "SELECT stream, sent FROM streams ORDER BY stream"


class Salvage:
    """What is left to be salvaged."""

    __slots__ = ("_database", "_spoilt")

    def __init__(self, database: Database, spoilt: Spoilt) -> None:
        self._database = database
        self._spoilt = spoilt

    async def bring_owed(self) -> None:
        """Bring over what was not acknowledged and is still to come, oldest first; until then it is not delivered.

        Raises StoreError.
        """
        with translated("cannot salvage"):
            if not self._database.coming or (note := await asyncio.to_thread(Note.read, self._database.path)) is None:
                return
            for stream, (first, last) in list(self._database.coming.items()):
                for begin in range(first, last + 1, WINDOW):
                    self._database.salvaged += await self._window(note, stream, begin, min(last, begin + WINDOW - 1))
                    self._database.coming[stream] = begin + WINDOW, last
                    self._database.fresh.set()
                del self._database.coming[stream]
            await asyncio.to_thread(replace(note, owed={}).write, self._database.path)

    async def bring_rest(self) -> Salvaged | None:
        """Bring over all that is left of a damaged file; return what came, None where nothing was left. StoreError.

        Newest first, so that what is asked for most is there soonest. Beginning anew after a restart brings nothing
        twice: a capture has its place.
        """
        await self.bring_owed()
        with translated("cannot salvage"):
            note = await asyncio.to_thread(Note.read, self._database.path)
            if note is None:
                return None
            found = self._database.salvaged
            for stream, sent in await self._database.read(_SENT):
                if stream not in note.known.streams:  # its number was another's
                    continue
                for last in range(sent, 0, -WINDOW):
                    found += await self._window(note, stream, max(1, last - WINDOW + 1), last)
            for stream, first in note.unsent.items():
                found += Salvaged(again=await self._close_holes(stream, first))
            for stream in note.known.streams:
                relink = Relink(stream)
                while await self._database.write(partial(self._look_back, relink=relink), rows=PIECE):
                    continue
            await asyncio.to_thread(note.remove, self._database.path)
        return found

    async def _look_back(self, database: Connection, *, relink: Relink) -> bool:
        await self._database.pages.seal(database)  # what others have recorded in the same transaction
        return await relink.step(database)

    async def _close_holes(self, stream: int, first: int) -> int:
        """Have asked for again what was lost behind position `first`; return how many captures that are.

        What it was is told by what lies around it: captures of one time come together, but for a long backfill.
        """
        span = place_of(stream, max(1, first - SEGMENT_ROWS)), place_of(stream, POSITIONS)
        holes = await self._database.read(_HOLES, (*span, place_of(stream, first), HOLES_BOUND))
        return sum([await self._spoilt.ask_again(stream, oldest, newest) for oldest, newest in holes])

    async def _window(self, note: Note, stream: int, first: int, last: int) -> Salvaged:
        rows, lost = await asyncio.to_thread(window, note.aside, note.known, stream, first, last)
        captures = await self._database.write(partial(_put, rows=rows), rows=len(rows)) if rows else 0
        return Salvaged(int(captures), lost)


async def _put(database: Connection, *, rows: Sequence[Row]) -> int:
    """Put segments to their places; return how many captures came."""
    before = database.total_changes
    captures = 0
    for row in rows:
        await database.execute(PUT_SALVAGED, row)
        captures += row[1] * (database.total_changes - before)
        before = database.total_changes
    return captures
