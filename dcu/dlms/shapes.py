"""The shapes of COSEM attributes: how a decoded value and its plain, JSON-able form turn into each other.

Which attribute has which shape is in `rarities`; octets are `axdr`'s.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, NamedTuple, Protocol

from dcu.dlms.axdr import BitString, DateTime
from dcu.dlms.names import part_text
from dcu.obis import format_obis, parse_obis

#: What a value of another shape raises.
MISFITS: Final = (TypeError, ValueError, LookupError, AttributeError)


class MisfitError(ValueError):
    """A plain value has another shape; `str` says where in it, and perhaps what was expected."""


class Shape(Protocol):
    """How a decoded value and its plain form turn into each other; TypeError, ValueError or LookupError if not."""

    def plain(self, value: Any) -> Any:
        """Return the JSON-able form of a decoded value."""

    def decoded(self, value: Any) -> Any:
        """Return the decoded value of a plain one."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value in one piece, by the two functions that turn it."""

    plain: Callable[[Any], Any]
    decoded: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Listed:
    """An array of one shape; null-data is an empty one."""

    item: Shape

    def plain(self, value: Any) -> Any:
        return [self.item.plain(item) for item in checked(value or [], list)]

    def decoded(self, value: Any) -> Any:
        return [_inside(f"[{at}]", self.item, item) for at, item in enumerate(checked(value, list))]


@dataclass(frozen=True, slots=True)
class Either:
    """What has one shape or another, by the version of the class or by what it says: the first that fits."""

    shapes: tuple[Shape, ...]

    def plain(self, value: Any) -> Any:
        return self._first([shape.plain for shape in self.shapes], value)

    def decoded(self, value: Any) -> Any:
        return self._first([shape.decoded for shape in self.shapes], value)

    def _first(self, turns: list[Callable[[Any], Any]], value: Any) -> Any:
        for turn in turns[:-1]:
            with suppress(*MISFITS):
                return turn(value)
        return turns[-1](value)


class Fields:
    """A structure, its elements in the order of their words."""

    def __init__(self, **fields: Shape) -> None:
        self._fields = fields

    def plain(self, value: Any) -> Any:
        pairs = zip(self._fields.items(), checked(value, list), strict=True)
        return {word: shape.plain(item) for (word, shape), item in pairs}

    def decoded(self, value: Any) -> Any:
        if set(checked(value, dict)) != set(self._fields):
            raise MisfitError(f" (expected {', '.join(self._fields)})")
        return [_inside(f".{word}", shape, value[word]) for word, shape in self._fields.items()]


def _inside(where: str, shape: Shape, value: Any) -> Any:
    """Return the decoded part at `where`; a misfit in it is told with its place."""
    try:
        return shape.decoded(value)
    except MisfitError as misfit:
        raise MisfitError(f"{where}{misfit}") from None
    except MISFITS:
        raise MisfitError(where) from None


def checked(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError
    return value


def _number(value: Any) -> Any:
    if type(value) not in {int, float, bool}:
        raise TypeError
    return value


def _any(value: Any) -> Any:
    """Return any decoded value as plain ones."""
    if isinstance(value, list):
        return [_any(item) for item in value]
    if isinstance(value, BitString):
        return str(value)
    if isinstance(value, DateTime):
        return _moment(value)
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def _free(value: Any) -> Any:
    """Return a decoded value whose type the value itself has to tell."""
    if isinstance(value, dict):
        return bytes.fromhex(value["hex"])
    if type(value) not in {int, float, bool, str, type(None)}:
        raise TypeError
    return value


def _nothing(value: Any) -> None:
    if value is not None:
        raise TypeError


def _plain_octets(value: Any) -> Any:
    if isinstance(value, str):
        return value
    raw = checked(value, bytes)
    readable = raw and all(0x20 <= octet < 0x7F for octet in raw)
    return raw.decode("ascii") if readable else {"hex": raw.hex()}


def octets(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes.fromhex(checked(value, dict)["hex"])


def _bits(value: Any) -> BitString:
    return BitString(int(checked(value, str), 2), len(value))


_WILDCARD: Final = 0xFF
_DATE: Final = re.compile(r"(\*|\d{4})-(\*|\d{1,3})-(\*|\d{1,3})(?:/(\d))?")
_TIME: Final = re.compile(r"(\*|\d\d):(\*|\d\d):(\*|\d\d)(?:\.(\d\d))?")
_ZONE: Final = re.compile(r"([+-])(\d\d):(\d\d)")


class _Part(NamedTuple):
    """A field of a date or time besides the year: what it is called, and what it may hold (IEC 62056-6-2, 4.1.6.1)."""

    word: str
    allowed: frozenset[int]
    expected: str

    def octet(self, text: str | None) -> int:
        if text in {"*", None}:
            return _WILDCARD
        if int(str(text)) not in self.allowed:
            raise MisfitError(f" (expected {self.word} {self.expected}, or *)")
        return int(str(text))


def _part(word: str, least: int, most: int, *codes: int) -> _Part:
    more = "".join(f", {code}" for code in codes)
    return _Part(word, frozenset((*range(least, most + 1), *codes)), f"{least} to {most}{more}")


#: Months 253 and 254 are those in which summer time ends and begins, days 253 and 254 the last but one and the last.
_OF_DATE: Final = (_part("month", 1, 12, 253, 254), _part("day", 1, 31, 253, 254), _part("weekday", 1, 7))
_OF_TIME: Final = tuple(_part(word, 0, most) for word, most in (("hour", 23), ("minute", 59), ("second", 59)))
_HUNDREDTHS: Final = _part("hundredths", 0, 99)

#: Minutes that local time may be from UTC at most (deviation).
_FARTHEST: Final = 14 * 60

#: A leap year, for a date of any year.
_ANY_YEAR: Final = 2000


def _plain_date(value: Any) -> str:
    """Return a date as Y-M-D[/weekday] with * for any."""
    month, day, weekday = checked(value, bytes)[2:]
    text = "-".join((part_text(int.from_bytes(value[:2]), 0xFFFF, 4), part_text(month), part_text(day)))
    return text if weekday == _WILDCARD else f"{text}/{weekday}"


def _date(text: Any) -> bytes:
    year, *rest = _match(_DATE, text, "a date such as 2026-12-31, with * for any")
    month, day, weekday = (part.octet(word) for part, word in zip(_OF_DATE, rest, strict=True))
    number = 0xFFFF if year == "*" else int(str(year))
    _exists(_ANY_YEAR if year == "*" else number, month, day)
    return number.to_bytes(2) + bytes((month, day, weekday))


def _exists(year: int, month: int, day: int) -> None:
    """Raise MisfitError for 31 June; where month or day is a code there is nothing to say."""
    if month > 12 or day > 31:
        return
    try:
        date(year, month, day)
    except ValueError:
        raise MisfitError(" (expected a day that there is)") from None


def _plain_time(value: Any) -> str:
    """Return a time as H:M:S[.hundredths] with * for any."""
    hour, minute, second, hundredths = checked(value, bytes)
    text = ":".join(map(part_text, (hour, minute, second)))
    return text if hundredths == _WILDCARD else f"{text}.{hundredths:02d}"


def _time(text: Any) -> bytes:
    words = _match(_TIME, text, "a time such as 23:59:59, with * for any")
    return bytes(part.octet(word) for part, word in zip((*_OF_TIME, _HUNDREDTHS), words, strict=True))


def _match(pattern: re.Pattern[str], text: Any, expected: str) -> tuple[str | None, ...]:
    found = pattern.fullmatch(checked(text, str))
    if found is None:
        raise MisfitError(f" (expected {expected})")
    return found.groups()


def _moment(value: Any) -> str | None:
    """Return a date-time as date, time, offset from UTC where it is known, and status in hexadecimal where it is."""
    if not value:
        return None  # a moment that was never set
    moment = value if isinstance(value, DateTime) else DateTime.from_bytes(checked(value, bytes))
    raw = moment.to_bytes()
    words = [_plain_date(raw[:5]), _plain_time(raw[5:9])]
    if moment.deviation is not None:
        hours, minutes = divmod(abs(moment.deviation), 60)
        words.append(f"{'-' if moment.deviation > 0 else '+'}{hours:02d}:{minutes:02d}")
    return " ".join([*words, f"status={moment.status:02x}"] if moment.status != _WILDCARD else words)


def _date_time(text: Any) -> bytes:
    day, time, *rest = checked(text, str).split(" ")
    status = int(rest.pop().removeprefix("status="), 16) if rest and rest[-1].startswith("status=") else _WILDCARD
    deviation = _deviation(*rest) if rest else -0x8000
    return _date(day) + _time(time) + deviation.to_bytes(2, signed=True) + bytes((status,))


def _deviation(zone: str) -> int:
    """Return minutes from local time to UTC."""
    sign, hours, minutes = _match(_ZONE, zone, "an offset from UTC such as +01:00")
    east = int(str(hours)) * 60 + int(str(minutes))
    if east > _FARTHEST or int(str(minutes)) > 59:
        raise MisfitError(" (expected an offset from UTC of at most 14:00)")
    return -east if sign == "+" else east


ANY: Final = Scalar(_any, _number)
FREE: Final = Scalar(_any, _free)
NOTHING: Final = Scalar(_nothing, _nothing)
NUMBER: Final = Scalar(_number, _number)
OCTETS: Final = Scalar(_plain_octets, octets)
NAME: Final = Scalar(lambda value: format_obis(checked(value, bytes)), parse_obis)
DATE: Final = Scalar(_plain_date, _date)
TIME: Final = Scalar(_plain_time, _time)
MOMENT: Final = Scalar(_moment, _date_time)
BITS: Final = Scalar(lambda value: str(checked(value, BitString)), _bits)
TEXT: Final = Scalar(_any, lambda value: checked(value, str))
