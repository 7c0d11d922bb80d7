"""Lines of the archive and stations found: what is kept, what an exchange forgets, and what it must not."""

from dataclasses import replace
from pathlib import Path

import pytest

from dcu.model import Meter
from dcu.store import Store
from dcu.store import lines as room
from dcu.store.generations import Sealed
from dcu.store.lines import Line, Station, line_of
from tests.captures import SetClock, capture

FIRST = Meter("M1", "rs485-1", 17, "reader", "idis", serial="4711")
SECOND = Meter("M2", "rs485-1", 18, "reader", "idis", logical_device=2)
FACTS = {"device": "SIM1", "serial": "1"}


def test_a_line_says_what_is_not_so_anyway() -> None:
    assert line_of(Meter("M1", "b", 17, "reader", "idis")) == {
        "id": "M1",
        "bus": "b",
        "address": 17,
        "access": "reader",
        "profile": "idis",
    }
    assert line_of(SECOND)["logical_device"] == 2


async def test_lines_are_there_after_a_restart(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        assert await store.lines.add([SECOND], "command") == clock.time
        clock.time += 10
        await store.lines.add([FIRST], "discovery")
    async with Store.open(path, clock) as store:
        assert await store.lines.added() == [
            Line(SECOND, "command", clock.time - 10),
            Line(FIRST, "discovery", clock.time),
        ]


async def test_a_line_that_is_dropped_leaves_its_captures(store: Store) -> None:
    await store.lines.add([FIRST, SECOND], "command")
    await store.readings.record([capture(900)], {("M1", "load0"): 900})
    await store.lines.drop("M1")
    assert [line.meter.id for line in await store.lines.added()] == ["M2"]
    assert await store.outbox.pending() == {"load0": 1}
    assert await store.readings.latest("M1", "load0") == capture(900)


async def test_another_device_under_the_same_name_begins_anew(store: Store) -> None:
    await store.lines.add([FIRST], "command")
    await store.readings.record(
        [capture(900), capture(1800), capture(900, "M2")], {("M1", "load0"): 1800, ("M2", "load0"): 900}
    )
    for meter in ("M1", "M2"):
        await store.descriptors.put(meter, "load0", {"period": 900})
        await store.clocks.shows(meter, 100, 1.5)
        await store.generations.begin(Sealed(meter, 1, "current", 1.0, {"password": b"x"}))
    other = replace(FIRST, serial="4712", address=40)
    await store.lines.replace(other, "command", ["load0", "daily"], 5000)
    assert [line.meter for line in await store.lines.added()] == [other]
    # secrets that were changed in the old device are not the new one's
    assert [sealed.meter for sealed in await store.generations.all()] == ["M2"]
    assert await store.readings.watermarks() == {("M1", "load0"): 5000, ("M2", "load0"): 900}
    assert (await store.descriptors.of("M1"), await store.clocks.points("M1")) == ({}, [])
    assert (await store.descriptors.of("M2"), await store.clocks.points("M2")) == (
        {"load0": {"period": 900}},
        [(100, 1.5)],
    )
    # what the old device gave is still there, and rows of the new one that are older are not taken for its
    await store.readings.record([capture(2700), capture(5400)], {("M1", "load0"): 5400})
    assert [each.at for each in await store.readings.captures("M1", "load0", 0, 9999, 10)] == [900, 1800, 5400]


async def test_stations_are_met_once_and_forgotten_when_they_have_a_name(store: Store, clock: SetClock) -> None:
    await store.lines.meet(Station("rs485-1", 17, FACTS, 5.0))
    await store.lines.meet(Station("rs485-1", 30, {}, 6.0))
    await store.lines.meet(Station("rs485-1", 17, FACTS | {"firmware": "2"}, 7.0))
    first, second = await store.lines.stations()
    assert (first.facts, first.at, second.address) == (FACTS | {"firmware": "2"}, 7.0, 30)
    await store.lines.add([FIRST], "discovery")
    assert [station.address for station in await store.lines.stations()] == [30]


async def test_stations_do_not_fill_the_store(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "FOUND_BOUND", 3)
    for address in range(10):
        await store.lines.meet(Station("b", address, {}, float(address)))
    assert [station.address for station in await store.lines.stations()] == [7, 8, 9]
