"""The indented account itself, and Data told with its types."""

import pytest

from dcu.dlms import axdr
from dcu.dlms.outline import MAX_LINES, Octets, Outline, data_lines
from dcu.errors import MeterError
from dcu.obis import parse_obis


def told(data: bytes) -> str:
    out = Outline()
    data_lines(out, Octets(data))
    return str(out)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("00", "null-data"),
        ("0301", "boolean True"),
        ("0403a0", "bit-string 101"),
        ("05fffffffe", "double-long -2"),
        ("0c026869", "utf8-string 'hi'"),
        ("17 3fc00000", "float32 1.5"),
        ("1607", "enum 7"),
        ("09 03 414243", "octet-string 41 42 43 = 'ABC'"),
        ("09 02 00ff", "octet-string 00 ff"),
        ("09 06 0100010800ff", "octet-string 01 00 01 08 00 ff = 1-0:1.8.0.255 (active energy import)"),
        (
            "09 0c 07ea0c1905060000ff800000",
            "octet-string 07 ea 0c 19 05 06 00 00 ff 80 00 00 = 2026-12-25 06:00:00, weekday 5",
        ),
        ("19 07ea0c1905060000ff800000", "date-time 2026-12-25 06:00:00, weekday 5"),
        ("1a ffff0c19ff", "date ff ff 0c 19 ff"),
        ("0202 0fff 1623", "structure of 2: scaler 10^-1, unit V\n  integer -1\n  enum 35"),
        ("0102 1101 1102", "array of 2\n  unsigned 1\n  unsigned 2"),
        ("13 11 03 010203", "compact-array of 3\n  1\n  2\n  3"),
    ],
)
def test_data(data: str, text: str) -> None:
    assert told(bytes.fromhex(data)) == text


def test_a_captured_object_is_named() -> None:
    column = axdr.structure(axdr.u16(3), axdr.octets(parse_obis("1-0:32.7.0.255")), axdr.i8(2), axdr.u16(0))
    first = told(axdr.encode(column)).splitlines()[0]
    assert first == "structure of 4: class 3 Register 1-0:32.7.0.255 (voltage L1) attribute 2"


def test_long_octets_are_cut() -> None:
    assert told(axdr.encode(axdr.octets(bytes(1000)))).endswith("00 … (1000 octets)")


@pytest.mark.parametrize("data", ["", "12", "0101", "09ff", "0284ffffffff", "0101" * 20 + "00", "63"])
def test_bad_data_is_refused(data: str) -> None:
    with pytest.raises(MeterError):
        told(bytes.fromhex(data))


def test_an_account_has_an_end() -> None:
    out = Outline()
    with out.attempt():
        for _ in range(MAX_LINES + 1):
            out.say("word")
    assert not out.good
    assert len(str(out).splitlines()) == MAX_LINES + 1


def test_a_failure_is_told_where_it_happened_and_the_next_part_where_it_belongs() -> None:
    out = Outline()
    with out.attempt(), out.part("frame"), out.part("APDU"):
        Octets(b"").take(1)
    out.say("next")
    assert str(out) == "frame\n  APDU\n! cannot be understood: truncated: 1 octets wanted, 0 left\nnext"
    assert not out.good
