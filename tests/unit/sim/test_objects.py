from typing import Any

import pytest

from dcu.dlms import axdr
from dcu.dlms.axdr import DateTime
from dcu.dlms.services import AccessError, Selection, by_entry, by_range
from dcu.model import Attribute
from dcu.obis import parse_obis
from sim import objects
from sim.household import DAY, INSTALLED
from sim.meter import SimMeter
from sim.profiles import CLOCK, DAILY, LOAD_0
from tests.unit.sim.conversation import meter

AT = INSTALLED + 900 * DAY + 1
IMPORT = parse_obis("1-0:1.8.0.255")


def read(simulated: SimMeter, attribute: Attribute, selection: Selection | None = None) -> Any:
    """Return the attribute as a client decodes it."""
    if selection is not None:
        selection = Selection(selection.selector, axdr.decode_all(axdr.encode(selection.parameter)))
    result = objects.read(simulated, attribute, AT, selection)
    return result if isinstance(result, AccessError) else axdr.decode_all(axdr.encode(result))


def moments(start: int, end: int) -> tuple[axdr.Typed, axdr.Typed]:
    return axdr.date_time(DateTime.from_utc(start)), axdr.date_time(DateTime.from_utc(end))


@pytest.mark.parametrize("phases", [1, 3])
def test_every_attribute_in_the_object_list_can_be_read(phases: int) -> None:
    simulated = meter(phases=phases)
    for class_id, version, name, (attributes, _) in read(simulated, Attribute(15, objects.ASSOCIATION)):
        assert version == {7: 1, 15: 1, 40: 2, 64: 1}.get(class_id, 0)
        for index, _, _ in attributes:
            value = read(simulated, Attribute(class_id, name, index))
            assert not isinstance(value, AccessError) or class_id == 15, (class_id, name, index)
            if index == 1:
                assert value == name


def test_what_there_is_not_is_said_why() -> None:
    simulated = meter()
    assert read(simulated, Attribute(3, parse_obis("1-0:52.7.0.255"))) == objects.OBJECT_UNDEFINED
    assert read(simulated, Attribute(1, IMPORT)) == objects.CLASS_INCONSISTENT
    assert read(simulated, Attribute(3, IMPORT, 9)) == objects.OBJECT_UNAVAILABLE
    assert read(simulated, Attribute(7, LOAD_0, 9)) == objects.OBJECT_UNAVAILABLE


def test_a_range_includes_both_ends() -> None:
    quarter = AT // 900 * 900
    selection = by_range(Attribute(8, CLOCK), *moments(quarter - 1800, quarter))
    rows = read(meter(compressed=False), Attribute(7, LOAD_0), selection)
    assert [DateTime.from_bytes(row[0]).utc() for row in rows] == [quarter - 1800, quarter - 900, quarter]


def test_a_range_in_another_zone_means_the_same_instants() -> None:
    quarter = AT // 900 * 900
    start, end = (axdr.date_time(DateTime.from_utc(at, deviation=-120)) for at in (quarter - 900, quarter))
    rows = read(meter(compressed=False), Attribute(7, LOAD_0), by_range(Attribute(8, CLOCK), start, end))
    assert DateTime.from_bytes(rows[0][0]).utc() == quarter - 900


def test_an_open_range_reaches_to_both_ends() -> None:
    never = axdr.octets(b"\xff" * 9 + b"\x80\x00\xff")
    rows = read(meter(), Attribute(7, DAILY), by_range(Attribute(8, CLOCK), never, never))
    assert len(rows) == 400


def test_chosen_columns_are_all_that_comes() -> None:
    whole = read(meter(compressed=False), Attribute(7, DAILY), by_entry(1, 3))
    part = read(meter(compressed=False), Attribute(7, DAILY), by_entry(1, 3, 3, 4))
    assert part == [row[2:4] for row in whole]
    wanted = by_range(Attribute(8, CLOCK), *moments(AT - 2 * DAY, AT))
    chosen = axdr.structure(axdr.u16(3), axdr.octets(IMPORT), axdr.i8(2), axdr.u16(0))
    restricting, start, end, _ = wanted.parameter.value
    selection = Selection(1, axdr.structure(restricting, start, end, axdr.array(chosen)))
    assert read(meter(compressed=False), Attribute(7, DAILY), selection) == [row[2:3] for row in whole_of(wanted)]


def whole_of(wanted: Selection) -> Any:
    return read(meter(compressed=False), Attribute(7, DAILY), wanted)


@pytest.mark.parametrize(
    "selection",
    [
        Selection(9, axdr.u8(1)),
        Selection(1, axdr.u8(1)),
        Selection(1, axdr.structure(axdr.null(), axdr.octets(b"short"), axdr.null(), axdr.array())),
        Selection(2, axdr.structure(axdr.u32(1))),
        Selection(2, axdr.array(*(axdr.octets(b"x") for _ in range(4)))),
    ],
)
def test_a_malformed_selection_is_a_wrong_type(selection: Selection) -> None:
    assert read(meter(), Attribute(7, DAILY), selection) == objects.TYPE_UNMATCHED


def test_null_data_stands_for_what_repeats_and_what_is_one_period_on() -> None:
    plain = read(meter(compressed=False), Attribute(7, LOAD_0), by_entry(1, 96))
    short = read(meter(compressed=True), Attribute(7, LOAD_0), by_entry(1, 96))
    assert short[0] == plain[0]
    assert all(row[0] is None for row in short[1:])
    assert sum(value is None for row in short for value in row) > 200
    above = plain[0]
    for row, full in zip(short, plain, strict=True):
        assert [old if new is None else new for old, new in zip(above[1:], row[1:], strict=True)] == full[1:]
        above = full


def test_the_relay_opens_and_closes() -> None:
    simulated = meter()
    states = []
    for method in (1, 2):
        assert objects.invoke(simulated, objects.DISCONNECT, method, AT) is None
        states.append([read(simulated, Attribute(70, objects.DISCONNECT, index)) for index in (2, 3)])
    assert states == [[False, 0], [True, 1]]


def test_nothing_else_can_be_invoked() -> None:
    assert objects.invoke(meter(), objects.DISCONNECT, 3, AT) == objects.READ_WRITE_DENIED
    assert objects.invoke(meter(), CLOCK, 1, AT) == objects.READ_WRITE_DENIED
    assert objects.invoke(meter(), b"absent", 1, AT) == objects.OBJECT_UNDEFINED
