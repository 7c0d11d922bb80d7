"""The rare objects of a simulated meter: what is written is read again, and nothing of another shape is taken."""

from typing import Any

import pytest

from dcu.dlms import axdr, rare
from dcu.dlms.rare_types import METHODS, TYPES
from dcu.dlms.services import AccessError
from dcu.model import Attribute
from sim import shelf
from sim.meter import Nameplate, SimMeter
from tests.unit.dlms.rare_values import WRITABLE

NAMES = {class_id: name for name, class_id in shelf.SHELF.items()}


def read(meter: SimMeter, class_id: int, index: int) -> Any:
    value = shelf.read(meter, Attribute(class_id, NAMES[class_id], index))
    assert not isinstance(value, AccessError)
    return rare.plain(class_id, index, axdr.decode_all(axdr.encode(value)))[1]


def write(meter: SimMeter, class_id: int, index: int, plain: Any) -> AccessError | None:
    value = axdr.decode_all(axdr.encode(rare.encode(class_id, index, plain)))
    return shelf.write(meter, Attribute(class_id, NAMES[class_id], index), value)


@pytest.mark.parametrize(("class_id", "index", "octets", "plain"), WRITABLE)
def test_what_is_written_is_read_again(class_id: int, index: int, octets: str, plain: Any) -> None:
    meter = SimMeter(Nameplate(1, "M1"))
    assert write(meter, class_id, index, plain) is None
    assert read(meter, class_id, index) == plain
    kept = shelf.read(meter, Attribute(class_id, NAMES[class_id], index))
    assert isinstance(kept, axdr.Typed)
    assert axdr.encode(kept) == bytes.fromhex(octets)


def test_every_class_that_can_be_written_is_here() -> None:
    assert {class_id for class_id, _ in TYPES} <= NAMES.keys()


@pytest.mark.parametrize("index", [2, 3])
def test_another_shape_or_an_attribute_of_the_meters_own_is_refused(index: int) -> None:
    meter = SimMeter(Nameplate(1, "M1"))
    attribute = Attribute(71, NAMES[71], index)
    assert shelf.write(meter, attribute, "text") == {2: shelf.TYPE_UNMATCHED, 3: shelf.READ_WRITE_DENIED}[index]
    assert meter.shelf == {}


def test_a_passive_calendar_becomes_the_active_one_when_told_to() -> None:
    meter = SimMeter(Nameplate(1, "M1"))
    assert write(meter, 20, 6, "WINTER") is None
    assert read(meter, 20, 2) == "FACTORY"
    assert shelf.invoke(meter, NAMES[20], 1) is None
    assert read(meter, 20, 2) == "WINTER"


def test_methods() -> None:
    meter = SimMeter(Nameplate(1, "M1"))
    refused = {key for key in METHODS if key[0] in NAMES and shelf.invoke(meter, NAMES[key[0]], key[1])}
    assert refused == {(64, 2), (115, 1)}
