"""How refusals read, and what the two selections say."""

from dcu.dlms import axdr
from dcu.dlms.services import AccessError, ConfirmedServiceError, ExceptionResponse, by_entry, by_range
from dcu.model import Attribute


def test_refusals_say_what_the_meter_said() -> None:
    assert str(AccessError(3)) == "read-write denied"
    assert str(AccessError(77)) == "access result 77"
    assert str(ExceptionResponse(1, 6, 77)) == "exception: invocation counter error (state error 1)"
    assert str(ConfirmedServiceError(1, 6, 1)) == "confirmed service error 1.6.1"


def test_selections() -> None:
    clock = Attribute(8, b"\x00\x00\x01\x00\x00\xff")
    chosen = by_range(clock, axdr.u32(1), axdr.u32(2))
    restricting = axdr.structure(axdr.u16(8), axdr.octets(clock.name), axdr.i8(2), axdr.u16(0))
    assert (chosen.selector, chosen.parameter) == (
        1,
        axdr.structure(restricting, axdr.u32(1), axdr.u32(2), axdr.array()),
    )
    assert by_entry(3).parameter == axdr.structure(axdr.u32(3), axdr.u32(0), axdr.u16(1), axdr.u16(0))
