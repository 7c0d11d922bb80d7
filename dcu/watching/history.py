"""The flow that keeps the box's health by day, in the store: what it did, how it fared, what it cost; and tells of it.

    counted since the start ──every STEP, and when a day is over──► added to the figures of the day that was
It decides nothing. How the figures lie in the store is said in `dcu.store.history`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final, Protocol

from dcu.clock import DAY, Clock, iso
from dcu.delivery.sending import Delivery
from dcu.health import BusHealth, Health, Progress
from dcu.host.temperature import temperature
from dcu.keeping.storekeeping import Storekeeping
from dcu.model import Command

#: Seconds between two times that the figures are kept, at whole multiples of the day's: what a power cut takes of them.
STEP: Final = 900

#: Buses that have figures of their own, the first of the configuration: a thousand gateways would fill the store.
BUSES: Final = 16

#: Days that one answer tells of: they fit a message of 100 000 octets.
SHOWN: Final = 40

#: Figures by name; those that belong together are one more level of it.
Figures = Mapping[str, Any]


class Days(Protocol):
    """What is needed of the store. Each raises StoreError."""

    async def keep_day(self, day: int, figures: Figures) -> None:
        """Keep the figures of `day` (since 1970, UTC) in place of those it had."""

    async def day(self, day: int) -> Figures:
        """Return the figures of `day`, none where it has none."""

    async def days(self, skip: int, limit: int) -> list[tuple[int, Figures]]:
        """Return at most `limit` days with their figures, the newest first, without the `skip` newest."""

    async def day_count(self) -> int:
        """Return how many days are kept."""


@dataclass(slots=True)
class History:
    """Keeps what `health`, `delivery` and `keeping` have counted; `warmth` gives degrees Celsius, or None."""

    store: Days
    health: Health
    delivery: Delivery
    keeping: Storekeeping
    clock: Clock
    progress: Progress
    warmth: Callable[[], float | None] = temperature
    _before: Figures = field(default_factory=dict)
    _day: int = -1
    _figures: Figures = field(default_factory=dict)

    def __post_init__(self) -> None:
        # the process counts what is written, and may have opened the store anew since it began
        self._before = {"store": {"written": self.keeping.written() or 0}}

    @property
    def commands(self) -> Mapping[str, Callable[[Command], Awaitable[Mapping[str, Any]]]]:
        """What answers the commands of this flow, by name."""
        return {"dcu.history": self.answer}

    async def run(self) -> None:
        """Keep the figures until cancelled. Raises StoreError."""
        while True:
            await self.step()
            await asyncio.sleep(STEP - self.clock.now() % STEP)

    async def step(self) -> None:
        """Add what was counted since the last time to the day that was then; without a clock it waits for one."""
        self.progress.mark(self.clock.monotonic())
        if not self.clock.trusted():
            return
        today = int(self.clock.now() // DAY)
        if self._day < 0:
            self._day, self._figures = today, await self.store.day(today)
        counted = self._counted()
        figures = await self._gauged(_sum(self._figures, _sum(counted, self._before, -1)))
        await self.store.keep_day(self._day, figures)
        self._before, self._figures = counted, figures
        if today != self._day:
            self._figures = await self.store.day(today)
            self._day = today

    async def answer(self, command: Command) -> dict[str, Any]:
        """Answer `dcu.history`: so many of the days that are kept, the newest first. Raises StoreError."""
        first, count = command.args["from"], command.args["count"]
        assert isinstance(first, int)
        assert isinstance(count, int)
        days = await self.store.days(first, min(count, SHOWN))
        told = [{"day": iso(day * DAY)[:10], **figures} for day, figures in days]
        return {"days": told, "total": await self.store.day_count()}

    def _counted(self) -> Figures:
        """Return what was counted since the start."""
        buses, up, shed = self.health.buses, self.delivery, self.keeping.shed
        lines = buses.values()
        return {
            "starts": 1,
            "uptime": int(self.clock.monotonic() - self.health.started),
            "visits": sum(bus.visits for bus in lines),
            "failed": sum(_failed(bus) for bus in lines),
            "captures": sum(bus.captures for bus in lines),
            "breaches": sum(sum(bus.security.values()) for bus in lines),
            "buses": {name: _bus(bus) for name, bus in islice(buses.items(), BUSES)},
            "uplink": {
                "connections": up.connections,
                "tries": up.tries,
                "blocks": up.acknowledged,
                "octets": up.octets,
            },
            "store": {"written": self.keeping.written() or 0, "shed": shed.captures, "dropped": shed.unsent},
        }

    async def _gauged(self, figures: Figures) -> Figures:
        """Return `figures` with those that are as they are now, or were at their worst today."""
        room = await self.keeping.room()
        store = figures["store"]
        success = {stream: round(each.day, 4) for stream, each in self.health.success.items()}
        gauged = {
            "success": {**figures.get("success", {}), **success},
            "store": {**store, "octets": room.used, "free": min(room.free, store.get("free", room.free))},
        }
        if (warm := self.warmth()) is not None:
            gauged["warmest"] = max(round(warm, 1), figures.get("warmest", warm))
        return {**figures, **gauged}


def _failed(bus: BusHealth) -> int:
    return bus.silent + bus.refused + bus.line


def _bus(bus: BusHealth) -> dict[str, int]:
    return {"visits": bus.visits, "failed": _failed(bus), "busy": int(bus.busy)}


def _sum(held: Figures, more: Figures, sign: int = 1) -> Figures:
    """Return the figures of `held` and `more` together, on every level; `sign` -1: what `held` has above `more`."""
    summed: dict[str, Any] = dict(held)
    for name, figure in more.items():
        if isinstance(figure, Mapping):
            summed[name] = _sum(held.get(name, {}), figure, sign)
        else:
            summed[name] = held.get(name, 0) + sign * figure
    return summed
