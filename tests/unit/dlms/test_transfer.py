"""One request and its answers: which of them fit, and how blocks become the whole."""

from typing import Any

import pytest

from dcu.dlms import axdr
from dcu.dlms.apdu import encode_results
from dcu.dlms.services import (
    AccessError,
    Action,
    ActionResponse,
    Get,
    GetBlock,
    GetList,
    GetListResponse,
    GetNext,
    GetResponse,
    Set,
    SetResponse,
)
from dcu.dlms.transfer import Transfer
from dcu.errors import MeterError
from dcu.model import Attribute

VOLTAGE = Attribute(3, b"\x01\x00\x20\x07\x00\xff")
RELAY = (70, b"\x00\x00\x60\x03\x0a\xff", 1)
DENIED = AccessError(3)


@pytest.mark.parametrize(
    ("request_", "answer", "results"),
    [
        (Get(VOLTAGE), GetResponse(5), [5]),
        (GetList((VOLTAGE, VOLTAGE)), GetListResponse((5, DENIED)), [5, DENIED]),
        (Set(VOLTAGE, axdr.u8(1)), SetResponse(), [None]),
        (Action(*RELAY), ActionResponse(DENIED), [DENIED]),
        (Action(*RELAY), ActionResponse(None, 7), [7]),
    ],
)
def test_an_answer_ends_the_exchange(request_: Any, answer: Any, results: list[Any]) -> None:
    assert Transfer(request_).take(answer) == results


def test_blocks_are_asked_for_one_by_one() -> None:
    transfer = Transfer(GetList((VOLTAGE, VOLTAGE)))
    octets = encode_results((axdr.u8(5), DENIED))
    assert transfer.take(GetBlock(1, False, octets[:3])) == GetNext(1)
    assert transfer.take(GetBlock(2, True, octets[3:])) == [5, DENIED]


def test_an_answer_to_something_else() -> None:
    with pytest.raises(MeterError, match="SetResponse does not answer Get"):
        Transfer(Get(VOLTAGE)).take(SetResponse())
