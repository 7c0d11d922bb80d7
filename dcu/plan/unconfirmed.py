"""What a meter gave no row of, though it was asked: to be asked for once more before it counts as not captured.

Plain arithmetic over capture times (UTC seconds) and monotonic time. What is missing, and why, is in `ledger`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dcu.plan.ledger import Gap

#: Seconds between two answers without a row, at least, that settle together that there is none. A meter that starts up,
#: or is busy with its buffer, may give an empty one; hardly for so long.
CONFIRM_AFTER: Final = 3600

#: Ranges of one stream of one meter that wait so, apart from each other. If there are more, neighbours wait together.
MAX_UNCONFIRMED: Final = 16


@dataclass(frozen=True, slots=True)
class Empty:
    """A closed range of capture times of which nothing came; not asked for again before `due` (monotonic s)."""

    start: int
    end: int
    due: float


def noted(known: Sequence[Empty], start: int, end: int, now: float) -> tuple[Empty, ...]:
    """Return what waits when nothing came from `start` to `end`; what of that waits already keeps its time."""
    for each in known:
        if each.start <= start <= each.end:
            start = each.end + 1
        elif each.start <= end <= each.end:
            end = each.start - 1
    if start > end:
        return tuple(known)
    # full hours: ranges that lie side by side and came empty one after the other wait together
    new = Empty(start, end, (now // CONFIRM_AFTER + 2) * CONFIRM_AFTER)
    return _bounded(_joined(sorted((*known, new), key=lambda each: each.start)))


def _joined(ranges: Iterable[Empty]) -> list[Empty]:
    found: list[Empty] = []
    for each in ranges:
        if found and found[-1].due == each.due and found[-1].end + 1 == each.start:
            found[-1] = Empty(found[-1].start, each.end, each.due)
        else:
            found.append(each)
    return found


def _bounded(ranges: list[Empty]) -> tuple[Empty, ...]:
    while len(ranges) > MAX_UNCONFIRMED:
        (one, other), rest = ranges[:2], ranges[2:]
        ranges = [Empty(one.start, other.end, max(one.due, other.due)), *rest]
    return tuple(ranges)


def still(known: Sequence[Empty], pending: Sequence[Gap]) -> tuple[Empty, ...]:
    """Return those that something `pending` lies in."""
    return tuple(each for each in known if any(gap.start <= each.end and each.start <= gap.end for gap in pending))


def askable(pending: Sequence[Gap], known: Sequence[Empty], period: int, now: float) -> Iterator[tuple[Gap, bool]]:
    """Yield, in order, what of `pending` may be asked for at `now`, and whether it came empty before."""
    step = period or 1
    for gap in pending:
        start = gap.start
        for each in known:
            # points of the gap's own grid
            first = max(start, gap.start + -((gap.start - each.start) // step) * step)
            last = gap.start + (min(gap.end, each.end) - gap.start) // step * step
            if first > last:
                continue
            if start < first:
                yield Gap(start, first - step, gap.reason), False
            if each.due <= now:
                yield Gap(first, last, gap.reason), True
            start = last + step
        if start <= gap.end:
            yield Gap(start, gap.end, gap.reason), False
