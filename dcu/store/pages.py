"""The runs of the transaction under way, until its end: then those of one stream become segments together.

What a segment is, is in `segments`; who puts captures into runs, in `readings`.
"""

import asyncio
from collections.abc import Iterator, Sequence

from aiosqlite import Connection

from dcu.store.numbers import place_of
from dcu.store.segments import SEGMENT_ROWS, Run, Segment

_PUT = "INSERT INTO segments (place, rows, read, oldest, newest, octets, content) VALUES (?, ?, ?, ?, ?, ?, ?)"


class Pages:
    """Runs at adjacent positions, by stream."""

    def __init__(self) -> None:
        self._runs: dict[int, tuple[int, list[Run]]] = {}

    def add(self, stream: int, position: int, run: Run) -> None:
        """Leave `run`, whose first capture has `position`, to the end; the last one added ends before it."""
        self._runs.setdefault(stream, (position, []))[1].append(run)

    async def seal(self, database: Connection) -> None:
        """Write what was added."""
        for stream, (first, runs) in self._runs.items():
            for segment in _segments(first, runs):
                await database.execute(_PUT, (place_of(stream, segment.first), *segment.row))
                await asyncio.sleep(0)
        self._runs.clear()

    def forget(self) -> None:
        self._runs.clear()


def _segments(first: int, runs: Sequence[Run]) -> Iterator[Segment]:
    begin = rows = 0
    for number, run in enumerate(runs):
        if rows and rows + len(run.at) > SEGMENT_ROWS:
            yield Segment(first, tuple(runs[begin:number]))
            first, begin, rows = first + rows, number, 0
        rows += len(run.at)
    yield Segment(first, tuple(runs[begin:]))
