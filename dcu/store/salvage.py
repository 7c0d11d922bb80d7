"""The background of a salvage, window by window: captures that were not acknowledged, then those that were.

How a damaged file is read, and what comes before the store is used, is in `wreck`.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from aiosqlite import Connection

from dcu.store.database import Database
from dcu.store.schema import translated
from dcu.store.wreck import PUT_SALVAGED, WINDOW, Note, Row, Salvaged, window

_SENT = "SELECT stream, sent FROM streams ORDER BY stream"


class Salvage(Database):
    """What is left to be salvaged."""

    async def bring_owed(self) -> None:
        """Bring over what was not acknowledged and is still to come, oldest first; until then it is not delivered.

        Raises StoreError.
        """
        with translated("cannot salvage"):
            if not self._owed or (note := await asyncio.to_thread(Note.read, self._path)) is None:
                return
            for stream, (first, last) in list(self._owed.items()):
                for begin in range(first, last + 1, WINDOW):
                    self.salvaged += await self._window(note.aside, stream, begin, min(last, begin + WINDOW - 1))
                    self._owed[stream] = begin + WINDOW, last
                    self.fresh.set()
                del self._owed[stream]
            await asyncio.to_thread(replace(note, owed={}).write, self._path)

    async def salvage(self) -> Salvaged | None:
        """Bring over all that is left of a damaged file; return what came, None where nothing was left. StoreError.

        Newest first, so that what is asked for most is there soonest. Beginning anew after a restart brings nothing
        twice: a capture has its place.
        """
        await self.bring_owed()
        with translated("cannot salvage"):
            note = await asyncio.to_thread(Note.read, self._path)
            if note is None:
                return None
            found = self.salvaged
            for stream, sent in await self._read(_SENT):
                for last in range(sent, 0, -WINDOW):
                    found += await self._window(note.aside, stream, max(1, last - WINDOW + 1), last)
            await asyncio.to_thread(note.remove, self._path)
        return found

    async def _window(self, aside: Path, stream: int, first: int, last: int) -> Salvaged:
        rows, lost = await asyncio.to_thread(window, aside, stream, first, last)
        captures = await self._write(partial(_put, rows=rows), rows=len(rows)) if rows else 0
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
