"""What has to go so that the rest has room: oldest segments first, in small slices, each a transaction of its own.

What was not delivered goes only when it must; then the head-end is told under a sequence number, and the ledger has a
gap. When something goes, and what goes first, is decided in `dcu.keeping`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Final

from aiosqlite import Connection

from dcu.clock import DAY
from dcu.messages.envelope import RESULT
from dcu.plan.ledger import GAP_BOUND, bounded, given_up
from dcu.store.bridging import bridge
from dcu.store.database import Database
from dcu.store.forgetting import Forgetting
from dcu.store.marks import Mark, keep
from dcu.store.numbers import place_of, position_of
from dcu.store.readings import Readings

#: Segments that go in one slice; of those that were not delivered fewer, for each of their rows is entered as a gap.
SLICE: Final = 32
UNSENT_SLICE: Final = 4

#: Rows of other tables that go, or are looked at, in one slice.
ROWS: Final = 500

_HOLDINGS = "SELECT stream, segments, captures, octets, oldest, newest FROM holdings"

_PAGES = """
SELECT (page_count - freelist_count) * page_size
FROM pragma_page_count, pragma_freelist_count, pragma_page_size
"""

_STREAM = """
SELECT stream, sent, coalesce((SELECT min(first) FROM outbox AS held WHERE held.stream = streams.stream AND
    dropped IS NULL), sent + 1), coalesce((SELECT max(last) FROM outbox AS held WHERE held.stream = streams.stream AND
    dropped IS NULL), 0), coalesce((SELECT last FROM drops WHERE drops.stream = streams.stream), sent)
FROM streams WHERE name = ?
"""

_OLDEST = """
SELECT place, rows, read, oldest, newest, octets, content FROM segments
WHERE place BETWEEN ? AND ? ORDER BY place LIMIT ?
"""

# of which no row is under way or unsent
_DELIVERED = """
SELECT place, rows, read, oldest, newest, octets, content FROM segments
WHERE place BETWEEN ?1 << 40 AND ?1 << 40 | ?2 AND (place & 0xFFFFFFFFFF) + rows - 1 <= ?2 AND NOT EXISTS (
    SELECT 1 FROM outbox WHERE outbox.stream = ?1 AND dropped IS NULL
    AND first < (place & 0xFFFFFFFFFF) + rows AND last >= place & 0xFFFFFFFFFF)
ORDER BY place LIMIT ?3
"""

_DELETE = "DELETE FROM segments WHERE place = ?"

# the segment that has a position
_HOLDS = "SELECT max(place) FROM segments WHERE place BETWEEN ? AND ?"

_DROP = """
INSERT INTO drops (stream, first, last, reason, oldest, newest, count) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET last = excluded.last, oldest = min(oldest, excluded.oldest),
    newest = max(newest, excluded.newest), count = count + excluded.count
"""

# chains that end among what has gone: those of days that nothing is left of
_UNCHAIN = """
DELETE FROM days WHERE (stream, day, meter) IN (
    SELECT stream, day, meter FROM days WHERE stream = ?1 AND day <= ?2 AND newest <= ?3 LIMIT ?4)
"""

_RESULTS = """
DELETE FROM results WHERE place IN (
    SELECT place FROM results WHERE place BETWEEN ?1 AND ?2 AND changed < ?3 ORDER BY place LIMIT ?4)
"""


@dataclass(frozen=True, slots=True)
class Holding:
    """What is held of one stream: segments, captures and their octets, and the capture times they reach from and to."""

    stream: str
    segments: int
    captures: int
    octets: int
    oldest: int
    newest: int


@dataclass(frozen=True, slots=True)
class Shed:
    """What went in one slice: captures, and how many of them had not been delivered."""

    captures: int = 0
    unsent: int = 0


@dataclass(frozen=True, slots=True)
class _Extent:
    """Where a stream stands: `sent` is its last allotted position, blocks under way hold `first` to `last`.

    Up to `gone` everything behind `sent` has gone already.
    """

    stream: int
    sent: int
    first: int
    last: int
    gone: int


class Retention:
    """Letting go of what was kept."""

    __slots__ = ("_database", "_forgetting", "_readings")

    def __init__(self, database: Database, readings: Readings) -> None:
        self._database = database
        self._readings = readings
        self._forgetting = Forgetting()

    async def used(self) -> int:
        """Return the octets of the database that are in use: what has gone leaves room in the file."""
        [(octets,)] = await self._database.read(_PAGES)
        return int(octets)

    async def holdings(self) -> list[Holding]:
        """Return what is held of each stream."""
        return [Holding(*row) for row in await self._database.read(_HOLDINGS)]

    async def shed(self, stream: str, reason: str, *, unsent: bool = False) -> Shed:
        """Let go of the oldest captures of `stream`, a slice of them: delivered ones, and if there are none, `unsent`.

        What was not delivered becomes a gap that was DROPPED, and the next block of the stream says so with `reason`.
        """
        shed: Shed = await self._database.write(
            partial(self._shed, name=stream, reason=reason, unsent=unsent), deliverable=unsent
        )
        return shed

    async def expire(self, stream: str, before: float) -> Shed:
        """Let go of a slice of those delivered captures of `stream` that were read before `before` (UTC seconds)."""
        shed: Shed = await self._database.write(partial(self._expire, name=stream, before=before))
        return shed

    async def prune(self, before: float, answered: float) -> None:
        """Let go of reads that ended before `before`, and of answers that were told before `answered`; a slice of each.

        How many commands are known whatever their age, and which are never too old, is in `forgetting`.
        """
        await self._database.write(partial(self._prune, before=before, answered=answered))

    async def _shed(self, database: Connection, *, name: str, reason: str, unsent: bool) -> Shed:
        for row in await database.execute_fetchall(_STREAM, (name,)):
            extent = _Extent(*row)
            if delivered := await _delivered(database, extent):
                return await self._delete(database, extent, delivered)
            if unsent and extent.stream not in self._database.coming:
                return await self._give_up(database, extent, reason)
        return Shed()

    async def _expire(self, database: Connection, *, name: str, before: float) -> Shed:
        for row in await database.execute_fetchall(_STREAM, (name,)):
            extent = _Extent(*row)
            if due := _due(await _delivered(database, extent), before, self._database.clock.now()):
                return await self._delete(database, extent, due)
        return Shed()

    async def _give_up(self, database: Connection, extent: _Extent, reason: str) -> Shed:
        begin = max(extent.sent, extent.gone) + 1
        rows = await _slice(database, extent.stream, *await self._span(database, extent, begin), UNSENT_SLICE)
        rows = [each for each in rows if position_of(each[0]) + each[1] > begin]
        if not rows:
            return Shed()
        end = position_of(rows[-1][0]) + rows[-1][1] - 1
        lost = [self._times(each, begin) for each in rows]
        # of one that cannot be read its row says the times
        times = [sorted(chain(*of.values())) or each[3:5] for of, each in zip(lost, rows, strict=True)]
        span = min(each[0] for each in times), max(each[-1] for each in times)
        await database.execute(_DROP, (extent.stream, begin, end, reason, *span, end - begin + 1))
        for of in lost:
            await self._enter_gaps(database, extent.stream, of)
        # a segment that a block under way holds a part of goes when that is acknowledged
        if free := [each for each in rows if position_of(each[0]) > extent.last]:
            await self._delete(database, extent, free)
        return Shed(end - begin + 1, end - begin + 1)

    async def _span(self, database: Connection, extent: _Extent, begin: int) -> tuple[int, int]:
        """Return the positions of what may go unsent; a segment that was sent in part begins before `begin`."""
        found = list(
            await database.execute_fetchall(
                "SELECT place FROM segments WHERE place BETWEEN ? AND ? ORDER BY place DESC LIMIT 1",
                (place_of(extent.stream, 1), place_of(extent.stream, begin)),
            )
        )
        first = position_of(found[0][0]) if found else begin
        return first, await self._database.tails.last(database, extent.stream)

    def _times(self, row: Sequence[Any], begin: int) -> dict[int, list[int]]:
        """Return the capture times in a segment from position `begin` on, by meter."""
        times: dict[int, list[int]] = {}
        for segment in self._readings.readable([(row[0], row[5], row[6])]):
            for position, run in segment.placed():
                lost = [at for number, at in enumerate(run.times) if position + number >= begin]
                times.setdefault(run.meter, []).extend(lost)
        return times

    async def _enter_gaps(self, database: Connection, stream: int, times: Mapping[int, list[int]]) -> None:
        """Enter the capture `times` of meters as DROPPED."""
        marks = []
        for meter, lost in times.items():
            mark = await Mark.find(database, meter, stream)
            if mark.account is not None and lost:
                account = given_up(mark.account, lost)
                mark.account = type(account)(
                    account.since, account.period, account.watermark, bounded(account.gaps, GAP_BOUND)
                )
                marks.append(mark)
            await asyncio.sleep(0)
        await keep(database, marks)

    async def _delete(self, database: Connection, extent: _Extent, rows: Sequence[Any]) -> Shed:
        await self._database.pages.seal(database)  # what came in the same transaction may lead to what goes
        await database.executemany(_DELETE, [(each[0],) for each in rows])
        await bridge(database, extent.stream, [(each[0], each[5], each[6]) for each in rows])
        last = position_of(rows[-1][0]) + rows[-1][1] - 1
        if extent.last:
            last = min(last, await _spared(database, extent) - 1)
        await database.execute(_UNCHAIN, (extent.stream, max(each[4] for each in rows) // DAY, last, ROWS))
        return Shed(sum(each[1] for each in rows))

    async def _prune(self, database: Connection, *, before: float, answered: float) -> None:
        for row in await database.execute_fetchall(_STREAM, (RESULT,)):
            extent = _Extent(*row)
            span = place_of(extent.stream, 1), place_of(extent.stream, extent.first - 1)
            await database.execute(_RESULTS, (*span, answered, ROWS))
        await self._forgetting.step(database, before, answered)


async def _delivered(database: Connection, extent: _Extent) -> list[Any]:
    """Return the oldest segments of which no row is under way or unsent; one that waits long holds up no other."""
    return list(await database.execute_fetchall(_DELIVERED, (extent.stream, extent.sent, SLICE)))


async def _spared(database: Connection, extent: _Extent) -> int:
    """Return the first position of the segment with the oldest row under way."""
    span = place_of(extent.stream, 1), place_of(extent.stream, extent.first)
    [(place,)] = await database.execute_fetchall(_HOLDS, span)
    return extent.first if place is None else position_of(place)


async def _slice(database: Connection, stream: int, first: int, last: int, limit: int) -> list[Any]:
    """Return the oldest segments between two positions."""
    places = place_of(stream, first), place_of(stream, last)
    return list(await database.execute_fetchall(_OLDEST, (*places, limit))) if last >= first else []


def _due(rows: Sequence[Any], before: float, now: float) -> Sequence[Any]:
    """Return those of `rows`, the oldest of all, that were read before `before`, up to the first that was not.

    One from the future was stamped by a clock that ran ahead: it is older than its successor all the same.
    """
    young = next((number for number, each in enumerate(rows) if before <= each[2] <= now), len(rows))
    due = [number for number, each in enumerate(rows[:young]) if each[2] < before]
    return rows[: due[-1] + 1] if due else []


def order(stream: str, sacrifice: Sequence[str]) -> int:
    """Return when `stream` goes: the place of its name, or of what its name begins with, in `sacrifice`; else first."""
    names = [number for number, name in enumerate(sacrifice) if stream == name or stream.startswith(f"{name}.")]
    return names[0] if names else -1


def kept_for(stream: str, retention: Mapping[str, float], default: float) -> float:
    """Return the seconds that `stream` is kept: by its name, or by what its name begins with."""
    return retention.get(stream, retention.get(stream.partition(".")[0], default))
