"""What a visit asks of a stream: what is new, and a slice of what is still missing; and what its answer settles.

Pure arithmetic of capture times (UTC seconds). What is missing is counted in `ledger`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from dcu.model import Order, Reason
from dcu.plan.ledger import Asked, Gap

#: Rows asked of one profile in one visit: a day of quarter hours. What is older follows in further visits.
SLICE_ROWS = 96

#: Profiles without a period (billing, event logs) are asked whole, this far back at a time.
SLICE_APERIODIC = 400 * 86400

#: What is older than this is settled: every meter that is right about the time has captured it. Nearer to now the
#: watermark follows the rows, so that a row which a slow clock writes late is not skipped.
SETTLED = 3600

#: A meter whose clock is this far off has lost it: the times in between do not come, or bear other dates. One that is
#: less behind will still get there.
CLOCK_LOST = 7 * 86400


@dataclass(frozen=True, slots=True)
class Range:
    """A closed interval of capture times to ask a profile for; `more` when its end is settled and others follow.

    `since` says from when on the stream is wanted, when the meter is asked for the first time; `again`, that a while
    ago there came no row of it.
    """

    start: int
    end: int
    more: bool
    since: int | None = None
    again: bool = False


def slice_of(period: int) -> int:
    """Return the seconds of capture times that one visit asks of a profile at most."""
    return SLICE_ROWS * period if period else SLICE_APERIODIC


def ahead(period: int, now: int) -> int:
    """Return up to when rows are asked for: where they come as they come, as far as a clock that is believed may be."""
    return now if period else now + CLOCK_LOST


def newer(period: int, start: int, now: int, order: Order = Order.NEWEST, since: int | None = None) -> Range:
    """Return what to ask of a stream that is new from `start` on, one slice at most.

    Newest first it is the slice that ends now; what is skipped becomes pending when its answer is entered.
    """
    size = slice_of(period)
    if order is Order.NEWEST:
        return Range(max(start, now - size + 1), ahead(period, now), more=False, since=since)
    end = start + size - 1
    settled = end <= now - SETTLED
    return Range(start, end if settled else ahead(period, now), more=settled, since=since)


def older(period: int, pending: Sequence[Gap], order: Order = Order.NEWEST) -> Range:
    """Return what to ask of what is `pending`, one slice at most."""
    gap = pending[-1 if order is Order.NEWEST else 0]
    first, last = gap.start - period // 2, gap.end + max(0, period - 1 - period // 2)
    if order is Order.NEWEST:
        return Range(max(first, last - slice_of(period) + 1), last, more=True)
    return Range(first, min(last, first + slice_of(period) - 1), more=True)


def next_slice(period: int, left: Sequence[tuple[Gap, bool]], order: Order) -> Range:
    """Return what to ask of what is `left` of the past, in order, each with whether it came empty before."""
    gap, again = left[-1 if order is Order.NEWEST else 0]
    return replace(older(period, [gap], order), again=again)


def lost(offset: float | None) -> bool:
    """Whether a meter whose clock is `offset` seconds off has lost the time."""
    return offset is not None and abs(offset) >= CLOCK_LOST


def until(span: Range, clock: int | None, now: int, *, stray: bool) -> Range:
    """Return the part of `span` that is over when the meter's clock shows `clock` (None: unknown), and ours `now`.

    A clock that is `stray`, or else that of the DCU, says nothing about what is over: then the rows alone do.
    """
    more = span.more and (clock is None or clock > span.end)
    if clock is None or stray:
        return replace(span, end=min(span.end, now), more=more)
    # a second that is not over may still bring another event with the same time, behind the watermark
    return replace(span, end=min(span.end, clock - 1), more=more)


def settles(
    span: Range, period: int, times: Collection[int], now: int, reason: Reason = Reason.NO_RECORD
) -> Asked | None:
    """Return what an answer to `span` with rows of `times` settles at `now`; None: nothing.

    `now` is what the DCU's clock or the meter's shows, whichever is less: if one of them is right, it is not to come.
    Between its rows, and within a period of them, everything has come that will. What is long past and lies apart from
    them was not captured, or the answer was cut: it is still to be asked for. Of an answer without rows all that is
    long past is PENDING, and when it was asked `again`, not captured. `reason`: why what is missing is missing; where
    it is the clock, nothing is waited for.
    """
    asked = Asked(span.start, _end(span, period, times, now), period, reason, span.since)
    if asked.end < asked.start:
        return None
    if not period or reason is not Reason.NO_RECORD:
        return asked
    if not times:
        return asked if span.again else replace(asked, reason=Reason.PENDING)
    first, last = min(times), max(times)
    start = first if first - asked.start >= period else asked.start
    return replace(asked, start=start, end=last if asked.end - last >= period else asked.end)


def _end(span: Range, period: int, times: Collection[int], now: int) -> int:
    if span.more:
        return span.end
    newest = max(times, default=span.start - 1)
    past = min(span.end, now - SETTLED)
    return past if period and past - newest >= period else newest


def short(span: Range, asked: Asked, now: int) -> bool:
    """Whether rows of `span` are still to come behind what was `asked`, as in an answer that was cut."""
    return asked.period > 0 and min(span.end, now - SETTLED) - asked.end >= asked.period
