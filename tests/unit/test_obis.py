"""Logical names and their text."""

import pytest

from dcu.obis import format_obis, parse_obis


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("1-0:1.8.0.255", b"\x01\x00\x01\x08\x00\xff"),
        ("1.0.1.8.0.255", b"\x01\x00\x01\x08\x00\xff"),
        ("0-0:96.1.0", b"\x00\x00\x60\x01\x00\xff"),
        (" 1-0:99.1.0*255 ", b"\x01\x00\x63\x01\x00\xff"),
    ],
)
def test_every_way_of_writing_a_name_gives_its_six_bytes(text: str, name: bytes) -> None:
    assert parse_obis(text) == name


@pytest.mark.parametrize("text", ["", "1-0:1.8", "1-0:256.8.0.255", "a-b:c.d.e.f", "1-0:1.8.0.255.3"])
def test_what_is_no_name_is_refused_with_the_text_in_the_message(text: str) -> None:
    with pytest.raises(ValueError, match="OBIS"):
        parse_obis(text)


def test_format_is_the_inverse_of_parse() -> None:
    assert format_obis(parse_obis("1-0:99.1.0.255")) == "1-0:99.1.0.255"
