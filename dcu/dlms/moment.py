"""The COSEM date-time: twelve octets, wildcards, deviation, and the UTC second they mean (IEC 62056-6-2, 4.1.6.1).

No clock is read here; `dcu.clock` owns wall time and the arithmetic that does not end in 2038.
"""

from datetime import date
from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple

from dcu.clock import DAY, EPOCH, utc
from dcu.errors import MeterError

DATE_TIME_SIZE: Final = 12
_DATE_TIME: Final = Struct(">HBBBBBBBhB")
_UNSPECIFIED_DEVIATION: Final = -0x8000
_WILDCARD: Final = 0xFF
#: A meter that shows another year does not know the time. The deviation moves it by three weeks at most, so what is
#: taken for a moment can always be written down.
_YEARS: Final = range(1970, 9000)
#: Ordinals count days from year 1, so no 32-bit time_t is involved (2038).
_EPOCH_DAY: Final = EPOCH.toordinal()


class DateTime(NamedTuple):
    """A COSEM date-time (IEC 62056-6-2, 4.1.6.1): 0xFFFF and 0xFF are wildcards.

    `deviation` is minutes from local time to UTC (local = UTC - deviation: -60 for CET), None when not specified;
    `status` is the clock status octet (bit 0 invalid, 1 doubtful, 7 daylight saving; 0xFF not specified).
    """

    year: int
    month: int
    day: int
    weekday: int
    hour: int
    minute: int
    second: int
    hundredths: int
    deviation: int | None
    status: int

    @classmethod
    def from_bytes(cls, data: bytes) -> "DateTime":
        """Return the date-time of twelve octets; MeterError for any other length."""
        if len(data) != DATE_TIME_SIZE:
            raise MeterError(f"date-time has {len(data)} octets, not 12")
        moment = cls(*_DATE_TIME.unpack(data))
        return moment._replace(deviation=None) if moment.deviation == _UNSPECIFIED_DEVIATION else moment

    @classmethod
    def from_utc(cls, seconds: int, deviation: int = 0, status: int = 0) -> "DateTime":
        """Return the local date-time `deviation` minutes west of UTC at `seconds` since 1970."""
        local = utc(seconds - deviation * 60)
        day = (local.year, local.month, local.day, local.isoweekday())
        return cls(*day, local.hour, local.minute, local.second, 0, deviation, status)

    def to_bytes(self) -> bytes:
        """Return the twelve octets."""
        deviation = _UNSPECIFIED_DEVIATION if self.deviation is None else self.deviation
        return _DATE_TIME.pack(*self[:8], deviation, self.status)

    def utc(self) -> int | None:
        """Return UTC seconds since 1970, or None: a field is a wildcard, no such moment exists, or it is beyond belief.

        A meter that specifies no deviation is taken to keep UTC; a wildcard second counts as 0.
        """
        return instant(self.to_bytes())[0]


def instant(data: bytes) -> tuple[int | None, int]:
    """Return `utc()` and status of twelve octets without building the date-time: the road of every profile row."""
    year, month, day, _, hour, minute, second, _, deviation, status = _DATE_TIME.unpack(data)
    if second == _WILDCARD:  # billing dates leave the second open
        second = 0
    midnight = _midnight(year, month, day)
    if midnight is None or hour > 23 or minute > 59 or second > 59:
        return None, status
    if deviation == _UNSPECIFIED_DEVIATION:
        deviation = 0
    return midnight + hour * 3600 + (minute + deviation) * 60 + second, status


# a profile of a month has thirty days in three thousand rows
@lru_cache(maxsize=512)
def _midnight(year: int, month: int, day: int) -> int | None:
    """Return seconds since 1970 at the start of a day, None when there is no such day, or none in _YEARS."""
    if year not in _YEARS:
        return None
    try:
        return (date(year, month, day).toordinal() - _EPOCH_DAY) * DAY
    except ValueError:
        return None
