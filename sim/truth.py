"""What a reading must be: values and capture times computed from the meter's functions, never through its server.

A test or a demo compares the captures that arrived with these; how they are counted is its own business.
"""

from collections.abc import Sequence

from dcu.model import Column, Value
from sim.meter import SimMeter


def expected_values(meter: SimMeter, columns: Sequence[Column], at: int) -> tuple[Value, ...]:
    """Return the values that a capture of `columns` (clock left out) holds at `at`, UTC seconds of the meter's clock.

    KeyError for a column that the meter has not. The relay is state, not truth: it is no column of any stream.
    """
    return tuple(meter.value(column, at) for column in columns)


def expected_times(meter: SimMeter, profile: bytes, start: int, end: int) -> tuple[int, ...]:
    """Return the capture times in start..end (UTC seconds, both included) of the profile with that logical name."""
    return tuple(meter.times(meter.profiles[profile], start, end))
