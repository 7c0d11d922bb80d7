"""Messages of DCUs as frozen data, the same whether they came as JSON or as compact blocks. DecodeError otherwise.

Times are UTC seconds since 1970. Which message follows which, and what is missing, is in `following`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from dcu_headend.block import MARK, DecodeError, Row, read_block
from dcu_headend.fields import Fields, bounded, finite, json_object, utf8

#: One value: the meter's integer (its scaler and unit are in the column), text, octets; None also for what JSON lost.
#: An integer may be of any size, and a text hold what no UTF-8 can (surrogates): what a meter says is told as it is.
Value = int | float | str | bytes | bool | None

#: What is told of an event besides its values, as far as it has a name of its own here.
_NAMED: Final = ("event", "severity")

_CAPTURE: Final = frozenset({"meter", "at", "status", "read", "offset", "trusted", "columns", "values", "lost"})


@dataclass(frozen=True, slots=True)
class Column:
    """One value of a capture: value · 10^scaler in the unit with the DLMS code `unit`, written `symbol`.

    `object` is an OBIS code such as 1-0:1.8.0.255; `index` is not 0 for one element of an attribute.
    """

    object: str
    class_id: int
    attribute: int
    scaler: int = 0
    unit: int = 255
    symbol: str = ""
    index: int = 0


@dataclass(frozen=True, slots=True)
class Capture:
    """One row of a meter: `values` under `columns`. (`meter`, object, `at`) is which reading this is, for good.

    `offset` is the meter's clock minus the DCU's in seconds, `read` when the DCU read it. `lost` are positions of
    values that JSON could not hold. Of an event `event`, `severity` and `more` tell what it means.
    """

    meter: str
    at: int
    status: int
    read: float
    offset: float | None
    trusted: bool
    columns: tuple[Column, ...]
    values: tuple[Value, ...]
    event: str | None = None
    severity: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)
    lost: tuple[int, ...] = ()


#: The reason of what the DCU still has, because the broker will not take it.
REFUSED: Final = "refused"


@dataclass(frozen=True, slots=True)
class Dropped:
    """What does not come: `count` captures with times from `at` to `until`.

    Of one `meter`, then it cannot be sent and stays in the DCU's store; of many (""), then it had to go before it could
    be sent, or is `unencodable` and stays too, or REFUSED: the broker will not take it, and it comes when it is asked
    for and taken. With `numbers`, first and last, it is not about captures: the DCU's store met with a mishap, and has
    no blocks of these sequence numbers; what of them the broker still holds comes all the same.
    """

    reason: str
    meter: str
    at: int
    until: int
    count: int
    numbers: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Captures of one stream, or part `part` of `parts` of them. Which of them is a repeat, `following` knows."""

    dcu: str
    boot: str
    stream: str
    seq: int
    captures: tuple[Capture, ...]
    part: int = 1
    parts: int = 1
    dropped: Dropped | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """One state of a command; `state` of the last one is done, failed, expired or rejected.

    One to many meters is `running` several times, each with more answers; `progress` says how many of how many.
    """

    dcu: str
    boot: str
    seq: int
    id: str
    name: str
    meters: tuple[str, ...]
    state: str
    at: float
    result: Mapping[str, Any] | None
    error: str | None
    progress: Mapping[str, int] | None = None
    stream: str = "result"
    part: int = 1
    parts: int = 1

    @property
    def final(self) -> bool:
        return self.state not in {"accepted", "running"}


@dataclass(frozen=True, slots=True)
class State:
    """Birth, last will or stop of a DCU. `streams`: the number that the next block of each will bear.

    `owed`: the lowest number of each that was not acknowledged; what is below it comes only when it is asked for.
    """

    dcu: str
    boot: str
    state: str
    streams: Mapping[str, int]
    owed: Mapping[str, int]
    about: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Health:
    """The running state of a DCU."""

    dcu: str
    boot: str
    at: float
    figures: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MeterState:
    """A meter is reachable, degraded (failed since its last success) or unreachable; `read` is when it was read last.

    `read` is None when that was before the DCU's last start.
    """

    dcu: str
    boot: str
    meter: str
    state: str
    since: float
    read: float | None
    at: float


Message = Block | Result | State | MeterState | Health


def decode(payload: bytes) -> Message:
    """Return the message that `payload` is, whichever its encoding. Raises DecodeError and nothing else."""
    if payload[:1] == bytes([MARK]):
        return _compact(payload)
    message = Fields(json_object(payload))
    if "stream" in message.all:
        # where results had to go, or their numbers leapt, the word of that is a block
        result = message.all["stream"] == "result" and "dropped" not in message.all
        return _result(message) if result else _readable(message)
    if "state" in message.all:
        return _meter(message) if "meter" in message.all else _state(message)
    return Health(message.text("dcu"), message.text("boot"), message.moment("at"), message.all)


def _compact(payload: bytes) -> Block:
    head, rows = read_block(payload)
    fields = Fields(head)
    sets = _column_sets(fields)
    return _block(fields, tuple(_row(row, sets) for row in rows))


def _readable(message: Fields) -> Block:
    sets = _column_sets(message)
    return _block(message, message.some("captures", lambda fields: _capture(fields, sets)))


def _block(fields: Fields, captures: tuple[Capture, ...]) -> Block:
    dropped = fields.all.get("dropped")
    return Block(
        fields.text("dcu"),
        fields.text("boot"),
        fields.text("stream"),
        fields.whole("seq"),
        captures,
        *_parts(fields),
        dropped=None if dropped is None else _dropped(Fields(dropped)),
    )


def _parts(fields: Fields) -> tuple[int, int]:
    part, parts = fields.whole("part", 1), fields.whole("parts", 1)
    if not 1 <= part <= parts:
        raise DecodeError(f"part {part} of {parts}")
    return part, parts


def _dropped(fields: Fields) -> Dropped:
    if "from_seq" in fields.all:
        numbers = fields.whole("from_seq"), fields.whole("to_seq")
        return Dropped(fields.text("reason"), "", 0, 0, fields.whole("count"), numbers)
    meter = fields.maybe("meter")
    first, last = ("from", "to") if meter is None else ("at", "at")
    return Dropped(
        fields.text("reason"),
        meter or "",
        int(fields.moment(first)),
        int(fields.moment(last)),
        fields.whole("count"),
    )


def _column_sets(fields: Fields) -> list[tuple[Column, ...]]:
    sets = fields.of("columns", list)
    if not all(isinstance(each, list) for each in sets):
        raise DecodeError("columns: not a list of lists")
    return [tuple(_column(Fields(column)) for column in each) for each in sets]


def _column(fields: Fields) -> Column:
    return Column(
        fields.text("object"),
        fields.whole("class"),
        fields.whole("attribute"),
        fields.whole("scaler"),
        fields.whole("unit"),
        fields.text("symbol"),
        fields.whole("index", 0),
    )


def _capture(fields: Fields, sets: Sequence[tuple[Column, ...]]) -> Capture:
    number = fields.whole("columns")
    values = tuple(map(_value, fields.of("values", list)))
    if not 0 <= number < len(sets) or len(sets[number]) != len(values):
        raise DecodeError("values without columns")
    more = {key: value for key, value in fields.all.items() if key not in _CAPTURE}
    return Capture(
        fields.text("meter"),
        int(fields.moment("at")),
        fields.whole("status"),
        fields.moment("read"),
        None if fields.all.get("offset") is None else fields.decimal("offset"),
        fields.of("trusted", bool),
        sets[number],
        values,
        *_event(more),
        lost=_lost(fields, len(values)),
    )


def _lost(fields: Fields, count: int) -> tuple[int, ...]:
    lost = fields.all.get("lost", [])
    if not isinstance(lost, list) or not all(type(place) is int and 0 <= place < count for place in lost):
        raise DecodeError("lost: not a list of positions")
    return tuple(lost)


def _value(value: object) -> Value:
    if isinstance(value, dict):
        return _octets(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise DecodeError(f"a value that is none: {str(value)[:40]}")


def _octets(value: Mapping[str, Any]) -> bytes:
    try:
        return bytes.fromhex(value["hex"])
    except (KeyError, ValueError, TypeError):
        raise DecodeError("octets that are none") from None


def _event(more: Mapping[str, Any]) -> tuple[str | None, str | None, Mapping[str, Any]]:
    fields = Fields(more)
    event, severity = (fields.maybe(key) for key in _NAMED)
    return event, severity, {key: value for key, value in more.items() if key not in _NAMED}


def _row(row: Row, sets: Sequence[tuple[Column, ...]]) -> Capture:
    meter, number, at, status, read, offset, trusted, more, values = row
    whole = type(at) is int and type(status) is int
    if not (type(meter) is str and whole and type(read) in {int, float} and type(trusted) is bool):
        raise DecodeError("a capture without meter, time, status or provenance")
    if offset is not None and type(offset) is not float:
        raise DecodeError("an offset that is none")
    if offset is not None and not math.isfinite(offset):
        offset = None  # as JSON tells it
    own = utf8("meter", meter), bounded("at", at), bounded("status", status), finite("read", read)
    told: Mapping[str, Any] = {}
    if more is not None:
        if type(more) is not str:
            raise DecodeError("what an event means is no text")
        told = json_object(more.encode("utf-8", "replace"))
    return Capture(*own, offset, trusted, sets[number], values, *_event(told))


def _result(fields: Fields) -> Result:
    meters = fields.of("meters", list)
    if not all(isinstance(meter, str) for meter in meters):
        raise DecodeError("meters: not a list of names")
    return Result(
        fields.text("dcu"),
        fields.text("boot"),
        fields.whole("seq"),
        fields.text("id"),
        fields.text("name"),
        tuple(utf8("meters", meter) for meter in meters),
        fields.text("state"),
        fields.moment("at"),
        None if fields.all.get("result") is None else fields.of("result", dict),
        fields.maybe("error"),
        None if fields.all.get("progress") is None else _numbers(fields, "progress"),
    )


def _meter(fields: Fields) -> MeterState:
    return MeterState(
        fields.text("dcu"),
        fields.text("boot"),
        fields.text("meter"),
        fields.text("state"),
        fields.moment("since"),
        None if fields.all.get("last_reading") is None else fields.moment("last_reading"),
        fields.moment("at"),
    )


def _state(fields: Fields) -> State:
    streams, owed = _numbers(fields, "streams"), _numbers(fields, "owed")
    return State(fields.text("dcu"), fields.text("boot"), fields.text("state"), streams, owed, fields.all)


def _numbers(fields: Fields, key: str) -> Mapping[str, int]:
    numbers = fields.all.get(key, {})
    if not isinstance(numbers, dict) or not all(type(seq) is int for seq in numbers.values()):
        raise DecodeError(f"{key}: not numbers by name")
    return {utf8(key, name): bounded(key, seq) for name, seq in numbers.items()}
