"""What a meter says its streams look like, in good answers and bad ones; scalers in profiles of their own."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dcu.conversation.shapes import CAPTURE_OBJECTS, CAPTURE_PERIOD, NOTHING, Shape, learn
from dcu.dlms.services import AccessError, Get, UnservedError
from dcu.model import ALARM, INSTANT, Column
from dcu.obis import parse_obis
from dcu.profiles import load_profile
from sim.virtual import VirtualClock
from tests.lines import COMPANION, Box, virtually
from tests.scripts import scripted


@pytest.mark.parametrize("number", [0, 1])
def test_a_meter_tells_the_shape_of_all_its_streams_in_few_turns(number: int) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        session = await box.session(number)
        before = box.requests
        shapes = await learn(session, COMPANION, [INSTANT, *COMPANION.streams])
        # block transfer may take several turns; one list each for objects and scalers is asked
        assert box.requests - before < 12
        meter = box.meters[number]
        for stream, profile in COMPANION.streams.items():
            held = meter.profiles[profile.name]
            assert [(c.class_id, c.name) for c in shapes[stream].columns[1:]] == [
                (c.class_id, c.name) for c in held.columns
            ]
            assert shapes[stream].period == held.period
        registers = {column.name: (column.scaler, column.unit) for column in shapes[INSTANT].columns}
        assert registers == {
            each.name: (meter.registers[each.name].scaler, meter.registers[each.name].unit)
            for each in COMPANION.registers
            if each.name in meter.registers
        }
        assert len(registers) == (10 if meter.plate.phases == 1 else 14)
        await session.close()

    virtually(work)


async def test_a_stream_the_meter_denies_has_no_columns() -> None:
    def answer(item: Get) -> Any:
        denied = item.attribute.name == COMPANION.streams["load1"].name
        return AccessError(4) if denied else [] if item.attribute.index == CAPTURE_OBJECTS else 900

    shapes = await learn(scripted(answer), COMPANION, ["load0", "load1"])
    assert shapes == {"load0": Shape((), 900), "load1": Shape((), 0)}


def _load_with(**answers: Any) -> Callable[[Get], Any]:
    """Answer as a meter with one load profile of two registers, changed by `answers`."""
    columns = [[8, parse_obis("0-0:1.0.0.255"), 2, 0]]
    columns += [[3, parse_obis(name), 2, 0] for name in ("1-0:1.8.0.255", "1-0:2.8.0.255")]

    def answer(item: Get) -> Any:
        if item.attribute.class_id == 7:
            return answers.get("period", 900) if item.attribute.index == CAPTURE_PERIOD else columns
        exported = item.attribute.name == parse_obis("1-0:2.8.0.255")
        return answers["scaler"] if exported and "scaler" in answers else [-1, 30]

    return answer


async def test_a_captured_register_that_may_not_be_read_by_itself_keeps_its_place_in_the_rows() -> None:
    shapes = await learn(scripted(_load_with(scaler=AccessError(3))), COMPANION, ["load0"])
    assert [(column.scaler, column.unit) for column in shapes["load0"].columns] == [(0, 255), (-1, 30), (0, 255)]


@pytest.mark.parametrize("period", [None, b"\x03\x84", "900", -900, 1.5, [900]])
async def test_a_capture_period_that_is_no_number_costs_its_own_stream_alone(period: Any) -> None:
    assert list(await learn(scripted(_odd(_load_with(period=period))), COMPANION, ["load0", "daily"])) == ["daily"]


@pytest.mark.parametrize("objects", [None, 7, [[8, b"short", 2, 0]]])
async def test_capture_objects_that_are_none_cost_their_own_stream_alone(objects: Any) -> None:
    def odd(item: Get) -> Any:
        return objects if item.attribute.index == CAPTURE_OBJECTS else 900

    assert list(await learn(scripted(_odd(odd)), COMPANION, ["load0", "daily"])) == ["daily"]


def _odd(load: Callable[[Get], Any]) -> Callable[[Get], Any]:
    """Answer as a meter whose first load profile, and no other object, answers as `load` does."""

    def answer(item: Get) -> Any:
        return (load if item.attribute.name == COMPANION.streams["load0"].name else _load_with())(item)

    return answer


async def test_a_scaler_that_is_none_costs_the_streams_that_need_it_alone() -> None:
    shapes = await learn(scripted(_load_with(scaler=[1, 2, 3])), COMPANION, ["load0", INSTANT])
    assert list(shapes) == [INSTANT]
    assert shapes[INSTANT].partial
    assert len(shapes[INSTANT].columns) == len(COMPANION.registers) - 1


@pytest.mark.parametrize("passing", [{"scaler": AccessError(2)}, {"period": AccessError(2)}])
async def test_a_passing_refusal_is_never_learned(passing: Any) -> None:
    """It costs its own stream, not the others."""

    def answer(item: Get) -> Any:
        return (_load_with() if item.attribute.name == COMPANION.streams["daily"].name else _load_with(**passing))(item)

    shapes = await learn(scripted(answer), COMPANION, ["load0", "daily"])
    assert "load0" not in shapes
    if "period" in passing:  # a scaler that is not told is missing in both
        assert shapes["daily"].columns


async def test_a_register_whose_scaler_is_not_told_now_is_left_out_and_that_is_not_for_good() -> None:
    exported = COMPANION.registers[1]

    def answer(item: Get) -> Any:
        return UnservedError(250, "refused") if item.attribute.name == exported.name else [-1, 30]

    shape = (await learn(scripted(answer), COMPANION, [INSTANT]))[INSTANT]
    assert shape.partial
    assert [column.name for column in shape.columns] == [
        each.name for each in COMPANION.registers if each.name != exported.name
    ]


async def test_a_profile_of_scalers_that_is_not_told_now_lets_its_stream_wait() -> None:
    good = _indian()

    def answer(item: Get) -> Any:
        return AccessError(2) if item.attribute.name == INDIAN.streams["load0"].scalers else good(item)

    assert await learn(scripted(answer), INDIAN, ["load0"]) == {}


INDIAN = load_profile("is15959-1p")
ENERGY, VOLTAGE, CLOCK = (parse_obis(name) for name in ("1-0:1.8.0.255", "1-0:12.7.0.255", "0-0:1.0.0.255"))
DEMAND = parse_obis("1-0:1.6.0.255")


def _indian(scalers: Any = ((-2, 30), (-1, 35))) -> Callable[[Get], Any]:
    """Answer as a meter whose registers cannot be read by themselves."""
    columns = [[8, CLOCK, 2, 0], [3, ENERGY, 2, 0], [3, VOLTAGE, 2, 0], [4, DEMAND, 5, 0]]

    def answer(item: Get) -> Any:
        name, index = item.attribute.name, item.attribute.index
        if item.attribute.class_id != 7:
            return AccessError(3)
        if name == INDIAN.streams["load0"].scalers:
            return [[3, ENERGY, 3, 0], [3, VOLTAGE, 3, 0]] if index == CAPTURE_OBJECTS else scalers
        return 1800 if index == CAPTURE_PERIOD else columns

    return answer


@pytest.mark.parametrize("nested", [True, False])
async def test_scalers_come_from_the_profile_that_holds_them(nested: bool) -> None:
    row = [[-2, 30], [-1, 35]]
    shapes = await learn(scripted(_indian([row] if nested else row)), INDIAN, ["load0"])
    assert shapes["load0"].period == 1800
    found = [(column.scaler, column.unit) for column in shapes["load0"].columns]
    assert found == [(0, 255), (-2, 30), (-1, 35), (0, 255)]


async def test_a_scaler_profile_that_is_not_there_leaves_the_registers_to_ask() -> None:
    def answer(item: Get) -> Any:
        if item.attribute.name == INDIAN.streams["load0"].scalers:
            return AccessError(4)
        return [-3, 30] if item.attribute.class_id == 3 else _indian()(item)

    shapes = await learn(scripted(answer), INDIAN, ["load0"])
    assert [column.scaler for column in shapes["load0"].columns] == [0, -3, -3, 0]


@pytest.mark.parametrize("buffer", [7, None, [], [[[-2, 30]]], [[[-2, 30], 5]]])
async def test_a_scaler_profile_without_its_row_lets_its_stream_wait(buffer: Any) -> None:
    assert await learn(scripted(_indian(buffer)), INDIAN, ["load0"]) == {}


async def test_a_scaler_profile_without_columns_lets_its_stream_wait() -> None:
    def answer(item: Get) -> Any:
        named = item.attribute.name == INDIAN.streams["load0"].scalers and item.attribute.index == CAPTURE_OBJECTS
        return None if named else _indian()(item)

    assert await learn(scripted(answer), INDIAN, ["load0"]) == {}


async def test_the_time_of_a_maximum_has_no_scaler_even_where_the_maximum_has_one() -> None:
    shapes = await learn(
        scripted(lambda item: [-3, 27] if item.attribute.class_id == 4 else _indian([[-2, 30], [-1, 35]])(item)),
        INDIAN,
        ["load0"],
    )
    assert shapes["load0"].columns[3] == Column(4, DEMAND, 5)


async def test_what_the_profile_or_the_meter_does_not_have_is_nothing() -> None:
    without = replace(INDIAN, alarms=None)
    asked = scripted(lambda item: AccessError(4))
    assert await learn(asked, INDIAN, ["load1", ALARM]) == {"load1": NOTHING, ALARM: NOTHING}
    assert await learn(asked, without, [ALARM]) == {ALARM: NOTHING}


async def test_alarms_have_the_register_for_a_column() -> None:
    shapes = await learn(scripted(lambda item: 5), INDIAN, [ALARM])
    assert INDIAN.alarms is not None
    assert shapes[ALARM] == Shape((Column(1, INDIAN.alarms.register.name),), 0)
