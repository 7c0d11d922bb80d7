"""Whether a meter's clock is to be moved now, and by how much, so that no row of its profiles is lost or doubled.

Pure: measuring a clock, moving it and remembering that is `dcu.polling.clocks`'s business.

    |offset| ≤ tolerance                  GOOD   a clock that is moved each day is no clock
    old and new time in one interval      MOVE   at once
    a boundary would be crossed           WAIT   until they are in one interval
    more than an interval                 MOVE   step by step, each within the interval that runs
    > limit, or it may be a time zone     FAR    a person decides
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from dcu.clock import DAY

#: Seconds that are kept clear on either side of a boundary: what moving a clock over a slow line may take.
MARGIN = 10

#: Steps by which a clock is brought back at most; what takes more of them is for a person to decide.
MAX_STEPS = 8

#: Zones differ by multiples of this: a meter that tells none and is so much off may keep local time.
ZONE = 900

#: The most a crystal is believed to gain a day (tenders ask for 0.5 s), and what two measurements may differ by.
MAX_DRIFT = 10.0
SCATTER = 10.0

#: Two points closer than this say nothing of drift: clocks are read in whole seconds.
MIN_SPAN = DAY / 2


class Verdict(Enum):
    """What is to be done about a clock."""

    GOOD = auto()
    MOVE = auto()
    WAIT = auto()
    FAR = auto()


@dataclass(frozen=True, slots=True)
class Rules:
    """Seconds: up to `tolerance` a clock is left alone, beyond `limit` it is not moved unasked."""

    tolerance: float = 30.0
    limit: float = 3600.0


@dataclass(frozen=True, slots=True)
class Reading:
    """A clock as it was read: it showed `at` (UTC seconds), `offset` more than the right time.

    `deviation` is its zone in minutes as COSEM has it (local = UTC - deviation), None when it names none; `status` its
    own octet of doubts (IEC 62056-6-2, 4.1.6.1).
    """

    at: int
    offset: float
    deviation: int | None = 0
    status: int = 0


@dataclass(frozen=True, slots=True)
class Advice:
    """Move the clock by `shift` seconds, or look again in `wait` seconds."""

    verdict: Verdict
    shift: int = 0
    wait: float = 0.0

    @property
    def moves(self) -> bool:
        return self.verdict is Verdict.MOVE


def advise(clock: Reading, periods: Collection[int], rules: Rules) -> Advice:
    """Return what to do about `clock`, whose meter captures at multiples of `periods` (s; 0: at no fixed time)."""
    needed = -round(clock.offset)
    if abs(clock.offset) <= rules.tolerance:
        return Advice(Verdict.GOOD)
    if abs(clock.offset) > rules.limit or (clock.deviation is None and abs(needed) >= ZONE - SCATTER):
        return Advice(Verdict.FAR)
    # billing and tariffs change at midnight, whatever else is captured
    fixed = {period for period in periods if period} | {DAY}
    low, high = _interval(clock, fixed)
    room = math.gcd(*fixed, 60 * (clock.deviation or 0)) - 2 * MARGIN
    if room <= 0 or abs(needed) > MAX_STEPS * room:
        return Advice(Verdict.FAR)
    return _within(clock.at, needed, low + MARGIN, high - MARGIN, room)


def _interval(clock: Reading, periods: Collection[int]) -> tuple[int, int]:
    """Return the boundaries, of UTC and of the meter's own zone, between which the clock is."""
    zones = {0, 60 * (clock.deviation or 0)}
    lows = [(clock.at - zone) // period * period + zone for period in periods for zone in zones]
    highs = [low + period for low, period in zip(lows, (p for p in periods for _ in zones), strict=True)]
    return max(lows), min(highs)


def _within(at: int, needed: int, low: int, high: int, room: int) -> Advice:
    """Return the move of `needed` seconds inside low..high, or a step that brings half of the `room` that there is."""
    if not low <= at <= high:
        return Advice(Verdict.WAIT, wait=low - at if at < low else high + 2 * MARGIN - at)
    shift = min(max(at + needed, low), high) - at
    # who comes a little late must find room still
    most = room * 3 // 4
    if shift == needed or (abs(needed) > most and abs(shift) >= room / 2):
        return Advice(Verdict.MOVE, shift=shift)
    if needed > 0:  # early in the next interval there is room ahead
        return Advice(Verdict.WAIT, wait=high + 2 * MARGIN - at)
    return Advice(Verdict.WAIT, wait=low + min(-needed, most) - at)


def crossed(at: int, target: int, periods: Collection[int]) -> list[int]:
    """Return those of `periods` of which a clock that is moved from `at` to `target` crosses a boundary."""
    return sorted(period for period in periods if period and at // period != target // period)


def jumped(before: tuple[int, float], now: tuple[int, float]) -> bool:
    """Whether between two points (at, offset) more has happened to a clock than its crystal and our reading explain."""
    days = abs(now[0] - before[0]) / DAY
    return abs(now[1] - before[1]) > SCATTER + MAX_DRIFT * days


def drift(points: Sequence[tuple[int, float]]) -> float | None:
    """Return the seconds that a clock gains a day: the slope of the straight line nearest to its points (at, offset).

    None when they span too little time to tell.
    """
    if len(points) < 2 or points[-1][0] - points[0][0] < MIN_SPAN:
        return None
    mean_at = math.fsum(at for at, _ in points) / len(points)
    mean_offset = math.fsum(offset for _, offset in points) / len(points)
    spread = math.fsum((at - mean_at) ** 2 for at, _ in points)
    together = math.fsum((at - mean_at) * (offset - mean_offset) for at, offset in points)
    return together / spread * DAY
