"""Every request both ways, agreement with gurux-dlms, and requests that are cut, stretched or unknown."""

from types import SimpleNamespace

import pytest
from gurux_dlms import GXDateTime
from gurux_dlms.enums import DataType
from gurux_dlms.objects import GXDLMSCaptureObject, GXDLMSClock, GXDLMSProfileGeneric, GXDLMSRegister

from dcu.clock import utc
from dcu.dlms import axdr
from dcu.dlms.moment import DateTime
from dcu.dlms.requests import decode_request, decode_values, encode_request
from dcu.dlms.services import (
    MAX_LIST,
    Action,
    ActionBlock,
    ActionNext,
    Block,
    FirstBlock,
    Get,
    GetList,
    GetNext,
    Request,
    Set,
    SetBlock,
    SetList,
    by_entry,
    by_range,
)
from dcu.errors import MeterError
from dcu.model import Attribute

from .gurux import client, written

ENERGY = Attribute(3, b"\x01\x00\x01\x08\x00\xff")
UNIT = Attribute(3, b"\x01\x00\x01\x08\x00\xff", 3)
PROFILE = Attribute(7, b"\x01\x00\x63\x01\x00\xff")
CLOCK = Attribute(8, b"\x00\x00\x01\x00\x00\xff")
RELAY = (70, b"\x00\x00\x60\x03\x0a\xff", 1)
PART = Block(1, False, b"abc")
LAST = Block(2, True, b"")


REQUESTS: list[tuple[Request, str]] = [
    (Get(ENERGY), "c001c1 0003 0100010800ff 02 00"),
    (GetList((Get(ENERGY), Get(UNIT))), "c003c1 02 0003 0100010800ff 02 00 0003 0100010800ff 03 00"),
    (GetNext(7), "c002c1 00000007"),
    (Set(ENERGY, axdr.u32(5)), "c101c1 0003 0100010800ff 02 00 0600000005"),
    (Action(*RELAY, axdr.i8(0)), "c301c1 0046 000060030aff 01 01 0f00"),
    (Action(*RELAY), "c301c1 0046 000060030aff 01 00"),
    (Get(Attribute(3, ENERGY.name, -1)), "c001c1 0003 0100010800ff ff 00"),
    (
        SetList((Set(ENERGY, axdr.u8(5)), Set(UNIT, axdr.u8(6)))),
        "c104c1 02 0003 0100010800ff 02 00 0003 0100010800ff 03 00 02 1105 1106",
    ),
    (FirstBlock(Set(ENERGY, None), PART), "c102c1 0003 0100010800ff 02 00 00 00000001 03616263"),
    (
        FirstBlock(SetList((Set(ENERGY, None), Set(UNIT, None))), PART),
        "c105c1 02 0003 0100010800ff 02 00 0003 0100010800ff 03 00 00 00000001 03616263",
    ),
    (SetBlock(LAST), "c103c1 01 00000002 00"),
    (FirstBlock(Action(*RELAY), PART), "c304c1 0046 000060030aff 01 00 00000001 03616263"),
    (ActionBlock(LAST), "c306c1 01 00000002 00"),
    (ActionNext(7), "c302c1 00000007"),
]


@pytest.mark.parametrize(("request_", "octets"), REQUESTS)
def test_requests(request_: Request, octets: str) -> None:
    raw = bytes.fromhex(octets)
    assert encode_request(request_, 1) == raw
    decoded, invoke = decode_request(raw)
    assert invoke == 1
    assert encode_request(request_, 9)[2] == 0xC9
    if not isinstance(request_, Set | SetList | Action):
        assert decoded == request_


def test_values_in_requests_decode_to_plain_values() -> None:
    assert decode_request(encode_request(Set(ENERGY, axdr.u32(5)), 1))[0] == Set(ENERGY, 5)
    assert decode_request(encode_request(Action(*RELAY, axdr.i8(0)), 1))[0] == Action(*RELAY, 0)
    assert decode_request(encode_request(Action(*RELAY), 1))[0] == Action(*RELAY, None)


def test_gurux_reads_lists_the_same() -> None:
    register = GXDLMSRegister("1.0.1.8.0.255")
    theirs = written(client().readList([(register, 2), (register, 3)]))[0]
    assert theirs == encode_request(GetList((ENERGY, UNIT)), theirs[2] & 15)


def test_gurux_selects_entries_the_same() -> None:
    theirs = written(client().readRowsByEntry(GXDLMSProfileGeneric("1.0.99.1.0.255"), 1, 4))[0]
    assert theirs == encode_request(Get(PROFILE, by_entry(1, 4)), 1)


def test_gurux_selects_a_range_the_same() -> None:
    profile = GXDLMSProfileGeneric("1.0.99.1.0.255")
    profile.captureObjects.append((GXDLMSClock("0.0.1.0.0.255"), GXDLMSCaptureObject(2, 0)))
    start, end = 1_767_225_600, 1_767_312_000
    theirs = written(client().readRowsByRange(profile, GXDateTime(utc(start)), GXDateTime(utc(end))))[0]
    # gurux leaves the weekday open; we state it
    first, last = (axdr.date_time(DateTime.from_utc(at)._replace(weekday=0xFF)) for at in (start, end))
    assert theirs == encode_request(Get(PROFILE, by_range(CLOCK, first, last)), 1)


def test_gurux_writes_the_same() -> None:
    register = GXDLMSRegister("1.0.1.8.0.255")
    register.setDataType(2, DataType.UINT32)
    register.value = 5
    theirs = written(client().write(register, 2))[0]
    assert theirs == encode_request(Set(ENERGY, axdr.u32(5)), theirs[2] & 15)


def test_gurux_writes_lists_the_same() -> None:
    items = []
    for name, value in (("1.0.1.8.0.255", 5), ("1.0.2.8.0.255", 6)):
        register = GXDLMSRegister(name)
        register.setDataType(2, DataType.UINT32)
        register.value = value
        # gurux-dlms has a class for this that it cannot use itself
        item = SimpleNamespace(target=register, index=2, selector=0, parameters=None)
        item.getDataType = lambda: DataType.UINT32
        items.append(item)
    theirs = written(client().writeList(items))[0]
    other = Attribute(3, b"\x01\x00\x02\x08\x00\xff")
    ours = SetList((Set(ENERGY, axdr.u32(5)), Set(other, axdr.u32(6))))
    assert theirs == encode_request(ours, theirs[2] & 15)


def test_selections_come_back_as_plain_values() -> None:
    request = Get(PROFILE, by_range(CLOCK, axdr.octets(b"from"), axdr.octets(b"to")))
    decoded, _ = decode_request(encode_request(request, 1))
    assert isinstance(decoded, Get)
    assert decoded.selection is not None
    assert decoded.selection.selector == 1
    assert decoded.selection.parameter == [[8, CLOCK.name, 2, 0], b"from", b"to", []]


@pytest.mark.parametrize("octets", [row[1] for row in REQUESTS])
def test_requests_cut_or_stretched_are_refused(octets: str) -> None:
    raw = bytes.fromhex(octets)
    for damaged in (*(raw[:size] for size in range(len(raw))), raw + b"\x00"):
        with pytest.raises(MeterError):
            decode_request(damaged)


def test_a_list_with_other_than_one_value_for_each_attribute() -> None:
    raw = bytes.fromhex("c104c1 01 0003 0100010800ff 02 00 02 1105 1106")
    with pytest.raises(MeterError, match="2 values for 1"):
        decode_request(raw)


@pytest.mark.parametrize(("octets", "values"), [("00", ()), ("02 1105 1106", (5, 6))])
def test_values_of_a_long_list(octets: str, values: tuple[int, ...]) -> None:
    assert decode_values(bytes.fromhex(octets)) == values


@pytest.mark.parametrize("octets", ["", "02 1105", "01 1105 00", "80"])
def test_values_that_do_not_fill_their_blocks(octets: str) -> None:
    with pytest.raises(MeterError):
        decode_values(bytes.fromhex(octets))


def test_lists_are_bounded_both_ways() -> None:
    assert decode_request(encode_request(GetList((ENERGY,) * MAX_LIST), 0))[0] == GetList((Get(ENERGY),) * MAX_LIST)
    for items in ((), (ENERGY,) * (MAX_LIST + 1)):
        with pytest.raises(ValueError, match="items"):
            encode_request(GetList(items), 0)
    with pytest.raises(MeterError, match="longer than"):
        decode_request(b"\xc0\x03\xc1\x80" + bytes(2000))
