"""The way of captures from a row each (schema 4) into segments (schema 5), inside the migration's transaction.

Nothing else of an older store needs more than the statements in schema/NNN.sql.
"""

from collections.abc import AsyncIterator
from itertools import groupby
from typing import Any

from aiosqlite import Connection

from dcu.model import Capture
from dcu.store.cells import values_from
from dcu.store.chains import link
from dcu.store.marks import Mark
from dcu.store.numbers import POSITION_BITS, position_of
from dcu.store.pages import Pages
from dcu.store.segments import DAY, SEGMENT_ROWS, Run, alike

_PIECE = """
SELECT place, meter, layout, at, status, read_at, offset, trusted, cells FROM captures WHERE place > ?
ORDER BY place LIMIT ?
"""

_ANCHOR = "UPDATE marks SET day = ?, newest = ? WHERE meter = ? AND stream = ?"

#: Meters and streams whose newest runs are remembered meanwhile.
_Marks = dict[tuple[int, int], Mark]


async def into_segments(database: Connection) -> None:
    """Put every row of `captures` into a segment, and drop the table."""
    marks: _Marks = {}
    async for rows in _pieces(database):
        for stream, adjacent in groupby(rows, key=lambda row: row[0] >> POSITION_BITS):
            await _put(database, marks, stream, list(adjacent))
    for (meter, stream), mark in marks.items():
        await database.execute(_ANCHOR, (mark.day, mark.newest, meter, stream))
    await database.execute("DROP TABLE captures")


async def _pieces(database: Connection) -> AsyncIterator[list[Any]]:
    place = 0
    while rows := list(await database.execute_fetchall(_PIECE, (place, SEGMENT_ROWS))):
        yield rows
        place = rows[-1][0]


async def _put(database: Connection, marks: _Marks, stream: int, rows: list[Any]) -> None:
    pages, position = Pages(), position_of(rows[0][0])
    for (meter, layout), group in groupby(rows, key=lambda row: row[1:3]):
        mark = marks.setdefault((meter, stream), Mark(meter, stream))
        for captures in alike(_capture(row) for row in group):
            back = await link(database, mark, captures[0].at // DAY, position)
            pages.add(stream, position, Run.of(meter, layout, back, captures))
            position += len(captures)
    await pages.seal(database)


def _capture(row: Any) -> Capture:
    _, _, _, at, status, read_at, offset, trusted, cells = row
    return Capture("", "", at, status, values_from(cells), (), read_at, offset, bool(trusted))
