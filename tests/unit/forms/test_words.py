"""Single words: what they become, and what is refused."""

from collections.abc import Callable
from datetime import UTC
from typing import Any

import pytest

from dcu.forms import words
from dcu.forms.shape import Expected, Place, Problems
from dcu.forms.tree import Scalar
from dcu.model import Attribute


def place(text: str, file: str = "/etc/dcu/dcu.yaml") -> Place:
    def read(path: str, *, secret: bool = False) -> str:
        raise NotImplementedError

    return Place(file, "key", Scalar(text, quoted=False, line=1), Problems(), read)


MINUTES = words.duration("0s", "2d")


@pytest.mark.parametrize(
    ("reader", "text", "value"),
    [
        (words.text, "a b", "a b"),
        (words.name, "M-1.a_b", "M-1.a_b"),
        (words.name, "x" * 64, "x" * 64),
        (words.host, "broker.example.org", "broker.example.org"),
        (words.port, "/dev/ttyUSB0", "/dev/ttyUSB0"),
        (words.port, "tcp://[::1]:4059", "tcp://[::1]:4059"),
        (words.prefix, "a/b/c/d", "a/b/c/d"),
        (words.path, "x/../keys.yaml", "/etc/dcu/x/../keys.yaml"),
        (words.path, "/keys.yaml", "/keys.yaml"),
        (words.boolean, "Yes", True),
        (words.boolean, "off", False),
        (words.number(0, 10), "010", 10),
        (words.span(1, 99), "17-25", range(17, 26)),
        (words.span(1, 99), "17 - 25", range(17, 26)),
        (words.span(1, 99), "7", range(7, 8)),
        (words.serial, "x" * words.MAX_SERIAL, "x" * words.MAX_SERIAL),
        (words.time_of_day, "23:59:30", 86_370.0),
        (words.share(1, 50), "10%", 0.1),
        (words.zone, "UTC", UTC),
        (words.attribute, "1-0:1.8.0.255", Attribute(3, b"\x01\0\x01\x08\0\xff")),
        (words.attribute, "4/1-0:1.6.0.255/5", Attribute(4, b"\x01\0\x01\x06\0\xff", 5)),
        (MINUTES, "500ms", 0.5),
        (MINUTES, "20s", 20.0),
        (MINUTES, "1h30m", 5400.0),
        (MINUTES, "2d", 172800.0),
        (words.choice({"a": 1}), "a", 1),
        (words.octets(2), "00fF", b"\0\xff"),
        (words.password, "hex", b"hex"),
        (words.password, "hex:6865", b"he"),
        (words.password, "ünï", "ünï".encode()),
    ],
)
def test_right_words(reader: Callable[[Place], Any], text: str, value: Any) -> None:
    assert reader(place(text)) == value


@pytest.mark.parametrize(
    ("reader", "text"),
    [
        (words.text, ""),
        (words.text, "a\tb"),
        (words.text, "x" * 1025),
        (words.name, "-a"),
        (words.name, "a/b"),
        (words.name, "x" * 65),
        (words.name, "a#"),
        (words.name, "a\n"),
        (words.host, "a/b"),
        (words.port, "COM1"),
        (words.port, "tcp://host"),
        (words.port, "tcp://host:0"),
        (words.port, "tcp://host:99999"),
        (words.port, "tcp://a b:1"),
        (words.prefix, "/a"),
        (words.prefix, "a/"),
        (words.prefix, "$SYS"),
        (words.prefix, "a/#"),
        (words.socket_path, "ä" * 60),
        (words.boolean, "1"),
        (words.number(0, 10), "11"),
        (words.number(0, 10), "9" * 5000),
        (words.number(0, 10), "1e0"),
        (words.number(0, 10), "\N{ARABIC-INDIC DIGIT ONE}"),
        (words.span(1, 99), "25-17"),
        (words.span(1, 99), "0-5"),
        (words.span(1, 99), "5-100"),
        (words.span(1, 99), "a-b"),
        (words.serial, "x" * (words.MAX_SERIAL + 1)),
        (MINUTES, "20"),
        (MINUTES, "1.5h"),
        (MINUTES, "49h"),
        (MINUTES, "-1s"),
        (MINUTES, "9" * 800 + "s"),
        (words.choice({"a": 1}), "b"),
        (words.octets(2), "00f"),
        (words.octets(2), "00ffff"),
        (words.password, "hex:0"),
        (words.password, "hex:"),
    ],
)
def test_wrong_words(reader: Callable[[Place], Any], text: str) -> None:
    with pytest.raises(Expected):
        reader(place(text))


def test_paths_are_relative_to_the_file_they_stand_in() -> None:
    assert words.path(place("keys.yaml", "dcu.yaml")) == "keys.yaml"
    assert words.path(place("keys.yaml", "conf/dcu.yaml")) == "conf/keys.yaml"


def test_a_name_that_recurs_is_held_once() -> None:
    first, second = (words.name(place(f"rs485-{number}")) for number in (1, 1))
    assert first is second
