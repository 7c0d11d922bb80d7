"""What decoded values mean: scaler and unit, captured columns, profile rows, units by their symbols (IEC 62056-6-2).

Octets are `axdr`'s; which objects a meter has is the companion profile's.
"""

from collections.abc import Sequence
from json import dumps
from typing import Any, Final, cast

from dcu.dlms import axdr
from dcu.dlms.axdr import BitString
from dcu.dlms.moment import DATE_TIME_SIZE, DateTime, instant
from dcu.errors import MeterError, excerpt
from dcu.model import Column, Value

CLOCK_CLASS: Final = 8
#: The date of the most recent billing period, 0-0:0.1.2.255 (IEC 62056-6-1).
BILLING_DATE: Final = b"\x00\x00\x00\x01\x02\xff"
#: Columns of one profile; the widest known billing profiles have about 60.
MAX_COLUMNS: Final = 128
_LOGICAL_NAME_SIZE: Final = 6

#: One row without its clock column: UTC seconds, clock status, the other values in column order.
Row = tuple[int, int, tuple[Value, ...]]

_VALUE_TYPES: Final = frozenset({int, float, str, bytes, bool, type(None)})

#: Symbols of the unit codes (IEC 62056-6-2, 4.3.2, scal_unit_type); 255 is a pure number.
UNITS: Final = {
    1: "a",
    2: "mo",
    3: "wk",
    4: "d",
    5: "h",
    6: "min",
    7: "s",
    8: "°",
    9: "°C",
    10: "currency",
    11: "m",
    12: "m/s",
    13: "m³",
    14: "m³",
    15: "m³/h",
    16: "m³/h",
    17: "m³/d",
    18: "m³/d",
    19: "l",
    20: "kg",
    21: "N",
    22: "Nm",
    23: "Pa",
    24: "bar",
    25: "J",
    26: "J/h",
    27: "W",
    28: "VA",
    29: "var",
    30: "Wh",
    31: "VAh",
    32: "varh",
    33: "A",
    34: "C",
    35: "V",
    36: "V/m",
    37: "F",
    38: "Ω",
    39: "Ωm²/m",
    40: "Wb",
    41: "T",
    42: "A/m",
    43: "H",
    44: "Hz",
    45: "1/(Wh)",
    46: "1/(varh)",
    47: "1/(VAh)",
    48: "V²h",
    49: "A²h",
    50: "kg/s",
    51: "S",
    52: "K",
    53: "1/(V²h)",
    54: "1/(A²h)",
    55: "1/m³",
    56: "%",
    57: "Ah",
    60: "Wh/m³",
    61: "J/m³",
    62: "mol%",
    63: "g/m³",
    64: "Pa s",
    65: "J/kg",
    66: "g/cm²",
    67: "atm",
    70: "dBm",
    71: "dBµV",
    72: "dB",
    254: "other",
    255: "",
}


def decode_scaler_unit(value: Any) -> tuple[int, int]:
    """Return scaler and unit code of a decoded scal_unit_type; MeterError when it is none."""
    match value:
        case [int(scaler), int(unit)] if -128 <= scaler <= 127 and 0 <= unit <= 255:
            return scaler, unit
        case _:
            raise MeterError(f"not a scaler and unit: {excerpt(value)}")


def decode_capture_objects(value: Any) -> tuple[Column, ...]:
    """Return the columns of a decoded capture_objects, scaler and unit not known yet (0, 255); or MeterError."""
    if not isinstance(value, list) or len(value) > MAX_COLUMNS:
        raise MeterError(f"capture objects are no list of up to {MAX_COLUMNS}")
    return tuple(map(_column, value))


def _column(definition: Any) -> Column:
    match definition:
        case [int(class_id), bytes(name), int(index), int(data_index)] if len(name) == _LOGICAL_NAME_SIZE:
            return Column(class_id, name, index, data_index)
        case _:
            raise MeterError(f"not a capture object: {excerpt(definition)}")


def decode_compact_data(buffer: bytes, template: bytes, template_id: int) -> list[Any]:
    """Return the values in the compact_buffer of a CompactData, the template's number first (62056-6-2, class 62).

    `template` is its template_description: the TypeDescription of a structure, which the buffer fills without tags, as
    in a compact array. MeterError when they do not fit each other, or the buffer was written under another template.
    """
    if template[:1] != bytes((axdr.STRUCTURE,)):
        raise MeterError(f"template {template[:8].hex()} describes no structure")
    values: list[Any] = axdr.decode_contents(template, buffer)
    if not values or values[0] != template_id:
        raise MeterError(f"compact buffer was not written under template {template_id}")
    return values


def clock_column(columns: Sequence[Column]) -> int | None:
    """Return which column holds the time of a row, None when no column does.

    That is the clock, or, in billing profiles without it, the date at which the billing period ended.
    """
    times = [at for at, column in enumerate(columns) if (column.class_id, column.index) == (CLOCK_CLASS, 2)]
    times += [at for at, column in enumerate(columns) if (column.name, column.index) == (BILLING_DATE, 2)]
    return times[0] if times else None


def value_columns(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Return the columns that the values of `profile_rows` belong to: all but the clock."""
    clock = clock_column(columns)
    return tuple(column for at, column in enumerate(columns) if at != clock)


def profile_rows(buffer: Any, columns: Sequence[Column], period: int | None) -> tuple[list[Row], int]:
    """Return the rows of a decoded profile buffer, and how many others were too bad to use.

    Null-data stands for the value above it, and in the clock column for the time above it plus `period` seconds
    (IEC 62056-6-2, 4.3.6, buffer). A bad row has another width than `columns`, or no time that exists, or nulls
    that refer to nothing known. MeterError when `buffer` is no list or no column is a clock.
    """
    clock = clock_column(columns)
    if clock is None or not isinstance(buffer, list):
        raise MeterError("profile without a clock column, or without rows")
    table = _Table(len(columns), clock, period)
    rows = [complete for row in buffer if (complete := table.row(row)) is not None]
    return rows, len(buffer) - len(rows)


def bad_times(buffer: Sequence[Any], columns: Sequence[Column], period: int) -> list[int]:
    """Return when those rows were captured, most likely, that `profile_rows` cannot use of a `buffer` it has read.

    One follows the other by `period` seconds: each is that much later than the row above, or earlier than the next good
    one. Where no row is good, nobody knows.
    """
    clock = clock_column(columns)
    assert clock is not None
    table = _Table(len(columns), clock, period)
    complete = (table.row(row) for row in buffer)
    known = [None if row is None else row[0] for row in complete]
    forward = _counted_on(known, period)
    back = _counted_on(known[::-1], -period)[::-1]
    return [at for good, at in zip(known, map(_either, forward, back), strict=True) if good is None and at is not None]


def even(buffer: Sequence[Any], columns: Sequence[Column], period: int, end: int) -> bool:
    """Whether the rows without a time in a `buffer` that `profile_rows` has read may lie `period` seconds apart.

    They do not when the last of them comes out later than `end` (UTC seconds), up to which was read, or so long before
    it that another must have followed; nor when a row below them tells a time that is less than a period later.
    """
    clock = clock_column(columns)
    assert clock is not None
    times = [row[clock] if type(row) is list and len(row) == len(columns) else b"" for row in buffer]
    if None not in times:
        return True
    at: int | None = None
    counted = False
    for time in times:
        above, at = at, _next(at, time, period)
        if time is None:
            counted = at is not None
        elif counted and above is not None and at is not None and at - above < period:
            return False
        else:
            counted = False
    return not counted or at is None or end - period < at <= end + 1  # a second that is not over counts as read too


def _next(above: int | None, time: Any, period: int) -> int | None:
    """Return when a row was captured that tells `time`, or is `period` seconds younger than the one `above` it."""
    if time is not None:
        return _instant(time)[0]
    return None if above is None else above + period


def _counted_on(known: Sequence[int | None], step: int) -> list[int | None]:
    """Return `known` times with those that are not counted on from the one before."""
    found: list[int | None] = []
    at: int | None = None
    for each in known:
        at = each if each is not None or at is None else at + step
        found.append(at)
    return found


def _either(one: int | None, other: int | None) -> int | None:
    return other if one is None else one


class _Table:
    """What a compressed row refers to: the values above it, or None when they are not known, and the time above it."""

    __slots__ = ("above", "at", "clock", "period", "status", "width")

    def __init__(self, width: int, clock: int, period: int | None) -> None:
        self.width = width
        self.clock = clock
        self.period = period
        self.above: list[Any] | None = [None] * width  # above the first row a null is a value that was not captured
        self.at: int | None = None
        self.status = 0

    def row(self, row: Any) -> Row | None:
        """Return the complete row, None when it cannot be used."""
        if type(row) is not list or len(row) != self.width:
            self.above = self.at = None
            return None
        time = row[self.clock]
        if time is not None:
            self.at, self.status = _instant(time)
        elif self.at is not None:
            self.at = self.at + self.period if self.period else None
        if None in row:
            row = self.complete(row)
        self.above = row
        if self.at is None or row is None:
            return None
        values = row[: self.clock] + row[self.clock + 1 :]
        # nearly every row holds plain values only: one test for all of them is cheaper than one call for each
        if not _VALUE_TYPES.issuperset(map(type, values)):
            values = map(plain, values)
        return self.at, self.status, tuple(values)

    def complete(self, row: list[Any]) -> list[Any] | None:
        """Return `row` with its nulls replaced by the values above them, None when those are not known."""
        if self.above is None:
            values = row[: self.clock] + row[self.clock + 1 :]
            return None if None in values else row
        return [old if new is None else new for new, old in zip(row, self.above, strict=True)]


def _instant(time: Any) -> tuple[int | None, int]:
    """Return UTC seconds (None when there is no such moment) and status of a date-time in either encoding."""
    if type(time) is bytes and len(time) == DATE_TIME_SIZE:
        return instant(time)
    return (time.utc(), time.status) if isinstance(time, DateTime) else (None, 0)


def plain(value: Any) -> Value:
    """Return what a capture stores: numbers, text and octets as they are, a bit-string as 0s and 1s, a list as JSON."""
    if type(value) in _VALUE_TYPES:
        return cast("Value", value)
    if isinstance(value, BitString):
        return str(value)
    if isinstance(value, DateTime):
        return value.to_bytes()
    return dumps(_listed(value), default=bytes.hex, separators=(",", ":"))


def _listed(values: list[Any]) -> list[Any]:
    """Return `values` with each in its own form: JSON would take a bit-string or a date-time for a list."""
    return [_listed(value) if type(value) is list else plain(value) for value in values]
