"""What is missing of one stream of one meter, as ranges with one reason each, and how an answer changes that.

Pure arithmetic of capture times (UTC seconds). Keeping it is the store's business; what to ask next is in `backfill`.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from dcu.model import Reason

#: Gaps kept apart of one stream of one meter: a power failure every day for as long as most meters remember.
GAP_BOUND = 256


@dataclass(frozen=True, slots=True)
class Gap:
    """Capture times that are missing, `start` and `end` included: points of the grid, seconds where there is none."""

    start: int
    end: int
    reason: Reason


@dataclass(frozen=True, slots=True)
class Asked:
    """Capture times that a meter was asked for, and answered for good: from `start` to `end`, both included.

    `period` is the meter's capture period, 0 where captures come as they come. What is expected there and did not come
    is missing for `reason`; at the times `dropped` rows came and could not be used. `since` says from when on anything
    is expected, where nobody has said so before.
    """

    start: int
    end: int
    period: int
    reason: Reason = Reason.NO_RECORD
    since: int | None = None
    dropped: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Grid:
    """Where captures are expected: at since + n · period. A capture belongs to the point nearest to it.

    So a row that a meter writes a second late, and the daily row that daylight saving time moves by an hour, are the
    row of their day. The times that belong to a point are from `period // 2` before it on.
    """

    since: int
    period: int

    def nearest(self, at: int) -> int:
        """Return the point that a capture of `at` belongs to."""
        return self._floor(at + self.period // 2)

    def first_whole(self, at: int) -> int:
        """Return the first point all of whose times are at `at` or later."""
        return self._floor(at + self.period // 2 + self.period - 1)

    def last_whole(self, at: int) -> int:
        """Return the last point all of whose times are at `at` or earlier."""
        return self._floor(at + self.period // 2 - self.period + 1)

    def times(self, first: int, last: int) -> tuple[int, int]:
        """Return the first and the last time that belongs to the points from `first` to `last`."""
        return first - self.period // 2, last - self.period // 2 + self.period - 1

    def count(self, first: int, last: int) -> int:
        """Return how many points there are from point `first` to point `last`."""
        return max(0, (last - first) // self.period + 1)

    def _floor(self, at: int) -> int:
        return self.since + (at - self.since) // self.period * self.period


@dataclass(frozen=True, slots=True)
class Account:
    """How one stream of one meter stands: expected from `since` on, asked up to `watermark` (None: never).

    `gaps` are in order and apart. Present is what is expected, not behind the watermark and in no gap. `period` is 0
    where nobody knows what is expected: then a gap is PENDING, time that has not been asked for.
    """

    since: int
    period: int
    watermark: int | None = None
    gaps: tuple[Gap, ...] = ()

    @property
    def grid(self) -> Grid:
        """Where captures are expected; without a period, every second may hold one."""
        return Grid(self.since, self.period or 1)

    @property
    def top(self) -> int:
        """The last point that has been asked for; one before the first where none has."""
        if self.watermark is None:
            return self.since - self.grid.period
        return max(self.grid.nearest(self.watermark), self.since - self.grid.period)

    @property
    def pending(self) -> tuple[Gap, ...]:
        """What a backfill still has to ask for."""
        return tuple(gap for gap in self.gaps if gap.reason is Reason.PENDING)

    def knows(self, at: int) -> bool:
        """Whether a capture of `at` is here already, or has been given up."""
        if self.watermark is None or at > self.watermark:
            return False
        point = self.grid.nearest(at)
        return not any(gap.start <= point <= gap.end for gap in self.gaps)


def opened(account: Account | None, asked: Asked, times: Sequence[int]) -> Account:
    """Return the account that an answer is to be entered into: a new one, or one on the grid that the rows show.

    A meter that captures at another period than before begins anew behind what was asked; what was still to be read of
    the old period is gone, for a change of the period empties the meter's buffer (IEC 62056-6-2, 4.3.6).
    """
    if account is None:
        since = asked.start if asked.since is None else asked.since
        return Account(_onto(since, asked.period, times), asked.period)
    fresh = account.watermark is None or account.watermark < account.since
    if fresh and not account.gaps:
        return replace(account, since=_onto(account.since, asked.period, times), period=asked.period)
    if account.period == asked.period:
        return _in_step(account) if fresh else account
    lost = (replace(gap, reason=Reason.NO_RECORD) if gap.reason is Reason.PENDING else gap for gap in account.gaps)
    since = account.since if account.watermark is None else account.watermark + 1
    return Account(_onto(since, asked.period, times), asked.period, account.watermark, tuple(lost))


def _in_step(account: Account) -> Account:
    """Return an account that begins anew at any second, as of a stream that was left out for a while, on its old grid.

    What is still missing from before lies on that, and a row belongs to no gap that lies between two points.
    """
    if not account.period:
        return account
    return replace(account, since=_onto(account.since, account.period, [gap.start for gap in account.gaps]))


def _onto(since: int, period: int, times: Sequence[int]) -> int:
    """Return the first time from `since` on that is in step with the rows; without rows, with midnight UTC."""
    step = times[0] if times else 0
    return since + (step - since) % period if period else since


def settled(account: Account, asked: Asked, times: Collection[int]) -> Account:
    """Return the account after an answer that brought the captures of `times`, none of which it knew.

    Expected there and not come: missing for `asked.reason`. Between the watermark and `asked.start`: PENDING.
    """
    grid = account.grid
    points = sorted({grid.nearest(at) for at in times})
    judged = Gap(grid.first_whole(asked.start), grid.last_whole(asked.end), asked.reason)
    reached = [judged.end] if judged.start <= judged.end else []
    top = max([account.top, *points, *reached])
    skipped = Gap(account.top + grid.period, top, Reason.PENDING)
    gaps = [*account.gaps, skipped] if skipped.start <= top else account.gaps
    left = (piece for gap in gaps for piece in _judged(gap, judged, account.period))
    dropped = sorted({grid.nearest(at) for at in asked.dropped} - set(points))
    without = (piece for gap in left for piece in _without(gap, points, grid.period))
    missing = (piece for gap in without for piece in _dropped(gap, dropped, grid.period))
    known = [] if account.watermark is None else [account.watermark]
    marks = [*known, *times, *(grid.times(point, point)[1] for point in reached)]
    return replace(account, watermark=max(marks, default=None), gaps=tuple(_joined(missing, grid.period)))


def _judged(gap: Gap, judged: Gap, period: int) -> Iterator[Gap]:
    """Yield `gap` with what was pending in it and is judged now: missing, or over where nothing is expected."""
    start, end = max(gap.start, judged.start), min(gap.end, judged.end)
    if gap.reason is not Reason.PENDING or start > end:
        yield gap
        return
    step = period or 1
    if gap.start < start:
        yield Gap(gap.start, start - step, gap.reason)
    if period:
        yield Gap(start, end, judged.reason)
    if end < gap.end:
        yield Gap(end + step, gap.end, gap.reason)


def _without(gap: Gap, points: Iterable[int], period: int) -> Iterator[Gap]:
    """Yield what is left of `gap` when `points`, in order, have come."""
    start = gap.start
    for point in points:
        if start <= point <= gap.end:
            if start < point:
                yield Gap(start, point - period, gap.reason)
            start = point + period
    if start <= gap.end:
        yield Gap(start, gap.end, gap.reason)


def _dropped(gap: Gap, points: Sequence[int], period: int) -> Iterator[Gap]:
    """Yield `gap` in pieces, those of `points` that lie in it as DROPPED; what is still to be read stays whole."""
    within = [] if gap.reason is Reason.PENDING else [at for at in points if gap.start <= at <= gap.end]
    lost = (Gap(at, at, Reason.DROPPED) for at in within)
    yield from sorted((*_without(gap, within, period), *lost), key=lambda piece: piece.start)


def _joined(gaps: Iterable[Gap], period: int) -> Iterator[Gap]:
    """Yield `gaps`, which are in order; neighbours of one reason as one."""
    last: Gap | None = None
    for gap in gaps:
        if last is not None and last.reason is gap.reason and gap.start <= last.end + period:
            last = Gap(last.start, gap.end, gap.reason)
            continue
        if last is not None:
            yield last
        last = gap
    if last is not None:
        yield last


def entered(
    account: Account | None, asked: Sequence[Asked], times: Sequence[int]
) -> tuple[Account | None, frozenset[int]]:
    """Enter one answer to several questions: the account afterwards, and which of `times` (by number) are news.

    Where captures are expected evenly, the first of several under one time is kept. The others are those of a clock
    that went back, and the interval is CLOCK: nobody could tell them apart.
    """
    news: set[int] = set()
    twice: set[int] = set()
    for each in asked:
        came = {at: time for at, time in enumerate(times) if each.start <= time <= each.end}
        account = opened(account, each, list(came.values()))
        seen = news | twice
        fresh = {at: time for at, time in came.items() if at not in seen and not account.knows(time)}
        firsts = {time: at for at, time in reversed(fresh.items())}
        again = {at: time for at, time in fresh.items() if account.period and firsts[time] != at}
        account = settled(account, each, set(fresh.values()))
        account = given_up(account, again.values(), Reason.CLOCK)
        news |= fresh.keys() - again.keys()
        twice |= again.keys()
    return account, frozenset(news)


def forgone(account: Account, since: int) -> Account:
    """Return the account when nothing from before `since` can be asked for any more: NO_RECORD."""
    lost = (replace(gap, reason=Reason.NO_RECORD) if gap.reason is Reason.PENDING else gap for gap in account.gaps)
    account = replace(account, gaps=tuple(_joined(lost, account.grid.period)))
    first = account.top + account.grid.period
    start, _ = account.grid.times(first, first)
    return account if start >= since else settled(account, Asked(start, since - 1, account.period), ())


def reopened(account: Account, at: int, *, sure: bool) -> Account:
    """Return the account when nothing later than `at` counts as asked for, nor what is missing right up to there.

    Unless it is `sure`, only what is missing to the end is open again: what is here may be what is right.
    """
    if account.watermark is None or account.watermark <= at:
        return account
    if not (sure or (account.gaps and account.gaps[-1].end >= account.top)):
        return account
    grid, gaps = account.grid, [gap for gap in account.gaps if gap.start <= at]
    top = grid.last_whole(at)
    while gaps and gaps[-1].end >= top:
        top = gaps.pop().start - grid.period
    return replace(account, watermark=grid.times(top, top)[1], gaps=tuple(gaps))


def given_up(account: Account, times: Iterable[int], reason: Reason = Reason.DROPPED) -> Account:
    """Return the account when the captures of `times`, which were here, are gone; PENDING: they are asked for again."""
    if not account.period:
        return account
    grid = account.grid
    points = {point for at in times if account.since <= (point := grid.nearest(at)) <= account.top}
    held = sorted(point for point in points if not any(gap.start <= point <= gap.end for gap in account.gaps))
    gaps = sorted((*account.gaps, *(Gap(each, each, reason) for each in held)), key=lambda gap: gap.start)
    return replace(account, gaps=tuple(_joined(gaps, account.period)))


def absent(account: Account, start: int, end: int, times: Iterable[int]) -> list[int]:
    """Return the points from `start` to `end` that count as present, and are none of `times`: what was lost of them."""
    if not account.period:
        return []
    grid = account.grid
    first, last = max(grid.nearest(start), account.since), min(grid.nearest(end), account.top)
    held = {grid.nearest(at) for at in times}
    points = (point for point in range(first, last + 1, account.period) if point not in held)
    return [point for point in points if not any(gap.start <= point <= gap.end for gap in account.gaps)]


def repeated(account: Account, start: int) -> Account:
    """Return the account when from `start` on captures come under times that are here already: those are CLOCK."""
    if not account.period:
        return account
    first = account.grid.nearest(start + account.period - 1 - account.period // 2)
    return given_up(account, range(first, account.top + 1, account.period), Reason.CLOCK)


def bounded(gaps: tuple[Gap, ...], bound: int) -> tuple[Gap, ...]:
    """Return at most `bound` gaps, the oldest joined over what is present between them, which then counts as missing.

    What is still to be read is not joined, or it would be read twice; when there is nothing else, the oldest of it is
    DROPPED.
    """
    while len(gaps) > bound:
        pairs = (at for at in range(len(gaps) - 1) if Reason.PENDING not in {gaps[at].reason, gaps[at + 1].reason})
        at = next(pairs, None)
        place, reason = (0, Reason.DROPPED) if at is None else (at, gaps[at].reason)
        joined = Gap(gaps[place].start, gaps[place + 1].end, reason)
        gaps = (*gaps[:place], joined, *gaps[place + 2 :])
    return gaps
