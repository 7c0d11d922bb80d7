"""Wall and monotonic time behind one replaceable object, and UTC arithmetic that does not end in 2038.

Time-outs and schedules run on `monotonic()`; wall time (`now()`) is a sensor that can be wrong and only labels
things. Dates are `EPOCH + timedelta`: `gmtime` and `fromtimestamp` fail after 2038 where `time_t` has 32 bits.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: A wall clock before this date was never set; nothing collected under it can be labelled.
PLAUSIBLE_SINCE = (datetime(2025, 1, 1, tzinfo=UTC) - EPOCH).total_seconds()


class Clock(Protocol):
    """What the flows are handed. Times in seconds; `now` counts UTC seconds since 1970."""

    def now(self) -> float:
        """UTC seconds since 1970-01-01."""

    def monotonic(self) -> float:
        """Seconds that never jump; on the event loop's own time base."""

    def trusted(self) -> bool:
        """Whether wall time may label readings."""


class SystemClock:
    """The clock of the operating system."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def trusted(self) -> bool:
        return self.now() >= PLAUSIBLE_SINCE


def utc(seconds: float) -> datetime:
    """Return the UTC date-time `seconds` after 1970."""
    return EPOCH + timedelta(seconds=seconds)


def seconds(moment: datetime) -> float:
    """Return the seconds since 1970 of an aware date-time."""
    return (moment - EPOCH).total_seconds()


def iso(moment: float) -> str:
    """Return `moment` (UTC seconds) as 2026-01-31T12:00:00Z; a fraction is shown in milliseconds."""
    text = utc(moment).isoformat(timespec="seconds" if float(moment).is_integer() else "milliseconds")
    return text.replace("+00:00", "Z")
