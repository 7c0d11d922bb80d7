"""Wall and monotonic time behind one replaceable object, and UTC arithmetic that does not end in 2038.

Time-outs and schedules run on `monotonic()`; wall time (`now()`) is a sensor that can be wrong and only labels
things. Dates are `EPOCH + timedelta`: `gmtime` and `fromtimestamp` fail after 2038 where `time_t` has 32 bits.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: Seconds.
DAY = 86_400

#: The first and the last second that have a date.
EARLIEST = (datetime(1, 1, 1, tzinfo=UTC) - EPOCH).total_seconds()
LATEST = (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC) - EPOCH).total_seconds()

#: A wall clock before this date was never set; nothing collected under it can be labelled.
PLAUSIBLE_SINCE = (datetime(2025, 1, 1, tzinfo=UTC) - EPOCH).total_seconds()


#: A clock that is on its own may move by so much (s) against monotonic time; by more, somebody has set it.
SETTLED = 2.0


class ClockState(StrEnum):
    """Whether wall time may label readings, and why."""

    SYNCHRONISED = "synchronised"
    HOLDOVER = "holdover"
    PLAUSIBLE = "plausible"
    UNSYNCHRONISED = "not synchronised"
    UNSET = "never set"

    @property
    def trusted(self) -> bool:
        return self not in {ClockState.UNSYNCHRONISED, ClockState.UNSET}


class Clock(Protocol):
    """What the flows are handed. Times in seconds; `now` counts UTC seconds since 1970."""

    def now(self) -> float:
        """UTC seconds since 1970-01-01."""

    def monotonic(self) -> float:
        """Seconds that never jump; on the event loop's own time base."""

    def trusted(self) -> bool:
        """Whether wall time may label readings."""

    def state(self) -> ClockState:
        """Why it may, or why not."""


@dataclass(frozen=True, slots=True)
class Discipline:
    """When the clock was synchronised last (monotonic s), and what wall time was ahead of monotonic time then."""

    at: float
    ahead: float


class SystemClock:
    """The clock of the operating system.

    `synchronised` asks whether something disciplines it; without, any date that can be right is trusted. A clock that
    was disciplined is trusted for `holdover` seconds more, unless somebody sets it; `last` is when that was.
    """

    def __init__(
        self, synchronised: Callable[[], bool] | None = None, holdover: float = 0.0, last: Discipline | None = None
    ) -> None:
        self._synchronised = synchronised
        self._holdover = holdover
        self.last = last

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def trusted(self) -> bool:
        return self.state().trusted

    def state(self) -> ClockState:
        now, wall = self.monotonic(), self.now()
        if wall < PLAUSIBLE_SINCE:
            return ClockState.UNSET
        if self._synchronised is None:
            return ClockState.PLAUSIBLE
        if self._synchronised():
            self.last = Discipline(now, wall - now)
            return ClockState.SYNCHRONISED
        last = self.last
        # a time before `last` is that of another boot
        held = last is not None and 0 <= now - last.at <= self._holdover and abs(wall - now - last.ahead) < SETTLED
        return ClockState.HOLDOVER if held else ClockState.UNSYNCHRONISED


def utc(seconds: float) -> datetime:
    """Return the UTC date-time `seconds` after 1970."""
    return EPOCH + timedelta(seconds=seconds)


def seconds(moment: datetime) -> float:
    """Return the seconds since 1970 of an aware date-time."""
    return (moment - EPOCH).total_seconds()


def iso(moment: float) -> str:
    """Return `moment` (UTC seconds) as 2026-01-31T12:00:00Z; a fraction is shown in milliseconds.

    Never raises: what has no date, because a store kept what it should not have, is shown as the nearest that has one.
    """
    moment = min(max(moment, EARLIEST), LATEST)
    text = utc(moment).isoformat(timespec="seconds" if float(moment).is_integer() else "milliseconds")
    return text.replace("+00:00", "Z")
