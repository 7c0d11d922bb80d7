"""How far each stream of each meter is read, and what a backfill has left of it, as far as the store has confirmed it.

Plain state over capture times (UTC seconds). What follows for the next visit is in `backfill`, keeping it the store's.
"""

from collections.abc import Collection, Mapping
from functools import lru_cache

from dcu.plan.ledger import Account, Gap
from dcu.plan.unconfirmed import Empty, askable, noted, still

#: (meter, stream).
Key = tuple[str, str]

#: Seconds by which a clock may lie behind a row that was read: rows and clocks are whole seconds, and a small deviation
#: is set back by somebody.
CLOCK_PLAY = 60


class Standing:
    """The watermarks of all meters, and what is `unread` of what lies before them."""

    def __init__(self, watermarks: Mapping[Key, int], unread: Mapping[Key, tuple[Gap, ...]]) -> None:
        # by stream, then meter: a pair of words for each of 8000 marks would be half a megabyte of tuples
        self._marks: dict[str, dict[str, int]] = {}
        self.move(watermarks)
        self._pending = dict(unread)
        # what came empty once; after a restart it is asked for as if it never was
        self._empty: dict[Key, tuple[Empty, ...]] = {}

    @property
    def streams(self) -> Collection[str]:
        """The streams of which anything is known."""
        return self._marks.keys()

    def mark(self, meter: str, stream: str) -> int | None:
        """Return up to when a stream is read, or nothing is expected of it; None where nobody knows."""
        return self._marks.get(stream, {}).get(meter)

    def of(self, meter: str) -> dict[str, int]:
        """Return the same of all streams of a meter."""
        return {stream: marks[meter] for stream, marks in self._marks.items() if meter in marks}

    def anew(self, meter: str, now: int, backfills: Mapping[str, int]) -> dict[str, int]:
        """Return from when on another device in the place of `meter` is read, where that is not as it stands.

        As far back as one that was never read (`backfills`, seconds by stream); not from before the last row of any
        stream, for until then the one before it hung there, and what the new one holds of that time it has measured
        elsewhere.
        """
        marks = self.of(meter)
        there = min(now, max(marks.values(), default=now))
        sinces = {each: max(there + 1, now - back) for each, back in backfills.items() if each in marks}
        return {stream: since for stream, since in sinces.items() if since > marks[stream] + 1}

    def pending(self, meter: str, stream: str) -> tuple[Gap, ...]:
        """Return what a backfill has left of a stream."""
        return self._pending.get((meter, stream), ())

    def askable(self, meter: str, stream: str, period: int, now: float) -> list[tuple[Gap, bool]]:
        """Return what of that may be asked for at `now` (monotonic s), in order, and whether it came empty before."""
        key = meter, stream
        return [*askable(self.pending(*key), self._empty.get(key, ()), period, now)]

    def left(self, accounts: Mapping[Key, Account], now: float) -> dict[Key, tuple[int | None, list[tuple[Gap, bool]]]]:
        """Return how far each of the streams in `accounts` is read, and what may be asked for of its past at `now`."""
        return {
            (meter, stream): (self.mark(meter, stream), self.askable(meter, stream, account.period, now))
            for (meter, stream), account in accounts.items()
        }

    def came_empty(self, key: Key, start: int, end: int, now: float) -> None:
        """Ask for nothing from `start` to `end` for a while: there came no row of it at `now` (monotonic s)."""
        self._empty[key] = noted(self._empty.get(key, ()), start, end, now)

    def expect(self, stream: str, since: int, meters: Collection[str]) -> None:
        """Begin at `since` with what was never asked for."""
        marks, mark = self._marks.setdefault(stream, {}), since - 1
        for meter in meters:
            marks.setdefault(meter, mark)

    def move(self, watermarks: Mapping[Key, int]) -> None:
        for (meter, stream), mark in watermarks.items():
            self._marks.setdefault(stream, {})[meter] = _one(mark)

    def follow(self, accounts: Mapping[Key, Account]) -> None:
        """Stand as the store's accounts do."""
        self.move({key: account.watermark for key, account in accounts.items() if account.watermark is not None})
        for key, account in accounts.items():
            if account.pending:
                self._pending[key] = account.pending
            else:
                self._pending.pop(key, None)
            if (waiting := self._empty.pop(key, ())) and (left := still(waiting, account.pending)):
                self._empty[key] = left

    def forgo(self, meter: str) -> None:
        """Have nothing left of the past of a meter."""
        self._pending = {key: gaps for key, gaps in self._pending.items() if key[0] != meter}
        self._empty = {key: ranges for key, ranges in self._empty.items() if key[0] != meter}


@lru_cache(maxsize=64)
def _one(mark: int) -> int:
    """Return one object for equal marks: the meters of a box are read up to the same moments, 1024 of each stream."""
    return mark
