"""The shapes of rare attributes: what one way turns, the other way turns back."""

import re
from typing import Any

import pytest

from dcu.dlms.axdr import BitString, DateTime
from dcu.dlms.names import CLASSES
from dcu.dlms.rarities import ATTRIBUTES
from dcu.dlms.shapes import ANY, BITS, DATE, MOMENT, NAME, NUMBER, OCTETS, TIME, Fields, Listed, MisfitError, Shape


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


@pytest.mark.parametrize(
    ("shape", "text", "field"),
    [
        (DATE, "2026-13-01", "month 1 to 12, 253, 254, or *"),
        (DATE, "2026-00-01", "month 1 to 12"),
        (DATE, "*-13-25", "month 1 to 12"),
        (DATE, "2026-12-32", "day 1 to 31, 253, 254, or *"),
        (DATE, "2026-12-255", "day 1 to 31"),
        (DATE, "2026-06-31", "a day that there is"),
        (DATE, "2026-02-29", "a day that there is"),
        (DATE, "0000-01-01", "a day that there is"),
        (DATE, "2026-12-01/8", "weekday 1 to 7, or *"),
        (DATE, "2026-12-01/0", "weekday 1 to 7"),
        (DATE, "26-12-01", "a date such as 2026-12-31"),
        (TIME, "24:00:00", "hour 0 to 23, or *"),
        (TIME, "00:60:00", "minute 0 to 59"),
        (TIME, "00:00:60", "second 0 to 59"),
        (TIME, "7:00", "a time such as 23:59:59"),
        (MOMENT, "2026-13-01 99:99:99", "month 1 to 12"),
        (MOMENT, "2026-12-01 24:00:00", "hour 0 to 23"),
        (MOMENT, "2026-12-01 00:00:00 +99:99", "an offset from UTC of at most 14:00"),
        (MOMENT, "2026-12-01 00:00:00 +01:60", "an offset from UTC of at most 14:00"),
        (MOMENT, "2026-12-01 00:00:00 CET", "an offset from UTC such as +01:00"),
    ],
)
def test_a_date_or_time_that_there_is_not(shape: Shape, text: str, field: str) -> None:
    with pytest.raises(MisfitError, match=re.escape(f"(expected {field}")):
        shape.decoded(text)


@pytest.mark.parametrize("text", ["*-02-29", "2028-02-29", "2026-253-254", "*-*-31", "*-06-253/7"])
def test_a_date_that_comes_again(text: str) -> None:
    assert DATE.plain(DATE.decoded(text)) == text


@pytest.mark.parametrize("zone", ["+14:00", "-12:00", "+05:30"])
def test_how_far_a_zone_is(zone: str) -> None:
    assert MOMENT.plain(MOMENT.decoded(f"2026-12-01 00:00:00 {zone}")).endswith(zone)


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
