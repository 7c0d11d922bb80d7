"""Where each stream of each meter stands in the tables: its newest run, and its account in the ledger.

A mark is read, follows what is recorded, and is written, all in one transaction. What an answer does to an account is
in `dcu.plan.ledger`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aiosqlite import Connection

from dcu.model import Reason
from dcu.plan.ledger import GAP_BOUND, Account, Asked, Gap, bounded, entered

_MARK_OF = """
SELECT day, newest, watermark, since, period, start, last, reason FROM marks LEFT JOIN gaps USING (meter, stream)
WHERE meter = ? AND stream = ? ORDER BY start
"""

_MARK = """
INSERT INTO marks (meter, stream, day, newest, watermark, since, period) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    day = excluded.day, newest = excluded.newest, watermark = excluded.watermark, since = excluded.since,
    period = excluded.period
"""

_PUT_GAP = """
INSERT INTO gaps (meter, stream, start, last, reason, intervals) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET last = excluded.last, reason = excluded.reason, intervals = excluded.intervals
"""

_DROP_GAP = "DELETE FROM gaps WHERE meter = ? AND stream = ? AND start = ?"

_REASONS = {reason.value: reason for reason in Reason}


def reason_of(text: str) -> Reason:
    """Return the reason in a gap's row; of one that is damaged the one that promises nothing."""
    return _REASONS.get(text, Reason.PENDING)


@dataclass(slots=True)
class Mark:
    """One stream of one meter, by their numbers. `account` is None while nothing was ever asked or expected of it.

    `newest` is the position of the run of captures that was recorded last of the newest `day` (since 1970).
    """

    meter: int
    stream: int
    day: int | None = None
    newest: int | None = None
    watermark: int | None = None
    account: Account | None = None
    overflow: bool = False
    _before: tuple[Gap, ...] = ()

    @classmethod
    async def find(cls, database: Connection, meter: int, stream: int) -> "Mark":
        """Return the mark as it is kept, an empty one where there is none."""
        rows = list(await database.execute_fetchall(_MARK_OF, (meter, stream)))
        if not rows:
            return cls(meter, stream)
        day, newest, watermark, since, period = rows[0][:5]
        gaps = tuple(
            Gap(start, end, _REASONS.get(reason, Reason.PENDING))
            for *_, start, end, reason in rows
            if start is not None
        )
        if since is None and watermark is not None:
            since = watermark + 1
        account = None if since is None else Account(since, period or 0, watermark, gaps)
        return cls(meter, stream, day, newest, watermark, account, _before=gaps)

    def enter(self, asked: Sequence[Asked], times: Sequence[int]) -> frozenset[int]:
        """Enter an answer with rows of `times`; return which of them, by number, are news."""
        account, news = entered(self.account, asked, times)
        if account is not None:
            self.put(account)
        return news

    def put(self, account: Account) -> None:
        """Let it stand as `account` says, with no more gaps than can be kept."""
        gaps = bounded(account.gaps, GAP_BOUND)
        self.overflow = gaps is not account.gaps
        self.account = Account(account.since, account.period, account.watermark, gaps)
        self.watermark = account.watermark

    def move(self, watermark: int) -> None:
        """Move the watermark of a stream that is not accounted for; it only moves forward."""
        self.watermark = watermark if self.watermark is None else max(self.watermark, watermark)

    @property
    def row(self) -> tuple[int | None, ...]:
        """What the table of marks holds of it."""
        since, period = (None, None) if self.account is None else (self.account.since, self.account.period)
        return self.meter, self.stream, self.day, self.newest, self.watermark, since, period

    @property
    def gone(self) -> list[tuple[int, int, int]]:
        """The keys of gaps that are no more."""
        starts = {gap.start for gap in self._gaps}
        return [(self.meter, self.stream, gap.start) for gap in self._before if gap.start not in starts]

    @property
    def changed(self) -> list[tuple[object, ...]]:
        """The rows of gaps that are new or other than before."""
        known = set(self._before)
        return [self._gap(gap) for gap in self._gaps if gap not in known]

    @property
    def _gaps(self) -> tuple[Gap, ...]:
        return () if self.account is None else self.account.gaps

    def _gap(self, gap: Gap) -> tuple[object, ...]:
        account = self.account
        assert account is not None
        intervals = account.grid.count(gap.start, gap.end) if account.period else 0
        return self.meter, self.stream, gap.start, gap.end, gap.reason.value, intervals


async def keep(database: Connection, marks: Iterable[Mark]) -> None:
    """Write `marks` and what has changed in their gaps; where nothing is missing, the gaps are not touched."""
    marks = list(marks)
    await database.executemany(_MARK, [mark.row for mark in marks])
    if gone := [key for mark in marks for key in mark.gone]:
        await database.executemany(_DROP_GAP, gone)
    if changed := [row for mark in marks for row in mark.changed]:
        await database.executemany(_PUT_GAP, changed)
