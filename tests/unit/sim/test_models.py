"""The kinds of meters, and that a daemon reads an Indian one as it is: values, scalers from scaler profiles, events."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from dcu.model import ALARM, INSTANT, Capture, Column, Task
from dcu.obis import parse_obis
from sim import india, objects
from sim.fleet import FleetPlan, profile_of
from sim.models import ALARM_REGISTER, FRAUD_ALARM, IDIS, INDIAN, MODELS
from sim.virtual import VirtualClock
from tests.lines import INDIANS, Box, assert_true, settle, virtually
from tests.unit.sim.conversation import meter

DAY = 86_400.0
ALL = FleetPlan(meters=2, buses=1, hls=0, seed=4, indian=256)


@pytest.mark.parametrize("kind", [IDIS, INDIAN])
@pytest.mark.parametrize("phases", [1, 3])
def test_every_captured_column_is_an_object_of_the_meter(kind: str, phases: int) -> None:
    model = MODELS[kind, phases]
    codes = {log.code for log in model.logs}
    for profile in model.profiles.values():
        for column in profile.columns:
            assert column.class_id == 1 or column.name in model.registers
            assert column.class_id == 3 or column.name in codes or column.name[2:4] == bytes((96, 10))
    assert set(model.bits) <= {episode.begin for log in model.logs for episode in log.episodes}


def read_all(plan: FleetPlan, *tasks: Task) -> Box:
    async def work(clock: VirtualClock) -> Box:
        box = Box(clock, plan)
        await settle(box.poll(*tasks))
        return box

    return virtually(work)


def test_an_indian_meter_is_read_as_it_is() -> None:
    streams = [*INDIANS["is15959-1p"].streams, ALARM]
    box = read_all(ALL, *(Task(stream, every=DAY, backfill=60 * DAY) for stream in streams))
    assert {profile_of(each) for each in box.meters} == {"is15959-1p", "is15959-3p"}
    assert_true(box, [each for each in box.store.captures if each.stream != ALARM])
    count: Mapping[str, int] = {
        stream: sum(each.stream == stream and each.meter == "M0001" for each in box.store.captures)
        for stream in streams
    }
    assert count[INSTANT] == 1
    assert count["load0"] == 60 * 48 or count["load0"] == 35 * 48
    assert (count["daily"], count["billing"]) == (60, 2)
    assert count["event.voltage"] > 0
    assert count["event.permanent"] == 0, "a log this meter does not have"


def test_scalers_and_units_come_from_the_scaler_profiles() -> None:
    box = read_all(ALL, *(Task(stream, every=DAY, backfill=2 * DAY) for stream in ("load0", "daily", INSTANT)))
    assert {each.stream for each in box.store.captures} == {"load0", "daily", INSTANT}
    for meter_id in ("M0001", "M0002"):
        registers = next(each for each in box.meters if each.id == meter_id).registers
        for each in (capture for capture in box.store.captures if capture.meter == meter_id):
            assert [(column.scaler, column.unit) for column in each.columns] == [
                (registers[column.name].scaler, registers[column.name].unit) for column in each.columns
            ]
    (instant,) = (each for each in box.store.captures if (each.stream, each.meter) == (INSTANT, "M0001"))
    energy = next(column for column in instant.columns if column.name == parse_obis("1-0:1.8.0.255"))
    assert (energy.scaler, energy.unit) == (1, 30)
    assert not any(name in box.fleet.served() for name in ("1-0:1.8.0.255", "1-0:12.27.0.255")), "no object was asked"


def test_a_meter_without_scaler_profiles_is_asked_object_by_object(monkeypatch: pytest.MonkeyPatch) -> None:
    for phases in (1, 3):
        kept = {name: each for name, each in india.PROFILES_OF[phases].items() if not each.scalers}
        monkeypatch.setitem(MODELS, (INDIAN, phases), replace(MODELS[INDIAN, phases], profiles=kept))
        classes = {name: kind for name, kind in objects.CLASSES[INDIAN, phases].items() if name in kept or kind != 7}
        monkeypatch.setitem(objects.CLASSES, (INDIAN, phases), classes)
    box = read_all(ALL, Task("load0", every=DAY, backfill=DAY))
    captures: list[Capture] = box.store.captures
    assert captures
    assert {column.unit for each in captures for column in each.columns} == {30, 35}


def test_what_lasts_raises_a_bit() -> None:
    simulated = meter()
    fraud = next(log for log in simulated.model.logs if log.name == parse_obis("0-0:99.98.1.255"))
    start = 1_790_000_000
    events = fraud.between(simulated.plate.seed, simulated.id, start, start + 60 * 86_400)
    began, ended = events[0][0], events[1][0]
    word = Column(1, ALARM_REGISTER)
    values = [simulated.value(word, at) for at in (began - 1, began, ended, ended + 1)]
    assert values == [0, 1 << FRAUD_ALARM, 1 << FRAUD_ALARM, 0]
