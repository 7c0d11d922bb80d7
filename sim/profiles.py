"""The profiles (class 7) of a simulated meter: what each captures, and at which seconds it captured.

What a row holds is computed in `sim.meter`; nothing is ever stored, so a profile of any age is there at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from dcu.clock import seconds, utc
from dcu.model import Attribute
from dcu.obis import parse_obis
from sim.events import LOGS, EventLog
from sim.household import DAY, INSTALLED

CLOCK = parse_obis("0-0:1.0.0.255")

#: What stands first in a row: the clock, or, in the billing of some meters, the date of the period's end.
CLOCK_TIME = Attribute(8, CLOCK)
BILLING_DATE = Attribute(3, parse_obis("0-0:0.1.2.255"))

LOAD_0 = parse_obis("1-0:99.1.0.255")
LOAD_1 = parse_obis("1-0:99.3.0.255")
DAILY = parse_obis("1-0:99.2.0.255")
BILLING = parse_obis("0-0:98.1.0.255")

QUARTER = 900

#: Profile status objects (class 1), each with the seconds that its octet speaks of.
STATUS_LOAD_0 = parse_obis("0-0:96.10.1.255")
STATUS_DAILY = parse_obis("0-0:96.10.2.255")
STATUS_LOAD_1 = parse_obis("0-0:96.10.3.255")
STATUS_PERIODS = {STATUS_LOAD_0: QUARTER, STATUS_DAILY: DAY, STATUS_LOAD_1: QUARTER}


@dataclass(frozen=True, slots=True)
class SimProfile:
    """One profile. `columns` follow the clock, which is always first; `period` in s (0: by month or by event).

    `keep` is how many seconds back its rows reach. Its time column is `time`. A `momentary` one holds one row, of now;
    one of `scalers` holds one without time: scaler and unit of each column.
    """

    name: bytes
    columns: tuple[Attribute, ...]
    period: int
    keep: int
    log: EventLog | None = None
    time: Attribute = CLOCK_TIME
    momentary: bool = False
    scalers: bool = False

    @property
    def capacity(self) -> int:
        """The number of entries it can hold."""
        return self.keep // self.period if self.period else 1024 if self.log else 13

    def times(self, start: int, end: int) -> Sequence[int]:
        """Return the capture times in start..end, both included; those of an event log are in the log instead."""
        if self.momentary or self.scalers:
            return (end,)
        start = max(start, INSTALLED)
        if self.period:
            return range(-(-start // self.period) * self.period, end + 1, self.period)
        return _months(start, end)


def _months(start: int, end: int) -> list[int]:
    """Return the first second of each month in start..end."""
    first = utc(start)
    month = first.year * 12 + first.month - 1
    last = utc(max(end, start))
    starts = []
    for number in range(month, last.year * 12 + last.month):
        year, index = divmod(number, 12)
        starts.append(int(seconds(first.replace(year, index + 1, 1, hour=0, minute=0, second=0, microsecond=0))))
    return [moment for moment in starts if start <= moment <= end]


def _registers(*names: str) -> tuple[Attribute, ...]:
    return tuple(Attribute(3, parse_obis(name)) for name in names)


def _quality(phases: int) -> tuple[Attribute, ...]:
    per_phase = [f"1-0:{quantity + 20 * phase}.7.0.255" for phase in range(phases) for quantity in (32, 31)]
    return _registers(*per_phase, "1-0:13.7.0.255", "1-0:14.7.0.255")


def _profiles(phases: int) -> dict[bytes, SimProfile]:
    energies = _registers("1-0:1.8.0.255", "1-0:2.8.0.255", "1-0:3.8.0.255", "1-0:4.8.0.255")
    tariffs = _registers("1-0:1.8.0.255", "1-0:1.8.1.255", "1-0:1.8.2.255", "1-0:2.8.0.255")
    profiles = (
        SimProfile(LOAD_0, (Attribute(1, STATUS_LOAD_0), *energies), QUARTER, 60 * DAY),
        SimProfile(LOAD_1, (Attribute(1, STATUS_LOAD_1), *_quality(phases)), QUARTER, 30 * DAY),
        SimProfile(DAILY, (Attribute(1, STATUS_DAILY), *tariffs), DAY, 400 * DAY),
        SimProfile(BILLING, tariffs, 0, 400 * DAY),
        *(SimProfile(log.name, (Attribute(1, log.code),), 0, 400 * DAY, log) for log in LOGS),
    )
    return {profile.name: profile for profile in profiles}


#: By number of phases: the profiles of a meter, by logical name.
PROFILES = {phases: _profiles(phases) for phases in (1, 3)}
