"""What errors quote of values that others made: never long, and never a reason for another error."""

from collections.abc import Callable
from typing import Any

import pytest

from dcu.dlms import axdr, cosem, rare
from dcu.dlms.axdr import BitString
from dcu.dlms.services import ActionResponse
from dcu.dlms.short_names import ShortNames
from dcu.errors import EXCERPT, MeterError, excerpt

#: Python refuses to write a number of so many binary digits in decimal ones.
LONG = BitString((1 << 16_000) - 1, 16_000)


@pytest.mark.parametrize("value", [LONG, [LONG] * 9, [[[LONG]]], ["x" * 99] * 99, b"y" * 999, 2**63, None])
def test_an_excerpt_is_short_whatever_it_is_of(value: object) -> None:
    assert 0 < len(excerpt(value)) <= EXCERPT


@pytest.mark.parametrize(
    "read",
    [
        lambda value: cosem.decode_scaler_unit([1, value]),
        lambda value: cosem.decode_capture_objects([[value]]),
        lambda value: rare.plain(9, 2, [value]),
        lambda value: ShortNames.from_value([[value]]),
        ShortNames.from_value,
    ],
)
def test_a_long_bit_string_where_none_belongs_is_the_meters_fault(read: Callable[[Any], Any]) -> None:
    octets = axdr.encode(axdr.Typed(axdr.BIT_STRING, LONG))
    with pytest.raises(MeterError, match="16000 bits"):
        read(axdr.decode_all(octets))


def test_an_answer_with_a_long_bit_string_can_be_shown() -> None:
    assert "16000 bits" in str(ActionResponse(None, [LONG]))
