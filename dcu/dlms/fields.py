"""What the APDUs of several services are made of: descriptors, results, lists, blocks (IEC 62056-5-3, clause 9).

Which fields follow each other in which APDU is in `requests` and `apdu`. Every decoder takes the whole APDU and an
offset and returns what it read with the offset behind; it raises MeterError, or IndexError where the octets end.
"""

from collections.abc import Callable
from typing import Any, Final

from dcu.dlms import axdr
from dcu.dlms.axdr import encode_length, read_length
from dcu.dlms.services import MAX_LIST, AccessError, Block, Get, Selection
from dcu.errors import MeterError
from dcu.model import Attribute

#: Confirmed service, high priority; the lowest four bits are the invoke-id (Invoke-Id-And-Priority).
_PRIORITY: Final = 0xC0
_INVOKE: Final = 0x0F


def encode_invoke(invoke: int) -> bytes:
    return bytes((_PRIORITY | invoke,))


def decode_apdu(data: bytes, decoders: dict[bytes, Callable[[bytes], tuple[Any, int]]]) -> tuple[Any, int]:
    """Return the word in `data`, read by what its first two octets choose, and its invoke-id; or MeterError."""
    decoder = decoders.get(data[:2])
    if decoder is None:
        raise MeterError(f"unexpected APDU {data[:3].hex()}")
    return whole(data, decoder), data[2] & _INVOKE


def whole(data: bytes, decoder: Callable[[bytes], tuple[Any, int]]) -> Any:
    """Return the word that `decoder` finds in `data` and that fills it; or MeterError."""
    try:
        word, end = decoder(data)
    except IndexError:
        raise MeterError("APDU is truncated") from None
    # octets too many are as wrong as too few: whoever appended them wanted them overlooked
    if end != len(data):
        raise MeterError(f"APDU of {len(data)} octets should have {end}")
    return word


def encode_target(class_id: int, name: bytes, index: int) -> bytes:
    return class_id.to_bytes(2) + name + index.to_bytes(1, signed=True)


def decode_target(data: bytes, at: int) -> tuple[Attribute, int]:
    """Class, logical name and attribute or method; a cut name shows in the index behind it."""
    index = data[at + 8]
    signed = index - 0x100 if index & 0x80 else index
    return Attribute(int.from_bytes(data[at : at + 2]), data[at + 2 : at + 8], signed), at + 9


def encode_get(get: Get) -> bytes:
    attribute, selection = get.attribute, get.selection
    target = encode_target(attribute.class_id, attribute.name, attribute.index)
    if selection is None:
        return target + b"\x00"
    # Cosem-Attribute-Descriptor-With-Selection: present, access-selector, access-parameters
    return target + bytes((1, selection.selector)) + axdr.encode(selection.parameter)


def decode_get(data: bytes, at: int = 3) -> tuple[Get, int]:
    attribute, at = decode_target(data, at)
    if not data[at]:
        return Get(attribute), at + 1
    parameter, end = axdr.decode(data, at + 2)
    return Get(attribute, Selection(data[at + 1], parameter)), end


def encode_list(items: list[bytes]) -> bytes:
    """ValueError when a list is empty or too long."""
    if not 1 <= len(items) <= MAX_LIST:
        raise ValueError(f"list of {len(items)} items")
    return bytes((len(items),)) + b"".join(items)


def decode_list(data: bytes, at: int, item: Callable[[bytes, int], tuple[Any, int]]) -> tuple[tuple[Any, ...], int]:
    count = data[at]
    if count > MAX_LIST:
        raise MeterError(f"list longer than {MAX_LIST}")
    at += 1
    items: list[Any] = []
    for _ in range(count):
        value, at = item(data, at)
        items.append(value)
    return tuple(items), at


def encode_result(result: Any) -> bytes:
    """Get-Data-Result: Data, or the Data-Access-Result in its place."""
    return bytes((1, result.code)) if isinstance(result, AccessError) else b"\x00" + axdr.encode(result)


def decode_result(data: bytes, at: int) -> tuple[Any, int]:
    choice = data[at]
    if choice == 0:
        return axdr.decode(data, at + 1)
    if choice == 1:
        return AccessError(data[at + 1]), at + 2
    raise MeterError(f"result of unknown kind {choice}")


def encode_code(error: AccessError | None) -> bytes:
    return bytes((error.code if error else 0,))


def decode_code(data: bytes, at: int) -> tuple[AccessError | None, int]:
    return AccessError(data[at]) if data[at] else None, at + 1


def encode_block(block: Block) -> bytes:
    """DataBlock-SA: last-block, block-number, raw-data."""
    return bytes((block.last,)) + block.number.to_bytes(4) + encode_length(len(block.content)) + block.content


def decode_block(data: bytes, at: int) -> tuple[Block, int]:
    length, start = read_length(data, at + 5)
    return Block(int.from_bytes(data[at + 1 : at + 5]), bool(data[at]), data[start : start + length]), start + length
