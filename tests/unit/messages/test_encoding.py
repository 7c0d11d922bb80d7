import math

import pytest

from dcu.messages.encoding import encode, writable, written


def test_compact_utf8_with_octets_as_hex() -> None:
    assert encode({"a": [1, None, True, "Zähler"], "b": b"\x00\xff"}) == (
        '{"a":[1,null,true,"Zähler"],"b":{"hex":"00ff"}}'.encode()
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, "\ud800", {1, 2}, object()])
def test_what_json_cannot_hold_is_an_error(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        encode([value])


@pytest.mark.parametrize(("value", "held"), [(1.5, True), (b"\x00", True), (math.nan, False), ("\ud800", False)])
def test_what_json_can_hold(value: object, held: bool) -> None:
    assert writable(value) is held


def test_what_cannot_be_written_is_nothing() -> None:
    assert written([1]) == b"[1]"
    assert [written(value) for value in (math.nan, "\ud800", object())] == [None, None, None]
