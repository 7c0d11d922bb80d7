"""The services over the whole space: block sizes, losses, and octets that nobody meant."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcu.dlms import axdr
from dcu.dlms.acse import Conformance, Initiate
from dcu.dlms.apdu import decode_request, decode_response, decode_results, decode_returned, encode_request
from dcu.dlms.axdr import decode_contents
from dcu.dlms.cosem import decode_compact_data
from dcu.dlms.general_blocks import GeneralBlock, GeneralGathering, GeneralSending
from dcu.dlms.notifications import decode_notification
from dcu.dlms.requests import decode_values
from dcu.dlms.services import (
    Action,
    ActionResponse,
    Answer,
    ExceptionResponse,
    Get,
    GetList,
    GetListResponse,
    GetResponse,
    Read,
    ReadResponse,
    Request,
    Set,
    SetList,
    SetListResponse,
    SetResponse,
    Variable,
    Write,
    WriteResponse,
)
from dcu.dlms.transfer import Transfer
from dcu.errors import MeterError
from dcu.model import Attribute
from sim.blocks import Blocks, GeneralBlocks

MESSAGE = Attribute(1, b"\x00\x00\x60\x0d\x00\xff")
RELAY = (70, b"\x00\x00\x60\x03\x0a\xff", 1)
BLOCKS = Conformance.BLOCK_TRANSFER_GET | Conformance.BLOCK_TRANSFER_SET | Conformance.BLOCK_TRANSFER_ACTION

contents = st.binary(max_size=300)
sets = contents.map(lambda content: Set(MESSAGE, axdr.octets(content)))
requests: st.SearchStrategy[Request] = st.one_of(
    sets,
    st.lists(sets, min_size=1, max_size=4).map(lambda items: SetList(tuple(items))),
    contents.map(lambda content: Action(*RELAY, axdr.octets(content))),
    st.just(Get(MESSAGE)),
    st.integers(1, 4).map(lambda count: GetList((MESSAGE,) * count)),
    st.integers(1, 4).map(lambda count: Read((Variable(8),) * count)),
    contents.map(lambda content: Write(((Variable(8), axdr.octets(content[:60])),))),
)


@given(requests, contents, st.integers(90, 250), st.integers(20, 250))
def test_client_and_meter_agree_at_any_size(request_: Request, content: bytes, ours: int, theirs: int) -> None:
    """`ours` octets is what the meter takes, `theirs` what the client does."""
    returned = axdr.octets(content)
    asked: list[Request] = []

    def serve(request: Request) -> Answer | ExceptionResponse:
        asked.append(request)
        match request:
            case Set():
                return SetResponse()
            case SetList(items):
                return SetListResponse((None,) * len(items))
            case Action():
                return ActionResponse(None, returned)
            case GetList(items):
                return GetListResponse((returned,) * len(items))
            case Read(variables) | Write(variables):
                count = len(variables)
                return (
                    ReadResponse((returned,) * count) if isinstance(request, Read) else WriteResponse((None,) * count)
                )
            case _:
                return GetResponse(returned)

    blocks, transfer = Blocks(theirs, BLOCKS), Transfer(request_, Initiate(BLOCKS, ours))
    step: Request | list[Any] = transfer.first()
    while not isinstance(step, list):
        apdu = encode_request(step, 1)
        assert len(apdu) <= ours
        answer = blocks.respond(decode_request(apdu)[0], serve)
        step = transfer.take(_heard(answer))
    assert len(asked) == 1
    assert asked[0] == decode_request(encode_request(request_, 1))[0]
    assert set(step) <= {None, content}


def _heard(answer: Answer | ExceptionResponse) -> Answer:
    """Return what the client decodes of `answer`: plain values."""
    assert not isinstance(answer, ExceptionResponse)
    match answer:
        case GetResponse(axdr.Typed(value=value)):
            return GetResponse(value)
        case GetListResponse(results):
            return GetListResponse(tuple(result.value for result in results))
        case ReadResponse(results):
            return ReadResponse(tuple(result.value for result in results))
        case ActionResponse(error, axdr.Typed(value=value)):
            return ActionResponse(error, value)
        case _:
            return answer


@given(st.binary(min_size=1, max_size=400), st.integers(1, 9), st.integers(1, 60), st.data())
def test_lost_general_blocks_are_sent_again(whole: bytes, window: int, size: int, data: st.DataObject) -> None:
    parts = [whole[start : start + size] for start in range(0, len(whole), size)]
    gathering = GeneralGathering(window)
    acknowledged, losses = 0, 5
    while True:
        run = range(acknowledged, min(acknowledged + window, len(parts)))
        told = b""
        for index in run:
            ends = index == run[-1]
            # the last of a run arrives, or the client would have nothing to answer
            if not ends and losses and data.draw(st.booleans()):
                losses -= 1
                continue
            block = GeneralBlock(index + 1, 0, parts[index], index == len(parts) - 1, not ends, 1)
            result, told = gathering.take(block.to_bytes())
            if result is not None:
                assert result == whole
                return
            assert bool(told) is (ends or block.last)
        acknowledged = GeneralBlock.from_bytes(told).acknowledged


@given(st.binary(min_size=1, max_size=400), st.integers(10, 60))
def test_a_meter_gives_the_whole_in_general_blocks(whole: bytes, limit: int) -> None:
    blocks, gathering = GeneralBlocks(limit), GeneralGathering(1)
    apdu = blocks.cut(whole)
    if len(whole) <= limit:
        assert apdu == whole
        return
    while True:
        assert len(apdu) <= limit
        result, told = gathering.take(apdu)
        if result is not None:
            assert result == whole
            return
        none, apdu = blocks.take(told)
        assert none is None


@given(st.data(), st.binary(min_size=1, max_size=400), st.integers(10, 60), st.integers(1, 8))
def test_a_request_in_general_blocks_arrives_whole_however_many_are_lost(
    data: st.DataObject, whole: bytes, limit: int, run: int
) -> None:
    sending, meter = GeneralSending(whole, limit, run), GeneralBlocks(limit)
    row, losses = sending.burst(), 20
    while True:
        assert 1 <= len(row) <= run
        answer = b""
        for apdu in row:
            assert len(apdu) <= limit
            # the last of a row gives the meter the word: it is sent again by who waits, which is TCP
            if losses and apdu is not row[-1] and data.draw(st.booleans()):
                losses -= 1
                continue
            result, answer = meter.take(apdu)
            if result is not None:
                assert result == whole
                assert not sending.unsent
                return
        row = sending.take(GeneralBlock.from_bytes(answer))


HEADS = [bytes((tag, form, 0xC1)) for tag in (0xC0, 0xC1, 0xC3, 0xC4, 0xC5, 0xC7) for form in range(1, 7)]
HEADS += [b"\x05\x01\x04", b"\x05\x01\x05", b"\x06\x01\x02", b"\x0c\x01\x02\x00", b"\x0c\x02\x00", b"\x0d\x02"]
HEADS += [b"", b"\x0f\x00\x00\x00\x01", b"\xc2\x00", b"\xe0\x81\x00\x01\x00\x00", b"\xd8", b"\x0e"]
NOISE = st.lists(st.sampled_from([0, 1, 2, 3, 4, 9, 17, 19, 25, 0x7F, 0x81, 0x84, 0xFF]), max_size=120).map(bytes)
DECODERS: list[Callable[[bytes], object]] = [
    decode_request,
    decode_response,
    decode_results,
    decode_returned,
    decode_values,
    decode_notification,
    GeneralGathering(3).take,
    lambda octets: decode_contents(octets[:9], octets[9:]),
    lambda octets: decode_compact_data(octets[9:], octets[:9], 1),
]


@pytest.mark.parametrize("decode", DECODERS)
@given(st.sampled_from(HEADS), NOISE | st.binary(max_size=120))
def test_octets_nobody_meant_raise_nothing_but_meter_error(
    decode: Callable[[bytes], object], head: bytes, octets: bytes
) -> None:
    said = None
    try:
        decode(head + octets)
    except MeterError as error:
        said = str(error)
    assert said is None or said.strip(), "refused without a word"
