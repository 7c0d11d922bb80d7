"""The flow that looks after the box's own clock: remembers that it was disciplined, and tells when it is not trusted.

The meters' clocks are not looked after here.

TRUSTED ──not trusted for GRACE──► told once: event "dcu clock not synchronised" ──trusted──► TRUSTED
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from dcu.clock import Clock, Discipline
from dcu.health import Progress
from dcu.report import Report

#: How often the clock is looked at, in seconds.
STEP = 60.0

#: After a start NTP takes some minutes; nobody has to be told of that.
GRACE = 300.0

#: How often it is kept that the clock is disciplined, in seconds: flash wears.
KEEP_EVERY = 3600.0


@dataclass(slots=True)
class Timekeeping:
    """`last` says when the clock was disciplined last, `save` keeps it."""

    clock: Clock
    report: Report
    last: Callable[[], Discipline | None]
    save: Callable[[Discipline], None]
    progress: Progress
    _lost: float | None = None
    _told: bool = False
    _kept: float | None = None

    async def run(self) -> None:
        """Look after the clock until cancelled. Raises StoreError."""
        while True:
            await self.step()
            await asyncio.sleep(STEP)

    async def step(self) -> None:
        """Look once."""
        now, state = self.clock.monotonic(), self.clock.state()
        self.progress.mark(now)
        if not state.trusted:
            self._lost = now if self._lost is None else self._lost
            if not self._told and now - self._lost >= GRACE:
                await self.report("dcu clock not synchronised", state=state.value)
                self._told = True
            return
        self._lost, self._told = None, False
        last = self.last()
        if last is not None and (self._kept is None or last.at - self._kept >= KEEP_EVERY):
            self.save(last)
            self._kept = last.at
