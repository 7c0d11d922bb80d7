"""The way of captures from a row each (schema 4) into segments (schema 5), slice by slice, each a transaction.

As long as the old table is there it is not over: a start that was killed on the way is gone on with at the next.
Nothing else of an older store needs more than the statements in schema/NNN.sql.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Final

from aiosqlite import Connection

from dcu.clock import DAY
from dcu.model import Capture
from dcu.store.cells import GARBLED, values_from
from dcu.store.chains import link
from dcu.store.marks import Mark
from dcu.store.numbers import POSITION_BITS, position_of
from dcu.store.pages import Pages
from dcu.store.segments import SEGMENT_ROWS, Run, Segment, alike

#: Rows of one transaction: half a second of an old board's time, and two megabytes of memory.
SLICE: Final = 8 * SEGMENT_ROWS

_UNFINISHED = "SELECT 1 FROM sqlite_schema WHERE name = 'captures'"

_ROWS = """
SELECT place, meter, layout, at, status, read_at, offset, trusted, cells FROM captures ORDER BY place LIMIT ?
"""

_DONE = "DELETE FROM captures WHERE place <= ?"

# without a day `newest` is what schema 4 had there
_NEWEST = "SELECT day, newest FROM marks WHERE meter = ? AND stream = ? AND day IS NOT NULL"

_ANCHOR = "UPDATE marks SET day = ?, newest = ? WHERE meter = ? AND stream = ?"

#: Meters and streams with the newest runs that they have so far.
_Marks = dict[tuple[int, int], Mark]


async def into_segments(database: Connection) -> None:
    """Put every row of `captures` into a segment, and drop the table; nothing to do where there is none."""
    if not await database.execute_fetchall(_UNFINISHED):
        return
    while rows := list(await database.execute_fetchall(_ROWS, (SLICE,))):
        await database.execute("BEGIN IMMEDIATE")
        marks: _Marks = {}
        for start in range(0, len(rows), SEGMENT_ROWS):
            for stream, adjacent in groupby(
                rows[start : start + SEGMENT_ROWS], key=lambda row: row[0] >> POSITION_BITS
            ):
                await _put(database, marks, stream, list(adjacent))
        for (meter, stream), mark in marks.items():
            await database.execute(_ANCHOR, (mark.day, mark.newest, meter, stream))
        await database.execute(_DONE, (rows[-1][0],))
        await database.execute("COMMIT")
        await database.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")
    await database.execute("DROP TABLE captures")


def singly(rows: Iterable[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    """Yield rows of `captures`, all their columns, as rows of the table of segments; nothing of one that is damaged.

    Each is a segment of its own, so that it has its place whatever is read with it, and follows no other: it is
    delivered, but who asks for the captures of a meter does not find it before it has its place in a chain.
    """
    for place, _, meter, layout, *rest in rows:
        try:
            if "\ufffd" in rest[-1]:  # the JSON was ASCII
                continue
            run = Run.of(meter, layout, 0, [_capture((place, meter, layout, *rest))])
            yield place, *Segment(position_of(place), (run,)).row
        except (*GARBLED, OverflowError):  # a time beyond all bounds
            continue


async def _put(database: Connection, marks: _Marks, stream: int, rows: Sequence[Any]) -> None:
    pages, position = Pages(), position_of(rows[0][0])
    for (meter, layout), group in groupby(rows, key=lambda row: row[1:3]):
        if (meter, stream) not in marks:
            marks[meter, stream] = await _mark(database, meter, stream)
        for captures in alike(_capture(row) for row in group):
            back = await link(database, marks[meter, stream], captures[0].at // DAY, position)
            pages.add(stream, position, Run.of(meter, layout, back, captures))
            position += len(captures)
    await pages.seal(database)


async def _mark(database: Connection, meter: int, stream: int) -> Mark:
    for day, newest in await database.execute_fetchall(_NEWEST, (meter, stream)):
        return Mark(meter, stream, day, newest)
    return Mark(meter, stream)


def _capture(row: Any) -> Capture:
    _, _, _, at, status, read_at, offset, trusted, cells = row
    return Capture("", "", at, status, values_from(cells), (), read_at, offset, bool(trusted))
