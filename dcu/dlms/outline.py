"""An indented account of octets for a person: the lines, the octets still to be told, and Data with its type names.

What an APDU is made of is in `narrate`, frames and ciphering around it in `explain`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from dcu.dlms import axdr
from dcu.dlms.axdr import read_length
from dcu.dlms.cosem import UNITS
from dcu.dlms.moment import DATE_TIME_SIZE, DateTime
from dcu.dlms.names import CLASSES, TYPES, moment_text, object_name
from dcu.errors import MeterError
from dcu.obis import format_obis

#: Lines of one account: a month of hourly rows; nobody reads more.
MAX_LINES: Final = 20_000
#: Octets of one value shown in full.
_SHOWN: Final = 64
_NAME_SIZE: Final = 6
_NESTED: Final = {axdr.ARRAY, axdr.STRUCTURE}
_DESCRIBED: Final = {2: "scaler and unit", 4: "capture object"}


class Outline:
    """Lines, each as deep as what it is part of. `good` is False once something could not be understood."""

    def __init__(self) -> None:
        self.good = True
        self._lines: list[str] = []
        self._depth = 0

    def __str__(self) -> str:
        return "\n".join(self._lines)

    def say(self, text: str) -> None:
        """Add a line; MeterError beyond MAX_LINES."""
        if len(self._lines) == MAX_LINES:
            raise MeterError(f"more than {MAX_LINES} lines")
        self._lines.append("  " * self._depth + text)

    def protest(self, text: str) -> None:
        """Add a line about what is wrong."""
        self.good = False
        # beyond the last line still: whoever was cut short has to be told
        self._lines.append("  " * self._depth + f"! {text}")

    @contextmanager
    def part(self, text: str) -> Iterator[None]:
        """Say `text`, and what is said inside one level deeper."""
        self.say(text)
        depth, self._depth = self._depth, self._depth + 1
        try:
            yield
        finally:
            self._depth = depth

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Turn a MeterError inside into a line, at the depth it came from."""
        depth = self._depth
        try:
            yield
        except MeterError as error:
            self.protest(f"cannot be understood: {error}")
        finally:
            self._depth = depth


class Octets:
    """What is still to be told, from front to back. Every method raises MeterError where the octets end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    @property
    def left(self) -> int:
        return len(self.data) - self.at

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise MeterError(f"truncated: {count} octets wanted, {self.left} left")
        self.at += count
        return self.data[self.at - count : self.at]

    def rest(self) -> bytes:
        return self.take(self.left)

    def number(self, size: int = 1) -> int:
        return int.from_bytes(self.take(size))

    def length(self) -> int:
        try:
            length, self.at = read_length(self.data, self.at)
        except IndexError:
            raise MeterError("truncated inside a length") from None
        return length

    def sized(self) -> bytes:
        """Take a length and that many octets."""
        return self.take(self.length())

    def flag(self) -> bool:
        """Take the octet before something optional."""
        return bool(self.number())


def octets_text(data: bytes) -> str:
    shown = data[:_SHOWN].hex(" ")
    return f"{shown} … ({len(data)} octets)" if len(data) > _SHOWN else shown or "(none)"


def name_text(name: bytes) -> str:
    known = object_name(name)
    return format_obis(name) + (f" ({known})" if known else "")


def class_text(class_id: int) -> str:
    return f"class {class_id} {CLASSES.get(class_id, '(unknown)')}"


def data_lines(out: Outline, octets: Octets, label: str = "") -> None:
    """Tell one Data; MeterError under the same bounds as `axdr.decode`."""
    # decoded first: all counts, lengths and depths have their bounds there
    axdr.decode(octets.data, octets.at)
    _element(out, octets, f"{label}: " if label else "")


def _element(out: Outline, octets: Octets, label: str) -> None:
    tag = octets.data[octets.at]
    if tag in _NESTED:
        octets.take(1)
        _nested(out, octets, f"{label}{TYPES[tag]}", tag)
        return
    value, octets.at = axdr.decode(octets.data, octets.at)
    if tag == axdr.COMPACT_ARRAY:
        with out.part(f"{label}compact-array of {len(value)}"):
            for item in value:
                out.say(str(item))
        return
    out.say(f"{label}{TYPES[tag]}{value_text(tag, value)}")


def _nested(out: Outline, octets: Octets, title: str, tag: int) -> None:
    count, start = octets.length(), octets.at
    meaning = _meaning(octets.data, start, count) if tag == axdr.STRUCTURE else ""
    with out.part(f"{title} of {count}{meaning}"):
        for _ in range(count):
            _element(out, octets, "")


def _meaning(data: bytes, start: int, count: int) -> str:
    """Return what a structure means when its types give it away: a scaler with its unit, a captured object."""
    if count not in _DESCRIBED:
        return ""
    tags, values, at = [], [], start
    for _ in range(count):
        tags.append(data[at])
        value, at = axdr.decode(data, at)
        values.append(value)
    match tags, values:
        case [[axdr.INTEGER, axdr.ENUM], [scaler, unit]]:
            return f": scaler 10^{scaler}, unit {UNITS.get(unit, unit) or 'none'}"
        case [[axdr.LONG_UNSIGNED, axdr.OCTET_STRING, axdr.INTEGER, axdr.LONG_UNSIGNED], [class_id, name, index, _]]:
            return f": {class_text(class_id)} {name_text(name)} attribute {index}" if len(name) == _NAME_SIZE else ""
        case _:
            return ""


def value_text(tag: int, value: Any) -> str:
    """Return a space and a decoded value that is neither array nor structure, as a person wants it."""
    if value is None:
        return ""
    if isinstance(value, DateTime):
        return f" {moment_text(value)}"
    if tag == axdr.OCTET_STRING:
        return f" {octets_text(value)}{_guess(value)}"
    if tag in {axdr.VISIBLE_STRING, axdr.UTF8_STRING}:
        return f" {value!a}"
    return f" {value.hex(' ') if isinstance(value, bytes) else value}"


def _guess(value: bytes) -> str:
    """Return what an octet-string most likely is: twelve octets a date-time, six a logical name, else perhaps text."""
    if len(value) == DATE_TIME_SIZE and (moment := DateTime.from_bytes(value)).month in {
        *range(1, 13),
        0xFD,
        0xFE,
        0xFF,
    }:
        return f" = {moment_text(moment)}"
    if len(value) == _NAME_SIZE and value[5] == 0xFF:
        return f" = {name_text(value)}"
    if value and all(0x20 <= octet < 0x7F for octet in value):
        return f" = {value.decode('ascii')!r}"
    return ""
