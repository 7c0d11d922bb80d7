"""Captures and watermarks: what was read from the meters, and up to when each stream of each meter is read.

How captures leave the box is in `outbox.py`.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, groupby

import structlog
from aiosqlite import Connection

from dcu.clock import DAY
from dcu.errors import StoreError
from dcu.messages.envelope import is_event
from dcu.model import Capture, Column
from dcu.plan.ledger import Account, Asked
from dcu.store.cells import GARBLED, columns_from, columns_text
from dcu.store.chains import HEADS, link
from dcu.store.counters import remember
from dcu.store.database import Database
from dcu.store.marks import Mark, keep
from dcu.store.numbers import CACHE_BOUND, POSITION_BITS, place_of, position_of
from dcu.store.segments import Run, Segment, alike

log = structlog.get_logger()

#: Segments that cannot be read, found and not let go of yet; with one more the file as a whole is taken for damaged.
SPOILT_BOUND = 64

#: The most captures one question gets for an answer.
ANSWER_BOUND = 1000

#: More captures than there can be of a day.
ALL = 1 << 62

#: Times SQLite can compare; what is asked beyond them is asked up to them.
TIME_BOUND = 1 << 62

_WATERMARKS = """
SELECT meters.name, coalesce(watermark, since - 1) AS asked
FROM marks JOIN meters USING (meter)
WHERE stream = ? AND asked IS NOT NULL
"""

# the segments that hold the positions between two places, the first of which may be inside one
_SEGMENTS = """
SELECT place, octets, content FROM segments
WHERE place >= coalesce((SELECT place FROM segments WHERE place <= ?1 ORDER BY place DESC LIMIT 1), ?1) AND place <= ?2
ORDER BY place
"""

_NUMBERS = "SELECT stream, meter FROM streams, meters WHERE streams.name = ? AND meters.name = ?"


@dataclass(frozen=True, slots=True)
class Recorded:
    """How the streams that were asked stand after the commit; `overflow`: of which of them gaps had to be joined."""

    accounts: Mapping[tuple[str, str], Account]
    overflow: tuple[tuple[str, str], ...] = ()


#: A stream of a meter: (meter, stream).
_Key = tuple[str, str]


class Readings:
    """The captures of the box, by stream in the order in which they were recorded."""

    __slots__ = ("_columns", "_database", "_names", "refuses", "spoilt")

    def __init__(self, database: Database) -> None:
        self._database = database
        #: Whether nothing but events is taken any more: there is no room.
        self.refuses = False
        #: Places of segments that were found to be unreadable, until they are let go of.
        self.spoilt: set[int] = set()
        self._columns: dict[int, tuple[Column, ...]] = {}
        self._names: dict[int, str] = {}

    async def record(
        self,
        captures: Sequence[Capture],
        watermarks: Mapping[tuple[str, str], int],
        heard: Mapping[str, int] | None = None,
        asked: Mapping[tuple[str, str], Sequence[Asked]] | None = None,
        *,
        patient: bool = False,
    ) -> Recorded:
        """Keep `captures` and what they change in the ledger in one transaction; return after it.

        `asked` says by (meter, stream) which ranges a meter has answered: captures that are known already are left
        out, and what is missing becomes a gap. `watermarks` (UTC seconds) are of streams that are not accounted for:
        captures that are not newer than the stored one are left out, and it never moves back. Captures of other
        streams are all kept. `heard` are the invocation counters that were heard with them. What is `patient` waits
        up to 2 s for others to share its commit.

        Raises StoreError, and then nothing was kept.
        """
        if self.refuses and any(not is_event(capture.stream) for capture in captures):
            raise StoreError("the store is full: what room is left is for events and commands")
        answers = asked or {}
        apply = partial(self._record, captures=captures, watermarks=watermarks, heard=heard or {}, asked=answers)
        rows = len(captures) + len(watermarks) + len(answers)
        recorded: Recorded = await self._database.write(apply, rows=rows, deliverable=bool(captures), patient=patient)
        return recorded

    async def watermarks(self) -> dict[tuple[str, str], int]:
        """Return up to when (UTC seconds) each (meter, stream) is read, or nothing is expected of it."""
        # one stream after the other, and one object for each name: the pairs of 1024 meters would bring 16,000 of them
        names: dict[str, str] = {}
        found: dict[tuple[str, str], int] = {}
        for number, stream in await self._database.read("SELECT stream, name FROM streams"):
            for meter, at in await self._database.read(_WATERMARKS, (number,)):
                found[names.setdefault(meter, meter), stream] = at
        return found

    async def has_meter(self, meter: str) -> bool:
        """Whether anything was ever kept of a meter of this name. Raises StoreError."""
        return bool(await self._database.read("SELECT 1 FROM meters WHERE name = ?", (meter,)))

    async def latest(self, meter: str, stream: str) -> Capture | None:
        """Return the capture of this stream, of its newest day, that was recorded last for `meter`, if there is one."""
        found = await self.captures(meter, stream, -TIME_BOUND, TIME_BOUND, 1)
        return found[0] if found else None

    async def captures(self, meter: str, stream: str, start: int, end: int, limit: int) -> list[Capture]:
        """Return the last `limit` (≤ ANSWER_BOUND) captures with start ≤ at ≤ end: by day, then as recorded."""
        start, end, limit = max(start, -TIME_BOUND), min(end, TIME_BOUND), min(limit, ANSWER_BOUND)
        found: list[Capture] = []
        times = range(start, end + 1)
        for number, of, newest in await self._heads(meter, stream, start // DAY, end // DAY, limit + 2):
            if len(found) >= limit:
                break
            runs = [run async for run in self._chain(number, of, newest, times, limit - len(found))]
            captures = await self.named(stream, reversed(runs))
            found[:0] = [capture for capture in captures if capture.at in times]
        return found[-limit:] if limit > 0 else []

    async def _heads(self, meter: str, stream: str, first: int, last: int, limit: int) -> list[tuple[int, int, int]]:
        """Return stream, meter and the position of its newest run of each day that it has captures of, newest first."""
        heads: list[tuple[int, int, int]] = []
        for number, of in await self._database.read(_NUMBERS, (stream, meter)):
            heads += [
                (number, of, newest) for _, newest in await self._database.read(HEADS, (number, of, first, last, limit))
            ]
        return heads

    async def before(self, meter: str, stream: str, end: int, limit: int) -> list[Capture]:
        """Return the last `limit` (≤ ANSWER_BOUND) captures with at ≤ end: by day, then as recorded."""
        return await self.captures(meter, stream, -TIME_BOUND, end, limit)

    async def between(self, meter: str, stream: str, start: int, end: int) -> AsyncIterator[list[Capture]]:
        """Yield all captures with start ≤ at ≤ end, up to ANSWER_BOUND at a time."""
        spans = [(start, end)]
        while spans:
            first, last = spans.pop()
            found = await self.captures(meter, stream, first, last, ANSWER_BOUND)
            if len(found) < ANSWER_BOUND:
                yield found
            elif first == last:
                async for part in self._second(meter, stream, first):
                    yield part
            else:
                middle = (first + last) // 2
                spans += [(first, middle), (middle + 1, last)]

    async def _second(self, meter: str, stream: str, at: int) -> AsyncIterator[list[Capture]]:
        """Yield all captures of one second, of which there are more than an answer holds: a run at a time."""
        for number, of, newest in await self._heads(meter, stream, at // DAY, at // DAY, 2):
            async for run in self._chain(number, of, newest, range(at, at + 1), ALL):
                yield [capture for capture in await self.named(stream, [run]) if capture.at == at]

    async def _chain(self, stream: int, meter: int, newest: int, times: range, wanted: int) -> AsyncIterator[Run]:
        """Yield the runs of one meter and day from the newest back, until `wanted` captures are of these times.

        It ends where they are not held any more, or where another meter's is. Of the segments the one unpacked last is
        remembered: what came together lies in it.
        """
        position = newest
        held: dict[int, Run] = {}
        while position > 0 and wanted > 0:
            if position not in held:
                held = dict(chain.from_iterable(s.placed() for s in await self._segments(stream, position, position)))
            run = held.get(position)
            if run is None or run.meter != meter:
                return
            yield run
            wanted -= sum(at in times for at in run.times)
            position = position - run.back if run.back else 0

    async def at(self, stream: int, name: str, first: int, last: int) -> list[Capture]:
        """Return the captures at these positions of a stream, as far as they can be read."""
        captures: list[Capture] = []
        for segment in await self._segments(stream, first, last):
            for position, run in segment.placed():
                begin, end = max(first - position, 0), last - position + 1
                if begin < len(run.at) and end > 0:
                    captures += (await self.named(name, [run]))[begin:end]
        return captures

    async def _segments(self, stream: int, first: int, last: int) -> list[Segment]:
        """Return the segments of a stream that hold these positions."""
        rows = await self._database.read(_SEGMENTS, (place_of(stream, first), place_of(stream, last)))
        return self.readable(row for row in rows if row[0] >> POSITION_BITS == stream)

    def readable(self, rows: Iterable[tuple[int, int, bytes]]) -> list[Segment]:
        """Return the segments of rows (place, octets, content); one that is damaged is left out, and noted.

        Raises DamagedError when there are many: then it is the file.
        """
        found = []
        for place, octets, content in rows:
            try:
                found.append(Segment.unpacked(position_of(place), octets, content))
            except ValueError as error:
                self._spoil(place, str(error))
        return found

    def _spoil(self, place: int, reason: str) -> None:
        if place not in self.spoilt:
            log.critical("captures cannot be read", place=place, reason=reason)
            self.spoilt.add(place)
        if len(self.spoilt) > SPOILT_BOUND:
            raise self._database.damaged(reason)

    async def named(self, stream: str, runs: Iterable[Run]) -> list[Capture]:
        captures: list[Capture] = []
        for run in runs:
            columns = self._columns.get(run.layout) or await self._load_columns(run.layout)
            meter = self._names.get(run.meter) or await self._load_name(run.meter)
            captures += run.captures(meter, stream, columns)
            await asyncio.sleep(0)
        return captures

    async def _record(
        self,
        database: Connection,
        *,
        captures: Sequence[Capture],
        watermarks: Mapping[_Key, int],
        heard: Mapping[str, int],
        asked: Mapping[_Key, Sequence[Asked]],
    ) -> Recorded:
        await remember(database, heard)
        marks = await self._marks(database, {_key(c) for c in captures} | watermarks.keys() | asked.keys())
        news = _news(marks, captures, watermarks, asked)
        layouts = await self._layout_numbers(database, captures)
        for key, group in groupby((captures[number] for number in sorted(news)), key=_key):
            for piece in alike(group):
                await self._append(database, marks[key], layouts[id(piece[0].columns)], piece)
        await keep(database, marks.values())
        accounts = {key: account for key in asked if (account := marks[key].account) is not None}
        return Recorded(accounts, tuple(key for key in asked if marks[key].overflow))

    async def _append(self, database: Connection, mark: Mark, layout: int, captures: Sequence[Capture]) -> None:
        """Leave captures that can be a run to the end of the transaction, at the next positions of their stream."""
        position = await self._database.tails.append(database, mark.stream, len(captures))
        back = await link(database, mark, captures[0].at // DAY, position)
        self._database.pages.add(mark.stream, position, Run.of(mark.meter, layout, back, captures))
        await asyncio.sleep(0)

    async def _marks(self, database: Connection, keys: Iterable[_Key]) -> dict[_Key, Mark]:
        """Return the mark of each (meter, stream); numbers are given to those not met before."""
        marks = {}
        for meter_name, stream_name in sorted(keys):
            meter = await self._database.meters.number(database, meter_name)
            stream = await self._database.stream(database, stream_name)
            marks[meter_name, stream_name] = await Mark.find(database, meter, stream)
        return marks

    async def _layout_numbers(self, database: Connection, captures: Iterable[Capture]) -> dict[int, int]:
        """Return the layout number by id() of the columns: the captures of a visit share the tuple itself."""
        shared = {id(capture.columns): capture.columns for capture in captures}
        return {
            key: await self._database.layouts.number(database, columns_text(columns)) for key, columns in shared.items()
        }

    async def _load_columns(self, layout: int) -> tuple[Column, ...]:
        text = await self._meant("SELECT content FROM layouts WHERE layout = ?", layout)
        if len(self._columns) >= CACHE_BOUND:
            self._columns.clear()
        try:
            return self._columns.setdefault(layout, columns_from(text))
        except GARBLED as error:
            raise self._database.damaged(f"layout {layout}: {error}") from error

    async def _load_name(self, meter: int) -> str:
        name = await self._meant("SELECT name FROM meters WHERE meter = ?", meter)
        if len(self._names) >= CACHE_BOUND:
            self._names.clear()
        return self._names.setdefault(meter, name)

    async def _meant(self, sql: str, number: int) -> str:
        """Return what a number of captures stands for. Raises DamagedError: a salvage will not bring what has none."""
        for (text,) in await self._database.read(sql, (number,)):
            return str(text)
        raise self._database.damaged(f"captures have number {number}, which stands for nothing")


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
