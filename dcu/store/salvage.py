"""The background of a salvage: captures that were acknowledged, brought over from a damaged file window by window.

How a damaged file is read, and what comes before the store is used, is in `wreck`.
"""

import asyncio
from collections.abc import Sequence
from functools import partial

from aiosqlite import Connection

from dcu.store.database import Database
from dcu.store.schema import translated
from dcu.store.wreck import PUT_SALVAGED, WINDOW, Note, Row, Salvaged, window

_SENT = "SELECT stream, sent FROM streams ORDER BY stream"


class Salvage(Database):
    """What is left to be salvaged."""

    async def salvage(self) -> Salvaged | None:
        """Bring over all that is left of a damaged file; return what came, None where nothing was left. StoreError.

        Newest first, so that what is asked for most is there soonest. Beginning anew after a restart brings nothing
        twice: a capture has its place.
        """
        with translated("cannot salvage"):
            note = await asyncio.to_thread(Note.read, self._path)
            if note is None:
                return None
            found = self.salvaged
            for stream, sent in await self._read(_SENT):
                for last in range(sent, 0, -WINDOW):
                    rows, lost = await asyncio.to_thread(window, note.aside, stream, last)
                    found += Salvaged(await self._bring(rows), lost)
            await asyncio.to_thread(note.remove, self._path)
        return found

    async def _bring(self, rows: Sequence[Row]) -> int:
        return int(await self._write(partial(_put, rows=rows), rows=len(rows))) if rows else 0


async def _put(database: Connection, *, rows: Sequence[Row]) -> int:
    """Put segments to their places; return how many captures came."""
    before = database.total_changes
    captures = 0
    for row in rows:
        await database.execute(PUT_SALVAGED, row)
        captures += row[1] * (database.total_changes - before)
        before = database.total_changes
    return captures
