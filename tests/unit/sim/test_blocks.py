"""Long requests taken in blocks and long answers given so, with clients that keep to the rules and others."""

import pytest

from dcu.dlms import axdr
from dcu.dlms.acse import Conformance, Initiate
from dcu.dlms.requests import encode_values
from dcu.dlms.services import (
    AccessError,
    Action,
    ActionBlock,
    ActionNext,
    ActionResponse,
    Answer,
    Block,
    ExceptionResponse,
    FirstBlock,
    Get,
    GetListResponse,
    GetNext,
    GetResponse,
    Request,
    Set,
    SetBlock,
    SetEnd,
    SetList,
    SetListResponse,
    SetNext,
    SetResponse,
)
from dcu.dlms.transfer import Transfer
from dcu.model import Attribute
from sim.blocks import Blocks

TEXT = bytes(range(200))
MESSAGE = Attribute(1, b"\x00\x00\x60\x0d\x00\xff")
RELAY = (70, b"\x00\x00\x60\x03\x0a\xff", 1)
LONG_SET = Set(MESSAGE, axdr.octets(TEXT))
LONG_LIST = SetList((Set(MESSAGE, axdr.u8(1)), LONG_SET))
LONG_ACTION = Action(*RELAY, axdr.octets(TEXT))
AGREED = Initiate(
    Conformance.BLOCK_TRANSFER_GET | Conformance.BLOCK_TRANSFER_SET | Conformance.BLOCK_TRANSFER_ACTION, 50
)
NO_LONG_SET, NO_LONG_ACTION = AccessError(18), AccessError(16)
NUMBER_INVALID, UNAVAILABLE = AccessError(19), AccessError(14)


class Meter:
    """Remembers what it was asked, and answers by the book."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.blocks = Blocks(AGREED.max_pdu, AGREED.conformance)

    def serve(self, request: Request) -> Answer | ExceptionResponse:
        self.asked.append(request)
        match request:
            case Set():
                return SetResponse()
            case SetList(items):
                return SetListResponse((None,) * len(items))
            case Action():
                return ActionResponse(None, axdr.octets(TEXT))
            case _:
                return GetResponse(axdr.octets(TEXT))

    def answer(self, request: Request) -> Answer:
        answer = self.blocks.respond(request, self.serve)
        assert not isinstance(answer, ExceptionResponse)
        return answer


@pytest.mark.parametrize(
    ("request_", "whole", "results"),
    [
        (LONG_SET, Set(MESSAGE, TEXT), [None]),
        (LONG_LIST, SetList((Set(MESSAGE, 1), Set(MESSAGE, TEXT))), [None, None]),
        (LONG_ACTION, Action(*RELAY, TEXT), [TEXT]),
        (Get(MESSAGE), Get(MESSAGE), [TEXT]),
    ],
)
def test_client_and_meter_agree(request_: Request, whole: Request, results: list[object]) -> None:
    meter, transfer = Meter(), Transfer(request_, AGREED)
    step: Request | list[object] = transfer.first()
    while not isinstance(step, list):
        answer = meter.answer(step)
        # what the client decodes is the plain value
        if isinstance(answer, ActionResponse) and isinstance(answer.result, axdr.Typed):
            answer = ActionResponse(answer.error, answer.result.value)
        step = transfer.take(answer)
    assert meter.asked == [whole]
    assert step == results


@pytest.mark.parametrize(
    ("steps", "answer"),
    [
        ([SetBlock(Block(2, True, b""))], SetEnd(SetResponse(NO_LONG_SET), 2)),
        ([ActionBlock(Block(2, True, b""))], ActionResponse(NO_LONG_ACTION)),
        ([FirstBlock(Set(MESSAGE, None), Block(2, False, b"a"))], SetEnd(SetResponse(NUMBER_INVALID), 2)),
        ([FirstBlock(Set(MESSAGE, None), Block(1, True, b"\x11"))], SetEnd(SetResponse(AccessError(12)), 1)),
        ([FirstBlock(Action(*RELAY), Block(1, True, b"\x11"))], ActionResponse(AccessError(12))),
        (
            [FirstBlock(Set(MESSAGE, None), Block(1, False, b"a")), ActionBlock(Block(2, True, b"a"))],
            ActionResponse(NO_LONG_ACTION),
        ),
        (
            [FirstBlock(Set(MESSAGE, None), Block(1, False, b"a")), Get(MESSAGE), SetBlock(Block(2, True, b"a"))],
            SetEnd(SetResponse(NO_LONG_SET), 2),
        ),
        ([ActionNext(1)], ActionResponse(UNAVAILABLE)),
        ([Action(*RELAY), ActionNext(2)], ActionResponse(UNAVAILABLE)),
    ],
)
def test_clients_that_do_not_keep_to_the_rules(steps: list[Request], answer: Answer) -> None:
    meter = Meter()
    assert [meter.answer(step) for step in steps][-1] == answer


def test_a_result_that_fits_is_not_cut() -> None:
    blocks = Blocks(0, AGREED.conformance)
    answer = GetListResponse((axdr.octets(TEXT),))
    assert blocks.respond(GetNext(0), lambda _: answer) != answer
    assert blocks.respond(Get(MESSAGE), lambda _: answer) == answer


def test_a_long_set_is_acknowledged_block_by_block() -> None:
    meter = Meter()
    octets = encode_values(LONG_SET)
    assert meter.answer(FirstBlock(Set(MESSAGE, None), Block(1, False, octets[:9]))) == SetNext(1)
    assert meter.answer(SetBlock(Block(2, False, octets[9:99]))) == SetNext(2)
    assert meter.answer(SetBlock(Block(3, True, octets[99:]))) == SetEnd(SetResponse(), 3)
