"""Requests to octets and back: GET, SET and ACTION in all their forms (IEC 62056-5-3, clause 9).

Responses are `apdu`'s, READ and WRITE `variables`'; what the words mean is said in `services`.
"""

from collections.abc import Callable
from typing import Any, Final

from dcu.dlms import axdr
from dcu.dlms.axdr import Typed
from dcu.dlms.fields import (
    decode_apdu,
    decode_block,
    decode_get,
    decode_list,
    decode_target,
    encode_block,
    encode_get,
    encode_invoke,
    encode_list,
    encode_target,
)
from dcu.dlms.services import (
    Action,
    ActionBlock,
    ActionNext,
    FirstBlock,
    Get,
    GetList,
    GetNext,
    Read,
    ReadNext,
    Request,
    Set,
    SetBlock,
    SetList,
    Write,
)
from dcu.dlms.variables import decode_short_request, encode_short_request
from dcu.errors import MeterError

GET_REQUEST: Final = 0xC0
SET_REQUEST: Final = 0xC1
ACTION_REQUEST: Final = 0xC3

#: A service and which of its forms follows: the two octets that decide how the rest is read.
_GET_NORMAL: Final = bytes((GET_REQUEST, 1))
_GET_NEXT: Final = bytes((GET_REQUEST, 2))
_GET_LIST: Final = bytes((GET_REQUEST, 3))
_SET_NORMAL: Final = bytes((SET_REQUEST, 1))
_SET_FIRST: Final = bytes((SET_REQUEST, 2))
_SET_BLOCK: Final = bytes((SET_REQUEST, 3))
_SET_LIST: Final = bytes((SET_REQUEST, 4))
_SET_LIST_FIRST: Final = bytes((SET_REQUEST, 5))
_ACTION_NORMAL: Final = bytes((ACTION_REQUEST, 1))
_ACTION_NEXT: Final = bytes((ACTION_REQUEST, 2))
_ACTION_FIRST: Final = bytes((ACTION_REQUEST, 4))
_ACTION_BLOCK: Final = bytes((ACTION_REQUEST, 6))


def encode_request(request: Request, invoke: int) -> bytes:
    """Return the APDU of `request` under invoke-id `invoke` (0..15). ValueError when a list is empty or too long.

    READ and WRITE have no invoke-id.
    """
    head = encode_invoke(invoke)
    match request:
        case Get():
            return _GET_NORMAL + head + encode_get(request)
        case GetList(items):
            gets = (item if isinstance(item, Get) else Get(item) for item in items)
            return _GET_LIST + head + encode_list([encode_get(get) for get in gets])
        case Action(argument=argument):
            return _ACTION_NORMAL + head + _encode_targets(request) + _encode_optional(argument)
        case Set() | SetList():
            return _WRITE[type(request)] + head + _encode_targets(request) + encode_values(request)
        case Read() | ReadNext() | Write():
            return encode_short_request(request)
        case _:
            return _encode_step(request, head)


def _encode_step(request: GetNext | FirstBlock | SetBlock | ActionBlock | ActionNext, head: bytes) -> bytes:
    """Return a step of a block transfer."""
    match request:
        case GetNext(number):
            return _GET_NEXT + head + number.to_bytes(4)
        case ActionNext(number):
            return _ACTION_NEXT + head + number.to_bytes(4)
        case FirstBlock(whole, block):
            return _FIRST[type(whole)] + head + _encode_targets(whole) + encode_block(block)
        case SetBlock(block):
            return _SET_BLOCK + head + encode_block(block)
        case ActionBlock(block):
            return _ACTION_BLOCK + head + encode_block(block)


_WRITE: Final[dict[type[Any], bytes]] = {Set: _SET_NORMAL, SetList: _SET_LIST}
_FIRST: Final[dict[type[Any], bytes]] = {Set: _SET_FIRST, SetList: _SET_LIST_FIRST, Action: _ACTION_FIRST}


def _encode_targets(request: Set | SetList | Action) -> bytes:
    match request:
        case Set(attribute, _, selection):
            return encode_get(Get(attribute, selection))
        case SetList(items):
            return encode_list([encode_get(Get(item.attribute, item.selection)) for item in items])
        case Action(class_id, name, method):
            return encode_target(class_id, name, method)


def encode_values(request: Set | SetList | Action) -> bytes:
    """Return what of `request` may be sent in blocks: its values; b"" for an Action without an argument."""
    match request:
        case Set(value=value):
            return axdr.encode(value)
        case SetList(items):
            return encode_list([axdr.encode(item.value) for item in items])
        case Action(argument=argument):
            return b"" if argument is None else axdr.encode(argument)


def _encode_optional(value: Typed | None) -> bytes:
    return b"\x00" if value is None else b"\x01" + axdr.encode(value)


def decode_request(data: bytes) -> tuple[Request, int]:
    """Return the request in `data` and its invoke-id (0: it has none); MeterError when malformed or unknown."""
    short = decode_short_request(data)
    if short is not None:
        return short, 0
    request, invoke = decode_apdu(data, _REQUESTS)
    return request, invoke


def decode_values(data: bytes) -> tuple[Any, ...]:
    """Return the values of a SetList out of its blocks, which they fill; or MeterError."""
    try:
        values, end = decode_list(data, 0, axdr.decode)
    except IndexError:
        raise MeterError("list of values is truncated") from None
    if end != len(data):
        raise MeterError(f"{len(data) - end} octets follow the values")
    return values


def _decode_get_list(data: bytes) -> tuple[GetList, int]:
    items, at = decode_list(data, 3, decode_get)
    return GetList(items), at


def _decode_set_target(data: bytes, at: int = 3) -> tuple[Set, int]:
    get, at = decode_get(data, at)
    return Set(get.attribute, None, get.selection), at


def _decode_set(data: bytes) -> tuple[Set, int]:
    target, at = _decode_set_target(data)
    value, end = axdr.decode(data, at)
    return Set(target.attribute, value, target.selection), end


def _decode_set_list(data: bytes) -> tuple[SetList, int]:
    targets, at = decode_list(data, 3, _decode_set_target)
    values, end = decode_list(data, at, axdr.decode)
    return pair(targets, values), end


def pair(targets: tuple[Set, ...], values: tuple[Any, ...]) -> SetList:
    """Return `targets` with their `values`; MeterError when there are not as many of them."""
    if len(targets) != len(values):
        raise MeterError(f"{len(values)} values for {len(targets)} attributes")
    return SetList(tuple(Set(t.attribute, v, t.selection) for t, v in zip(targets, values, strict=True)))


def _decode_set_first(data: bytes) -> tuple[FirstBlock, int]:
    target, at = _decode_set_target(data)
    block, end = decode_block(data, at)
    return FirstBlock(target, block), end


def _decode_set_list_first(data: bytes) -> tuple[FirstBlock, int]:
    targets, at = decode_list(data, 3, _decode_set_target)
    block, end = decode_block(data, at)
    return FirstBlock(SetList(targets), block), end


def _decode_action(data: bytes) -> tuple[Action, int]:
    method, at = decode_target(data, 3)
    argument, end = axdr.decode(data, at + 1) if data[at] else (None, at + 1)
    return Action(method.class_id, method.name, method.index, argument), end


def _decode_action_first(data: bytes) -> tuple[FirstBlock, int]:
    method, at = decode_target(data, 3)
    block, end = decode_block(data, at)
    return FirstBlock(Action(method.class_id, method.name, method.index), block), end


def _decode_set_block(data: bytes) -> tuple[SetBlock, int]:
    block, end = decode_block(data, 3)
    return SetBlock(block), end


def _decode_action_block(data: bytes) -> tuple[ActionBlock, int]:
    block, end = decode_block(data, 3)
    return ActionBlock(block), end


_REQUESTS: Final[dict[bytes, Callable[[bytes], tuple[Request, int]]]] = {
    _GET_NORMAL: decode_get,
    _GET_NEXT: lambda data: (GetNext(int.from_bytes(data[3:7])), 7),
    _GET_LIST: _decode_get_list,
    _SET_NORMAL: _decode_set,
    _SET_FIRST: _decode_set_first,
    _SET_BLOCK: _decode_set_block,
    _SET_LIST: _decode_set_list,
    _SET_LIST_FIRST: _decode_set_list_first,
    _ACTION_NORMAL: _decode_action,
    _ACTION_NEXT: lambda data: (ActionNext(int.from_bytes(data[3:7])), 7),
    _ACTION_FIRST: _decode_action_first,
    _ACTION_BLOCK: _decode_action_block,
}
