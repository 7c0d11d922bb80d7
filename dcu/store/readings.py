"""Captures and watermarks: what was read from the meters, and up to when each stream of each meter is read.

How captures leave the box is in `outbox.py`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiosqlite import Connection

from dcu.model import Capture, Column
from dcu.plan.ledger import Account, Asked
from dcu.store.cells import columns_from, columns_text, to_json, values_from
from dcu.store.counters import remember
from dcu.store.database import Database
from dcu.store.marks import Mark, keep
from dcu.store.numbers import CACHE_BOUND, place_of

#: Captures turned from or into JSON before the event loop gets its turn: about a millisecond.
SLICE = 100

#: The most captures one question gets for an answer.
ANSWER_BOUND = 1000

#: Times SQLite can compare; what is asked beyond them is asked up to them.
TIME_BOUND = 1 << 62

_INSERT = """
INSERT INTO captures (place, back, meter, layout, at, status, read_at, offset, trusted, cells)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

_WATERMARKS = """
SELECT meters.name, streams.name, coalesce(watermark, since - 1) AS asked
FROM marks JOIN meters USING (meter) JOIN streams USING (stream)
WHERE asked IS NOT NULL
"""

_RUN = "SELECT * FROM readings WHERE place BETWEEN ? AND ? ORDER BY place"

# one meter's captures from the newest back, as far as it takes to find enough
_CHAIN = """
WITH RECURSIVE chain (place, back, at) AS (
    SELECT place, back, at FROM captures WHERE place = (
        SELECT stream << 40 | newest FROM marks JOIN meters USING (meter) JOIN streams USING (stream)
        WHERE meters.name = ? AND streams.name = ?)
    UNION ALL
    SELECT older.place, older.back, older.at
    FROM chain JOIN captures AS older ON older.place = chain.place - chain.back)
SELECT readings.* FROM (SELECT place FROM chain WHERE at BETWEEN ? AND ? LIMIT ?) JOIN readings USING (place)
ORDER BY place
"""


@dataclass(frozen=True, slots=True)
class Recorded:
    """How the streams that were asked stand after the commit; `overflow`: of which of them gaps had to be joined."""

    accounts: Mapping[tuple[str, str], Account]
    overflow: tuple[tuple[str, str], ...] = ()


#: A stream of a meter: (meter, stream).
_Key = tuple[str, str]


class Readings(Database):
    """The captures of the box, by stream in the order in which they were recorded."""

    async def record(
        self,
        captures: Sequence[Capture],
        watermarks: Mapping[tuple[str, str], int],
        heard: Mapping[str, int] | None = None,
        asked: Mapping[tuple[str, str], Sequence[Asked]] | None = None,
    ) -> Recorded:
        """Keep `captures` and what they change in the ledger in one transaction; return after it.

        `asked` says by (meter, stream) which ranges a meter has answered: captures that are known already are left
        out, and what is missing becomes a gap. `watermarks` (UTC seconds) are of streams that are not accounted for:
        captures that are not newer than the stored one are left out, and it never moves back. Captures of other
        streams are all kept. `heard` are the invocation counters that were heard with them.

        Raises StoreError, and then nothing was kept.
        """
        cells = [text async for text in _encoded(captures)]
        answers = asked or {}
        apply = partial(
            self._record, captures=captures, cells=cells, watermarks=watermarks, heard=heard or {}, asked=answers
        )
        rows = len(captures) + len(watermarks) + len(answers)
        recorded: Recorded = await self._write(apply, rows=rows, deliverable=bool(captures))
        return recorded

    async def watermarks(self) -> dict[tuple[str, str], int]:
        """Return up to when (UTC seconds) each (meter, stream) is read, or nothing is expected of it."""
        return {(meter, stream): at for meter, stream, at in await self._read(_WATERMARKS)}

    async def latest(self, meter: str, stream: str) -> Capture | None:
        """Return the capture of this stream that was recorded last for `meter`, if there is one."""
        found = await self.captures(meter, stream, -TIME_BOUND, TIME_BOUND, 1)
        return found[0] if found else None

    async def captures(self, meter: str, stream: str, start: int, end: int, limit: int) -> list[Capture]:
        """Return the last `limit` (≤ ANSWER_BOUND) captures with start ≤ at ≤ end, in the order of recording."""
        span = (max(start, -TIME_BOUND), min(end, TIME_BOUND), min(limit, ANSWER_BOUND))
        return await self._decoded(await self._read(_CHAIN, (meter, stream, *span)))

    async def before(self, meter: str, stream: str, end: int, limit: int) -> list[Capture]:
        """Return the last `limit` (≤ ANSWER_BOUND) captures with at ≤ end, in the order of recording."""
        return await self.captures(meter, stream, -TIME_BOUND, end, limit)

    async def _run(self, stream: int, first: int, last: int) -> list[Capture]:
        """Return the captures at these positions of a stream."""
        return await self._decoded(await self._read(_RUN, (place_of(stream, first), place_of(stream, last))))

    async def _record(
        self,
        database: Connection,
        *,
        captures: Sequence[Capture],
        cells: Sequence[str],
        watermarks: Mapping[_Key, int],
        heard: Mapping[str, int],
        asked: Mapping[_Key, Sequence[Asked]],
    ) -> Recorded:
        await remember(database, heard)
        marks = await self._marks(database, {_key(c) for c in captures} | watermarks.keys() | asked.keys())
        news = _news(marks, captures, watermarks, asked)
        layouts = await self._layout_numbers(database, captures)
        rows: list[tuple[object, ...]] = []
        for number in sorted(news):
            capture, mark = captures[number], marks[_key(captures[number])]
            position = await self._tails.append(database, mark.stream)
            place, back = place_of(mark.stream, position), mark.follow(position)
            rows.append((place, back, mark.meter, layouts[id(capture.columns)], *_provenance(capture), cells[number]))
        await database.executemany(_INSERT, rows)
        await keep(database, marks.values())
        accounts = {key: account for key in asked if (account := marks[key].account) is not None}
        return Recorded(accounts, tuple(key for key in asked if marks[key].overflow))

    async def _marks(self, database: Connection, keys: Iterable[_Key]) -> dict[_Key, Mark]:
        """Return the mark of each (meter, stream); numbers are given to those not met before."""
        marks = {}
        for meter_name, stream_name in sorted(keys):
            meter = await self._meters.number(database, meter_name)
            stream = await self._stream(database, stream_name)
            marks[meter_name, stream_name] = await Mark.find(database, meter, stream)
        return marks

    async def _layout_numbers(self, database: Connection, captures: Iterable[Capture]) -> dict[int, int]:
        """Return the layout number by id() of the columns: the captures of a visit share the tuple itself."""
        shared = {id(capture.columns): capture.columns for capture in captures}
        return {key: await self._layouts.number(database, columns_text(columns)) for key, columns in shared.items()}

    async def _decoded(self, rows: Iterable[Any]) -> list[Capture]:
        captures: list[Capture] = []
        for _, stream, meter, layout, at, status, read_at, offset, trusted, cells in rows:
            if len(captures) % SLICE == SLICE - 1:
                await asyncio.sleep(0)
            columns = self._columns.get(layout) or await self._load_columns(layout)
            values = values_from(cells)
            captures.append(Capture(meter, stream, at, status, values, columns, read_at, offset, bool(trusted)))
        return captures

    async def _load_columns(self, layout: int) -> tuple[Column, ...]:
        [(text,)] = await self._read("SELECT content FROM layouts WHERE layout = ?", (layout,))
        if len(self._columns) >= CACHE_BOUND:
            self._columns.clear()
        return self._columns.setdefault(layout, columns_from(text))


def _key(capture: Capture) -> _Key:
    return capture.meter, capture.stream


def _news(
    marks: Mapping[_Key, Mark],
    captures: Sequence[Capture],
    watermarks: Mapping[_Key, int],
    asked: Mapping[_Key, Sequence[Asked]],
) -> set[int]:
    """Move the marks; return which of `captures`, by number, are not known yet."""
    numbers: dict[_Key, list[int]] = {key: [] for key in marks}
    for number, capture in enumerate(captures):
        numbers[_key(capture)].append(number)
    news: set[int] = set()
    for key, mark in marks.items():
        times = [captures[number].at for number in numbers[key]]
        if key in asked:
            news.update(numbers[key][at] for at in mark.enter(asked[key], times))
            continue
        covered = mark.watermark if key in watermarks else None
        news.update(n for n, at in zip(numbers[key], times, strict=True) if covered is None or at > covered)
        if key in watermarks:
            mark.move(watermarks[key])
    return news


async def _encoded(captures: Iterable[Capture]) -> AsyncIterator[str]:
    for index, capture in enumerate(captures):
        if index % SLICE == SLICE - 1:
            await asyncio.sleep(0)
        yield to_json(capture.values)


def _provenance(capture: Capture) -> tuple[int, int, float, float | None, bool]:
    return capture.at, capture.status, capture.read_at, capture.offset, capture.trusted
