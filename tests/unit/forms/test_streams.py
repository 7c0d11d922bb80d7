"""What a stream may be called: the name stands in topics, in tables and in other sections."""

import pytest

from dcu.forms.streams import NAME, unfit


@pytest.mark.parametrize("name", ["load0", "quality", "event.fraud", "a.b_c-d", "x" * 32])
def test_a_name_for_what_is_read(name: str) -> None:
    assert unfit(name) is None


@pytest.mark.parametrize("name", ["", "Load0", "0load", "a/b", "a/#", "+", "x\ty", "x\n", "ä", "\ud800", "x" * 33])
def test_what_is_no_name(name: str) -> None:
    assert unfit(name) == f"expected {NAME}"


@pytest.mark.parametrize(
    "name",
    ["result", "default", "commands", "clock", "identity", "event", "event.dcu", "event.alarm", "event.push"],
)
def test_what_means_something_else(name: str) -> None:
    assert unfit(name) == "this name is taken"
