"""A-XDR: the COSEM `Data` type between octets and Python values (IEC 61334-6; IEC 62056-6-2, 4.1.5).

What a value means (scaler, clock, profile row) is in `cosem`; which service carried it is in `apdu`.

Decoded, null-data is None, numbers are int or float, octet-string (and date, time) bytes, text str, bit-string
`BitString`, array, structure and compact array list, date-time (tag 25) `DateTime`. What is sent is `Typed`, because
a Python value does not say which of the fifteen number types a meter wants.
"""

from collections.abc import Callable
from struct import Struct
from struct import error as StructError  # noqa: N812 - struct.error alone would read like any error
from typing import Any, Final, NamedTuple

from dcu.dlms.moment import DateTime as DateTime  # noqa: PLC0414 - tag 25 is one of the types offered here
from dcu.errors import MeterError

#: Nesting found in real objects ends at five (security set-up, push lists); twice that is generous.
MAX_DEPTH: Final = 10
#: Elements of one value, counted over all levels: 60 days of 15-minute rows with 20 columns.
MAX_ELEMENTS: Final = 131_072
#: Octets of one value, reassembled from however many blocks.
MAX_OCTETS: Final = 1_048_576

NULL: Final = 0
ARRAY: Final = 1
STRUCTURE: Final = 2
BOOLEAN: Final = 3
BIT_STRING: Final = 4
DOUBLE_LONG: Final = 5
DOUBLE_LONG_UNSIGNED: Final = 6
OCTET_STRING: Final = 9
VISIBLE_STRING: Final = 10
UTF8_STRING: Final = 12
BCD: Final = 13
INTEGER: Final = 15
LONG: Final = 16
UNSIGNED: Final = 17
LONG_UNSIGNED: Final = 18
COMPACT_ARRAY: Final = 19
LONG64: Final = 20
LONG64_UNSIGNED: Final = 21
ENUM: Final = 22
FLOAT32: Final = 23
FLOAT64: Final = 24
DATE_TIME: Final = 25
DATE: Final = 26
TIME: Final = 27

#: Types that one `struct` word describes, tag 28 to 33 being the delta types.
_NUMBERS: Final = {
    BOOLEAN: Struct(">?"),
    DOUBLE_LONG: Struct(">i"),
    DOUBLE_LONG_UNSIGNED: Struct(">I"),
    BCD: Struct(">b"),
    INTEGER: Struct(">b"),
    LONG: Struct(">h"),
    UNSIGNED: Struct(">B"),
    LONG_UNSIGNED: Struct(">H"),
    LONG64: Struct(">q"),
    LONG64_UNSIGNED: Struct(">Q"),
    ENUM: Struct(">B"),
    FLOAT32: Struct(">f"),
    FLOAT64: Struct(">d"),
    28: Struct(">b"),
    29: Struct(">h"),
    30: Struct(">i"),
    31: Struct(">B"),
    32: Struct(">H"),
    33: Struct(">I"),
}
_UNPACK: Final = {tag: (word.unpack_from, word.size) for tag, word in _NUMBERS.items()}
_FIXED_OCTETS: Final = {DATE_TIME: 12, DATE: 5, TIME: 4}
_TEXTS: Final[dict[int, Callable[[bytes], bytes | str]]] = {
    OCTET_STRING: bytes,
    VISIBLE_STRING: lambda raw: raw.decode("latin-1"),  # one to one: no octet of a poor meter is lost
    UTF8_STRING: lambda raw: raw.decode("utf-8", "backslashreplace"),
}


#: Bits of a long bit-string that its representation shows.
_SHOWN: Final = 32


class BitString(NamedTuple):
    """A bit-string: `value` holds the bits with the first one highest, `length` counts them."""

    value: int
    length: int

    def __str__(self) -> str:
        return format(self.value, f"0{self.length}b") if self.length else ""

    def __repr__(self) -> str:
        # not by its value: Python refuses to write thousands of digits, with an error of its own
        return f"<{self.length} bits {str(self)[:_SHOWN]}>"


class Typed(NamedTuple):
    """A value together with its A-XDR tag; `value` is a tuple of Typed for arrays and structures."""

    tag: int
    value: Any = None


def null() -> Typed:
    return Typed(NULL)


def boolean(value: bool) -> Typed:  # noqa: FBT001 - the type is the whole point
    return Typed(BOOLEAN, value)


def i8(value: int) -> Typed:
    return Typed(INTEGER, value)


def i16(value: int) -> Typed:
    return Typed(LONG, value)


def i32(value: int) -> Typed:
    return Typed(DOUBLE_LONG, value)


def i64(value: int) -> Typed:
    return Typed(LONG64, value)


def u8(value: int) -> Typed:
    return Typed(UNSIGNED, value)


def u16(value: int) -> Typed:
    return Typed(LONG_UNSIGNED, value)


def u32(value: int) -> Typed:
    return Typed(DOUBLE_LONG_UNSIGNED, value)


def u64(value: int) -> Typed:
    return Typed(LONG64_UNSIGNED, value)


def enum(value: int) -> Typed:
    return Typed(ENUM, value)


def octets(value: bytes) -> Typed:
    return Typed(OCTET_STRING, value)


def text(value: str) -> Typed:
    return Typed(VISIBLE_STRING, value)


def bits(value: str) -> Typed:
    """The bit-string of 0s and 1s, the first bit first."""
    return Typed(BIT_STRING, BitString(int(value or "0", 2), len(value)))


def date_time(value: DateTime) -> Typed:
    """The date-time as an octet-string, which is how Clock and ProfileGeneric carry it."""
    return Typed(OCTET_STRING, value.to_bytes())


def structure(*items: Typed) -> Typed:
    return Typed(STRUCTURE, items)


def array(*items: Typed) -> Typed:
    return Typed(ARRAY, items)


def read_length(data: bytes, offset: int) -> tuple[int, int]:
    """Return the length at `offset` and the offset behind it (A-XDR and BER agree on this form).

    Raises MeterError for an indefinite length or one of more than four octets, IndexError where the data ends.
    """
    first = data[offset]
    if first < 0x80:  # one octet holds it; else the low bits count the octets that do
        return first, offset + 1
    size = first & 0x7F
    end = offset + 1 + size
    if not 1 <= size <= 4:
        raise MeterError(f"length of {size} octets")
    if end > len(data):
        raise IndexError
    return int.from_bytes(data[offset + 1 : end]), end


def encode_length(length: int) -> bytes:
    """Return `length` in the shortest of the forms `read_length` takes."""
    if length < 0x80:
        return bytes((length,))
    size = (length.bit_length() + 7) // 8
    return bytes((0x80 | size,)) + length.to_bytes(size)


def decode(data: bytes, offset: int = 0) -> tuple[Any, int]:
    """Decode one Data at `offset`; return the value and the offset behind it. MeterError when it is malformed."""
    if len(data) > MAX_OCTETS:
        raise MeterError(f"value of {len(data)} octets exceeds {MAX_OCTETS}")
    decoder = _Decoder(data, offset)
    try:
        value = decoder.elements(1, 0)[0]
    except (IndexError, StructError):
        raise MeterError("value is truncated") from None
    return value, decoder.offset


def decode_all(data: bytes) -> Any:
    """Decode one Data that has to fill `data` exactly; MeterError when it does not."""
    value, end = decode(data)
    if end != len(data):
        raise MeterError(f"{len(data) - end} octets follow the value")
    return value


def decode_contents(description: bytes, contents: bytes) -> Any:
    """Decode `contents` without tags by their TypeDescription, both to their ends; MeterError when that fails."""
    if len(contents) > MAX_OCTETS:
        raise MeterError(f"contents of {len(contents)} octets exceed {MAX_OCTETS}")
    decoder = _Decoder(description, 0)
    try:
        element = decoder.description(1)
        rest = len(description) - decoder.offset
        decoder.data, decoder.offset = contents, 0
        value = element()
    except (IndexError, StructError):
        raise MeterError("description or contents are truncated") from None
    rest += len(contents) - decoder.offset
    if rest:
        raise MeterError(f"{rest} octets follow the description or the contents")
    return value


class _Decoder:
    """One pass over `data`; `offset` is where the next element starts, `budget` how many may still come."""

    __slots__ = ("budget", "data", "offset")

    def __init__(self, data: bytes, offset: int) -> None:
        self.data = data
        self.offset = offset
        self.budget = MAX_ELEMENTS

    def claim(self, count: int, depth: int) -> None:
        self.budget -= count
        if self.budget < 0 or depth > MAX_DEPTH:
            raise MeterError(f"value has more than {MAX_ELEMENTS} elements or {MAX_DEPTH} levels")

    def take(self, count: int) -> bytes:
        start = self.offset
        end = start + count
        if end > len(self.data):
            raise IndexError
        self.offset = end
        return self.data[start:end]

    def length(self) -> int:
        length, self.offset = read_length(self.data, self.offset)
        return length

    def elements(self, count: int, depth: int) -> list[Any]:
        """Decode `count` tagged elements. Numbers, short octet-strings and null, nearly all there is, stay in here."""
        self.claim(count, depth)
        data = self.data
        at = self.offset
        values: list[Any] = []
        append = values.append
        known = _UNPACK.get
        for _ in range(count):
            tag = data[at]
            number = known(tag)
            if number is not None:
                append(number[0](data, at + 1)[0])
                at += number[1] + 1
            elif tag == OCTET_STRING and (end := at + 2 + data[at + 1]) <= len(data) and data[at + 1] < 0x80:
                append(data[at + 2 : end])
                at = end
            elif tag == NULL:
                append(None)
                at += 1
            else:
                self.offset = at + 1
                append(self.body(tag, depth))
                at = self.offset
        self.offset = at
        return values

    def body(self, tag: int, depth: int) -> Any:
        """Decode what follows `tag`."""
        if tag in {STRUCTURE, ARRAY}:
            return self.elements(self.length(), depth + 1)
        if tag == COMPACT_ARRAY:
            return self.compact(depth + 1)
        if (number := _UNPACK.get(tag)) is not None:
            return number[0](self.take(number[1]))[0]
        return self.string(tag)

    def string(self, tag: int) -> Any:
        if (text := _TEXTS.get(tag)) is not None:
            return text(self.take(self.length()))
        if (size := _FIXED_OCTETS.get(tag)) is not None:
            raw = self.take(size)
            return DateTime.from_bytes(raw) if tag == DATE_TIME else raw
        if tag == BIT_STRING:
            return self.bits()
        if tag == NULL:
            return None
        raise MeterError(f"unknown data type {tag}")

    def bits(self) -> BitString:
        length = self.length()
        size = (length + 7) // 8
        return BitString(int.from_bytes(self.take(size)) >> (size * 8 - length), length)

    def compact(self, depth: int) -> list[Any]:
        """Decode a compact array: one type description, then the contents of all elements without tags."""
        element = self.description(depth)
        end = self.length() + self.offset
        if end > len(self.data):
            raise IndexError
        values: list[Any] = []
        while (start := self.offset) < end:
            self.claim(1, depth)
            values.append(element())
            if self.offset == start:  # nulls only: without this check the loop would not end
                raise MeterError("compact array of elements without contents")
        if self.offset != end:
            raise MeterError("compact array ends inside an element")
        return values

    def description(self, depth: int) -> Callable[[], Any]:
        """Read a TypeDescription; return what decodes one element of it."""
        tag = self.take(1)[0]
        # the description is small where the contents it describes are not: `claim` counts both
        if tag == ARRAY:
            count = int.from_bytes(self.take(2))
            self.claim(0, depth)
            item = self.description(depth + 1)
            return lambda: self.repeat([item] * count, depth)
        if tag == STRUCTURE:
            count = self.length()
            self.claim(count, depth)
            items = [self.description(depth + 1) for _ in range(count)]
            return lambda: self.repeat(items, depth)
        if tag == COMPACT_ARRAY:
            raise MeterError("compact array inside a compact array")
        return lambda: self.body(tag, depth)

    def repeat(self, items: list[Callable[[], Any]], depth: int) -> list[Any]:
        self.claim(len(items), depth)
        return [item() for item in items]


def encode(value: Typed) -> bytes:
    """Return the octets of `value`. ValueError for a tag that cannot be sent or a number that does not fit."""
    tag, content = value
    word = _NUMBERS.get(tag)
    try:
        if word is not None:
            return bytes((tag,)) + word.pack(content)
        return bytes((tag,)) + _ENCODERS[tag](content)
    except (StructError, OverflowError, KeyError):  # OverflowError: a float that its type has no room for
        raise ValueError(f"{content!r} cannot be sent as type {tag}") from None


def _encode_items(items: tuple[Typed, ...]) -> bytes:
    return encode_length(len(items)) + b"".join(map(encode, items))


def _encode_octets(value: bytes) -> bytes:
    return encode_length(len(value)) + value


def _encode_bits(bits: BitString) -> bytes:
    size = (bits.length + 7) // 8
    return encode_length(bits.length) + (bits.value << (size * 8 - bits.length)).to_bytes(size)


_ENCODERS: Final[dict[int, Callable[[Any], bytes]]] = {
    NULL: lambda _: b"",
    ARRAY: _encode_items,
    STRUCTURE: _encode_items,
    BIT_STRING: _encode_bits,
    OCTET_STRING: _encode_octets,
    VISIBLE_STRING: lambda value: _encode_octets(value.encode("latin-1")),
    UTF8_STRING: lambda value: _encode_octets(value.encode()),
    DATE_TIME: DateTime.to_bytes,
    DATE: bytes,
    TIME: bytes,
}
