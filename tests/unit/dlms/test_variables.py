"""READ and WRITE to octets and back, against octets written by hand and those that gurux-dlms writes."""

from datetime import UTC, datetime
from typing import Any

import pytest
from gurux_dlms import GXByteBuffer, GXDateTime
from gurux_dlms.enums import Command, DataType, ObjectType
from gurux_dlms.GXDLMS import GXDLMS
from gurux_dlms.GXDLMSSNParameters import GXDLMSSNParameters
from gurux_dlms.objects import GXDLMSData, GXDLMSProfileGeneric, GXDLMSRegister

from dcu.dlms import axdr
from dcu.dlms.apdu import decode_request, decode_response, encode_request, encode_response
from dcu.dlms.moment import DateTime
from dcu.dlms.services import (
    AccessError,
    Answer,
    Block,
    Read,
    ReadBlock,
    ReadNext,
    ReadResponse,
    Request,
    Selection,
    Variable,
    Write,
    WriteResponse,
    by_entry,
    by_range,
)
from dcu.errors import MeterError
from dcu.model import Attribute

from .gurux import client, written

CLOCK = Attribute(8, b"\x00\x00\x01\x00\x00\xff")

REQUESTS: list[tuple[Request, Request, str]] = [
    (Read((Variable(0xFA08),)), Read((Variable(0xFA08),)), "05 01 02 fa08"),
    (Read((Variable(8), Variable(16))), Read((Variable(8), Variable(16))), "05 02 02 0008 02 0010"),
    (ReadNext(7), ReadNext(7), "05 01 05 0007"),
    (
        Read((Variable(0x1000, Selection(2, axdr.u8(5))),)),
        Read((Variable(0x1000, Selection(2, 5)),)),
        "05 01 04 1000 02 1105",
    ),
    (Write(((Variable(8), axdr.u8(5)),)), Write(((Variable(8), 5),)), "06 01 02 0008 01 1105"),
]
ANSWERS: list[tuple[Answer, Answer, str]] = [
    (ReadResponse((axdr.u8(5),)), ReadResponse((5,)), "0c 01 00 1105"),
    (ReadResponse((axdr.u8(5), AccessError(4))), ReadResponse((5, AccessError(4))), "0c 02 00 1105 01 04"),
    (
        ReadBlock(Block(2, last=True, content=b"abc")),
        ReadBlock(Block(2, last=True, content=b"abc")),
        "0c 01 02 01 0002 03 616263",
    ),
    (WriteResponse((None, AccessError(3))), WriteResponse((None, AccessError(3))), "0d 02 00 01 03"),
]


@pytest.mark.parametrize(("request_", "decoded", "octets"), REQUESTS)
def test_requests(request_: Request, decoded: Request, octets: str) -> None:
    assert encode_request(request_, 9) == bytes.fromhex(octets)
    assert decode_request(bytes.fromhex(octets)) == (decoded, 0)


@pytest.mark.parametrize(("answer", "decoded", "octets"), ANSWERS)
def test_answers_have_no_invoke_id(answer: Answer, decoded: Answer, octets: str) -> None:
    assert encode_response(answer, 9) == bytes.fromhex(octets)
    assert decode_response(bytes.fromhex(octets)) == (decoded, None)


@pytest.mark.parametrize("octets", [octets for _, _, octets in REQUESTS])
def test_a_request_cut_or_followed_by_more_is_refused(octets: str) -> None:
    whole = bytes.fromhex(octets)
    for wrong in [*(whole[:end] for end in range(1, len(whole))), whole + b"\x00"]:
        with pytest.raises(MeterError):
            decode_request(wrong)


@pytest.mark.parametrize("octets", [octets for _, _, octets in ANSWERS])
def test_an_answer_cut_or_followed_by_more_is_refused(octets: str) -> None:
    whole = bytes.fromhex(octets)
    for wrong in [*(whole[:end] for end in range(1, len(whole))), whole + b"\x00"]:
        with pytest.raises(MeterError):
            decode_response(wrong)


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        ("05 01 09 0008", "kind 9"),
        ("05 80 02 0008", "longer than"),
        ("06 02 02 0008 02 0010 01 1105", "1 values for 2"),
    ],
)
def test_requests_nobody_means(octets: str, reason: str) -> None:
    with pytest.raises(MeterError, match=reason):
        decode_request(bytes.fromhex(octets))


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        # a block is the whole answer, or it is none
        ("0c 02 02 01 0001 01 00 00 1105", "unknown kind 2"),
        ("0c 01 03 0001", "unknown kind 3"),
        ("0d 01 02 0001", "kind 2"),
        ("0c ff 00", "longer than"),
    ],
)
def test_answers_nobody_means(octets: str, reason: str) -> None:
    with pytest.raises(MeterError, match=reason):
        decode_response(bytes.fromhex(octets))


def named(made: Any, name: int) -> Any:
    made.shortName = name
    return made


def ours(request: Request) -> list[bytes]:
    return [encode_request(request, 1)]


def test_gurux_reads_one_and_a_list_with_the_same_octets() -> None:
    register = named(GXDLMSRegister("1.0.1.8.0.255"), 0x0100)
    assert written(client(logical=False).read(register, 2)) == ours(Read((Variable(0x0108),)))
    assert written([client(logical=False).getObjectsRequest()]) == ours(Read((Variable(0xFA08),)))
    both = client(logical=False).readList([(register, 3), (register, 2)])
    assert written(both) == ours(Read((Variable(0x0110), Variable(0x0108))))


def test_gurux_writes_with_the_same_octets() -> None:
    data = named(GXDLMSData("0.0.96.13.0.255"), 0x0200)
    data.value = 7
    data.setDataType(2, DataType.UINT8)
    assert written(client(logical=False).write(data, 2)) == ours(Write(((Variable(0x0208), axdr.u8(7)),)))


def test_gurux_selects_rows_with_the_same_octets() -> None:
    profile = named(GXDLMSProfileGeneric("1.0.99.1.0.255"), 0x0300)
    by_number = written(client(logical=False).readRowsByEntry(profile, 3, 2))
    assert by_number == ours(Read((Variable(0x0308, by_entry(3, 4)),)))
    span = [datetime(2026, 1, 2, hour, tzinfo=UTC) for hour in (3, 4)]
    theirs = written(client(logical=False).readRowsByRange(profile, *map(GXDateTime, span)))
    ((read, _),) = [decode_request(apdu) for apdu in theirs]
    start, end = (axdr.octets(DateTime.from_utc(int(moment.timestamp())).to_bytes()) for moment in span)
    (mine, _) = decode_request(encode_request(Read((Variable(0x0308, by_range(CLOCK, start, end)),)), 1))
    assert isinstance(read, Read)
    assert isinstance(mine, Read)
    (their_item,), (my_item,) = read.items, mine.items
    assert their_item.name == my_item.name
    assert their_item.selection is not None
    assert my_item.selection is not None
    # gurux leaves the weekday out of a date-time; what is restricted, and from when to when, is the same
    assert their_item.selection.parameter[0] == my_item.selection.parameter[0]
    moments = [DateTime.from_bytes(raw).utc() for raw in their_item.selection.parameter[1:3]]
    assert moments == [int(moment.timestamp()) for moment in span]


def test_what_gurux_answers_is_understood() -> None:
    settings = client(logical=False).settings
    settings.isServer = True
    results, apdu = GXByteBuffer(bytes.fromhex("00 1208fd 01 04")), GXByteBuffer()
    GXDLMS.getSNPdu(GXDLMSSNParameters(settings, Command.READ_RESPONSE, 2, 0xFF, None, results), apdu)
    assert decode_response(bytes(apdu.array())) == (ReadResponse((2301, AccessError(4))), None)


def test_gurux_understands_the_object_list() -> None:
    element = axdr.structure(axdr.i16(0x0100), axdr.u16(3), axdr.u8(0), axdr.octets(bytes((1, 0, 1, 8, 0, 255))))
    high = axdr.structure(axdr.i16(-0x0600), axdr.u16(12), axdr.u8(0), axdr.octets(bytes((0, 0, 40, 0, 0, 255))))
    made = client(logical=False)
    data = bytearray(axdr.encode(axdr.array(element, high)))
    found = made.parseObjects(GXByteBuffer(data), False, False)
    assert [(each.shortName, each.objectType) for each in found] == [
        (0x0100, ObjectType.REGISTER),
        (0xFA00, ObjectType.ASSOCIATION_SHORT_NAME),
    ]
