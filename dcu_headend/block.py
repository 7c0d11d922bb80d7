"""Compact blocks read: bytes from a stranger → the head and the rows, or DecodeError, in bounded time and memory.

The format is docs/block-format.md; what the rows mean is in `decoding`.
"""

import itertools
import json
import lzma
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

#: The longest message of a DCU, and octets of a body after decompression: what the format allows.
MAX_PAYLOAD: Final = 1_000_000
MAX_BODY: Final = 1 << 20

#: Captures of a block, and its values in all: a column of nothing but nulls has one octet, however long it is.
MAX_ROWS: Final = 10_000
MAX_VALUES: Final = 500_000

#: Octets of one number: ten groups of seven bits hold 64.
MAX_GROUPS: Final = 10

MARK, VERSION = 0xDC, 1
STORED, COMPRESSED = 0, 1
NULL, FALSE, TRUE, INT, BIG, DECIMAL, FLOAT, TEXT, OCTETS, MIXED = range(10)
PLAIN, ABOVE, OWN, OWN_STEP = range(4)
MAX_SCALE: Final = 6
MAX_DIGITS: Final = 15

#: Octets of a word that is told by its difference to the one before.
MAX_COUNTED: Final = 64

_FILTERS: Final = ({"id": lzma.FILTER_LZMA1, "dict_size": 1 << 17, "lc": 1, "lp": 0, "pb": 0},)

#: meter, set of columns, at, status, read, offset, trusted, more (JSON text or None), values.
Row = tuple[Any, Any, Any, Any, Any, Any, Any, Any, tuple[Any, ...]]


class DecodeError(ValueError):
    """These bytes are no message of a DCU; the text says what is wrong with them."""


def read_block(payload: bytes) -> tuple[dict[str, Any], list[Row]]:
    """Return the head (what the JSON message holds besides its captures) and the rows. Raises DecodeError only."""
    try:
        return _Body(_unpacked(payload)).read()
    except (lzma.LZMAError, RecursionError, UnicodeDecodeError) as error:
        raise DecodeError(str(error)) from error


def _unpacked(payload: bytes) -> bytes:
    if not 4 <= len(payload) <= MAX_PAYLOAD:
        raise DecodeError(f"{len(payload)} octets are no block")
    mark, version, method = payload[:3]
    if (mark, version) != (MARK, VERSION):
        raise DecodeError(f"mark {mark:#04x}, version {version}: not a block of version {VERSION}")
    start = _Octets(payload, 3)
    size = start.number()
    if size > MAX_BODY:
        raise DecodeError(f"a body of {size} octets")
    content = payload[start.place :]
    if method == COMPRESSED:
        content = _decompressed(content, size)
    elif method != STORED:
        raise DecodeError(f"storage method {method}")
    if len(content) != size:
        raise DecodeError(f"a body of {len(content)} octets, said to be {size}")
    return content


def _decompressed(content: bytes, size: int) -> bytes:
    machine = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[dict(each) for each in _FILTERS])
    body = machine.decompress(content, size + 1)
    if not machine.eof or machine.unused_data:
        raise DecodeError("a body that does not end where it should")
    return body


class _Octets:
    """A place in octets that moves on as they are read, never beyond their end."""

    def __init__(self, octets: bytes, place: int = 0) -> None:
        self.octets = octets
        self.place = place

    def take(self, count: int) -> bytes:
        """Return the next `count` octets."""
        found = self.octets[self.place : self.place + count]
        if len(found) != count:
            raise DecodeError("cut short")
        self.place += count
        return found

    def octet(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        """Return a number that is not negative: groups of seven bits, the lowest first."""
        found = 0
        for shift in range(0, 7 * MAX_GROUPS, 7):
            group = self.octet()
            found |= (group & 0x7F) << shift
            if group < 0x80:
                return found
        raise DecodeError("a number of more than 64 bits")

    def signed(self) -> int:
        """Return a number that may be negative: 0, 1, 2, 3 stand for 0, -1, 1, -2, and so on."""
        found = self.number()
        return found >> 1 if found % 2 == 0 else -(found >> 1) - 1

    def sized(self) -> bytes:
        """Return octets that say how many they are."""
        return self.take(self.number())


class _Body:
    """The body of one block."""

    def __init__(self, body: bytes) -> None:
        self._in = _Octets(body)

    def read(self) -> tuple[dict[str, Any], list[Row]]:
        head = self._head()
        widths = self._widths(head)
        count = self._in.number()
        if count > MAX_ROWS:
            raise DecodeError(f"{count} captures")
        meters = self._column(count, None)
        fixed = [self._column(count, meters) for _ in range(7)]
        values = self._values(fixed[0], meters, widths)
        if self._in.place != len(self._in.octets):
            raise DecodeError("more octets than a block has")
        return head, [(*row, own) for *row, own in zip(meters, *fixed, values, strict=True)]

    def _head(self) -> dict[str, Any]:
        try:
            head = json.loads(self._in.sized())
        except ValueError as error:
            raise DecodeError(f"the head is no JSON: {error}") from error
        if not isinstance(head, dict):
            raise DecodeError("the head is no JSON object")
        return head

    def _widths(self, head: Mapping[str, Any]) -> list[int]:
        """Return how many columns each set has."""
        sets = head.get("columns")
        if not isinstance(sets, list) or not all(isinstance(each, list) for each in sets):
            raise DecodeError("the head has no columns")
        return list(map(len, sets))

    def _values(self, sets: Sequence[Any], meters: Sequence[Any], widths: Sequence[int]) -> list[tuple[Any, ...]]:
        if not all(type(number) is int and 0 <= number < len(widths) for number in sets):
            raise DecodeError("a set of columns that is not there")
        if sum(widths[number] for number in sets) > MAX_VALUES:
            raise DecodeError("too many values")
        found: list[tuple[Any, ...]] = [()] * len(sets)
        places: dict[int, list[int]] = {}
        for place, number in enumerate(sets):
            places.setdefault(number, []).append(place)
        for number in range(max(sets, default=-1) + 1):
            rows = places.get(number, [])
            owners = [meters[place] for place in rows]
            columns = [self._column(len(rows), owners) for _ in range(widths[number] if rows else 0)]
            for place, values in zip(rows, zip(*columns, strict=True), strict=False):
                found[place] = values
        return found

    def _column(self, count: int, meters: Sequence[Any] | None) -> list[Any]:
        kind = self._in.octet()
        if kind != MIXED:
            return self._payload(kind, count, meters)
        kinds = self._in.take(count)
        found: list[Any] = [None] * count
        for own in sorted(set(kinds)):
            places = [place for place, each in enumerate(kinds) if each == own]
            chosen = None if meters is None else [meters[place] for place in places]
            for place, value in zip(places, self._payload(own, len(places), chosen), strict=True):
                found[place] = value
        return found

    def _payload(self, kind: int, count: int, meters: Sequence[Any] | None) -> list[Any]:
        if kind in _CONSTANTS:
            return [_CONSTANTS[kind]] * count
        if kind not in _READERS:
            raise DecodeError(f"a column of kind {kind}")
        return _READERS[kind](self._in, count, meters)


_CONSTANTS: Final = {NULL: None, FALSE: False, TRUE: True}


def _integers(octets: _Octets, count: int, meters: Sequence[Any] | None) -> list[int]:
    form = octets.octet()
    numbers = [octets.signed() for _ in range(count)]
    if form == PLAIN:
        return numbers
    if form == ABOVE:
        return list(itertools.accumulate(numbers))
    if form not in {OWN, OWN_STEP} or meters is None:
        raise DecodeError(f"integers of form {form}")
    return list(_own(numbers, meters, steps=form == OWN_STEP))


def _own(numbers: Sequence[int], meters: Sequence[Any], *, steps: bool) -> Iterator[int]:
    """Yield what differs by `numbers` from the meter's last value, or from where its last two lead."""
    last: dict[Any, tuple[int, int]] = {}
    above = 0
    for number, meter in zip(numbers, meters, strict=True):
        known = meter in last
        before, step = last.get(meter, (above, 0))
        above = before + number + (step if steps else 0)
        if abs(above) >> 64:
            raise DecodeError("an integer of more than 64 bits")
        last[meter] = above, above - before if known else 0
        yield above


def _decimals(octets: _Octets, count: int, meters: Sequence[Any] | None) -> list[float]:
    scale = octets.octet()
    if scale > MAX_SCALE:
        raise DecodeError(f"{scale} decimals")
    return [number / 10**scale for number in _integers(octets, count, meters)]


def _floats(octets: _Octets, count: int, _: object) -> list[float]:
    return list(struct.unpack(f">{count}d", octets.take(8 * count)))


def _bigs(octets: _Octets, count: int, _: object) -> list[int]:
    return [int.from_bytes(octets.sized(), "big", signed=True) for _ in range(count)]


def _texts(octets: _Octets, count: int, meters: Sequence[Any] | None) -> list[str]:
    known: dict[bytes, str] = {}
    words = _words(octets, count, meters)
    for word in words:
        if word not in known:
            known[word] = word.decode("utf-8", "surrogatepass")
    return [known[word] for word in words]


def _words(octets: _Octets, count: int, meters: Sequence[Any] | None) -> list[bytes]:
    different = octets.number()
    if different > count:
        raise DecodeError("more words than values")
    words = list(_entries(octets, different))
    places = _integers(octets, count, meters)
    if not all(0 <= place < different for place in places):
        raise DecodeError("a word that is not there")
    return [words[place] for place in places]


def _entries(octets: _Octets, count: int) -> Iterator[bytes]:
    word = b""
    for _ in range(count):
        head = octets.number()
        word = _counted(word, head >> 1) if head & 1 else octets.take(head >> 1)
        yield word


def _counted(before: bytes, zigzag: int) -> bytes:
    """Return the word before with the number at its end changed."""
    tail = before[-MAX_DIGITS:]
    digits = len(tail) - len(tail.rstrip(b"0123456789"))
    if not digits or len(before) > MAX_COUNTED:
        raise DecodeError("no number to count on from")
    number = int(tail[len(tail) - digits :]) + (zigzag >> 1 if zigzag % 2 == 0 else -(zigzag >> 1) - 1)
    if not 0 <= number < 10**digits:
        raise DecodeError("a number that has no room")
    return before[: len(before) - digits] + b"%0*d" % (digits, number)


_READERS: Final[Mapping[int, Callable[[_Octets, int, Sequence[Any] | None], list[Any]]]] = {
    INT: _integers,
    BIG: _bigs,
    DECIMAL: _decimals,
    FLOAT: _floats,
    TEXT: _texts,
    OCTETS: _words,
}
