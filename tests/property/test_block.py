"""Compact blocks: what goes in comes out, by the library and by the second reader; nothing else does any harm."""

import json
import lzma
import math
import struct
import tracemalloc
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dcu.messages.block import COMPRESSED, FILTERS, MARK, MAX_BODY, STORED, VERSION, encode_block, varint
from dcu.messages.encoding import encode
from dcu.messages.envelope import Envelopes
from dcu.model import Capture, Column
from dcu_headend import Block, DecodeError, decode
from dcu_headend.block import MAX_ROWS, MAX_VALUES, read_block
from tests.unit.messages.reference_block import read

VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**64), 2**64)
    | st.integers(0, 300)
    | st.floats()
    | st.integers(-(10**12), 10**12).map(lambda number: number / 1000)
    | st.text(st.characters(), max_size=20)
    | st.from_regex(r"[A-Z]{0,3}[0-9]{0,20}", fullmatch=True)
    | st.binary(max_size=70)
)
METERS = st.from_regex(r"M[0-9]{4}", fullmatch=True) | st.text(min_size=1, max_size=8)
COLUMN = st.builds(
    Column,
    st.integers(1, 200),
    st.binary(min_size=6, max_size=6),
    st.integers(1, 20),
    st.integers(0, 3),
    st.integers(-9, 9),
    st.integers(0, 255),
)
FLOATS = st.floats() | st.floats(1.7e9, 4.2e9).map(lambda moment: round(moment, 3))


@st.composite
def blocks(draw: st.DrawFn) -> list[Capture]:
    shapes = draw(st.lists(st.lists(COLUMN, max_size=4).map(tuple), min_size=1, max_size=3))
    meters = draw(st.lists(METERS, min_size=1, max_size=4))
    kinds = st.sampled_from([VALUES, st.integers(0, 10**6)])
    values = draw(kinds)
    rows = []
    for _ in range(draw(st.integers(0, 12))):
        columns = draw(st.sampled_from(shapes))
        rows.append(
            Capture(
                draw(st.sampled_from(meters)),
                "load0",
                draw(st.integers(-(2**70), 2**70) | st.integers(0, 4 * 10**9)),
                draw(st.integers(0, 255)),
                tuple(draw(values) for _ in columns),
                columns,
                draw(FLOATS),
                draw(st.none() | FLOATS),
                draw(st.booleans()),
            )
        )
    return rows


def same(one: object, other: object) -> bool:
    """Whether two values are the very same: 1, 1.0 and True are not, and NaN is itself."""
    if isinstance(one, float) and isinstance(other, float):
        return struct.pack(">d", one) == struct.pack(">d", other) or (math.isnan(one) and math.isnan(other))
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


def fields(capture: Capture) -> tuple[object, ...]:
    return capture.meter, capture.at, capture.status, capture.read_at, capture.offset, capture.trusted, capture.values


@given(blocks())
def test_what_goes_in_comes_out(captures: list[Capture]) -> None:
    sets: dict[tuple[Column, ...], int] = {}
    numbers = [sets.setdefault(capture.columns, len(sets)) for capture in captures]
    head = {"columns": [[str(column) for column in columns] for columns in sets]}
    block = encode_block(head, captures, numbers, [None] * len(captures))
    assert block == encode_block(head, captures, numbers, [None] * len(captures)), "the same each time"
    found, rows = read_block(block)
    assert found == head
    assert [row[1] for row in rows] == numbers
    assert same([(row[0], *row[2:7], row[8]) for row in rows], [fields(capture) for capture in captures])
    second = read(block)
    assert second["head"] == head
    keys = ("meter", "at", "status", "read", "offset", "trusted", "values")
    assert same(
        [tuple(row[key] for key in keys) for row in second["captures"]], [fields(capture) for capture in captures]
    )


PLAIN_FLOATS = st.integers(0, 4 * 10**12).map(lambda number: number / 1000)


@given(blocks(), PLAIN_FLOATS)
def test_both_encodings_tell_the_same(captures: list[Capture], moment: float) -> None:
    """JSON rounds times to milliseconds, loses what no JSON holds, and has no times beyond the calendar."""
    envelopes = Envelopes("D", "b", units={30: "Wh"})
    tame = [
        Capture(
            capture.meter.encode(errors="replace").decode(),
            "load0",
            capture.at % 10**9,
            capture.status,
            tuple(value if writable(value) else 0 for value in capture.values),
            capture.columns,
            moment,
            0.25,
            trusted=True,
        )
        for capture in captures
    ]
    (readable,) = envelopes.block("load0", 1, tame, 10**9)
    (compact,) = envelopes.block("load0", 1, tame, 10**9, compact=True)
    json.loads(readable)
    assert compact[0] == MARK
    if len(readable) < 1_000_000:
        assert decode(readable) == decode(compact)


def writable(value: object) -> bool:
    try:
        return len(encode(value)) < 4000
    except ValueError:
        return False


def sound(payload: bytes) -> bool:
    """Whether `payload` is refused in words, or is a message; a block of no more than a block may hold."""
    try:
        message = decode(payload)
    except DecodeError as refusal:
        return 0 < len(str(refusal)) < 1000
    return not isinstance(message, Block) or len(message.captures) <= MAX_ROWS


def packed(body: bytes, size: int | None = None) -> bytes:
    content = lzma.compress(body, lzma.FORMAT_RAW, filters=[dict(each) for each in FILTERS])
    return bytes([MARK, VERSION, COMPRESSED]) + varint(len(body) if size is None else size) + content


def stored(body: bytes) -> bytes:
    return bytes([MARK, VERSION, STORED]) + varint(len(body)) + body


@given(st.binary(max_size=300))
def test_arbitrary_octets(payload: bytes) -> None:
    assert sound(payload)
    assert sound(stored(payload))
    assert sound(packed(payload))
    assert sound(bytes([MARK, VERSION, COMPRESSED]) + varint(1000) + payload)


@given(blocks(), st.data())
def test_damaged_blocks(captures: list[Capture], data: st.DataObject) -> None:
    sets: dict[tuple[Column, ...], int] = {}
    numbers = [sets.setdefault(capture.columns, len(sets)) for capture in captures]
    (whole,) = Envelopes("D", "b").block("load0", 1, captures, 10**9, compact=True)
    assert sound(whole[: data.draw(st.integers(0, len(whole)))])
    head = {"dcu": "D", "boot": "b", "stream": "s", "seq": 1, "columns": [[0] * len(each) for each in sets]}
    body = bytearray(_body(encode_block(head, captures, numbers, [None] * len(captures))))
    for place in data.draw(st.lists(st.integers(0, len(body) - 1), max_size=4)):
        body[place] = data.draw(st.integers(0, 255))
    assert sound(stored(bytes(body)))


def _body(block: bytes) -> bytes:
    start = next(place for place, octet in enumerate(block[3:], 4) if octet < 0x80)
    return block[start:] if block[2] == STORED else lzma.decompress(block[start:], lzma.FORMAT_RAW, filters=FILTERS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
KEYS = ("dcu", "boot", "stream", "seq", "part", "parts", "columns", "captures", "dropped", "state", "streams", "at")


@given(st.dictionaries(st.sampled_from([*KEYS, "id", "name", "meters", "result", "error"]), JSON), st.binary())
@example({"stream": "load0", "dcu": "D", "boot": "b", "seq": 1, "columns": [[]], "captures": [{}]}, b"")
def test_json_of_the_wrong_shape(message: dict[str, Any], more: bytes) -> None:
    assert sound(json.dumps(message).encode())
    assert sound(json.dumps({"dcu": "D", "boot": "b", "stream": "load0", "seq": 1} | message).encode())
    text = json.dumps(message).encode()
    assert sound(stored(varint(len(text)) + text + more))


HEAD = b'{"columns":[[' + b",".join([b"0"] * 60_000) + b"]]}"


@pytest.mark.parametrize(
    "body",
    [
        bytes(MAX_BODY),
        bytes(MAX_BODY + 1),
        varint(2) + b"{}" + varint(MAX_ROWS + 1),
        # a column of nulls is one octet, however many rows: ten thousand rows of sixty thousand columns
        varint(len(HEAD)) + HEAD + varint(MAX_ROWS) + bytes(8) + bytes(60_000),
        varint(len(HEAD)) + HEAD + varint(MAX_ROWS) + b"\x00\x03\x00" + bytes(MAX_ROWS) + bytes(70_000),
        b"\xff" * 1000,
        varint(2**63) + b"{",
        varint(200_000) + b"[" * 200_000,
    ],
)
def test_little_that_claims_much(body: bytes) -> None:
    tracemalloc.start()
    try:
        for payload in (packed(body), packed(body, MAX_BODY), stored(body)):
            with pytest.raises(DecodeError):
                decode(payload)
        assert tracemalloc.get_traced_memory()[1] < 64 * MAX_BODY
    finally:
        tracemalloc.stop()


def test_words_counted_on_from_a_long_one_do_not_multiply() -> None:
    head = b'{"dcu":"D","boot":"b","stream":"s","seq":1,"columns":[[]]}'
    word = b"x" * 500_000 + b"1000"
    meters = b"\x07" + varint(MAX_ROWS) + varint(len(word) << 1) + word + varint(2 << 1 | 1) * (MAX_ROWS - 1)
    with pytest.raises(DecodeError, match="count on"):
        read_block(stored(varint(len(head)) + head + varint(MAX_ROWS) + meters))


def test_the_library_takes_what_the_daemon_may_write() -> None:
    assert MAX_ROWS >= 1000
    assert MAX_VALUES >= 1000 * 64
