"""Base names: what an object list says, which attribute has which name, and lists that nobody can mean."""

from typing import Any

import pytest

from dcu.dlms import axdr
from dcu.dlms.services import Get, Set, Variable, Write, by_entry
from dcu.dlms.short_names import MAX_OBJECTS, ShortNames, ShortObject
from dcu.errors import MeterError
from dcu.model import Attribute

ENERGY, CLOCK, ASSOCIATION = (
    bytes((1, 0, 1, 8, 0, 255)),
    bytes((0, 0, 1, 0, 0, 255)),
    bytes((0, 0, 40, 0, 0, 255)),
)
#: As decoded from a meter: the base name is a signed number.
LIST = [[-0x0600, 12, 0, ASSOCIATION], [0x0200, 8, 0, CLOCK], [0x0100, 3, 0, ENERGY]]
NAMES = ShortNames.from_value(LIST)


def test_objects_are_in_the_order_of_their_base_names() -> None:
    assert NAMES.objects == (
        ShortObject(0x0100, 3, ENERGY),
        ShortObject(0x0200, 8, CLOCK),
        ShortObject(0xFA00, 12, ASSOCIATION),
    )


@pytest.mark.parametrize(
    ("attribute", "name"),
    [
        (Attribute(3, ENERGY, 1), 0x0100),
        (Attribute(3, ENERGY, 3), 0x0110),
        (Attribute(8, CLOCK, 2), 0x0208),
        (Attribute(12, ASSOCIATION, 2), 0xFA08),
        # the last name before the clock's, and the first that is the clock's own
        (Attribute(3, ENERGY, 32), 0x01F8),
        (Attribute(3, ENERGY, 33), None),
        (Attribute(12, ASSOCIATION, 193), None),
        (Attribute(3, ENERGY, 0), None),
        (Attribute(3, ENERGY, -1), None),
        (Attribute(4, ENERGY, 2), None),
        (Attribute(3, CLOCK, 2), None),
    ],
)
def test_an_attribute_has_its_name_or_none(attribute: Attribute, name: int | None) -> None:
    selection = by_entry(1)
    assert NAMES.variable(Get(attribute, selection)) == (None if name is None else Variable(name, selection))


def test_writing_names_the_same() -> None:
    assert NAMES.write(Set(Attribute(8, CLOCK, 2), axdr.u8(1))) == Write(((Variable(0x0208), axdr.u8(1)),))
    assert NAMES.write(Set(Attribute(8, ENERGY, 2), axdr.u8(1))) is None


def test_the_witness_is_the_last_object_that_can_move() -> None:
    assert NAMES.witness == (Variable(0x0200), CLOCK)
    assert ShortNames.from_value(LIST[:1]).witness == (Variable(0xFA00), ASSOCIATION)


def test_a_base_name_may_come_as_an_unsigned_number() -> None:
    assert ShortNames.from_value([[0xFA00, *LIST[0][1:]], *LIST[1:]]) == NAMES


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        [7],
        [[]],
        [[0x10000, 3, 0, ENERGY]],
        [[-0x8001, 3, 0, ENERGY]],
        [[0x0100, -1, 0, ENERGY]],
        [[0x0100, 0x10000, 0, ENERGY]],
        [[0x0100, 3, 0, b"short"]],
        [[0x0100, 3, 0, "1.0.1.8.0.255"]],
        [[0x0100, 3, ENERGY]],
        [LIST[2]] * (MAX_OBJECTS + 1),
    ],
)
def test_what_is_no_object_list_is_refused(value: Any) -> None:
    with pytest.raises(MeterError, match="object"):
        ShortNames.from_value(value)
