"""The shapes of rare attributes: what one way turns, the other way turns back."""

from typing import Any

import pytest

from dcu.dlms.axdr import BitString, DateTime
from dcu.dlms.names import CLASSES
from dcu.dlms.rarities import ATTRIBUTES
from dcu.dlms.shapes import ANY, BITS, DATE, MOMENT, NAME, NUMBER, OCTETS, TIME, Fields, Listed, Shape


@pytest.mark.parametrize(
    ("shape", "value", "plain"),
    [
        (DATE, bytes.fromhex("ffffffffff"), "*-*-*"),
        (DATE, bytes.fromhex("07eafdfe07"), "2026-253-254/7"),
        (TIME, bytes.fromhex("ffffffff"), "*:*:*"),
        (TIME, bytes.fromhex("173b3b63"), "23:59:59.99"),
        (MOMENT, bytes.fromhex("07ea0c19ff060000ff005a03"), "2026-12-25 06:00:00 -01:30 status=03"),
        (MOMENT, bytes.fromhex("ffffffffffffffffff8000ff"), "*-*-* *:*:*"),
        (BITS, BitString(5, 4), "0101"),
        (NAME, bytes((1, 0, 1, 8, 0, 255)), "1-0:1.8.0.255"),
        (OCTETS, b"name", "name"),
        (OCTETS, b"", {"hex": ""}),
        (OCTETS, b"\x00a", {"hex": "0061"}),
        (Listed(Fields(a=TIME, b=OCTETS)), [[b"\x00\x01\x02\xff", b"b"]], [{"a": "00:01:02", "b": "b"}]),
    ],
)
def test_there_and_back(shape: Shape, value: Any, plain: Any) -> None:
    assert shape.plain(value) == plain
    assert shape.decoded(plain) == value


def test_anything_has_a_plain_form() -> None:
    value = [b"\x01", BitString(2, 2), DateTime.from_utc(1_800_000_000), None, "text", 1.5]
    plain = [{"hex": "01"}, "10", "2027-01-15/5 08:00:00.00 +00:00 status=00", None, "text", 1.5]
    assert ANY.plain(value) == plain
    assert OCTETS.plain("text already") == "text already"


@pytest.mark.parametrize("value", [b"\x01", None, "1"])
def test_a_number_is_nothing_else(value: Any) -> None:
    with pytest.raises(TypeError):
        NUMBER.plain(value)


def test_an_empty_list_may_be_null() -> None:
    assert Listed(TIME).plain(None) == []


def test_words_are_unique_and_classes_known() -> None:
    for class_id, attributes in ATTRIBUTES.items():
        words = [word for word, _ in attributes.values()]
        assert len(set(words) | {"class", "name"}) == len(words) + 2
        assert class_id in CLASSES
