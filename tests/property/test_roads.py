"""The fast roads of `axdr` and `cosem` against plain ones written here only to be plain: always the same results.

The plain ones read one element, one row at a time, by the words of the standard, and never look at speed.
"""

from collections.abc import Callable, Sequence
from struct import unpack
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dcu.dlms import axdr
from dcu.dlms.axdr import BitString, DateTime, Typed
from dcu.dlms.cosem import Row, plain, profile_rows
from dcu.errors import MeterError
from dcu.model import Column

CLOCK = Column(8, b"\x00\x00\x01\x00\x00\xff")
ENERGY = Column(3, b"\x01\x00\x01\x08\x00\xff")
STATUS = Column(1, b"\x00\x00\x60\x0a\x01\xff")
NOON = 1_800_000_000

FORMATS = {3: "?", 5: "i", 6: "I", 13: "b", 15: "b", 16: "h", 17: "B", 18: "H", 20: "q", 21: "Q", 22: "B"}
FORMATS |= {23: "f", 24: "d", 28: "b", 29: "h", 30: "i", 31: "B", 32: "H", 33: "I"}
SIZES = {"?": 1, "b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "f": 4, "q": 8, "Q": 8, "d": 8}


class Plain:
    """Reads one element after the other; whatever is wrong is a ValueError."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def take(self, count: int) -> bytes:
        if count > len(self.data):
            raise ValueError
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def length(self) -> int:
        first = self.take(1)[0]
        if first < 0x80:
            return first
        if first & 0x7F not in range(1, 5):
            raise ValueError
        return int.from_bytes(self.take(first & 0x7F))

    def element(self, depth: int = 0) -> Any:
        return self.content(self.take(1)[0], depth)

    def content(self, tag: int, depth: int) -> Any:
        if depth > axdr.MAX_DEPTH or tag == axdr.COMPACT_ARRAY:
            raise ValueError
        if tag in FORMATS:
            return unpack(">" + FORMATS[tag], self.take(SIZES[FORMATS[tag]]))[0]
        if tag in {axdr.ARRAY, axdr.STRUCTURE}:
            count = self.length()
            if depth == axdr.MAX_DEPTH:
                raise ValueError
            return [self.element(depth + 1) for _ in range(count)]
        if tag not in READERS:
            raise ValueError
        return READERS[tag](self)

    def bits(self) -> BitString:
        length = self.length()
        bits = "".join(f"{octet:08b}" for octet in self.take((length + 7) // 8))[:length]
        return BitString(int(bits or "0", 2), length)


READERS: dict[int, Callable[[Plain], Any]] = {
    axdr.NULL: lambda _: None,
    axdr.BIT_STRING: Plain.bits,
    axdr.OCTET_STRING: lambda reader: reader.take(reader.length()),
    axdr.VISIBLE_STRING: lambda reader: reader.take(reader.length()).decode("latin-1"),
    axdr.UTF8_STRING: lambda reader: reader.take(reader.length()).decode("utf-8", "backslashreplace"),
    axdr.DATE_TIME: lambda reader: DateTime.from_bytes(reader.take(12)),
    axdr.DATE: lambda reader: reader.take(5),
    axdr.TIME: lambda reader: reader.take(4),
}


def plain_decode(data: bytes) -> Any:
    reader = Plain(data)
    value = reader.element()
    if reader.data:
        raise ValueError
    return value


REFUSED = "refused"


def by_the_plain_road(data: bytes) -> str:
    try:
        return repr(plain_decode(data))  # what is not a number is not equal to itself
    except ValueError:
        return REFUSED


def by_ours(data: bytes) -> str:
    try:
        return repr(axdr.decode_all(data))
    except MeterError:
        return REFUSED


SCALARS = st.one_of(
    st.just(axdr.null()),
    st.booleans().map(axdr.boolean),
    st.integers(0, 0xFFFFFFFF).map(axdr.u32),
    st.integers(-0x8000, 0x7FFF).map(axdr.i16),
    st.integers(0, 0xFF).map(axdr.enum),
    st.floats(width=32).map(lambda value: Typed(axdr.FLOAT32, value)),
    st.floats().map(lambda value: Typed(axdr.FLOAT64, value)),
    st.binary(max_size=200).map(axdr.octets),
    st.binary(min_size=12, max_size=12).map(lambda raw: Typed(axdr.DATE_TIME, DateTime.from_bytes(raw))),
    st.binary(min_size=5, max_size=5).map(lambda raw: Typed(axdr.DATE, raw)),
    st.binary(min_size=4, max_size=4).map(lambda raw: Typed(axdr.TIME, raw)),
    st.integers(0, 0x3FF).map(lambda value: Typed(axdr.BIT_STRING, BitString(value, 10))),
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=5).map(lambda items: axdr.structure(*items)))


@given(VALUES)
def test_a_value_by_both_roads(value: Typed) -> None:
    octets = axdr.encode(value)
    assert by_ours(octets) == by_the_plain_road(octets) != REFUSED


@given(VALUES, st.integers(0), st.integers(1, 255))
def test_a_damaged_value_by_both_roads(value: Typed, place: int, change: int) -> None:
    octets = bytearray(axdr.encode(value))
    octets[place % len(octets)] ^= change
    # a compact array the plain road does not know
    if axdr.COMPACT_ARRAY not in octets:
        assert by_ours(bytes(octets)) == by_the_plain_road(bytes(octets))


@given(st.lists(st.sampled_from([0, 1, 2, 3, 4, 6, 9, 10, 12, 17, 25, 27, 0x81, 0x82, 0xFF]), max_size=60).map(bytes))
def test_noise_by_both_roads(octets: bytes) -> None:
    assert by_ours(octets) == by_the_plain_road(octets)


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=20)), min_size=1, max_size=20))
def test_a_compact_array_is_the_array_without_its_tags(rows: list[tuple[int, bytes]]) -> None:
    contents = b"".join(number.to_bytes(2) + bytes((len(raw),)) + raw for number, raw in rows)
    compact = b"\x13\x02\x02\x12\x09" + axdr.encode_length(len(contents)) + contents
    spelled = axdr.array(*(axdr.structure(axdr.u16(number), axdr.octets(raw)) for number, raw in rows))
    assert axdr.decode_all(compact) == plain_decode(axdr.encode(spelled))


def plain_rows(buffer: list[Any], columns: Sequence[Column], period: int | None) -> list[Row | None]:
    """Return each row complete, or None for a bad one: null is the value above, or the time above and one period."""
    clock = next(at for at, column in enumerate(columns) if column.class_id == 8)
    rows: list[Row | None] = []
    #: None: not known, since the row above was bad
    above: list[Any] | None = [None] * len(columns)
    at: int | None = None
    status = 0
    for row in buffer:
        if not isinstance(row, list) or len(row) != len(columns):
            above, at = None, None
            rows.append(None)
            continue
        if row[clock] is not None:
            moment = DateTime.from_bytes(row[clock]) if isinstance(row[clock], bytes) else row[clock]
            at, status = moment.utc(), moment.status
        elif at is not None:
            at = at + period if period else None
        values = [value for number, value in enumerate(row) if number != clock]
        known = above is not None or None not in values
        whole = [old if new is None else new for new, old in zip(row, above or row, strict=True)]
        above = whole if known else None
        if at is None or not known:
            rows.append(None)
        else:
            rows.append((at, status, tuple(plain(value) for number, value in enumerate(whole) if number != clock)))
    return rows


TIMES: st.SearchStrategy[Any] = st.none() | st.integers(0, 40).map(
    lambda number: DateTime.from_utc(NOON + number * 900, -60).to_bytes()
)
TIMES |= st.just(b"\xff" * 12) | st.integers(0, 9).map(lambda number: DateTime.from_utc(NOON + number, 0, number))
CELLS = st.one_of(
    st.none(), st.integers(0, 9), st.floats(allow_nan=False), st.just(BitString(5, 4)), st.just([1, b"a"])
)
ROWS = st.lists(st.tuples(TIMES, CELLS, CELLS).map(list) | st.just([]) | st.just(None), max_size=12)


@given(ROWS, st.sampled_from([(0, 1, 2), (1, 0, 2), (2, 1, 0)]), st.sampled_from([None, 0, 900]))
def test_rows_by_both_roads(rows: list[Any], order: tuple[int, ...], period: int | None) -> None:
    columns = tuple((CLOCK, ENERGY, STATUS)[number] for number in order)
    buffer = [[row[number] for number in order] if row else row for row in rows]
    expected = plain_rows(buffer, columns, period)
    good, bad = profile_rows(buffer, columns, period)
    assert good == [row for row in expected if row is not None]
    assert bad == expected.count(None)
