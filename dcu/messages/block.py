"""The compact block: captures of one stream as columns of differences, compressed. Bytes out, nothing else.

Its format is docs/block-format.md, its reader `dcu_headend.block`. What goes into one message is decided in `envelope`.
"""

import lzma
import math
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Final

from dcu.messages.encoding import encode
from dcu.model import Capture, Value

#: The first octet, which begins no JSON text, and the version of the format.
MARK: Final = 0xDC
VERSION: Final = 1

#: How the body is stored: as it is, or as a raw LZMA stream with its end marker.
STORED, COMPRESSED = 0, 1

#: Octets of a body before compression; what comes to more has to be divided.
MAX_BODY: Final = 1 << 20

#: What a reader has to be set to. Fewer literal context bits than usual suit varints.
FILTERS: Final = ({"id": lzma.FILTER_LZMA1, "dict_size": 1 << 17, "lc": 1, "lp": 0, "pb": 0},)

#: The writer's dictionary is no larger than what it packs, and its match finder is the one that needs the least memory:
#: with a fixed one of a reader's size a megabyte would stay with the process.
SMALLEST_DICTIONARY: Final = 1 << 12

#: Differences of differences of such integers fit 64 bits, zigzag included.
SMALL: Final = 1 << 61

#: Floats below this with so many decimals are integers of at most 53 bits over a power of ten, and come back exactly.
MAX_DECIMAL: Final = float(1 << 33)
MAX_SCALE: Final = 6


class Kind(IntEnum):
    """What a column, or one value of a mixed one, is made of."""

    NULL = 0
    FALSE = 1
    TRUE = 2
    INT = 3
    BIG = 4
    DECIMAL = 5
    FLOAT = 6
    TEXT = 7
    OCTETS = 8
    MIXED = 9


def encode_block(
    head: Mapping[str, object], captures: Sequence[Capture], sets: Sequence[int], more: Sequence[str | None]
) -> bytes:
    """Return the block of `captures`; `head` is what its JSON message holds besides them, `columns` included.

    `sets` says by position which set of columns each capture has, `more` what is told of it besides, as JSON text.
    The same arguments give the same bytes. Raises TypeError for what is no value of a capture, ValueError for a body
    beyond MAX_BODY and for values that are not as many as their columns.
    """
    body = _body(head, captures, sets, more)
    if len(body) > MAX_BODY:
        raise ValueError(f"a body of {len(body)} octets")
    packed = lzma.compress(body, lzma.FORMAT_RAW, filters=_filters(len(body)))
    method, content = (COMPRESSED, packed) if len(packed) < len(body) else (STORED, body)
    return bytes([MARK, VERSION, method]) + varint(len(body)) + content


def _filters(size: int) -> list[dict[str, int]]:
    needed = min(FILTERS[0]["dict_size"], max(SMALLEST_DICTIONARY, 1 << (size - 1).bit_length()))
    return [{**FILTERS[0], "preset": 6, "dict_size": needed, "mf": lzma.MF_HC3}]


def _body(
    head: Mapping[str, object], captures: Sequence[Capture], sets: Sequence[int], more: Sequence[str | None]
) -> bytes:
    if any(len(capture.values) != len(capture.columns) for capture in captures):
        raise ValueError("values without columns")
    meters = [capture.meter for capture in captures]
    parts = [_sized(encode(head)), varint(len(captures)), column(meters, ())]
    fixed: tuple[Sequence[Value], ...] = (
        sets,
        [capture.at for capture in captures],
        [capture.status for capture in captures],
        [capture.read_at for capture in captures],
        [capture.offset for capture in captures],
        [capture.trusted for capture in captures],
        more,
    )
    parts += [column(values, meters) for values in fixed]
    for number in range(max(sets, default=-1) + 1):
        rows = [capture for capture, own in zip(captures, sets, strict=True) if own == number]
        own_meters = [capture.meter for capture in rows]
        parts += [column(values, own_meters) for values in zip(*(row.values for row in rows), strict=True)]
    return b"".join(parts)


def column(values: Sequence[Value], meters: Sequence[str]) -> bytes:
    """Return one column; `meters` has the meter of each value, or nothing in the column of the meters themselves."""
    kinds = list(map(kind_of, values))
    present = sorted(set(kinds))
    if len(present) <= 1:
        return bytes([present[0] if present else Kind.NULL]) + _payload(kinds[:1], values, meters)
    parts = [bytes([Kind.MIXED, *kinds])]
    for kind in present:
        places = [place for place, own in enumerate(kinds) if own is kind]
        chosen = [meters[place] for place in places] if meters else ()
        parts.append(_payload([kind], [values[place] for place in places], chosen))
    return b"".join(parts)


def kind_of(value: Value) -> Kind:
    """Return the kind of one value. Raises TypeError when it is none of a capture."""
    known = _KINDS.get(type(value))
    if known is None:
        raise TypeError(f"{type(value).__name__} has no place in a block")
    return known(value)


def _int_kind(value: int) -> Kind:
    return Kind.INT if -SMALL < value < SMALL else Kind.BIG


def _float_kind(value: float) -> Kind:
    return Kind.FLOAT if _scale(value) is None else Kind.DECIMAL


def _scale(value: float) -> int | None:
    """Return how many decimals tell `value` exactly; None: more than a few, or it is no such number."""
    if not abs(value) < MAX_DECIMAL or (value == 0 and math.copysign(1, value) < 0):
        return None
    return next((scale for scale in range(MAX_SCALE + 1) if round(value * 10**scale) / 10**scale == value), None)


_KINDS: Final[Mapping[type, Callable[..., Kind]]] = {
    type(None): lambda _: Kind.NULL,
    bool: lambda value: Kind.TRUE if value else Kind.FALSE,
    int: _int_kind,
    float: _float_kind,
    str: lambda _: Kind.TEXT,
    bytes: lambda _: Kind.OCTETS,
}


def _payload(kind: Sequence[Kind], values: Sequence[Value], meters: Sequence[str]) -> bytes:
    write = _WRITERS.get(kind[0]) if kind else None
    return write(values, meters) if write is not None else b""


def integers(values: Sequence[int], meters: Sequence[str]) -> bytes:
    """Return integers as the differences that are likely to compress best; the first octet says which."""
    forms = [values, _above(values)]
    if len(set(meters)) < len(meters):  # where no meter comes twice, these would be the same as `_above`
        forms += _own(values, meters)
    packed = [bytes([form]) + _varints([n << 1 ^ n >> 63 for n in numbers]) for form, numbers in enumerate(forms)]
    return min(packed, key=lambda each: len(zlib.compress(each, 1)))


def _above(values: Sequence[int]) -> list[int]:
    return [value - above for value, above in zip(values, (0, *values), strict=False)]


def _own(values: Sequence[int], meters: Sequence[str]) -> tuple[list[int], list[int]]:
    """Return the differences to the meter's own last value, and to where its last two lead."""
    last: dict[str, tuple[int, int]] = {}
    first, second = [], []
    above = 0
    for value, meter in zip(values, meters, strict=True):
        before, step = last.get(meter, (above, 0))
        first.append(value - before)
        second.append(value - before - step)
        last[meter] = value, value - before if meter in last else 0
        above = value
    return first, second


def _decimals(values: Sequence[float], meters: Sequence[str]) -> bytes:
    scale = max(_scale(value) or 0 for value in values)
    return bytes([scale]) + integers([round(value * 10**scale) for value in values], meters)


def _floats(values: Sequence[float], _: Sequence[str]) -> bytes:
    return struct.pack(f">{len(values)}d", *values)


def _bigs(values: Sequence[int], _: Sequence[str]) -> bytes:
    return b"".join(_sized(value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)) for value in values)


def _texts(values: Sequence[str], meters: Sequence[str]) -> bytes:
    # surrogates that stand alone pass: what a meter calls text comes up as it is
    return _words([value.encode("utf-8", "surrogatepass") for value in values], meters)


def _words(values: Sequence[bytes], meters: Sequence[str]) -> bytes:
    """Return octet strings: each different one once, in order of appearance, then their numbers."""
    numbers: dict[bytes, int] = {}
    places = [numbers.setdefault(value, len(numbers)) for value in values]
    entries = [_entry(word, before) for word, before in zip(numbers, (b"", *numbers), strict=False)]
    return b"".join([varint(len(numbers)), *entries, integers(places, meters)])


def _entry(word: bytes, before: bytes) -> bytes:
    """Return `word` in full, or, when it differs from `before` in the number at its end only, by how much."""
    stem, number = split(word)
    other, count = split(before)
    if number and len(number) == len(count) and stem == other and len(word) <= MAX_COUNTED:
        return varint(_zigzag(int(number) - int(count)) << 1 | 1)
    return varint(len(word) << 1) + word


#: Digits at the end of a word that are looked at as a number: any more do not fit a double, which readers may use.
MAX_DIGITS: Final = 15

#: Octets of a word that may be told by a difference; so a few octets never stand for many.
MAX_COUNTED: Final = 64


def split(word: bytes) -> tuple[bytes, bytes]:
    """Return `word` without the decimal digits at its end, at most MAX_DIGITS of them, and these."""
    tail = word[-MAX_DIGITS:]
    digits = len(tail) - len(tail.rstrip(b"0123456789"))
    return word[: len(word) - digits], word[len(word) - digits :]


_WRITERS: Final[Mapping[Kind, Callable[..., bytes]]] = {
    Kind.INT: integers,
    Kind.BIG: _bigs,
    Kind.DECIMAL: _decimals,
    Kind.FLOAT: _floats,
    Kind.TEXT: _texts,
    Kind.OCTETS: _words,
}


def varint(number: int) -> bytes:
    """Return a number that is not negative in groups of seven bits, the lowest first, the high bit: more follow."""
    return _varints((number,))


def _varints(numbers: Iterable[int]) -> bytes:
    groups = bytearray()
    append = groups.append
    for each in numbers:
        number = each
        while number > 0x7F:
            append(number & 0x7F | 0x80)
            number >>= 7
        append(number)
    return bytes(groups)


def _zigzag(number: int) -> int:
    return number << 1 ^ number >> 63


def _sized(octets: bytes) -> bytes:
    return varint(len(octets)) + octets
