"""Chains of days are led past segments that went from their middle: something older of the day may wait for long.

How a chain is followed is in `readings`, and how one is found anew after a salvage in `relink`.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from aiosqlite import Connection

from dcu.clock import DAY
from dcu.store.numbers import place_of
from dcu.store.relink import change, sound
from dcu.store.segments import Run, Segment

#: Segments looked at in one go.
PIECE = 16

_OLDER = "SELECT 1 FROM segments WHERE place >= ? AND place < ? LIMIT 1"

_HOLDING = "SELECT place, octets, content FROM segments WHERE place >= ? AND place <= ? ORDER BY place DESC LIMIT 1"

_LATER = """
SELECT place, octets, content FROM segments
WHERE place > ? AND place < ? AND oldest < ? AND newest >= ? ORDER BY place LIMIT ?
"""

_HEADS = (
    "UPDATE marks SET newest = ?1 WHERE meter = ?2 AND stream = ?3 AND day = ?4 AND newest = ?5",
    "UPDATE days SET newest = ?1 WHERE meter = ?2 AND stream = ?3 AND day = ?4 AND newest = ?5",
)

#: Of a segment: its place, the octets of its text, and its content.
Row = tuple[int, int, bytes]


async def bridge(database: Connection, stream: int, gone: Sequence[Row]) -> None:
    """Lead the chains of `stream` past what has `gone` from the table to what is held of their days still.

    Where nothing older is held, as a rule, nothing is looked into.
    """
    last = max(place for place, *_ in gone)
    if not await database.execute_fetchall(_OLDER, (place_of(stream, 0), last)):
        return
    runs = dict(chain.from_iterable(segment.placed() for _, segment in _sound(gone)))
    over = await _held(database, stream, _ways(runs))
    for entry, beyond in list(over.items()):
        if await _begin(database, stream, runs[entry], entry, beyond):
            del over[entry]
    if over:
        await _lead(database, stream, over, [_day(runs[entry]) for entry in over])


async def _begin(database: Connection, stream: int, run: Run, entry: int, beyond: int) -> bool:
    """Let the chain that began at `entry`, with `run`, begin at `beyond`; return whether it began there."""
    cursors = [await database.execute(head, (beyond, run.meter, stream, _day(run), entry)) for head in _HEADS]
    return any(cursor.rowcount > 0 for cursor in cursors)


def _ways(runs: Mapping[int, Run]) -> dict[int, int]:
    """Return by position of each run that none of the others leads to where the chain goes on behind them."""
    before = {position: position - run.back for position, run in runs.items() if run.back}
    ways = {}
    for entry in runs.keys() - before.values():
        beyond = before.get(entry, 0)
        while beyond in runs:
            beyond = before.get(beyond, 0)
        if beyond:
            ways[entry] = beyond
    return ways


async def _held(database: Connection, stream: int, ways: Mapping[int, int]) -> dict[int, int]:
    """Return those of `ways` that lead to a run that is held; each segment is looked into once."""
    held: dict[int, int] = {}
    found: set[int] = set()
    known = place_of(stream + 1, 0)
    for entry, beyond in sorted(ways.items(), key=lambda way: -way[1]):
        if place_of(stream, beyond) < known:
            rows = await _fetched(database, _HOLDING, place_of(stream, 0), place_of(stream, beyond))
            known = min((place for place, *_ in rows), default=0)
            found = {at for _, segment in _sound(rows) for at, _ in segment.placed()}
            await asyncio.sleep(0)
        if beyond in found:
            held[entry] = beyond
    return held


async def _lead(database: Connection, stream: int, over: dict[int, int], days: Sequence[int]) -> None:
    """Let the runs that led to the keys of `over` lead to their values."""
    times = (max(days) + 1) * DAY, min(days) * DAY
    place, end = place_of(stream, min(over)), place_of(stream + 1, 0)
    while over and (rows := await _fetched(database, _LATER, place, end, *times, PIECE)):
        for at, segment in _sound(rows):
            runs = tuple(_led(position, run, over) for position, run in segment.placed())
            if runs != segment.runs:
                await change(database, at, Segment(segment.first, runs))
            await asyncio.sleep(0)
        place = max(at for at, *_ in rows)


def _led(position: int, run: Run, over: dict[int, int]) -> Run:
    beyond = over.pop(position - run.back, None) if run.back else None
    return run if beyond is None else run._replace(back=position - beyond)


def _day(run: Run) -> int:
    return run.times[0] // DAY


async def _fetched(database: Connection, sql: str, *parameters: int) -> list[Row]:
    return [(place, octets, content) for place, octets, content in await database.execute_fetchall(sql, parameters)]


def _sound(rows: Iterable[Row]) -> Iterator[tuple[int, Segment]]:
    """Yield the segments of `rows` with their places, but those that are damaged."""
    for place, octets, content in rows:
        if segment := sound(place, octets, content):
            yield place, segment
