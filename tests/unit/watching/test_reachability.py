"""Who can be reached, what is kept of it, and who is told when."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dcu.clock import DAY, ClockState
from dcu.health import Health
from dcu.model import Command, Meter, Reach
from dcu.store import Store
from dcu.watching.reachability import Reachability
from tests.captures import SetClock

UP, WEAK, DOWN = Reach.REACHABLE, Reach.DEGRADED, Reach.UNREACHABLE
AFTER = 72 * 3600.0
METERS = [Meter(f"M{number}", "a", 17 + number, "reader", "idis") for number in (3, 1, 2)]


class MovedClock(SetClock):
    current = ClockState.SYNCHRONISED

    def state(self) -> ClockState:
        return self.current


class Bench:
    """A reachability over a store; `restart` makes another over the same."""

    def __init__(self, store: Store, clock: SetClock) -> None:
        self.store = store
        self.clock = clock
        self.meters = list(METERS)
        self.events: list[tuple[str, str]] = []
        self.restart()

    def restart(self) -> None:
        self.room = Reachability(
            self.store.reaches, lambda: self.meters, lambda _: 7, AFTER, self.clock, Health(), self.report
        )

    async def report(self, name: str, *, meter: str = "", **_: object) -> None:
        self.events.append((name, meter))

    async def visited(self, meter: str, state: Reach, after: float = 60.0) -> None:
        self.clock.time += after
        await self.room.visited(meter, state, answered=state is UP)

    async def changes(self) -> list[tuple[str, Reach]]:
        return [(meter, state) for meter, _, state in await self.store.reaches.since(0)]

    async def listed(self, *, unreachable: bool = False, after: str = "", count: int = 100) -> dict[str, Any]:
        args = {"unreachable": unreachable, "after": after, "count": count}
        return await self.room.commands["dcu.meters"](Command("1", "dcu.meters", args=args))


@pytest.fixture
def moved() -> MovedClock:
    return MovedClock(1_800_000_000.0 // DAY * DAY + 3600.0)


@pytest.fixture
async def bench(tmp_path: Path, moved: MovedClock) -> AsyncIterator[Bench]:
    async with Store.open(tmp_path / "store.db", moved) as store:
        yield Bench(store, moved)


async def test_only_changes_are_kept(bench: Bench) -> None:
    for state in (UP, UP, WEAK, WEAK, DOWN, DOWN, UP, UP):
        await bench.visited("M1", state)
    assert await bench.changes() == [("M1", UP), ("M1", WEAK), ("M1", DOWN), ("M1", UP)]


async def test_a_lost_line_says_nothing_of_the_meter(bench: Bench) -> None:
    await bench.room.visited("M1", UP, answered=False)
    assert await bench.changes() == []


async def test_a_meter_that_is_away_is_told_once_and_when_it_is_back(bench: Bench) -> None:
    await bench.visited("M1", UP)
    await bench.visited("M1", WEAK)
    await bench.visited("M1", DOWN)
    await bench.room.step()
    bench.clock.time += AFTER - 61.0
    await bench.room.step()
    assert bench.events == []
    bench.clock.time += 1.0
    await bench.room.step()
    await bench.room.step()
    assert bench.events == [("meter unreachable", "M1")]
    await bench.visited("M1", UP)
    assert bench.events[1:] == [("meter reachable again", "M1")]


async def test_a_meter_that_was_away_for_less_is_nobodys_news(bench: Bench) -> None:
    for state in (UP, WEAK, DOWN, UP):
        await bench.visited("M1", state)
    await bench.room.step()
    assert bench.events == []


async def test_a_meter_that_dies_after_the_clock_was_ahead_is_away_after_a_restart(bench: Bench) -> None:
    bench.clock.time += DAY
    await bench.visited("M1", UP)
    bench.clock.time -= DAY
    for state in (WEAK, DOWN):
        await bench.visited("M1", state)
    bench.restart()
    assert await bench.room.load() == ["M1"]
    assert await bench.changes() == [("M1", WEAK), ("M1", DOWN)]


async def test_a_clock_that_nobody_believes_costs_no_change(bench: Bench, moved: MovedClock) -> None:
    await bench.visited("M1", UP)
    moved.current = ClockState.UNSYNCHRONISED
    bench.clock.time -= DAY
    await bench.visited("M1", WEAK)
    assert await bench.changes() == [("M1", WEAK), ("M1", UP)]


async def test_a_restart_neither_forgets_how_long_it_is_nor_tells_it_twice(bench: Bench) -> None:
    for state in (UP, WEAK, DOWN):
        await bench.visited("M1", state)
    bench.restart()
    assert await bench.room.load() == ["M1"]
    bench.clock.time += AFTER
    await bench.room.step()
    bench.clock.time += 60.0
    bench.restart()
    assert await bench.room.load() == ["M1"]
    await bench.room.step()
    assert bench.events == [("meter unreachable", "M1")]
    await bench.visited("M1", UP)
    assert [name for name, _ in bench.events] == ["meter unreachable", "meter reachable again"]
    bench.restart()
    assert await bench.room.load() == []


async def test_without_a_clock_to_trust_the_time_begins_anew(bench: Bench, moved: MovedClock) -> None:
    await bench.visited("M1", UP)
    await bench.visited("M1", DOWN)
    moved.time += 40 * 365 * DAY
    moved.current = ClockState.UNSYNCHRONISED
    bench.restart()
    await bench.room.load()
    await bench.room.step()
    assert bench.events == []
    moved.time += AFTER
    await bench.room.step()
    assert bench.events == [("meter unreachable", "M1")]


async def test_a_meter_that_has_left_the_archive_is_not_told(bench: Bench) -> None:
    await bench.visited("M1", DOWN)
    bench.meters = bench.meters[:1]
    bench.clock.time += AFTER
    await bench.room.step()
    assert bench.events == []


async def test_the_list_says_how_each_meter_stands(bench: Bench) -> None:
    midnight = bench.clock.time - 3600.0
    bench.clock.time -= 3600.0 + 600.0  # ten minutes of yesterday
    await bench.visited("M1", UP, 0.0)
    await bench.visited("M2", UP, 0.0)
    await bench.visited("M1", WEAK, 600.0 + 1200.0)
    bench.clock.time = midnight + 3600.0
    lines = (await bench.listed())["meters"]
    assert [line["id"] for line in lines] == ["M1", "M2", "M3"]
    assert [line["state"] for line in lines] == ["degraded", "reachable", None]
    assert [line["available"] for line in lines] == [
        {"yesterday": 10, "today": 20},
        {"yesterday": 10, "today": 60},
        {"yesterday": 0, "today": 0},
    ]
    assert (lines[0]["bus"], lines[0]["failures"]) == ("a", 7)
    assert lines[0]["since"] > lines[0]["last_reading"]
    assert (lines[2]["since"], lines[2]["last_reading"]) == (None, None)


async def test_the_list_comes_in_parts_and_may_show_only_who_is_away(bench: Bench) -> None:
    first = await bench.listed(count=2)
    assert ([line["id"] for line in first["meters"]], first["next"]) == (["M1", "M2"], "M2")
    rest = await bench.listed(after="M2", count=2)
    assert ([line["id"] for line in rest["meters"]], rest["next"]) == (["M3"], None)
    await bench.visited("M3", DOWN)
    away = await bench.listed(unreachable=True)
    assert ([line["id"] for line in away["meters"]], away["next"]) == (["M3"], None)
