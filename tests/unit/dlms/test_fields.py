"""What APDUs are made of, field by field: there and back, and what is too long, cut or of no known kind."""

from typing import Any

import pytest

from dcu.dlms import axdr
from dcu.dlms.fields import (
    decode_apdu,
    decode_block,
    decode_code,
    decode_get,
    decode_list,
    decode_result,
    decode_target,
    encode_block,
    encode_code,
    encode_get,
    encode_invoke,
    encode_list,
    encode_result,
    encode_target,
    whole,
)
from dcu.dlms.services import MAX_LIST, AccessError, Block, Get, Selection
from dcu.errors import MeterError
from dcu.model import Attribute

ENERGY = Attribute(3, b"\x01\x00\x01\x08\x00\xff")
BEFORE = b"\xee\xee"


def octet(data: bytes, at: int = 0) -> tuple[int, int]:
    return data[at], at + 1


def test_what_follows_is_chosen_by_two_octets_and_the_invoke_id_comes_with_it() -> None:
    decoders = {b"\xc0\x01": lambda data: (data[3], 4)}
    assert decode_apdu(b"\xc0\x01" + encode_invoke(9) + b"\x07", decoders) == (7, 9)
    with pytest.raises(MeterError, match="unexpected APDU c002"):
        decode_apdu(b"\xc0\x02\xc1\x07", decoders)
    with pytest.raises(MeterError, match="unexpected APDU"):
        decode_apdu(b"", decoders)


def test_a_word_fills_its_octets() -> None:
    assert whole(b"\x07", octet) == 7
    with pytest.raises(MeterError, match="truncated"):
        whole(b"", octet)
    with pytest.raises(MeterError, match="of 2 octets should have 1"):
        whole(b"\x07\x00", octet)


@pytest.mark.parametrize("index", [1, 127, -1, -128])
def test_a_target_has_a_signed_index(index: int) -> None:
    raw = encode_target(3, ENERGY.name, index)
    assert decode_target(BEFORE + raw, 2) == (Attribute(3, ENERGY.name, index), 2 + len(raw))
    with pytest.raises(IndexError):
        decode_target(raw[:-1], 0)


def test_a_get_with_and_without_a_selection() -> None:
    for selection in (None, Selection(2, axdr.structure(axdr.u32(1), axdr.u32(4)))):
        raw = encode_get(Get(ENERGY, selection))
        got, end = decode_get(BEFORE + raw, 2)
        assert end == 2 + len(raw)
        assert got == Get(ENERGY, selection and Selection(2, [1, 4]))


def test_a_list_has_one_item_at_least_and_a_bound() -> None:
    items = [bytes((number,)) for number in range(MAX_LIST)]
    raw = encode_list(items)
    assert decode_list(BEFORE + raw, 2, octet) == (tuple(range(MAX_LIST)), 2 + len(raw))
    for wrong in ([], [*items, b"\x00"]):
        with pytest.raises(ValueError, match="items"):
            encode_list(wrong)
    with pytest.raises(MeterError, match="longer than"):
        decode_list(bytes((MAX_LIST + 1,)) * 300, 0, octet)


@pytest.mark.parametrize(("result", "decoded"), [(axdr.u8(5), 5), (AccessError(4), AccessError(4))])
def test_a_result_is_data_or_why_there_is_none(result: Any, decoded: Any) -> None:
    raw = encode_result(result)
    assert decode_result(BEFORE + raw, 2) == (decoded, 2 + len(raw))
    with pytest.raises(MeterError, match="unknown kind 2"):
        decode_result(b"\x02\x00", 0)


@pytest.mark.parametrize("error", [None, AccessError(3)])
def test_a_code_of_nought_is_no_error(error: AccessError | None) -> None:
    assert decode_code(BEFORE + encode_code(error), 2) == (error, 3)


@pytest.mark.parametrize("block", [Block(1, False, b"abc"), Block(0xFFFFFFFF, True, b""), Block(2, False, bytes(300))])
def test_a_block_says_its_number_and_whether_it_is_the_last(block: Block) -> None:
    raw = encode_block(block)
    assert decode_block(BEFORE + raw, 2) == (block, 2 + len(raw))
