"""Every answer both ways, and answers that are cut, stretched or unknown."""

import pytest

from dcu.dlms import axdr
from dcu.dlms.apdu import (
    decode_response,
    decode_results,
    decode_returned,
    encode_response,
    encode_results,
)
from dcu.dlms.services import (
    AccessError,
    ActionBlock,
    ActionNext,
    ActionResponse,
    Answer,
    Block,
    ConfirmedServiceError,
    ExceptionResponse,
    GetBlock,
    GetListResponse,
    GetResponse,
    ServiceError,
    SetEnd,
    SetListResponse,
    SetNext,
    SetResponse,
)
from dcu.errors import MeterError

PART = Block(1, False, b"abc")
DENIED = AccessError(3)


ANSWERS: list[tuple[Answer | ServiceError, str, Answer | ServiceError]] = [
    (GetResponse(axdr.u32(5)), "c401c1 00 0600000005", GetResponse(5)),
    (GetResponse(AccessError(3)), "c401c1 01 03", GetResponse(AccessError(3))),
    (
        GetListResponse((axdr.u8(1), AccessError(4))),
        "c403c1 02 00 1101 01 04",
        GetListResponse((1, AccessError(4))),
    ),
    (GetBlock(2, False, b"abc"), "c402c1 00 00000002 00 03616263", GetBlock(2, False, b"abc")),
    (GetBlock(3, True, AccessError(19)), "c402c1 01 00000003 01 13", GetBlock(3, True, AccessError(19))),
    (SetResponse(), "c501c1 00", SetResponse()),
    (SetResponse(AccessError(3)), "c501c1 03", SetResponse(AccessError(3))),
    (SetListResponse((None, DENIED)), "c505c1 02 00 03", SetListResponse((None, DENIED))),
    (SetNext(2), "c502c1 00000002", SetNext(2)),
    (SetEnd(SetResponse(DENIED), 2), "c503c1 03 00000002", SetEnd(SetResponse(DENIED), 2)),
    (SetEnd(SetListResponse((None,)), 2), "c504c1 01 00 00000002", SetEnd(SetListResponse((None,)), 2)),
    (ActionBlock(PART), "c702c1 00 00000001 03616263", ActionBlock(PART)),
    (ActionNext(2), "c704c1 00000002", ActionNext(2)),
    (ActionResponse(), "c701c1 00 00", ActionResponse()),
    (ActionResponse(AccessError(3)), "c701c1 03 00", ActionResponse(AccessError(3))),
    (ActionResponse(None, axdr.octets(b"x")), "c701c1 00 01 00 090178", ActionResponse(None, b"x")),
    (ActionResponse(None, AccessError(1)), "c701c1 00 01 01 01", ActionResponse(None, AccessError(1))),
    (ExceptionResponse(1, 2), "d8 01 02", ExceptionResponse(1, 2)),
    (ExceptionResponse(1, 6, 77), "d8 01 06 0000004d", ExceptionResponse(1, 6, 77)),
    (ConfirmedServiceError(1, 6, 1), "0e 01 06 01", ConfirmedServiceError(1, 6, 1)),
]


@pytest.mark.parametrize(("answer", "octets", "decoded"), ANSWERS)
def test_answers(answer: Answer | ServiceError, octets: str, decoded: Answer | ServiceError) -> None:
    raw = bytes.fromhex(octets)
    assert encode_response(answer, 1) == raw
    invoke = None if isinstance(answer, ExceptionResponse | ConfirmedServiceError) else 1
    assert decode_response(raw) == (decoded, invoke)


@pytest.mark.parametrize("octets", [row[1] for row in ANSWERS])
def test_answers_cut_or_stretched_are_refused(octets: str) -> None:
    raw = bytes.fromhex(octets)
    for size in range(len(raw)):
        if (raw[0], size) != (0xD8, 3):  # without its counter it is a whole exception
            with pytest.raises(MeterError):
                decode_response(raw[:size])
    with pytest.raises(MeterError):
        decode_response(raw + b"\x00")


@pytest.mark.parametrize("octets", ["c409c100", "c0", "", "ca00", "c401c1 02 00", "c403c1 80", "c403c1 05 00 00"])
def test_other_answers_are_refused(octets: str) -> None:
    with pytest.raises(MeterError):
        decode_response(bytes.fromhex(octets))


def test_results_of_a_long_list() -> None:
    results = (axdr.u8(1), AccessError(2), axdr.octets(b"abc"))
    raw = encode_results(results)
    assert decode_results(raw) == ((1, AccessError(2), b"abc"), len(raw))
    with pytest.raises(MeterError, match="truncated"):
        decode_results(raw[:5])


@pytest.mark.parametrize("octets", ["1105", "00 1105"])
def test_what_a_method_returned_in_blocks_with_and_without_its_choice(octets: str) -> None:
    assert decode_returned(bytes.fromhex(octets)) == 5


def test_a_method_returned_null_in_blocks() -> None:
    assert decode_returned(b"\x00") is None
