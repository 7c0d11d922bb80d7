"""One request and its answers: which of them fit, and how blocks become the whole."""

from dataclasses import replace
from typing import Any

import pytest
from gurux_dlms.enums import DataType
from gurux_dlms.objects import GXDLMSData

from dcu.dlms import axdr
from dcu.dlms.acse import Conformance, Initiate
from dcu.dlms.apdu import decode_request, encode_request, encode_results
from dcu.dlms.requests import encode_values
from dcu.dlms.services import (
    AccessError,
    Action,
    ActionBlock,
    ActionNext,
    ActionResponse,
    Block,
    FirstBlock,
    Get,
    GetBlock,
    GetList,
    GetListResponse,
    GetNext,
    GetResponse,
    Read,
    ReadBlock,
    ReadNext,
    ReadResponse,
    Request,
    Set,
    SetBlock,
    SetEnd,
    SetList,
    SetListResponse,
    SetNext,
    SetResponse,
    Variable,
    Write,
    WriteResponse,
)
from dcu.dlms.transfer import Transfer
from dcu.errors import MeterError
from dcu.model import Attribute

from .gurux import client, written

VOLTAGE = Attribute(3, b"\x01\x00\x20\x07\x00\xff")
RELAY = (70, b"\x00\x00\x60\x03\x0a\xff", 1)
DENIED = AccessError(3)
AGREED = Initiate(Conformance.GET, 0)


@pytest.mark.parametrize(
    ("request_", "answer", "results"),
    [
        (Get(VOLTAGE), GetResponse(5), [5]),
        (GetList((VOLTAGE, VOLTAGE)), GetListResponse((5, DENIED)), [5, DENIED]),
        (Set(VOLTAGE, axdr.u8(1)), SetResponse(), [None]),
        (Action(*RELAY), ActionResponse(DENIED), [DENIED]),
        (Action(*RELAY), ActionResponse(None, 7), [7]),
        (Read((Variable(8),)), ReadResponse((5,)), [5]),
        (Read((Variable(8), Variable(16))), ReadResponse((5, DENIED)), [5, DENIED]),
        (Write(((Variable(8), axdr.u8(1)),)), WriteResponse((DENIED,)), [DENIED]),
    ],
)
def test_an_answer_ends_the_exchange(request_: Any, answer: Any, results: list[Any]) -> None:
    assert Transfer(request_, AGREED).take(answer) == results


def test_blocks_are_asked_for_one_by_one() -> None:
    transfer = Transfer(GetList((VOLTAGE, VOLTAGE)), AGREED)
    octets = encode_results((axdr.u8(5), DENIED))
    assert transfer.take(GetBlock(1, False, octets[:3])) == GetNext(1)
    assert transfer.take(GetBlock(2, True, octets[3:])) == [5, DENIED]


WRITES = Initiate(Conformance.BLOCK_TRANSFER_SET | Conformance.BLOCK_TRANSFER_ACTION, 40)
TEXT = axdr.octets(bytes(range(60)))
LONG_SET = Set(VOLTAGE, TEXT)
LONG_LIST = SetList((Set(VOLTAGE, axdr.u8(1)), LONG_SET))
LONG_ACTION = Action(*RELAY, TEXT)


def sent(transfer: Transfer, taken: type[SetNext | ActionNext]) -> tuple[Request, list[Block]]:
    """Take blocks until the last; return what the first was of, and all of them."""
    first = transfer.first()
    assert isinstance(first, FirstBlock)
    assert len(encode_request(first, 0)) <= 40
    blocks = [first.block]
    while not blocks[-1].last:
        step = transfer.take(taken(blocks[-1].number))
        assert isinstance(step, SetBlock | ActionBlock)
        assert len(encode_request(step, 0)) <= 40
        blocks.append(step.block)
    return first.request, blocks


@pytest.mark.parametrize(
    ("request_", "answer", "results"),
    [
        (LONG_SET, SetResponse(), [None]),
        (LONG_SET, SetResponse(DENIED), [DENIED]),
        (LONG_LIST, SetListResponse((None, DENIED)), [None, DENIED]),
        (LONG_ACTION, ActionResponse(None, 5), [5]),
    ],
)
def test_a_long_request_goes_in_blocks(request_: Any, answer: Any, results: list[Any]) -> None:
    transfer = Transfer(request_, WRITES)
    acting = isinstance(request_, Action)
    whole, blocks = sent(transfer, ActionNext if acting else SetNext)
    assert whole == request_
    assert [block.number for block in blocks] == list(range(1, len(blocks) + 1))
    assert b"".join(block.content for block in blocks) == encode_values(request_)
    assert transfer.take(answer if acting else SetEnd(answer, len(blocks))) == results


@pytest.mark.parametrize("request_", [LONG_SET, LONG_LIST, LONG_ACTION])
def test_what_fits_is_not_cut(request_: Any) -> None:
    size = len(encode_request(request_, 0))
    assert Transfer(request_, replace(WRITES, max_pdu=size)).first() is request_
    assert Transfer(request_, replace(WRITES, max_pdu=size + 20), overhead=20).first() is request_
    assert Transfer(request_, replace(WRITES, max_pdu=0)).first() is request_
    assert Transfer(request_, replace(WRITES, conformance=Conformance.SET)).first() is request_
    assert Transfer(request_, replace(WRITES, max_pdu=size - 1)).first() is not request_


@pytest.mark.parametrize("size", range(25, 90))
def test_blocks_of_any_size_hold_the_whole(size: int) -> None:
    transfer = Transfer(LONG_SET, replace(WRITES, max_pdu=size))
    step = transfer.first()
    content = b""
    while not isinstance(step, Set):
        assert isinstance(step, FirstBlock | SetBlock)
        assert len(encode_request(step, 0)) <= size
        content += step.block.content
        if step.block.last:
            break
        following = transfer.take(SetNext(step.block.number))
        assert not isinstance(following, list)
        step = following
    assert content in {b"", encode_values(LONG_SET)}


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (LONG_SET, SetNext(2)),
        (LONG_SET, SetEnd(SetResponse(), 1)),
        (LONG_SET, SetEnd(SetResponse(DENIED), 7)),
        (LONG_SET, SetResponse()),
        (LONG_SET, SetListResponse((None,))),
        (LONG_LIST, SetListResponse((DENIED,))),
        (LONG_LIST, SetListResponse((DENIED, None))),
        (LONG_LIST, SetResponse()),
        (LONG_ACTION, ActionNext(0)),
        (LONG_ACTION, ActionResponse()),
        (LONG_ACTION, ActionBlock(Block(1, True, b"\x00"))),
        (LONG_ACTION, SetNext(1)),
        (Set(VOLTAGE, axdr.u8(1)), SetNext(0)),
        (Action(*RELAY), ActionNext(0)),
        (Action(*RELAY), ActionBlock(Block(2, True, b"\x00"))),
        (Action(*RELAY), ActionBlock(Block(1, True, b""))),
    ],
)
def test_answers_that_do_not_fit_the_blocks(request_: Any, answer: Any) -> None:
    transfer = Transfer(request_, WRITES)
    transfer.first()
    with pytest.raises(MeterError):
        transfer.take(answer)


@pytest.mark.parametrize(
    ("request_", "answer", "results"),
    [
        (LONG_SET, SetResponse(DENIED), [DENIED]),
        (LONG_SET, SetEnd(SetResponse(DENIED), 1), [DENIED]),
        (LONG_LIST, SetEnd(SetResponse(DENIED), 1), [DENIED, DENIED]),
        (LONG_ACTION, ActionResponse(DENIED), [DENIED]),
    ],
)
def test_a_meter_may_refuse_before_it_has_the_whole(request_: Any, answer: Any, results: list[Any]) -> None:
    transfer = Transfer(request_, WRITES)
    transfer.first()
    assert transfer.take(answer) == results


def test_what_a_method_returns_may_come_in_blocks() -> None:
    transfer = Transfer(Action(*RELAY), AGREED)
    octets = axdr.encode(TEXT)
    assert transfer.take(ActionBlock(Block(1, False, octets[:30]))) == ActionNext(1)
    assert transfer.take(ActionBlock(Block(2, True, octets[30:]))) == [TEXT.value]


def test_no_block_fits() -> None:
    with pytest.raises(MeterError, match="12 octets that the meter takes"):
        Transfer(LONG_SET, replace(WRITES, max_pdu=12)).first()


def test_an_answer_to_something_else() -> None:
    with pytest.raises(MeterError, match="SetResponse does not answer Get"):
        Transfer(Get(VOLTAGE), AGREED).take(SetResponse())


def test_gurux_writes_the_same_blocks() -> None:
    theirs = client()
    theirs.settings.maxServerPDUSize = theirs.settings.maxPduSize = 40
    data = GXDLMSData("0.0.96.13.0.255")
    data.setDataType(2, DataType.OCTET_STRING)
    data.value = bytes(range(100))
    value = b"".join(decode_request(apdu)[0].block.content for apdu in written(theirs.write(data, 2)))  # type: ignore[union-attr]
    assert value == axdr.encode(axdr.octets(bytes(range(100))))


def test_gurux_invokes_in_the_same_blocks() -> None:
    theirs = client()
    theirs.settings.maxServerPDUSize = theirs.settings.maxPduSize = 40
    apdus = written(theirs.method(GXDLMSData("0.0.96.13.0.255"), 1, bytes(range(100)), DataType.OCTET_STRING))
    blocks = [decode_request(apdu)[0] for apdu in apdus]
    assert isinstance(blocks[0], FirstBlock)
    assert all(isinstance(block, ActionBlock) for block in blocks[1:])
    assert [block.block.number for block in blocks] == list(range(1, len(blocks) + 1))  # type: ignore[union-attr]
    content = b"".join(block.block.content for block in blocks)  # type: ignore[union-attr]
    assert content == axdr.encode(axdr.octets(bytes(range(100))))


def read_in_blocks(count: int, whole: str) -> list[Any] | Request:
    """Let a Read of `count` variables be answered with `whole`, an octet in each block."""
    transfer = Transfer(Read((Variable(8),) * count), AGREED)
    octets = bytes.fromhex(whole)
    for number, octet in enumerate(octets, 1):
        step = transfer.take(ReadBlock(Block(number, number == len(octets), bytes((octet,)))))
        assert isinstance(step, list) or step == ReadNext(number)
    return step


@pytest.mark.parametrize(
    ("count", "whole", "results"),
    [
        # the Data itself, the choice before it, and the list of one result: meters do either
        (1, "0902 6869", [b"hi"]),
        (1, "00 0902 6869", [b"hi"]),
        (1, "01 00 0902 6869", [b"hi"]),
        (1, "0102 1105 1106", [[5, 6]]),
        (1, "01 01 04", [AccessError(4)]),
        (2, "02 00 1105 01 03", [5, DENIED]),
    ],
)
def test_what_was_read_comes_out_of_its_blocks(count: int, whole: str, results: list[Any]) -> None:
    assert read_in_blocks(count, whole) == results


@pytest.mark.parametrize(("count", "whole"), [(1, "02 00 1105 01 03"), (2, "01 00 1105"), (2, "1105"), (1, "09")])
def test_blocks_that_hold_something_else_are_refused(count: int, whole: str) -> None:
    with pytest.raises(MeterError):
        read_in_blocks(count, whole)


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (Read((Variable(8),)), ReadResponse((5, 6))),
        (Read((Variable(8),)), WriteResponse((None,))),
        (Read((Variable(8),)), GetResponse(5)),
        (Get(VOLTAGE), ReadResponse((5,))),
        (Write(((Variable(8), axdr.u8(1)),)), ReadResponse((5,))),
        (Write(((Variable(8), axdr.u8(1)),)), WriteResponse((None, None))),
        (Write(((Variable(8), axdr.u8(1)),)), ReadBlock(Block(1, last=True, content=b"\x00"))),
        (Read((Variable(8),)), ReadBlock(Block(2, last=True, content=b"\x00"))),
        (Read((Variable(8),)), ReadBlock(Block(1, last=False, content=b""))),
    ],
)
def test_short_names_answer_what_was_asked_or_nothing(request_: Request, answer: Any) -> None:
    with pytest.raises(MeterError):
        Transfer(request_, AGREED).take(answer)
