"""The payload of Sparkplug B: metrics as protocol-buffer octets, and back. Bytes in, words out, nothing else.

What a message must hold and when it is sent is in `edge_node`. Source: Sparkplug 3.0.0, 6.4 "Sparkplug B v1.0 Payload
Components"; field numbers and types as in its schema, the encoding as in the protocol buffers' own description.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from dcu.errors import CommandRejected
from dcu.model import Value

#: What is decoded comes from a stranger: so many octets and metrics at most.
MAX_PAYLOAD: Final = 65_536
MAX_METRICS: Final = 1024

#: Wire types of the protocol buffers.
_VARINT, _FIXED64, _OCTETS, _FIXED32 = 0, 1, 2, 5

_U64: Final = (1 << 64) - 1


class DataType(IntEnum):
    """Kinds of value that our metrics have (Sparkplug 3.0.0, 6.4.16)."""

    INT32 = 3
    INT64 = 4
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    BYTES = 17


@dataclass(frozen=True, slots=True)
class Metric:
    """One value at one moment (`at`, UTC ms); births tell `name`, `datatype`, `properties`, data only the `alias`."""

    value: Value = None
    at: int | None = None
    name: str = ""
    alias: int | None = None
    datatype: DataType | None = None
    historical: bool = False
    properties: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Payload:
    """A message: when it was sent (UTC ms), its metrics, and its number, which only a death certificate has none of."""

    at: int | None
    metrics: tuple[Metric, ...]
    seq: int | None = None


def encode_payload(payload: Payload) -> bytes:
    """Return the octets of `payload`. An integer beyond 64 bits goes as text: no type of Sparkplug holds it."""
    parts = [] if payload.at is None else [_number(1, payload.at)]
    parts += [_octets(2, _metric(metric)) for metric in payload.metrics]
    if payload.seq is not None:
        parts.append(_number(3, payload.seq))
    return b"".join(parts)


def datatype_of(value: Value) -> DataType:
    """Return the type that tells `value`; what is nothing yet is taken for the integer that registers mostly hold."""
    match value:
        case bool():
            return DataType.BOOLEAN
        case float():
            return DataType.DOUBLE
        case str():
            return DataType.STRING
        case bytes():
            return DataType.BYTES
        case int() if not -(1 << 63) <= value < 1 << 63:
            return DataType.STRING
        case _:
            return DataType.INT64


def _metric(metric: Metric) -> bytes:
    parts = [_octets(1, metric.name.encode())] if metric.name else []
    if metric.alias is not None:
        parts.append(_number(2, metric.alias))
    if metric.at is not None:
        parts.append(_number(3, metric.at))
    if metric.datatype is not None:
        parts.append(_number(4, metric.datatype))
    if metric.historical:
        parts.append(_number(5, 1))
    if metric.properties:
        parts.append(_octets(9, _properties(metric.properties)))
    parts.append(_value(metric.value))
    return b"".join(parts)


def _value(value: Value) -> bytes:
    match value:
        case None:
            return _number(7, 1)
        case bool():
            return _number(14, value)
        case float():
            return _tag(13, _FIXED64) + struct.pack("<d", value)
        case bytes():
            return _octets(16, value)
        case int() if datatype_of(value) is DataType.INT64:
            return _number(11, value)
        case _:
            return _octets(15, str(value).encode())


def _properties(properties: Mapping[str, int | str]) -> bytes:
    names = b"".join(_octets(1, name.encode()) for name in properties)
    return names + b"".join(_octets(2, _property(value)) for value in properties.values())


def _property(value: int | str) -> bytes:
    if isinstance(value, int):
        return _number(1, DataType.INT32) + _number(3, value & 0xFFFF_FFFF)
    return _number(1, DataType.STRING) + _octets(8, value.encode())


def _tag(number: int, wire: int) -> bytes:
    return _varint(number << 3 | wire)


def _number(number: int, value: int) -> bytes:
    return _tag(number, _VARINT) + _varint(value & _U64)


def _octets(number: int, value: bytes) -> bytes:
    return _tag(number, _OCTETS) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def decode_payload(octets: bytes) -> Payload:
    """Return what a command says: names or aliases of metrics, and booleans, numbers and texts as their values.

    Raises CommandRejected for what is no payload, or too large a one. What is not asked for is passed over.
    """
    if len(octets) > MAX_PAYLOAD:
        raise CommandRejected(f"a payload of {len(octets)} octets, at most {MAX_PAYLOAD} are taken")
    at, seq = None, None
    metrics: list[Metric] = []
    for number, value in _fields(octets):
        match number, value:
            case 1, int():
                at = value
            case 2, bytes():
                if len(metrics) == MAX_METRICS:
                    raise CommandRejected(f"a payload of more than {MAX_METRICS} metrics")
                metrics.append(_read_metric(value))
            case 3, int():
                seq = value
    return Payload(at, tuple(metrics), seq)


def _read_metric(octets: bytes) -> Metric:
    name, alias, at = "", None, None
    value: Value = None
    for number, found in _fields(octets):
        match number, found:
            case 1, bytes():
                name = _text(found)
            case 2, int():
                alias = found
            case 3, int():
                at = found
            case 14, int():
                value = bool(found)
            case 15, bytes():
                value = _text(found)
            case ((10 | 11), int()):
                value = found
    return Metric(value, at, name, alias)


def _text(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError as error:
        raise CommandRejected("a name or text that is no UTF-8") from error


def _fields(octets: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Give the number and value of each field: integers of varints, octets of whatever has a length or is fixed."""
    at = 0
    while at < len(octets):
        key, at = _read_varint(octets, at)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, at = _read_varint(octets, at)
            yield number, value
            continue
        if wire == _OCTETS:
            length, at = _read_varint(octets, at)
        elif wire in {_FIXED64, _FIXED32}:
            length = 8 if wire == _FIXED64 else 4
        else:
            raise CommandRejected(f"a field of the unknown wire type {wire}")
        if length > len(octets) - at:
            raise CommandRejected("a field that ends behind its payload")
        yield number, octets[at : at + length]
        at += length


def _read_varint(octets: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place, octet in enumerate(octets[at : at + 10]):
        value |= (octet & 0x7F) << 7 * place
        if octet < 0x80:
            return value & _U64, at + place + 1
    raise CommandRejected("a number that does not end")
