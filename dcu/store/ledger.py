"""The completeness ledger as questions: from when on what is expected, what is missing and why, how much of it is here.

The accounts behind it are kept by `readings`, answer by answer; what an answer does to one is in `dcu.plan.ledger`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from aiosqlite import Connection

from dcu.messages.catalogue import MAX_GAPS
from dcu.model import Reason
from dcu.plan.ledger import Account, Gap, forgone, reopened, repeated
from dcu.store.cells import to_json
from dcu.store.database import Database
from dcu.store.marks import Mark, keep, reason_of

#: Gaps of one answer, and one more that tells whether there are others.
GAPS_BOUND = MAX_GAPS + 1

_MEET = "INSERT INTO meters (name) SELECT value FROM json_each(?) WHERE true ON CONFLICT DO NOTHING"

_EXPECT = """
INSERT INTO marks (meter, stream, since) SELECT meter, ?, ? FROM json_each(?) JOIN meters ON name = value WHERE true
ON CONFLICT DO UPDATE SET since = coalesce(watermark + 1, excluded.since) WHERE since IS NULL
"""

_RENOUNCE = "UPDATE marks SET since = NULL WHERE meter = ? AND stream = ? AND since IS NOT NULL"

_NO_METER = """
UPDATE marks SET since = NULL
WHERE stream = ? AND since IS NOT NULL
    AND meter NOT IN (SELECT meter FROM json_each(?) JOIN meters ON name = value)
"""

_NO_STREAM = """
UPDATE marks SET since = NULL WHERE since IS NOT NULL AND stream NOT IN (SELECT value FROM json_each(?))
"""

_FORGO = "UPDATE gaps SET reason = ? WHERE meter = ? AND reason = ?"

_AHEAD = "SELECT stream FROM marks WHERE meter = ? AND watermark >= ? AND since IS NOT NULL"

_UNREAD = """
SELECT meters.name, streams.name, start, last FROM gaps JOIN meters USING (meter) JOIN streams USING (stream)
WHERE reason = ? ORDER BY meter, stream, start
"""

# Points up to x: max(0, x - since + step) / step. The last one asked for is that nearest to the watermark. CROSS JOIN
# keeps the order: eight thousand marks are gone through once, with a few spans for each.
_ACCOUNTS = """
WITH spans AS MATERIALIZED (
    SELECT key AS span, stream, value ->> 1 AS after, value ->> 2 AS until, value ->> 3 AS usual
    FROM json_each(?1) JOIN streams ON name = value ->> 0),
accounts AS (
    SELECT span, meter, stream, step, since, after, until,
        max(0, after - since + step) / step AS before, max(0, until - since + step) / step AS due,
        iif(watermark IS NULL, 0, max(0, watermark - since + step / 2 + step) / step) AS asked
    FROM (SELECT *, coalesce(nullif(period, 0), usual) AS step FROM marks CROSS JOIN spans USING (stream)) AS marked
    WHERE since IS NOT NULL AND step > 0 AND (?2 IS NULL OR meter = (SELECT meter FROM meters WHERE name = ?2)))
"""

# asked of one span at a time: to group sixteen of them, SQLite would sort megabytes
_TALLY = (
    _ACCOUNTS
    + """
SELECT sum(due - before), sum(min(due, asked) - min(before, asked)) FROM accounts
"""
)

_MISSING = (
    _ACCOUNTS  # noqa: S608 - constants of this file
    + """
SELECT span, reason, sum(min(due, max(0, last - since + step) / step)
    - max(before, max(0, start - 1 - since + step) / step)) AS points
FROM gaps CROSS JOIN accounts USING (meter, stream)
WHERE last > (SELECT min(after) FROM spans) AND last > after AND start <= until
GROUP BY span, reason HAVING points > 0
"""
)

_GAPS = (
    _ACCOUNTS  # noqa: S608 - constants of this file
    + """
, lines (meter, stream, start, last, reason, points) AS (
    SELECT meter, stream, start, last, reason, intervals FROM gaps
    UNION ALL
    SELECT meter, stream, since + asked * step, since + (due - 1) * step, NULL, due - asked
    FROM accounts WHERE due > asked)
SELECT meters.name AS meter_name, streams.name AS stream_name, start, last, reason, points
FROM lines JOIN meters USING (meter) JOIN streams USING (stream)
WHERE last >= ?3 AND (?2 IS NULL OR meter_name = ?2) AND (?4 IS NULL OR stream_name = ?4)
    AND (meter_name, stream_name, start) > (?5, ?6, ?7)
ORDER BY meter_name, stream_name, start LIMIT ?8
"""
)


#: What is expected: by stream, from when on (UTC seconds), of which meters.
Expected = Mapping[str, Mapping[int, Collection[str]]]

_DROPPED = """
SELECT meters.name, start, last, intervals FROM gaps JOIN meters USING (meter) JOIN streams USING (stream)
WHERE streams.name = ?1 AND last >= ?2 AND start <= ?3 AND (?4 IS NULL OR meters.name = ?4) AND reason = ?5
ORDER BY meters.name, start LIMIT ?6
"""


@dataclass(frozen=True, slots=True)
class Span:
    """Capture times of a stream: later than `after`, up to `until` (UTC seconds).

    `usual` is the capture period of the meters that have not told theirs yet; 0: nobody knows.
    """

    stream: str
    after: int
    until: int
    usual: int = 0


@dataclass(frozen=True, slots=True)
class Tally:
    """Capture times of a span over all meters it is expected of: those there should be, are here, and are missing."""

    expected: int
    read: int
    missing: Mapping[Reason, int]

    @property
    def open(self) -> int:
        """Those that have not been asked for."""
        return self.expected - self.read - sum(self.missing.values())

    @property
    def share(self) -> float | None:
        """How much of what is expected is here; None where nothing is."""
        return self.read / self.expected if self.expected else None


@dataclass(frozen=True, slots=True)
class GapLine:
    """One range that is missing, for people. Without a `reason` it has not been asked for; 0 `intervals`: not known."""

    meter: str
    stream: str
    start: int
    end: int
    reason: Reason | None
    intervals: int

    @property
    def place(self) -> tuple[str, str, int]:
        """Where it stands among the others."""
        return self.meter, self.stream, self.start


#: Before every gap.
FIRST = ("", "", 0)


class Ledger:
    """What is expected, here and missing."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def expect(self, wanted: Expected) -> None:
        """Expect of each stream captures from these times on, of these meters and of no others.

        What is expected already keeps its beginning.
        """
        rows = sum(len(meters) for sinces in wanted.values() for meters in sinces.values())
        await self._database.write(partial(self._expect, wanted=wanted), rows=rows)

    async def renounce(self, meter: str, streams: Iterable[str]) -> None:
        """Expect nothing more of these streams of a meter: it does not have them."""
        await self._database.write(partial(self._renounce, meter=meter, streams=list(streams)))

    async def forgo(self, meter: str, sinces: Mapping[str, int]) -> None:
        """Give up what a backfill has still to ask this meter for: it is not the one that held it.

        Of the streams in `sinces` also what nobody has asked for yet, up to these times (UTC seconds).
        """
        await self._database.write(partial(self._forgo, meter=meter, sinces=sinces))

    async def reopen(self, meter: str, ats: Mapping[str, int], *, sure: bool) -> dict[tuple[str, str], Account]:
        """Let nothing later than these times (UTC seconds) count as asked for; return the accounts that have changed.

        What is missing without a break up to there is open again too. Unless it is `sure`, nothing else is.
        """
        accounts: dict[tuple[str, str], Account] = await self._database.write(
            partial(self._reopen, meter=meter, ats=ats, sure=sure)
        )
        return accounts

    async def repeat(self, meter: str, start: int) -> None:
        """Say that captures from `start` on (UTC seconds) come a second time under times that are here: CLOCK.

        Of streams whose captures come at fixed times; the second ones cannot be told apart from those that are here.
        """
        await self._database.write(partial(self._repeat, meter=meter, start=start))

    async def unread(self) -> dict[tuple[str, str], tuple[Gap, ...]]:
        """Return by (meter, stream) what a backfill has still to ask for."""
        found: dict[tuple[str, str], tuple[Gap, ...]] = {}
        for meter, stream, start, end in await self._database.read(_UNREAD, (Reason.PENDING.value,)):
            found[meter, stream] = (*found.get((meter, stream), ()), Gap(start, end, Reason.PENDING))
        return found

    async def tallies(self, spans: Sequence[Span], meter: str | None = None) -> list[Tally]:
        """Return the tally of each span, over all meters or of one."""
        missing: list[dict[Reason, int]] = [{} for _ in spans]
        for span, reason, points in await self._database.read(_MISSING, (_json(spans), meter)):
            why = reason_of(reason)
            missing[span][why] = missing[span].get(why, 0) + points
        tallies = []
        for span, gaps in zip(spans, missing, strict=True):
            [(expected, asked)] = await self._database.read(_TALLY, (_json([span]), meter))
            tallies.append(Tally(expected or 0, (asked or 0) - sum(gaps.values()), gaps))
        return tallies

    async def gaps(
        self,
        spans: Sequence[Span],
        *,
        meter: str | None = None,
        stream: str | None = None,
        since: int = 0,
        after: tuple[str, str, int] = FIRST,
        limit: int = GAPS_BOUND,
    ) -> list[GapLine]:
        """Return at most `limit` ranges behind place `after` that reach to `since` or later, by meter, stream and time.

        `spans` say up to when each stream is due: what has not been asked for until then is a range too.
        """
        rows = await self._database.read(_GAPS, (_json(spans), meter, since, stream, *after, min(limit, GAPS_BOUND)))
        return [
            GapLine(name, of, start, end, None if reason is None else reason_of(reason), intervals)
            for name, of, start, end, reason, intervals in rows
        ]

    async def dropped(self, stream: str, start: int, end: int, meter: str | None, limit: int) -> list[GapLine]:
        """Return at most `limit` ranges of `stream` between two times that came and had to go, by meter and time."""
        rows = await self._database.read(_DROPPED, (stream, start, end, meter, Reason.DROPPED.value, limit))
        return [GapLine(name, stream, start, end, Reason.DROPPED, intervals) for name, start, end, intervals in rows]

    async def _expect(self, database: Connection, *, wanted: Expected) -> None:
        streams = []
        for name, sinces in wanted.items():
            stream = await self._database.stream(database, name)
            for since, meters in sinces.items():
                names = to_json(list(meters))
                await database.execute(_MEET, (names,))
                await database.execute(_EXPECT, (stream, since, names))
            every = [meter for meters in sinces.values() for meter in meters]
            await database.execute(_NO_METER, (stream, to_json(every)))
            streams.append(stream)
        await database.execute(_NO_STREAM, (to_json(streams),))

    async def _renounce(self, database: Connection, *, meter: str, streams: Sequence[str]) -> None:
        number = await self._database.meters.number(database, meter)
        await database.executemany(
            _RENOUNCE, [(number, await self._database.stream(database, each)) for each in streams]
        )

    async def _forgo(self, database: Connection, *, meter: str, sinces: Mapping[str, int]) -> None:
        number = await self._database.meters.number(database, meter)
        await database.execute(_FORGO, (Reason.NO_RECORD.value, number, Reason.PENDING.value))
        for stream, since in sinces.items():
            mark = await Mark.find(database, number, await self._database.stream(database, stream))
            if mark.account is not None:
                mark.put(forgone(mark.account, since))
                await keep(database, [mark])

    async def _reopen(
        self, database: Connection, *, meter: str, ats: Mapping[str, int], sure: bool
    ) -> dict[tuple[str, str], Account]:
        number = await self._database.meters.number(database, meter)
        accounts = {}
        for stream, at in ats.items():
            mark = await Mark.find(database, number, await self._database.stream(database, stream))
            if mark.account is not None and (account := reopened(mark.account, at, sure=sure)) != mark.account:
                mark.put(account)
                await keep(database, [mark])
                accounts[meter, stream] = account
        return accounts

    async def _repeat(self, database: Connection, *, meter: str, start: int) -> None:
        number = await self._database.meters.number(database, meter)
        for (stream,) in await database.execute_fetchall(_AHEAD, (number, start)):
            mark = await Mark.find(database, number, stream)
            if mark.account is not None:
                mark.put(repeated(mark.account, start))
                await keep(database, [mark])


def _json(spans: Sequence[Span]) -> str:
    return to_json([[span.stream, span.after, span.until, span.usual] for span in spans])
