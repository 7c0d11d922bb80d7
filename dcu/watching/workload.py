"""The flow that looks after the buses' time: foreseen and measured, the costliest meters, and what is too much.

It changes nothing in the plan: an overloaded bus is the operator's to relieve.

FITS ──foreseen: too much for the bus, or for the period of a stream──► told once: event "bus too slow" ──fits──► FITS
FITS ──busy for FULL of an hour, intervals passed unread──► told once: event "bus overloaded" ──an hour without──► FITS
"""

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dcu.clock import Clock
from dcu.health import Progress
from dcu.plan.airtime import Forecast, Pieces
from dcu.polling.poll import Poll
from dcu.report import Report
from dcu.watching.forecasts import fits, warnings

#: How often the buses are looked at and over how long their use is taken, in seconds.
STEP, SPAN = 60.0, 3600.0

#: A bus that rests less than this is full: rests are what commands and retries live on.
FULL = 0.95

#: Meters that are named as the costliest of a bus.
NAMED = 10


@dataclass(slots=True)
class _Seen:
    """What a bus had counted at the beginning of the hour, and what came of the hour before."""

    at: float
    busy: float = 0.0
    missed: int = 0
    use: float | None = None
    told: bool = False


@dataclass(slots=True)
class Workload:
    """`foresee` gives the forecast of each bus as the archive is now, from what visits took where that was measured.

    It is worked on a piece at a time: while it is, the lines and the broker are served.
    """

    polls: Mapping[str, Poll]
    foresee: Callable[[], Pieces[Mapping[str, Forecast]]]
    clock: Clock
    report: Report
    progress: Progress
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _warnings: list[str] = field(default_factory=list)
    #: Buses of which it was told that they are too slow.
    _slow: set[str] = field(default_factory=set)
    _looked: float = -math.inf

    async def run(self) -> None:
        """Look after the buses until cancelled. Raises StoreError."""
        while True:
            await self.step()
            await asyncio.sleep(STEP)

    async def step(self) -> None:
        """Look once."""
        now = self.clock.monotonic()
        self.progress.mark(now)
        if now - self._looked >= SPAN:  # the archive changes while we run
            self._looked = now
            await self._look_ahead()
        for name, poll in self.polls.items():
            seen = self._seen.setdefault(name, _Seen(now))
            if now - seen.at >= SPAN:
                await self._judge(name, poll, seen, now)

    async def _look_ahead(self) -> None:
        found = await self._foreseen()
        self._warnings = warnings(found)
        slow = {name: each for name, each in found.items() if not fits(each)}
        for name, each in slow.items():
            if name not in self._slow:
                use = round(each.share, 3)
                await self.report("bus too slow", bus=name, use=use, late=list(each.late), basis=each.basis)
        self._slow = set(slow)

    async def _foreseen(self) -> Mapping[str, Forecast]:
        pieces = self.foresee()
        while True:
            try:
                next(pieces)
            except StopIteration as end:
                found: Mapping[str, Forecast] = end.value
                return found
            await asyncio.sleep(0)

    async def _judge(self, name: str, poll: Poll, seen: _Seen, now: float) -> None:
        busy, missed = poll.health.busy, poll.plan.counts().missed
        use, unread = (busy - seen.busy) / (now - seen.at), missed - seen.missed
        overloaded = use >= FULL and unread > 0
        if overloaded and not seen.told:
            await self.report("bus overloaded", bus=name, use=round(use, 3), unread=unread)
        self._seen[name] = _Seen(now, busy, missed, use, overloaded)

    def problems(self) -> list[str]:
        """Say what does not fit, or will not."""
        over = [f"bus {name}: overloaded, used {seen.use or 0:.0%}" for name, seen in self._seen.items() if seen.told]
        return over + self._warnings

    async def describe(self) -> dict[str, Any]:
        """Return for each bus what was foreseen and what was measured, JSON-able; shares of 1, seconds of line time."""
        found = await self._foreseen()
        return {name: self._bus(name, poll, found[name]) for name, poll in self.polls.items()}

    def _bus(self, name: str, poll: Poll, forecast: Forecast) -> dict[str, Any]:
        seen, health = self._seen.get(name), poll.health
        measured = {
            "use": None if seen is None or seen.use is None else round(seen.use, 4),
            "visits": health.visits,
            "seconds_per_visit": round(health.busy / health.visits, 3) if health.visits else None,
            "wasted": round(health.wasted, 1),
            "missed": poll.plan.counts().missed,
        }
        return {
            "predicted": _predicted(forecast),
            "measured": measured,
            "costliest": poll.airtimes.costliest(NAMED),
        }


def _predicted(forecast: Forecast) -> dict[str, Any]:
    return {
        "use": round(forecast.share, 4),
        "basis": forecast.basis,
        "visits_per_day": round(forecast.visits),
        "octets_per_day": round(forecast.octets),
        "sweeps": {stream: round(seconds, 1) for stream, seconds in forecast.sweeps.items()},
        "late": list(forecast.late),
    }
