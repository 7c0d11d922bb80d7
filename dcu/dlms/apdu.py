"""Responses to octets and back, and with `requests` the door to all xDLMS APDUs (IEC 62056-5-3, clause 9).

Who may send which of them when is in `association`; Data inside them is `axdr`, protection around them `security`.
"""

from collections.abc import Callable
from typing import Any, Final

from dcu.dlms import axdr
from dcu.dlms.axdr import encode_length, read_length
from dcu.dlms.fields import (
    decode_apdu,
    decode_block,
    decode_code,
    decode_list,
    decode_result,
    encode_block,
    encode_code,
    encode_invoke,
    encode_list,
    encode_result,
)
from dcu.dlms.requests import ACTION_REQUEST, GET_REQUEST, SET_REQUEST, decode_request, encode_request
from dcu.dlms.services import (
    AccessError,
    ActionAnswer,
    ActionBlock,
    ActionNext,
    ActionResponse,
    Answer,
    ConfirmedServiceError,
    ExceptionResponse,
    GetAnswer,
    GetBlock,
    GetListResponse,
    GetResponse,
    ReadBlock,
    ReadResponse,
    ServiceError,
    SetAnswer,
    SetEnd,
    SetListResponse,
    SetNext,
    SetResponse,
    WriteResponse,
)
from dcu.dlms.variables import decode_short_answer, encode_short_answer
from dcu.errors import MeterError

__all__ = [
    "ACTION_REQUEST",
    "ACTION_RESPONSE",
    "CONFIRMED_SERVICE_ERROR",
    "EXCEPTION_RESPONSE",
    "GET_REQUEST",
    "GET_RESPONSE",
    "SET_REQUEST",
    "SET_RESPONSE",
    "decode_request",
    "decode_response",
    "decode_results",
    "decode_returned",
    "encode_request",
    "encode_response",
    "encode_results",
]

GET_RESPONSE: Final = 0xC4
SET_RESPONSE: Final = 0xC5
ACTION_RESPONSE: Final = 0xC7
EXCEPTION_RESPONSE: Final = 0xD8
CONFIRMED_SERVICE_ERROR: Final = 0x0E

_GOT_NORMAL: Final = bytes((GET_RESPONSE, 1))
_GOT_BLOCK: Final = bytes((GET_RESPONSE, 2))
_GOT_LIST: Final = bytes((GET_RESPONSE, 3))
_SET_DONE: Final = bytes((SET_RESPONSE, 1))
_SET_NEXT: Final = bytes((SET_RESPONSE, 2))
_SET_END: Final = bytes((SET_RESPONSE, 3))
_SET_LIST_END: Final = bytes((SET_RESPONSE, 4))
_SET_LIST_DONE: Final = bytes((SET_RESPONSE, 5))
_ACTION_DONE: Final = bytes((ACTION_RESPONSE, 1))
_ACTION_BLOCK: Final = bytes((ACTION_RESPONSE, 2))
_ACTION_NEXT: Final = bytes((ACTION_RESPONSE, 4))


def encode_response(response: Answer | ServiceError, invoke: int) -> bytes:
    """Return the APDU of `response` to the request of invoke-id `invoke`; errors, READ and WRITE carry none."""
    head = encode_invoke(invoke)
    match response:
        case GetResponse() | GetListResponse() | GetBlock():
            return _encode_got(response, head)
        case SetResponse() | SetListResponse() | SetNext() | SetEnd():
            return _encode_set(response, head)
        case ActionResponse() | ActionBlock() | ActionNext():
            return _encode_action(response, head)
        case ReadResponse() | ReadBlock() | WriteResponse():
            return encode_short_answer(response)
        case ExceptionResponse() | ConfirmedServiceError():
            return _encode_error(response)


def _encode_got(response: GetAnswer, head: bytes) -> bytes:
    match response:
        case GetResponse(result):
            return _GOT_NORMAL + head + encode_result(result)
        case GetListResponse(results):
            return _GOT_LIST + head + encode_results(results)
        case GetBlock(number, last, content):
            # DataBlock-G: last-block, block-number, then raw-data or a Data-Access-Result in its place
            start = _GOT_BLOCK + head + bytes((last,)) + number.to_bytes(4)
            if isinstance(content, AccessError):
                return start + bytes((1, content.code))
            return start + b"\x00" + encode_length(len(content)) + content


def _encode_set(response: SetAnswer, head: bytes) -> bytes:
    match response:
        case SetResponse():
            return _SET_DONE + head + _encode_codes(response)
        case SetListResponse():
            return _SET_LIST_DONE + head + _encode_codes(response)
        case SetNext(number):
            return _SET_NEXT + head + number.to_bytes(4)
        case SetEnd(whole, number):
            tag = _SET_END if isinstance(whole, SetResponse) else _SET_LIST_END
            return tag + head + _encode_codes(whole) + number.to_bytes(4)


def _encode_codes(response: SetResponse | SetListResponse) -> bytes:
    if isinstance(response, SetResponse):
        return encode_code(response.error)
    return encode_list([encode_code(error) for error in response.errors])


def _encode_action(response: ActionAnswer, head: bytes) -> bytes:
    match response:
        case ActionResponse(error, result):
            returned = b"\x00" if result is None else b"\x01" + encode_result(result)
            return _ACTION_DONE + head + encode_code(error) + returned
        case ActionBlock(block):
            return _ACTION_BLOCK + head + encode_block(block)
        case ActionNext(number):
            return _ACTION_NEXT + head + number.to_bytes(4)


def _encode_error(error: ServiceError) -> bytes:
    if isinstance(error, ConfirmedServiceError):
        return bytes((CONFIRMED_SERVICE_ERROR, error.service, error.category, error.value))
    expected = b"" if error.counter is None else error.counter.to_bytes(4)
    return bytes((EXCEPTION_RESPONSE, error.state, error.service)) + expected


def encode_results(results: tuple[Any, ...]) -> bytes:
    """Return the results of a list as they stand in GetListResponse, and in the blocks of a long one."""
    return encode_list([encode_result(result) for result in results])


def decode_response(data: bytes) -> tuple[Answer | ServiceError, int | None]:
    """Return the response in `data` and its invoke-id (None: it has none); MeterError when malformed."""
    if data[:1] == bytes((EXCEPTION_RESPONSE,)) and len(data) in {3, 7}:
        return ExceptionResponse(data[1], data[2], int.from_bytes(data[3:]) if data[3:] else None), None
    if data[:1] == bytes((CONFIRMED_SERVICE_ERROR,)) and len(data) == 4:
        return ConfirmedServiceError(*data[1:]), None
    if (short := decode_short_answer(data)) is not None:
        return short, None
    response, invoke = decode_apdu(data, _RESPONSES)
    return response, invoke


def decode_results(data: bytes, at: int = 0) -> tuple[tuple[Any, ...], int]:
    """Return the results of a list that starts at `at`, and the offset behind it; MeterError when malformed."""
    try:
        return decode_list(data, at, decode_result)
    except IndexError:
        raise MeterError("list of results is truncated") from None


def decode_returned(data: bytes) -> Any:
    """Return what a method returned in blocks, out of all of them; MeterError when malformed.

    The standard leaves open whether the blocks hold Data or the whole Get-Data-Result: either is taken. null-data, with
    which alone they could be confused, is one octet.
    """
    if len(data) > 1 and data[0] == axdr.NULL:
        return axdr.decode_all(data[1:])
    return axdr.decode_all(data)


def _decode_got(data: bytes) -> tuple[GetResponse, int]:
    result, end = decode_result(data, 3)
    return GetResponse(result), end


def _decode_got_list(data: bytes) -> tuple[GetListResponse, int]:
    results, end = decode_results(data, 3)
    return GetListResponse(results), end


def _decode_got_block(data: bytes) -> tuple[GetBlock, int]:
    number, last = int.from_bytes(data[4:8]), bool(data[3])
    if data[8]:
        return GetBlock(number, last, AccessError(data[9])), 10
    length, start = read_length(data, 9)
    return GetBlock(number, last, data[start : start + length]), start + length


def _decode_set_done(data: bytes) -> tuple[SetResponse, int]:
    error, end = decode_code(data, 3)
    return SetResponse(error), end


def _decode_set_list_done(data: bytes) -> tuple[SetListResponse, int]:
    errors, end = decode_list(data, 3, decode_code)
    return SetListResponse(errors), end


def _decode_set_end(data: bytes) -> tuple[SetEnd, int]:
    response, at = _decode_set_done(data)
    return SetEnd(response, int.from_bytes(data[at : at + 4])), at + 4


def _decode_set_list_end(data: bytes) -> tuple[SetEnd, int]:
    response, at = _decode_set_list_done(data)
    return SetEnd(response, int.from_bytes(data[at : at + 4])), at + 4


def _decode_action_done(data: bytes) -> tuple[ActionResponse, int]:
    error, at = decode_code(data, 3)
    result, end = decode_result(data, at + 1) if data[at] else (None, at + 1)
    return ActionResponse(error, result), end


def _decode_action_block(data: bytes) -> tuple[ActionBlock, int]:
    block, end = decode_block(data, 3)
    return ActionBlock(block), end


_RESPONSES: Final[dict[bytes, Callable[[bytes], tuple[Answer, int]]]] = {
    _GOT_NORMAL: _decode_got,
    _GOT_BLOCK: _decode_got_block,
    _GOT_LIST: _decode_got_list,
    _SET_DONE: _decode_set_done,
    _SET_NEXT: lambda data: (SetNext(int.from_bytes(data[3:7])), 7),
    _SET_END: _decode_set_end,
    _SET_LIST_END: _decode_set_list_end,
    _SET_LIST_DONE: _decode_set_list_done,
    _ACTION_DONE: _decode_action_done,
    _ACTION_BLOCK: _decode_action_block,
    _ACTION_NEXT: lambda data: (ActionNext(int.from_bytes(data[3:7])), 7),
}
