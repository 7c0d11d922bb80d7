"""What the attributes and methods of the rare COSEM classes are called and look like (IEC 62056-6-2).

Tables and the shapes they are made of; `rare` reads and writes with them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from dcu.dlms import axdr
from dcu.dlms.axdr import BitString, DateTime, Typed
from dcu.dlms.names import part_text
from dcu.obis import format_obis, parse_obis


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
        return [self.item.plain(item) for item in _checked(value or [], list)]

    def decoded(self, value: Any) -> Any:
        return [self.item.decoded(item) for item in _checked(value, list)]


class Fields:
    """A structure, its elements in the order of their words."""

    def __init__(self, **fields: Shape) -> None:
        self._fields = fields

    def plain(self, value: Any) -> Any:
        pairs = zip(self._fields.items(), _checked(value, list), strict=True)
        return {word: shape.plain(item) for (word, shape), item in pairs}

    def decoded(self, value: Any) -> Any:
        if set(_checked(value, dict)) != set(self._fields):
            raise ValueError
        return [shape.decoded(value[word]) for word, shape in self._fields.items()]


def _checked(value: Any, kind: type) -> Any:
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


def _plain_octets(value: Any) -> Any:
    if isinstance(value, str):
        return value
    raw = _checked(value, bytes)
    readable = raw and all(0x20 <= octet < 0x7F for octet in raw)
    return raw.decode("ascii") if readable else {"hex": raw.hex()}


def _octets(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes.fromhex(_checked(value, dict)["hex"])


def _bits(value: Any) -> BitString:
    return BitString(int(_checked(value, str), 2), len(value))


_WILDCARD: Final = 0xFF
_DATE: Final = re.compile(r"(\*|\d{4})-(\*|\d{1,3})-(\*|\d{1,3})(?:/(\d))?")
_TIME: Final = re.compile(r"(\*|\d\d):(\*|\d\d):(\*|\d\d)(?:\.(\d\d))?")
_ZONE: Final = re.compile(r"([+-])(\d\d):(\d\d)")


def _octet(text: str | None) -> int:
    return _WILDCARD if text in {"*", None} else int(str(text))


def _plain_date(value: Any) -> str:
    """Return a date as Y-M-D[/weekday] with * for any; month 253 and 254, day 253 and 254 are the standard's codes."""
    month, day, weekday = _checked(value, bytes)[2:]
    text = "-".join((part_text(int.from_bytes(value[:2]), 0xFFFF, 4), part_text(month), part_text(day)))
    return text if weekday == _WILDCARD else f"{text}/{weekday}"


def _date(text: Any) -> bytes:
    year, *rest = _match(_DATE, text)
    return (0xFFFF if year == "*" else int(str(year))).to_bytes(2) + bytes(map(_octet, rest))


def _plain_time(value: Any) -> str:
    """Return a time as H:M:S[.hundredths] with * for any."""
    hour, minute, second, hundredths = _checked(value, bytes)
    text = ":".join(map(part_text, (hour, minute, second)))
    return text if hundredths == _WILDCARD else f"{text}.{hundredths:02d}"


def _time(text: Any) -> bytes:
    return bytes(map(_octet, _match(_TIME, text)))


def _match(pattern: re.Pattern[str], text: Any) -> tuple[str | None, ...]:
    found = pattern.fullmatch(_checked(text, str))
    if found is None:
        raise ValueError
    return found.groups()


def _moment(value: Any) -> str | None:
    """Return a date-time as date, time, offset from UTC where it is known, and status in hexadecimal where it is."""
    if not value:
        return None  # a moment that was never set
    moment = value if isinstance(value, DateTime) else DateTime.from_bytes(_checked(value, bytes))
    raw = moment.to_bytes()
    words = [_plain_date(raw[:5]), _plain_time(raw[5:9])]
    if moment.deviation is not None:
        hours, minutes = divmod(abs(moment.deviation), 60)
        words.append(f"{'-' if moment.deviation > 0 else '+'}{hours:02d}:{minutes:02d}")
    return " ".join([*words, f"status={moment.status:02x}"] if moment.status != _WILDCARD else words)


def _date_time(text: Any) -> bytes:
    date, time, *rest = _checked(text, str).split(" ")
    status = int(rest.pop().removeprefix("status="), 16) if rest and rest[-1].startswith("status=") else _WILDCARD
    deviation = -0x8000
    if rest:
        (zone,) = rest
        sign, hours, minutes = _match(_ZONE, zone)
        deviation = (int(str(hours)) * 60 + int(str(minutes))) * (-1 if sign == "+" else 1)
    return _date(date) + _time(time) + deviation.to_bytes(2, signed=True) + bytes((status,))


ANY: Final = Scalar(_any, _number)
NUMBER: Final = Scalar(_number, _number)
OCTETS: Final = Scalar(_plain_octets, _octets)
NAME: Final = Scalar(lambda value: format_obis(_checked(value, bytes)), parse_obis)
DATE: Final = Scalar(_plain_date, _date)
TIME: Final = Scalar(_plain_time, _time)
MOMENT: Final = Scalar(_moment, _date_time)
BITS: Final = Scalar(lambda value: str(_checked(value, BitString)), _bits)

_SEASONS: Final = Listed(Fields(name=OCTETS, start=MOMENT, week=OCTETS))
_DAYS_OF_WEEK: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEKS: Final = Listed(Fields(name=OCTETS, **dict.fromkeys(_DAYS_OF_WEEK, NUMBER)))
_SCRIPT: Final = Fields(script_table=NAME, selector=NUMBER)
_DAYS: Final = Listed(Fields(day=NUMBER, schedule=Listed(Fields(start=TIME, script_table=NAME, selector=NUMBER))))
_SPECIAL_DAY: Final = Fields(index=NUMBER, date=DATE, day=NUMBER)
_MONITORED: Final = Fields(class_id=NUMBER, name=NAME, attribute=NUMBER)
_ACTION: Final = Fields(service=NUMBER, class_id=NUMBER, name=NAME, index=NUMBER, parameter=ANY)
_PUSHED: Final = Fields(class_id=NUMBER, name=NAME, attribute=NUMBER, data_index=NUMBER)
_RIGHTS: Final = Fields(attributes=ANY, methods=ANY)
_UNIT_CHARGE: Final = Fields(
    scaling=Fields(commodity_scale=NUMBER, price_scale=NUMBER),
    commodity=_MONITORED,
    table=Listed(Fields(index=OCTETS, charge=NUMBER)),
)

#: By class and attribute: the word for it, and its shape.
ATTRIBUTES: Final[dict[int, dict[int, tuple[str, Shape]]]] = {
    9: {2: ("scripts", Listed(Fields(script=NUMBER, actions=Listed(_ACTION))))},
    11: {2: ("days", Listed(_SPECIAL_DAY))},
    15: {
        2: ("objects", Listed(Fields(class_id=NUMBER, version=NUMBER, name=NAME, access=_RIGHTS))),
        3: ("partners", Fields(client=NUMBER, server=NUMBER)),
        4: ("application_context", ANY),
        5: ("xdlms_context", ANY),
        6: ("mechanism", ANY),
        8: ("status", NUMBER),
        9: ("security_setup", NAME),
        10: ("users", ANY),
        11: ("current_user", ANY),
    },
    17: {2: ("devices", Listed(Fields(sap=NUMBER, name=OCTETS)))},
    18: {
        2: ("block_size", NUMBER),
        3: ("blocks_transferred", BITS),
        4: ("first_block_missing", NUMBER),
        5: ("enabled", NUMBER),
        6: ("status", NUMBER),
        7: ("to_activate", Listed(Fields(size=NUMBER, identification=OCTETS, signature=OCTETS))),
    },
    20: {
        2: ("active_name", OCTETS),
        3: ("active_seasons", _SEASONS),
        4: ("active_weeks", _WEEKS),
        5: ("active_days", _DAYS),
        6: ("passive_name", OCTETS),
        7: ("passive_seasons", _SEASONS),
        8: ("passive_weeks", _WEEKS),
        9: ("passive_days", _DAYS),
        10: ("activation", MOMENT),
    },
    21: {
        2: ("thresholds", Listed(ANY)),
        3: ("monitored", _MONITORED),
        4: ("actions", Listed(Fields(up=_SCRIPT, down=_SCRIPT))),
    },
    22: {2: ("script", _SCRIPT), 3: ("type", NUMBER), 4: ("times", Listed(Fields(time=TIME, date=DATE)))},
    40: {
        2: ("objects", Listed(_PUSHED)),
        3: ("destination", Fields(service=NUMBER, destination=OCTETS, message=NUMBER)),
        4: ("windows", Listed(Fields(start=MOMENT, end=MOMENT))),
        5: ("randomisation", NUMBER),
        6: ("retries", NUMBER),
        7: ("retry_delay", ANY),
    },
    64: {
        2: ("policy", NUMBER),
        3: ("suite", NUMBER),
        4: ("client_title", OCTETS),
        5: ("meter_title", OCTETS),
        6: ("certificates", ANY),
    },
    71: {
        2: ("monitored", _MONITORED),
        3: ("threshold_active", ANY),
        4: ("threshold_normal", ANY),
        5: ("threshold_emergency", ANY),
        6: ("over_duration", NUMBER),
        7: ("under_duration", NUMBER),
        8: ("emergency", Fields(profile=NUMBER, activation=MOMENT, duration=NUMBER)),
        9: ("emergency_groups", Listed(NUMBER)),
        10: ("emergency_active", NUMBER),
        11: ("actions", Fields(over=_SCRIPT, under=_SCRIPT)),
    },
    111: {
        2: ("mode", Fields(payment=NUMBER, status=NUMBER)),
        3: ("credit_in_use", NUMBER),
        4: ("credit_status", BITS),
        5: ("available_credit", NUMBER),
        6: ("amount_to_clear", NUMBER),
        7: ("clearance_threshold", NUMBER),
        8: ("aggregated_debt", NUMBER),
        9: ("credits", Listed(NAME)),
        10: ("charges", Listed(NAME)),
        11: ("collection", Listed(Fields(credit=NAME, charge=NAME, configuration=BITS))),
        12: ("gateway", Listed(Fields(credit=NAME, proportion=NUMBER))),
        13: ("activation", MOMENT),
        14: ("closure", MOMENT),
        15: ("currency", Fields(name=Scalar(_any, str), scale=NUMBER, unit=NUMBER)),
        16: ("low_credit", NUMBER),
        17: ("next_credit", NUMBER),
        18: ("max_provision", NUMBER),
        19: ("max_provision_period", NUMBER),
    },
    112: {
        2: ("amount", NUMBER),
        3: ("type", NUMBER),
        4: ("priority", NUMBER),
        5: ("warning", NUMBER),
        6: ("limit", NUMBER),
        7: ("configuration", BITS),
        8: ("status", NUMBER),
        9: ("preset", NUMBER),
        10: ("available", NUMBER),
        11: ("period", MOMENT),
    },
    113: {
        2: ("total_paid", NUMBER),
        3: ("type", NUMBER),
        4: ("priority", NUMBER),
        5: ("active_unit_charge", _UNIT_CHARGE),
        6: ("passive_unit_charge", _UNIT_CHARGE),
        7: ("activation", MOMENT),
        8: ("period", NUMBER),
        9: ("configuration", BITS),
        10: ("last_collected_at", MOMENT),
        11: ("last_collected", NUMBER),
        12: ("remaining", NUMBER),
        13: ("proportion", NUMBER),
    },
    115: {
        2: ("token", OCTETS),
        3: ("time", MOMENT),
        4: ("description", Listed(OCTETS)),
        5: ("delivery", NUMBER),
        6: ("status", Fields(code=NUMBER, data=BITS)),
    },
}

_GURUX: Final = None
#: By class and attribute that may be written: the type of the value or of its items; None: gurux knows them.
TYPES: Final[dict[tuple[int, int], int | None]] = {
    **{(20, attribute): _GURUX for attribute in range(6, 11)},
    **dict.fromkeys(((11, 2), (17, 2), (18, 5), (22, 2), (22, 3), (22, 4)), _GURUX),
    **{(40, attribute): _GURUX for attribute in range(2, 8)},
    **dict.fromkeys(((71, 6), (71, 7), (71, 8), (71, 9), (71, 11), (115, 2)), _GURUX),
    **dict.fromkeys(((111, 13), (111, 14), (111, 15), (111, 16), (111, 17), (112, 11), (113, 7)), _GURUX),
    # gurux has no type for a threshold, which is that of the monitored value: energy and power are these
    **dict.fromkeys(((71, 4), (71, 5), (21, 2)), axdr.DOUBLE_LONG_UNSIGNED),
}


def _nothing(argument: Any) -> Typed:
    if argument is not None:
        raise TypeError
    return axdr.i8(0)


def _of(build: Callable[[int], Typed]) -> Callable[[Any], Typed]:
    return lambda argument: build(_checked(argument, int))


def _inserted(argument: Any) -> Typed:
    index, date, day = _SPECIAL_DAY.decoded(argument)
    return axdr.structure(axdr.u16(index), axdr.octets(date), axdr.u8(day))


def _image(argument: Any) -> Typed:
    identification, size = Fields(identification=OCTETS, size=NUMBER).decoded(argument)
    return axdr.structure(axdr.octets(identification), axdr.u32(size))


def _image_block(argument: Any) -> Typed:
    number, content = Fields(number=NUMBER, content=OCTETS).decoded(argument)
    return axdr.structure(axdr.u32(number), axdr.octets(content))


#: By class and method: the word for it, and what makes its argument.
METHODS: Final[dict[tuple[int, int], tuple[str, Callable[[Any], Typed]]]] = {
    (9, 1): ("execute", _of(axdr.u16)),
    (11, 1): ("insert", _inserted),
    (11, 2): ("delete", _of(axdr.u16)),
    (18, 1): ("initiate", _image),
    (18, 2): ("transfer_block", _image_block),
    (18, 3): ("verify", _nothing),
    (18, 4): ("activate", _nothing),
    (20, 1): ("activate_passive", _nothing),
    (40, 1): ("push", _nothing),
    (64, 1): ("activate_policy", _of(axdr.enum)),
    (111, 1): ("activate", _nothing),
    (111, 2): ("close", _nothing),
    (111, 3): ("reset", _nothing),
    (112, 1): ("update_amount", _of(axdr.i32)),
    (112, 2): ("set_amount", _of(axdr.i32)),
    (112, 3): ("invoke", _of(axdr.u8)),
    (113, 1): ("update_unit_charge", _nothing),
    (113, 2): ("activate_passive_unit_charge", _nothing),
    (113, 3): ("collect", _nothing),
    (113, 4): ("update_remaining", _of(axdr.i32)),
    (113, 5): ("set_remaining", _of(axdr.i32)),
    (115, 1): ("enter", lambda argument: axdr.octets(_octets(argument))),
}
