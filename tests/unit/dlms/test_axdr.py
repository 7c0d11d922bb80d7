"""Known octets of every type, agreement with gurux-dlms, and limits that hostile octets run into."""

import pytest
from gurux_dlms import GXByteBuffer
from gurux_dlms.enums import DataType
from gurux_dlms.internal._GXCommon import _GXCommon

from dcu.dlms import axdr
from dcu.dlms.axdr import BitString, DateTime, Typed
from dcu.errors import MeterError

from .gurux import client

EXAMPLES = [
    ("00", axdr.null(), None),
    ("0301", axdr.boolean(True), True),
    ("05ffffffff", axdr.i32(-1), -1),
    ("06ffffffff", axdr.u32(0xFFFFFFFF), 0xFFFFFFFF),
    ("0f80", axdr.i8(-128), -128),
    ("10fffe", axdr.i16(-2), -2),
    ("11ff", axdr.u8(255), 255),
    ("12fffe", axdr.u16(0xFFFE), 0xFFFE),
    ("14ffffffffffffffff", axdr.i64(-1), -1),
    ("15ffffffffffffffff", axdr.u64(2**64 - 1), 2**64 - 1),
    ("161e", axdr.enum(30), 30),
    ("173fc00000", Typed(axdr.FLOAT32, 1.5), 1.5),
    ("183ff8000000000000", Typed(axdr.FLOAT64, 1.5), 1.5),
    ("090300ff7e", axdr.octets(b"\x00\xff\x7e"), b"\x00\xff\x7e"),
    ("0a03414243", axdr.text("ABC"), "ABC"),
    ("0c03e282ac", Typed(axdr.UTF8_STRING, "€"), "€"),
    ("040bb4e0", Typed(axdr.BIT_STRING, BitString(0b10110100111, 11)), BitString(0b10110100111, 11)),
    ("0400", Typed(axdr.BIT_STRING, BitString(0, 0)), BitString(0, 0)),
    ("1a07ea011f06", Typed(axdr.DATE, bytes.fromhex("07ea011f06")), bytes.fromhex("07ea011f06")),
    ("1b0c000000", Typed(axdr.TIME, bytes.fromhex("0c000000")), bytes.fromhex("0c000000")),
    ("02020f0 0161e", axdr.structure(axdr.i8(0), axdr.enum(30)), [0, 30]),
    ("0102110 11102", axdr.array(axdr.u8(1), axdr.u8(2)), [1, 2]),
]


@pytest.mark.parametrize(("octets", "typed", "value"), EXAMPLES)
def test_every_type_both_ways(octets: str, typed: Typed, value: object) -> None:
    raw = bytes.fromhex(octets.replace(" ", ""))
    assert axdr.encode(typed) == raw
    assert axdr.decode_all(raw) == value
    assert axdr.decode(b"\xff" + raw + b"\xff", 1) == (value, len(raw) + 1)


def test_date_time_by_its_own_tag_and_as_octets() -> None:
    moment = DateTime.from_utc(1_800_000_000, -60)
    assert axdr.decode_all(b"\x19" + moment.to_bytes()) == moment
    assert axdr.encode(Typed(axdr.DATE_TIME, moment)) == b"\x19" + moment.to_bytes()
    assert axdr.decode_all(axdr.encode(axdr.date_time(moment))) == moment.to_bytes()


@pytest.mark.parametrize(
    ("typed", "kind"),
    [
        (axdr.i8(-5), DataType.INT8),
        (axdr.i16(-500), DataType.INT16),
        (axdr.i32(-50_000), DataType.INT32),
        (axdr.i64(-(2**40)), DataType.INT64),
        (axdr.u8(200), DataType.UINT8),
        (axdr.u16(60_000), DataType.UINT16),
        (axdr.u32(2**31), DataType.UINT32),
        (axdr.u64(2**63), DataType.UINT64),
        (axdr.enum(30), DataType.ENUM),
        (axdr.boolean(True), DataType.BOOLEAN),
        (axdr.octets(bytes(200)), DataType.OCTET_STRING),
        (axdr.text("meter"), DataType.STRING),
        (Typed(axdr.FLOAT32, 1.5), DataType.FLOAT32),
        (Typed(axdr.FLOAT64, 0.1), DataType.FLOAT64),
    ],
)
def test_gurux_encodes_the_same(typed: Typed, kind: DataType) -> None:
    buffer = GXByteBuffer()
    _GXCommon.setData(client().settings, buffer, kind, typed.value)
    assert bytes(buffer.array()) == axdr.encode(typed)


def test_compact_array_of_structures() -> None:
    octets = "13 0203 12 06 09 10  0001 00000002 02aabb  0003 00000004 00".replace(" ", "")
    assert axdr.decode_all(bytes.fromhex(octets)) == [[1, 2, b"\xaa\xbb"], [3, 4, b""]]


def test_compact_array_with_nulls_inside() -> None:
    assert axdr.decode_all(bytes.fromhex("13 0202 00 11 02 0507")) == [[None, 5], [None, 7]]


def test_compact_array_with_an_array_inside() -> None:
    assert axdr.decode_all(bytes.fromhex("13 01000211 04 01020304")) == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        ("", "truncated"),
        ("06ffff", "truncated"),
        ("0905aabb", "truncated"),
        ("09820105aabb", "truncated"),
        ("0202110 1".replace(" ", ""), "truncated"),
        ("0985000000000101", "length of 5"),
        ("0980", "length of 0"),
        ("07", "unknown data type 7"),
        ("020107", "unknown data type 7"),
        ("1100ff", "1 octets follow"),
        ("0184ffffffff", "more than"),
        ("0182ffff" + "00" * 10, "truncated"),
        ("13 00 01 00", "without contents"),
        ("13 01ffff00 01 00", "without contents"),
        ("13 13", "inside a compact"),
        ("13 12 03 000102", "inside an element|truncated"),
        ("0101" * 40 + "00", "levels"),
        ("13" + "010001" * 40 + "11" + "01" + "00", "levels"),
        ("13" + "01ffff" * 5 + "11" + "81ff" + "00" * 255, "more than"),
    ],
)
def test_hostile_octets_are_refused(octets: str, why: str) -> None:
    with pytest.raises(MeterError, match=why):
        axdr.decode_all(bytes.fromhex(octets.replace(" ", "")))


def test_more_octets_than_any_answer_are_not_looked_at() -> None:
    with pytest.raises(MeterError, match="exceeds"):
        axdr.decode(bytes(axdr.MAX_OCTETS + 1))


@pytest.mark.parametrize("typed", [Typed(99, 1), axdr.u8(256), axdr.i8(200)])
def test_what_cannot_be_sent_is_our_error(typed: Typed) -> None:
    with pytest.raises(ValueError, match="cannot be sent"):
        axdr.encode(typed)


@pytest.mark.parametrize("length", [0, 127, 128, 255, 256, 65_536])
def test_lengths(length: int) -> None:
    octets = axdr.encode_length(length)
    assert axdr.read_length(octets, 0) == (length, len(octets))


@pytest.mark.parametrize("value", [1e308, 10**400])
def test_a_number_that_a_float_has_no_room_for_cannot_be_sent(value: float) -> None:
    with pytest.raises(ValueError, match="cannot be sent"):
        axdr.encode(Typed(axdr.FLOAT32, value))
