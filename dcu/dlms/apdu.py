"""xDLMS APDUs: the words of `services` to octets and back, both for a client and for a meter (IEC 62056-5-3).

Who may send which of them when is in `association`; Data inside them is `axdr`, protection around them `security`.
"""

from collections.abc import Callable
from typing import Any, Final

from dcu.dlms import axdr
from dcu.dlms.axdr import Typed, encode_length, read_length
from dcu.dlms.services import (
    MAX_LIST,
    AccessError,
    Action,
    ActionResponse,
    Answer,
    ConfirmedServiceError,
    ExceptionResponse,
    Get,
    GetBlock,
    GetList,
    GetListResponse,
    GetNext,
    GetResponse,
    Request,
    Selection,
    ServiceError,
    Set,
    SetResponse,
)
from dcu.errors import MeterError
from dcu.model import Attribute

GET_REQUEST: Final = 0xC0
SET_REQUEST: Final = 0xC1
ACTION_REQUEST: Final = 0xC3
GET_RESPONSE: Final = 0xC4
SET_RESPONSE: Final = 0xC5
ACTION_RESPONSE: Final = 0xC7
EXCEPTION_RESPONSE: Final = 0xD8
CONFIRMED_SERVICE_ERROR: Final = 0x0E

#: A service and which of its forms follows: the two octets that decide how the rest is read.
_GET_NORMAL: Final = bytes((GET_REQUEST, 1))
_GET_NEXT: Final = bytes((GET_REQUEST, 2))
_GET_LIST: Final = bytes((GET_REQUEST, 3))
_SET_NORMAL: Final = bytes((SET_REQUEST, 1))
_ACTION_NORMAL: Final = bytes((ACTION_REQUEST, 1))
_GOT_NORMAL: Final = bytes((GET_RESPONSE, 1))
_GOT_BLOCK: Final = bytes((GET_RESPONSE, 2))
_GOT_LIST: Final = bytes((GET_RESPONSE, 3))
_SET_DONE: Final = bytes((SET_RESPONSE, 1))
_ACTION_DONE: Final = bytes((ACTION_RESPONSE, 1))
#: Confirmed service, high priority; the lowest four bits are the invoke-id (Invoke-Id-And-Priority).
_PRIORITY: Final = 0xC0
_INVOKE: Final = 0x0F


def encode_request(request: Request, invoke: int) -> bytes:
    """Return the APDU of `request` under invoke-id `invoke` (0..15). ValueError when a list is empty or too long."""
    head = bytes((_PRIORITY | invoke,))
    match request:
        case Get():
            return _GET_NORMAL + head + _encode_get(request)
        case GetList(items):
            if not 1 <= len(items) <= MAX_LIST:
                raise ValueError(f"list of {len(items)} items")
            gets = (item if isinstance(item, Get) else Get(item) for item in items)
            return _GET_LIST + head + bytes((len(items),)) + b"".join(map(_encode_get, gets))
        case GetNext(block):
            return _GET_NEXT + head + block.to_bytes(4)
        case Set(attribute, value, selection):
            return _SET_NORMAL + head + _encode_get(Get(attribute, selection)) + axdr.encode(value)
        case Action(class_id, name, method, argument):
            target = _encode_target(class_id, name, method)
            return _ACTION_NORMAL + head + target + _encode_optional(argument)


def _encode_target(class_id: int, name: bytes, index: int) -> bytes:
    return class_id.to_bytes(2) + name + index.to_bytes(1, signed=True)


def _encode_get(get: Get) -> bytes:
    attribute, selection = get.attribute, get.selection
    target = _encode_target(attribute.class_id, attribute.name, attribute.index)
    if selection is None:
        return target + b"\x00"
    # Cosem-Attribute-Descriptor-With-Selection: present, access-selector, access-parameters
    return target + bytes((1, selection.selector)) + axdr.encode(selection.parameter)


def _encode_optional(value: Typed | None) -> bytes:
    return b"\x00" if value is None else b"\x01" + axdr.encode(value)


def encode_response(response: Answer | ServiceError, invoke: int) -> bytes:
    """Return the APDU of `response` to the request that had invoke-id `invoke`; the error APDUs carry none."""
    head = bytes((_PRIORITY | invoke,))
    match response:
        case GetResponse(result):
            return _GOT_NORMAL + head + _encode_result(result)
        case GetListResponse(results):
            return _GOT_LIST + head + encode_results(results)
        case GetBlock():
            return _GOT_BLOCK + head + _encode_block(response)
        case SetResponse(error):
            return _SET_DONE + head + _encode_code(error)
        case ActionResponse(error, result):
            returned = b"\x00" if result is None else b"\x01" + _encode_result(result)
            return _ACTION_DONE + head + _encode_code(error) + returned
        case ExceptionResponse() | ConfirmedServiceError():
            return _encode_error(response)


def _encode_error(error: ServiceError) -> bytes:
    if isinstance(error, ConfirmedServiceError):
        return bytes((CONFIRMED_SERVICE_ERROR, error.service, error.category, error.value))
    expected = b"" if error.counter is None else error.counter.to_bytes(4)
    return bytes((EXCEPTION_RESPONSE, error.state, error.service)) + expected


def encode_results(results: tuple[Any, ...]) -> bytes:
    """Return the results of a list as they stand in GetListResponse, and in the blocks of a long one."""
    return encode_length(len(results)) + b"".join(map(_encode_result, results))


def _encode_result(result: Any) -> bytes:
    return bytes((1, result.code)) if isinstance(result, AccessError) else b"\x00" + axdr.encode(result)


def _encode_code(error: AccessError | None) -> bytes:
    return bytes((error.code if error else 0,))


def _encode_block(block: GetBlock) -> bytes:
    # DataBlock-G: last-block, block-number, then raw-data or a Data-Access-Result in its place
    head = bytes((block.last,)) + block.number.to_bytes(4)
    if isinstance(block.content, AccessError):
        return head + bytes((1, block.content.code))
    return head + b"\x00" + encode_length(len(block.content)) + block.content


def decode_request(data: bytes) -> tuple[Request, int]:
    """Return the request in `data` and its invoke-id; MeterError when it is malformed or of another service."""
    request, invoke = _decode(data, _REQUESTS)
    return request, invoke


def decode_response(data: bytes) -> tuple[Answer | ServiceError, int | None]:
    """Return the response in `data` and its invoke-id (None: an error APDU has none); MeterError as above."""
    if data[:1] == bytes((EXCEPTION_RESPONSE,)) and len(data) in {3, 7}:
        return ExceptionResponse(data[1], data[2], int.from_bytes(data[3:]) if data[3:] else None), None
    if data[:1] == bytes((CONFIRMED_SERVICE_ERROR,)) and len(data) == 4:
        return ConfirmedServiceError(*data[1:]), None
    response, invoke = _decode(data, _RESPONSES)
    return response, invoke


def _decode(data: bytes, decoders: dict[bytes, Callable[[bytes], tuple[Any, int]]]) -> tuple[Any, int]:
    decoder = decoders.get(data[:2])
    if decoder is None:
        raise MeterError(f"unexpected APDU {data[:3].hex()}")
    try:
        word, end = decoder(data)
    except IndexError:
        raise MeterError("APDU is truncated") from None
    # octets too many are as wrong as too few: whoever appended them wanted them overlooked
    if end != len(data):
        raise MeterError(f"APDU of {len(data)} octets should have {end}")
    return word, data[2] & _INVOKE


def _decode_get(data: bytes, at: int = 3) -> tuple[Get, int]:
    attribute = Attribute(int.from_bytes(data[at : at + 2]), data[at + 2 : at + 8], _signed(data[at + 8]))
    if not data[at + 9]:
        return Get(attribute), at + 10
    parameter, end = axdr.decode(data, at + 11)
    return Get(attribute, Selection(data[at + 10], parameter)), end


def _signed(octet: int) -> int:
    return octet - 0x100 if octet & 0x80 else octet


def _decode_get_list(data: bytes) -> tuple[GetList, int]:
    items: list[Get] = []
    at = 4
    for _ in range(_list_count(data, 3)):
        item, at = _decode_get(data, at)
        items.append(item)
    return GetList(tuple(items)), at


def _list_count(data: bytes, at: int) -> int:
    if data[at] > MAX_LIST:
        raise MeterError(f"list longer than {MAX_LIST}")
    return data[at]


def _decode_set(data: bytes) -> tuple[Set, int]:
    get, at = _decode_get(data)
    value, end = axdr.decode(data, at)
    return Set(get.attribute, value, get.selection), end


def _decode_action(data: bytes) -> tuple[Action, int]:
    argument, end = axdr.decode(data, 13) if data[12] else (None, 13)
    return Action(int.from_bytes(data[3:5]), data[5:11], _signed(data[11]), argument), end


_REQUESTS: Final[dict[bytes, Callable[[bytes], tuple[Request, int]]]] = {
    _GET_NORMAL: _decode_get,
    _GET_NEXT: lambda data: (GetNext(int.from_bytes(data[3:7])), 7),
    _GET_LIST: _decode_get_list,
    _SET_NORMAL: _decode_set,
    _ACTION_NORMAL: _decode_action,
}


def _decode_result(data: bytes, at: int) -> tuple[Any, int]:
    choice = data[at]
    if choice == 0:
        return axdr.decode(data, at + 1)
    if choice == 1:
        return AccessError(data[at + 1]), at + 2
    raise MeterError(f"result of unknown kind {choice}")


def decode_results(data: bytes, at: int = 0) -> tuple[tuple[Any, ...], int]:
    """Return the results of a list that starts at `at`, and the offset behind it; MeterError when malformed."""
    results: list[Any] = []
    try:
        count = _list_count(data, at)
        at += 1
        for _ in range(count):
            result, at = _decode_result(data, at)
            results.append(result)
    except IndexError:
        raise MeterError("list of results is truncated") from None
    return tuple(results), at


def _decode_got(data: bytes) -> tuple[GetResponse, int]:
    result, end = _decode_result(data, 3)
    return GetResponse(result), end


def _decode_got_list(data: bytes) -> tuple[GetListResponse, int]:
    results, end = decode_results(data, 3)
    return GetListResponse(results), end


def _decode_block(data: bytes) -> tuple[GetBlock, int]:
    number, last = int.from_bytes(data[4:8]), bool(data[3])
    if data[8]:
        return GetBlock(number, last, AccessError(data[9])), 10
    length, start = read_length(data, 9)
    return GetBlock(number, last, data[start : start + length]), start + length


def _decode_code(code: int) -> AccessError | None:
    return AccessError(code) if code else None


def _decode_action_done(data: bytes) -> tuple[ActionResponse, int]:
    result, end = _decode_result(data, 5) if data[4] else (None, 5)
    return ActionResponse(_decode_code(data[3]), result), end


_RESPONSES: Final[dict[bytes, Callable[[bytes], tuple[Answer, int]]]] = {
    _GOT_NORMAL: _decode_got,
    _GOT_BLOCK: _decode_block,
    _GOT_LIST: _decode_got_list,
    _SET_DONE: lambda data: (SetResponse(_decode_code(data[3])), 4),
    _ACTION_DONE: _decode_action_done,
}
