"""The account of a show: expected / read / stored / delivered / wrong / missing per stream, against the meters' truth.

It is drawn up when everything has ended, from three independent sources: the meters' own functions, the daemon's
database file, and what the head-end received.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from dcu.model import Column
from dcu.obis import parse_obis
from sim.headend import Received, Tally
from sim.meter import SimMeter
from sim.truth import expected_times, expected_values

#: Class of a meter's clock (IEC 62056-6-2).
CLOCK = 8

#: Every meter's instantaneous values hold its energy; how often it was given tells how often they were read.
ENERGY = parse_obis("1-0:1.8.0.255")


@dataclass(frozen=True, slots=True)
class Due:
    """What the timetable promised of one stream: captures of `start`..`end` (UTC s, both included).

    `profile` is the profile's logical name, None for instantaneous values. They are due once from every meter, in a
    first sweep that takes as long as the lines need, and once in every round of `every` s that begins after it.
    """

    stream: str
    start: int
    end: int
    profile: bytes | None = None
    every: int = 0


@dataclass(slots=True)
class Line:
    """One line of the account. `read` counts rows the meters gave out, repeats included; the others count captures."""

    stream: str
    expected: int = 0
    read: int = 0
    stored: int = 0
    delivered: int = 0
    wrong: int = 0
    missing: int = 0

    @property
    def good(self) -> bool:
        return not self.wrong and not self.missing and self.stored == self.delivered


#: Captures of one stream of one meter that came to the head-end.
_Captures = Sequence[Received]


def draw_up(meters: Sequence[SimMeter], dues: Sequence[Due], tally: Tally, store: Path) -> list[Line]:
    """Return the account, a line per stream of `dues`."""
    came: dict[tuple[str, str], list[Received]] = {}
    for received in (*tally.captures.values(), *tally.again, *tally.events):
        came.setdefault((received.meter, received.stream), []).append(received)
    lines = [_line(due, meters, came) for due in dues]
    stored = _stored(store)
    for line in lines:
        line.stored = stored.get(line.stream, 0)
    if lines:
        lines[0].wrong += tally.conflicts + tally.doubled + len(tally.dropped)
    return lines


def _line(due: Due, meters: Sequence[SimMeter], came: Mapping[tuple[str, str], _Captures]) -> Line:
    line = Line(due.stream)
    firsts = [min(map(_read, captures)) for each in meters if (captures := came.get((each.id, due.stream)))]
    swept = max(firsts, default=due.start)
    for meter in meters:
        captures = came.get((meter.id, due.stream), [])
        line.delivered += len(captures)
        line.read += meter.given[due.profile or ENERGY]
        line.wrong += sum(not right(meter, capture, due.profile) for capture in captures)
        expected, missing = _rows(meter, due, captures) if due.profile else _rounds(due, captures, swept)
        line.expected += expected
        line.missing += missing
    return line


def right(meter: SimMeter, capture: Received, profile: bytes | None) -> bool:
    """Whether `capture` is what the meter held: its values and units, and in a profile that it captured just then."""
    if len(capture.columns) != len(capture.values):
        return False
    own = [(column, value) for column, value in zip(capture.columns, capture.values, strict=True) if not _box(column)]
    columns = [_column(column) for column, _ in own]
    if profile is not None and not expected_times(meter, profile, capture.at, capture.at):
        return False
    if not all(_described(meter, column) for column in columns):
        return False
    try:
        return expected_values(meter, columns, capture.at) == tuple(value for _, value in own)
    except KeyError:  # a column that the meter does not have
        return False


def _box(column: Mapping[str, object]) -> bool:
    """Whether a column is the box's own: since when an event lasted. A meter's time is that of its capture."""
    return column["class"] == CLOCK


def _described(meter: SimMeter, column: Column) -> bool:
    """Whether scaler and unit are those of the register; without them an integer means nothing."""
    register = meter.registers.get(column.name)
    return (column.scaler, column.unit) == ((register.scaler, register.unit) if register else (0, 255))


def _column(column: Mapping[str, object]) -> Column:
    class_id, index, scaler, unit = (column[key] for key in ("class", "attribute", "scaler", "unit"))
    assert isinstance(class_id, int)
    assert isinstance(index, int)
    assert isinstance(scaler, int)
    assert isinstance(unit, int)
    return Column(class_id, parse_obis(str(column["object"])), index, scaler=scaler, unit=unit)


def _rows(meter: SimMeter, due: Due, captures: _Captures) -> tuple[int, int]:
    assert due.profile is not None
    times = expected_times(meter, due.profile, due.start, due.end)
    return len(times), len(set(times) - {capture.at for capture in captures})


def _read(capture: Received) -> float:
    """Return when a moment was read, by the box's clock (UTC s)."""
    return capture.at - (capture.offset or 0.0)


def _rounds(due: Due, captures: _Captures, swept: float) -> tuple[int, int]:
    """Count the first sweep, and the rounds that began after it had `swept` the last meter."""
    seen = {int(_read(capture) // due.every) for capture in captures}
    rounds = range(int(swept // due.every) + 1, due.end // due.every)
    return 1 + len(rounds), (not captures) + sum(number not in seen for number in rounds)


def _stored(store: Path) -> dict[str, int]:
    """Count the captures of each stream in the daemon's database, opened read-only as a stranger would."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as database:
        return dict(database.execute("SELECT stream, captures FROM holdings"))
