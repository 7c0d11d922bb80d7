"""READ and WRITE, the services of short names, to octets and back (IEC 62056-5-3, clause 9; IEC 61334-4-41).

They have neither invoke-ids nor forms: what a list holds says what it is. Which name means what is in `short_names`.
"""

from collections.abc import Callable
from typing import Any, Final

from dcu.dlms import axdr
from dcu.dlms.axdr import encode_length, read_length
from dcu.dlms.fields import decode_list, decode_result, encode_list, encode_result, whole
from dcu.dlms.services import (
    AccessError,
    Block,
    Read,
    ReadBlock,
    ReadNext,
    ReadResponse,
    Selection,
    ShortAnswer,
    ShortRequest,
    Variable,
    Write,
    WriteResponse,
)
from dcu.errors import MeterError

READ_REQUEST: Final = 0x05
WRITE_REQUEST: Final = 0x06
READ_RESPONSE: Final = 0x0C
WRITE_RESPONSE: Final = 0x0D

#: Choices of Variable-Access-Specification.
_NAME: Final = 2
_PARAMETERIZED: Final = 4
_BLOCK_NUMBER: Final = 5
#: The choice of ReadResponse that is neither data (0) nor an error (1), and how a list of one block begins.
_BLOCK_RESULT: Final = 2
_ONE_NEXT: Final = bytes((READ_REQUEST, 1, _BLOCK_NUMBER))
_ONE_BLOCK: Final = bytes((READ_RESPONSE, 1, _BLOCK_RESULT))


def encode_short_request(request: ShortRequest) -> bytes:
    """Return the APDU of `request`. ValueError when a list is empty or too long."""
    match request:
        case Read(items):
            return bytes((READ_REQUEST,)) + encode_list([_encode_variable(item) for item in items])
        case ReadNext(number):
            return _ONE_NEXT + number.to_bytes(2)
        case Write(items):
            names = encode_list([_encode_variable(variable) for variable, _ in items])
            return bytes((WRITE_REQUEST,)) + names + encode_list([axdr.encode(value) for _, value in items])


def encode_short_answer(answer: ShortAnswer) -> bytes:
    match answer:
        case ReadResponse(results):
            return bytes((READ_RESPONSE,)) + encode_list([encode_result(result) for result in results])
        case ReadBlock(block):
            head = _ONE_BLOCK + bytes((block.last,)) + block.number.to_bytes(2)
            return head + encode_length(len(block.content)) + block.content
        case WriteResponse(errors):
            return bytes((WRITE_RESPONSE,)) + encode_list([_encode_written(error) for error in errors])


def decode_short_request(data: bytes) -> ShortRequest | None:
    """Return the READ or WRITE in `data`, None for another service; MeterError when it is malformed."""
    decoder = _REQUESTS.get(data[:1])
    if data.startswith(_ONE_NEXT):
        decoder = _decode_next
    return None if decoder is None else whole(data, decoder)


def decode_short_answer(data: bytes) -> ShortAnswer | None:
    """Return what answers a READ or WRITE in `data`, None for another service; MeterError when it is malformed."""
    decoder = _ANSWERS.get(data[:1])
    if data.startswith(_ONE_BLOCK):
        decoder = _decode_block
    return None if decoder is None else whole(data, decoder)


def _encode_variable(item: Variable) -> bytes:
    name = item.name.to_bytes(2)
    if item.selection is None:
        return bytes((_NAME,)) + name
    selector, parameter = item.selection.selector, item.selection.parameter
    return bytes((_PARAMETERIZED,)) + name + bytes((selector,)) + axdr.encode(parameter)


def _decode_variable(data: bytes, at: int) -> tuple[Variable, int]:
    choice, end = data[at], at + 3
    name = int.from_bytes(data[at + 1 : end])
    if choice == _NAME:
        return Variable(name), end
    if choice != _PARAMETERIZED:
        raise MeterError(f"variable access of kind {choice}")
    parameter, behind = axdr.decode(data, end + 1)
    return Variable(name, Selection(data[end], parameter)), behind


def _encode_written(error: AccessError | None) -> bytes:
    return bytes((1, error.code)) if error else b"\x00"


def _decode_written(data: bytes, at: int) -> tuple[AccessError | None, int]:
    if data[at] > 1:
        raise MeterError(f"result of kind {data[at]} in a list")
    return (AccessError(data[at + 1]), at + 2) if data[at] else (None, at + 1)


def _decode_read(data: bytes) -> tuple[Read, int]:
    items, end = decode_list(data, 1, _decode_variable)
    return Read(items), end


def _decode_next(data: bytes) -> tuple[ReadNext, int]:
    return ReadNext(int.from_bytes(data[3:5])), 5


def _decode_write(data: bytes) -> tuple[Write, int]:
    names, at = decode_list(data, 1, _decode_variable)
    values, end = decode_list(data, at, axdr.decode)
    if len(names) != len(values):
        raise MeterError(f"{len(values)} values for {len(names)} variables")
    return Write(tuple(zip(names, values, strict=True))), end


def _decode_results(data: bytes) -> tuple[ReadResponse, int]:
    results, end = decode_list(data, 1, decode_result)
    return ReadResponse(results), end


def _decode_block(data: bytes) -> tuple[ReadBlock, int]:
    length, start = read_length(data, 6)
    return ReadBlock(Block(int.from_bytes(data[4:6]), bool(data[3]), data[start : start + length])), start + length


def _decode_errors(data: bytes) -> tuple[WriteResponse, int]:
    errors, end = decode_list(data, 1, _decode_written)
    return WriteResponse(errors), end


_REQUESTS: Final[dict[bytes, Callable[[bytes], tuple[Any, int]]]] = {
    bytes((READ_REQUEST,)): _decode_read,
    bytes((WRITE_REQUEST,)): _decode_write,
}
_ANSWERS: Final[dict[bytes, Callable[[bytes], tuple[Any, int]]]] = {
    bytes((READ_RESPONSE,)): _decode_results,
    bytes((WRITE_RESPONSE,)): _decode_errors,
}
