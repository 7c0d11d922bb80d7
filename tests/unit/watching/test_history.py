"""The figures of a day add up over restarts, belong to the day they were counted on, and wait for a clock."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from dcu.clock import DAY, ClockState
from dcu.config import StoreSettings
from dcu.delivery.sending import Delivery
from dcu.errors import Breach, StoreError
from dcu.health import Health, Progress, Success
from dcu.keeping.storekeeping import Storekeeping
from dcu.model import Command
from dcu.store import Store
from dcu.store.history import History as Days
from dcu.store.retention import Shed
from dcu.watching.history import BUSES, SHOWN, STEP, History
from tests.captures import SetClock

#: Midnight of the 22nd of November 2026.
MIDNIGHT = 1_795_305_600


class Settable(SetClock):
    said = ClockState.SYNCHRONISED

    def state(self) -> ClockState:
        return self.said


@dataclass
class Box:
    """What is counted, as a process has it, and what keeps it by day."""

    store: Store
    clock: Settable
    written: int | None = 1000
    warm: float | None = 40.0
    health: Health = field(init=False)
    delivery: Delivery = field(init=False)
    history: History = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin anew, as a process does."""
        self.health, self.delivery = Health(started=self.clock.monotonic()), Delivery()
        self.keeping = Storekeeping(
            self.store, StoreSettings(), self.clock, self.report, Progress(0.0), lambda: self.written
        )
        counted = self.health, self.delivery, self.keeping
        self.history = History(self.store.history, *counted, self.clock, Progress(0.0), lambda: self.warm)

    async def report(self, name: str, *, meter: str = "", **detail: object) -> None:
        raise AssertionError(name)

    def visits(self, bus: str, ok: int, silent: int = 0) -> None:
        counts = self.health.bus(bus)
        counts.visits += ok + silent
        counts.ok += ok
        counts.silent += silent
        counts.captures += 4 * ok
        counts.busy += 0.5 * (ok + silent)

    async def days(self, **args: int) -> list[dict[str, Any]]:
        part: dict[str, object] = {"from": 0, "count": 256, **args}
        answer = await self.history.commands["dcu.history"](Command("c1", "dcu.history", args=part))
        assert answer["total"] == await self.store.history.day_count()
        found: list[dict[str, Any]] = answer["days"]
        return found


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Box]:
    clock = Settable(MIDNIGHT + 3600.0)
    async with Store.open(tmp_path / "store.db", clock) as store:
        yield Box(store, clock)


async def test_a_day_has_what_was_counted_on_it(box: Box) -> None:
    await box.history.step()
    box.visits("a", 90, 10)
    box.visits("b", 5)
    box.health.buses["b"].count_breach(Breach.TAG)
    box.health.success["load0"] = Success(0.985, 100, 99, 0.99, 0.98765, MIDNIGHT)
    box.delivery.connections, box.delivery.tries, box.delivery.acknowledged, box.delivery.octets = 2, 3, 40, 5000
    box.written = 4096
    box.keeping._shed["load0"] = Shed(7, 2)
    box.clock.time += STEP
    await box.history.step()
    [day] = await box.days()
    room = await box.keeping.room()
    free = day["store"].pop("free")
    assert free <= room.free + (1 << 30)  # others use the disk, too
    assert day == {
        "day": "2026-11-22",
        "starts": 1,
        "uptime": STEP,
        "visits": 105,
        "failed": 10,
        "captures": 380,
        "breaches": 1,
        "buses": {
            "a": {"visits": 100, "failed": 10, "busy": 50},
            "b": {"visits": 5, "failed": 0, "busy": 2},
        },
        "uplink": {"connections": 2, "tries": 3, "blocks": 40, "octets": 5000},
        "store": {"written": 3096, "shed": 7, "dropped": 2, "octets": day["store"]["octets"]},
        "success": {"load0": 0.9877},
        "warmest": 40.0,
    }


async def test_a_restart_adds_to_the_day(box: Box) -> None:
    box.visits("a", 8)
    await box.history.step()
    box.warm = 61.04
    box.start()
    await box.history.step()
    box.visits("a", 2, 1)
    box.warm = None
    await box.history.step()
    [day] = await box.days()
    assert (day["starts"], day["visits"], day["failed"], day["warmest"]) == (2, 11, 1, 61.0)
    assert day["store"]["written"] == 0  # what the process wrote before belongs to who was then


async def test_what_was_counted_up_to_midnight_belongs_to_the_day_before(box: Box) -> None:
    await box.history.step()
    box.visits("a", 6)
    box.clock.time = MIDNIGHT + DAY + 0.5
    await box.history.step()
    box.visits("a", 1)
    box.clock.time += STEP
    await box.history.step()
    today, yesterday = await box.days()
    assert (yesterday["day"], yesterday["visits"], yesterday["starts"]) == ("2026-11-22", 6, 1)
    assert (today["day"], today["visits"], today["starts"]) == ("2026-11-23", 1, 0)


async def test_without_a_clock_figures_wait_for_their_day(box: Box) -> None:
    box.clock.said = ClockState.UNSYNCHRONISED
    box.visits("a", 3)
    await box.history.step()
    assert await box.days() == []
    box.clock.said = ClockState.SYNCHRONISED
    await box.history.step()
    assert [(day["visits"], day["starts"]) for day in await box.days()] == [(3, 1)]


async def test_what_could_not_be_kept_is_kept_the_next_time(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    await box.history.step()
    box.visits("a", 3)
    with monkeypatch.context() as failing:

        async def fails(_days: Days, _day: int, _figures: object) -> None:
            raise StoreError("the disk is gone")

        failing.setattr(Days, "keep_day", fails)
        with pytest.raises(StoreError, match="gone"):
            await box.history.step()
    await box.history.step()
    await box.history.step()
    assert [day["visits"] for day in await box.days()] == [3]


async def test_a_thousand_gateways_do_not_make_a_day_long(box: Box) -> None:
    for number in range(1000):
        box.visits(f"gateway-{number:04}", 1)
    await box.history.step()
    [day] = await box.days()
    assert (day["visits"], len(day["buses"])) == (1000, BUSES)


async def test_days_are_told_in_parts(box: Box) -> None:
    for number in range(SHOWN + 3):
        await box.store.history.keep_day(20_000 + number, {"visits": number})
    first, rest = await box.days(), await box.days(**{"from": SHOWN})
    assert [day["visits"] for day in first + rest] == list(reversed(range(SHOWN + 3)))
    assert len(first) == SHOWN
    assert await box.days(count=1) == first[:1]


async def test_the_longest_day_fits_an_answer(box: Box) -> None:
    for number in range(BUSES):
        box.visits(f"bus-with-a-long-name-{number:02}", 100_000, 50_000)
    success = Success(0.985, 100, 99, 0.99, 0.9877, MIDNIGHT)
    box.health.success = {f"event.stream-{number:02}": replace(success) for number in range(16)}
    await box.history.step()
    [day] = await box.days()
    assert len(str(day)) * SHOWN < 100_000
