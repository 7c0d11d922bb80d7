"""The form of a companion profile: which keys it has, what may stand there, and what they become.

docs/reference/profiles.md describes every key for who writes one. Where the files lie is in `load`.
"""

import re
from collections.abc import Mapping
from typing import Any

from dcu.forms import words
from dcu.forms.access import access
from dcu.forms.files import read
from dcu.forms.node import compose
from dcu.forms.shape import Expected, Faulty, Place, Problems, Reader, Shape, items, named
from dcu.forms.streams import NAME, PATTERN, unfit
from dcu.forms.tree import Scalar
from dcu.model import INSTANT, Attribute, EventCode
from dcu.profiles.companion import Alarms, CompanionProfile, ProfileStream, StatusBits

#: Class ids of the Blue Book (IEC 62056-6-2) that an entry of each kind has when it names none.
DATA, REGISTER, PROFILE, CLOCK, DISCONNECT = 1, 3, 7, 8, 70

MAX_STREAMS = 32
MAX_REGISTERS = 128
MAX_COLUMNS = 64
MAX_CODES = 512
MAX_CLIENTS = 16
MAX_TASKS = 64
MAX_STATUS_BITS = 128

#: The codes of every event stream of the profile stand under this name.
ALL_EVENTS = "event.*"

_SEVERITIES = {word: word for word in ("info", "warning", "alarm")}
_PATTERN = re.compile(r"[a-z][a-z0-9_.-]{0,31}\*?|\*")


def _attribute(class_id: int) -> Reader:
    """Return a reader of an object's name, which may follow another class id: `4 1-0:1.6.0.255`."""

    def read_one(place: Place) -> Attribute:
        expected = "a logical name such as 1-0:1.8.0.255, a class id before it if need be"
        parts = words.text(place, expected).split()
        number, name = (str(class_id), parts[0]) if len(parts) == 1 else (parts[0], parts[-1])
        if len(parts) > 2 or not number.isdecimal() or not 0 < int(number) < 0x10000:
            raise Expected(expected)
        return Attribute(int(number), words.logical_name_of(name, expected))

    return read_one


def _plainly(reader: Reader) -> Reader:
    """Return a reader that gives the values of a list or of named entries without their places."""

    def read_all(place: Place) -> Any:
        return tuple(value for value, _ in reader(place))

    return read_all


def _keyed(name: str, of: Reader, pattern: re.Pattern[str], place: Place) -> tuple[str, Any]:
    if not pattern.fullmatch(name):
        place.report(f"expected {NAME}")
        raise Faulty
    return name, of(place)


def _mapping(of: Reader, most: int, pattern: re.Pattern[str] = PATTERN) -> Reader:
    """Return a reader of a section whose keys are names, as a dictionary."""
    reader = named(lambda name, place: _keyed(name, of, pattern, place), most)
    return lambda place: dict(value for value, _ in reader(place))


_CODE: Shape[dict[str, Any]] = Shape(
    dict,
    {"name": words.text},
    {"severity": words.choice(_SEVERITIES), "restores": words.number(0, 0xFFFF_FFFF)},
)


def _code(number: str, place: Place) -> tuple[int, EventCode]:
    """Return an event: "name", "name, severity", or a section with `name`, `severity` and `restores`."""
    if not number.isdecimal() or int(number) > 0xFFFF_FFFF:
        place.report("expected the number of an event as key")
        raise Faulty
    if not isinstance(place.node, Scalar):
        return int(number), EventCode(**_CODE(place))
    name, comma, severity = words.text(place, "the name of an event").partition(",")
    if comma and severity.strip() not in _SEVERITIES:
        raise Expected("name, or name and severity: info, warning or alarm")
    return int(number), EventCode(name.strip(), severity.strip() or "info")


def _codes(place: Place) -> dict[int, EventCode]:
    return dict(value for value, _ in named(_code, MAX_CODES)(place))


def _bit(number: str, place: Place) -> tuple[int, str]:
    if not number.isdecimal() or int(number) >= MAX_STATUS_BITS:
        place.report(f"expected the number of a bit below {MAX_STATUS_BITS} as key")
        raise Faulty
    return int(number), words.text(place, "the name of a condition")


def _seconds(place: Place) -> int:
    return int(words.duration("1s", "366d")(place))


_STREAM_FORM: Shape[dict[str, Any]] = Shape(
    dict,
    {},
    {
        "object": words.logical_name,
        "period": _seconds,
        "columns": _plainly(items(words.logical_name, MAX_COLUMNS)),
        "scalers": words.logical_name,
        "whole": words.boolean,
    },
)

_ALARMS: Shape[dict[str, Any]] = Shape(
    dict, {}, {"register": _attribute(DATA), "filter": _attribute(DATA), "bits": _codes}
)

_STATUS: Shape[dict[str, Any]] = Shape(
    dict,
    {},
    {
        "columns": _plainly(items(words.logical_name, MAX_COLUMNS)),
        "bits": lambda place: dict(value for value, _ in named(_bit, MAX_STATUS_BITS)(place)),
    },
)

FORM: Shape[dict[str, Any]] = Shape(
    dict,
    {},
    {
        "extends": words.name,
        "discovers": words.boolean,
        "clock": _attribute(CLOCK),
        "disconnect": _attribute(DISCONNECT),
        "nameplate": _attribute(PROFILE),
        "identity": _mapping(_attribute(DATA), MAX_STREAMS),
        "registers": _plainly(items(_attribute(REGISTER), MAX_REGISTERS)),
        "streams": _mapping(_STREAM_FORM, MAX_STREAMS),
        "event_codes": _mapping(_codes, MAX_STREAMS, _PATTERN),
        "alarms": _ALARMS,
        "status": _STATUS,
        "clients": lambda place: {value.name: value for value, _ in named(access, MAX_CLIENTS)(place)},
        "tasks": _mapping(words.name, MAX_TASKS, _PATTERN),
    },
)


class Form:
    """One file as it is written, before it is laid on what it extends. Raises ConfigError with all that is wrong."""

    def __init__(self, file: str, text: str) -> None:
        problems = Problems()
        self.place = Place(file, "", compose(text, file), problems, read)
        try:
            self.values: Mapping[str, Any] = FORM.read(self.place)
        except Faulty:
            self.values = {}
        problems.end()


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return `above` laid on `below`: sections are joined key by key, everything else is replaced."""
    result = dict(below)
    for key, value in above.items():
        old = below.get(key)
        result[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def build(name: str, form: Form, below: Mapping[str, Any]) -> CompanionProfile:
    """Return the profile that `form`, laid on `below`, describes. Raises ConfigError for what is missing or at odds."""
    values = merged(below, form.values)
    place = form.place
    for key in ("clock", "disconnect"):
        if key not in values:
            place.report(f"expected the key {key!r}")
    streams, codes = values.get("streams", {}), values.get("event_codes", {})
    _check_streams(place, values, streams)
    _check_codes(place, streams, codes)
    for task, client in values.get("tasks", {}).items():
        if client not in values.get("clients", {}):
            _at(place, "tasks", task).report(f"no client {client!r} among clients")
    place.problems.end()
    return _profile(name, values, streams, codes)


def _profile(
    name: str, values: Mapping[str, Any], streams: Mapping[str, Any], codes: Mapping[str, Any]
) -> CompanionProfile:
    logs = [stream for stream in streams if stream.startswith("event.")]
    shared = codes.get(ALL_EVENTS, {})
    return CompanionProfile(
        name=name,
        clock=values["clock"],
        disconnect=values["disconnect"],
        identity=values.get("identity", {}),
        registers=values.get("registers", ()),
        streams={
            stream: ProfileStream(**{"name" if key == "object" else key: value for key, value in each.items()})
            for stream, each in streams.items()
        },
        event_codes={stream: {**shared, **codes.get(stream, {})} for stream in logs},
        alarms=Alarms(**values["alarms"]) if values.get("alarms") else None,
        status=_status_bits(values.get("status")),
        nameplate=values.get("nameplate"),
        clients=values.get("clients", {}),
        tasks=values.get("tasks", {}),
        discovers=values.get("discovers", False),
    )


def _status_bits(values: Mapping[str, Any] | None) -> StatusBits | None:
    return StatusBits(frozenset(values["columns"]), values.get("bits", {})) if values else None


def _check_streams(place: Place, values: Mapping[str, Any], streams: Mapping[str, Mapping[str, Any]]) -> None:
    for stream, entry in streams.items():
        if why := unfit(stream):
            _at(place, "streams", stream).report(why)
        elif "object" not in entry:
            _at(place, "streams", stream).report("expected the key 'object'")
    if INSTANT in streams and values.get("registers"):
        place.key("registers").report(f"expected registers, or the stream {INSTANT!r}, not both")
    for section, key in (("alarms", "register"), ("status", "columns")):
        if values.get(section) and key not in values[section]:
            place.key(section).report(f"expected the key {key!r}")


def _check_codes(place: Place, streams: Mapping[str, object], codes: Mapping[str, Mapping[int, EventCode]]) -> None:
    for stream, table in codes.items():
        inner = _at(place, "event_codes", stream)
        if stream != ALL_EVENTS and stream not in streams:
            inner.report("no such stream among streams")
        for number, code in table.items():
            if code.restores is not None and code.restores not in {**codes.get(ALL_EVENTS, {}), **table}:
                inner.key(str(number)).report(f"restores {code.restores}, which is not in this table")


def _at(place: Place, *keys: str) -> Place:
    for key in keys:
        place = place.key(key)
    return place
