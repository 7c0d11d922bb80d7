"""What is told of the buses' time, and when one is called overloaded."""

import asyncio
import itertools
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from dcu.health import Airtimes, BusHealth, Progress
from dcu.plan.airtime import Forecast, Pieces
from dcu.polling.poll import Poll
from dcu.watching.workload import SPAN, STEP, Workload
from tests.captures import SetClock
from tests.plans import in_pieces

FITS = Forecast(0.25, 100.0, 70_000.0, {"instant": 30.0}, ())
LATE = Forecast(1.5, 100.0, 70_000.0, {"instant": 400.0}, ("instant",))


class Lines:
    """One bus whose counters a test sets, and the flow that looks at it."""

    def __init__(self, forecast: Forecast = FITS) -> None:
        self.clock, self.forecast = SetClock(), forecast
        self.health, self.airtimes, self.missed = BusHealth(), Airtimes(), 0
        self.told: list[tuple[str, dict[str, Any]]] = []
        counts = lambda: SimpleNamespace(missed=self.missed)  # noqa: E731 - the one method of the plan that is used
        poll = SimpleNamespace(health=self.health, airtimes=self.airtimes, plan=SimpleNamespace(counts=counts))
        self.workload = Workload(
            {"rs485-1": cast("Poll", poll)},
            lambda: in_pieces({"rs485-1": self.forecast}),
            self.clock,
            self._report,
            Progress(0.0),
        )

    async def _report(self, name: str, *, meter: str = "", **detail: Any) -> None:
        self.told.append((name, detail))

    async def hour(self, busy: float, missed: int) -> None:
        """Let an hour pass in which the bus was busy so many seconds and so many intervals passed unread."""
        await self.workload.step()
        self.health.busy += busy
        self.missed += missed
        self.clock.time += SPAN
        await self.workload.step()


async def test_a_full_bus_that_leaves_intervals_unread_is_told_once() -> None:
    lines = Lines()
    for _ in range(3):
        await lines.hour(3550.0, 12)
    assert lines.told == [("bus overloaded", {"bus": "rs485-1", "use": 0.986, "unread": 12})]
    assert lines.workload.problems() == ["bus rs485-1: overloaded, used 99%"]


async def test_after_a_good_hour_it_is_told_again() -> None:
    lines = Lines()
    for busy in (3550.0, 100.0, 3550.0):
        await lines.hour(busy, 12)
    assert len(lines.told) == 2


@pytest.mark.parametrize(("busy", "missed"), [(3550.0, 0), (1000.0, 12)])
async def test_a_full_bus_that_keeps_up_and_an_idle_one_with_dead_meters_are_not(busy: float, missed: int) -> None:
    lines = Lines()
    await lines.hour(busy, missed)
    assert lines.told == []
    assert lines.workload.problems() == []


async def test_nothing_is_judged_before_an_hour() -> None:
    lines = Lines()
    await lines.workload.step()
    lines.health.busy, lines.missed = STEP, 3
    lines.clock.time += STEP
    await lines.workload.step()
    assert lines.told == []
    assert (await lines.workload.describe())["rs485-1"]["measured"]["use"] is None


async def test_what_was_foreseen_and_what_it_took_stand_side_by_side() -> None:
    lines = Lines()
    for number in range(20):
        lines.airtimes.count(f"M{number:04d}", float(number), good=number % 2 == 0)
    lines.health.visits, lines.health.wasted = 20, 3.25
    await lines.hour(900.0, 0)
    found = (await lines.workload.describe())["rs485-1"]
    assert found["predicted"] == {
        "use": 0.25,
        "basis": "estimated",
        "visits_per_day": 100,
        "octets_per_day": 70_000,
        "sweeps": {"instant": 30.0},
        "late": [],
    }
    assert found["measured"] == {"use": 0.25, "visits": 20, "seconds_per_visit": 45.0, "wasted": 3.2, "missed": 0}
    assert found["costliest"][0] == {"meter": "M0019", "seconds": 19.0, "visits": 1, "failed": 1}
    assert len(found["costliest"]) == 10


async def test_what_will_not_fit_is_told_once_until_it_fits_again() -> None:
    lines = Lines(LATE)
    for forecast in (LATE, LATE, FITS, replace(LATE, measured=0.95)):
        lines.forecast = forecast
        await lines.hour(100.0, 0)
    slow = {"bus": "rs485-1", "use": 1.5, "late": ["instant"]}
    assert lines.told == [
        ("bus too slow", slow | {"basis": "estimated"}),
        ("bus too slow", slow | {"basis": "measured"}),
    ]


async def test_what_will_not_fit_is_a_problem_from_the_start() -> None:
    lines = Lines(LATE)
    await lines.workload.step()
    assert lines.workload.problems() == [
        "bus rs485-1: the timetable needs 150% of its time, more than 80% is too much",
        "bus rs485-1: asking every meter for instant takes 400 s, longer than it may",
    ]


@pytest.mark.parametrize("asked", ["step", "describe"])
async def test_others_have_their_turn_after_each_piece_of_a_forecast(asked: str) -> None:
    lines, turns, seen = Lines(), itertools.count(), list[int]()

    def foresee() -> Pieces[dict[str, Forecast]]:
        for _ in range(5):
            seen.append(next(turns))
            asyncio.get_running_loop().call_soon(turns.__next__)
            yield
        return {"rs485-1": FITS}

    lines.workload.foresee = foresee
    await getattr(lines.workload, asked)()
    assert seen == [0, 2, 4, 6, 8]
