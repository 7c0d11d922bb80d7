"""Events of the box itself, kept in the store when `report` returns; they leave from there as meters' events do.

A storm of one event about one meter is counted rather than kept. What the events are is in `messages.events`.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import structlog

from dcu.clock import Clock
from dcu.errors import SecurityError, ShelteredError
from dcu.health import BusHealth
from dcu.messages.events import OWN_EVENTS, own_values
from dcu.model import DCU_EVENTS, NO_STATUS, Capture, Reach

log = structlog.get_logger()

#: Events of one name about one meter that are kept within PERIOD seconds; the next one kept tells how many were not.
BURST = 4
PERIOD = 3600.0

#: Pairs of name and meter whose rate is remembered: more than one storm over 1024 meters has. The oldest goes first.
MAX_RATES = 2048

#: Characters of one word of a detail: a meter may have put much of its own into an error.
MAX_WORD = 200


class Report(Protocol):
    """Reports an event: its name in `OWN_EVENTS`, the meter concerned ("": the box), and what else is known."""

    async def __call__(self, name: str, *, meter: str = "", **detail: object) -> None:
        """Return when it is kept. Raises StoreError."""


async def report_breach(report: Report, health: BusHealth, meter: str, error: SecurityError) -> None:
    """Tell everybody that what came under the name of `meter` failed a security check. Raises StoreError."""
    reason = str(error)[:MAX_WORD]
    log.warning("security event", meter=meter, breach=error.breach.value, reason=reason)
    health.count_breach(error.breach)
    await report("security breach", meter=meter, breach=error.breach.value, reason=reason)


class Reached(Protocol):
    """Takes note of a visit: the state it left its meter in, and whether the meter answered."""

    async def __call__(self, meter: str, state: Reach, *, answered: bool) -> None:
        """Return when what changed is kept. Raises StoreError."""


async def unnoted(meter: str, state: Reach, *, answered: bool) -> None:
    """Nobody keeps a history."""


class Keeping(Protocol):
    """What is needed of the store."""

    async def record(
        self, captures: Sequence[Capture], watermarks: Mapping[tuple[str, str], int], heard: Mapping[str, int]
    ) -> object:
        """Keep all in one transaction; returns after the commit. Raises StoreError."""


@dataclass(slots=True)
class _Rate:
    """How many were kept since `began` (monotonic s), and how many were not."""

    began: float
    kept: int = 0
    left_out: int = 0

    def admits(self, now: float) -> bool:
        """Count one more; say whether it is kept."""
        if now - self.began >= PERIOD:
            self.began, self.kept = now, 0
        if self.kept >= BURST:
            self.left_out += 1
            return False
        self.kept += 1
        return True


class Reporter:
    """Keeps the events of the box `dcu`."""

    def __init__(self, store: Keeping, clock: Clock, dcu: str) -> None:
        self._store = store
        self._clock = clock
        self._dcu = dcu
        self._rates: dict[tuple[str, str], _Rate] = {}

    async def report(self, name: str, *, meter: str = "", **detail: object) -> None:
        """Keep an event of `OWN_EVENTS` about `meter` ("": the box itself); `detail` is JSON-able.

        Raises StoreError when it cannot be kept, KeyError for a name that is none.
        """
        severity = OWN_EVENTS[name].severity
        rate = self._rate(name, meter)
        if not rate.admits(self._clock.monotonic()):
            return
        if rate.left_out:
            detail["left_out"] = rate.left_out
        now = self._clock.now()
        log.info("event reported", name=name, severity=severity, meter=meter, detail=detail)
        words = {key: value[:MAX_WORD] if isinstance(value, str) else value for key, value in detail.items()}
        capture = Capture(
            meter=meter or self._dcu,
            stream=DCU_EVENTS,
            at=int(now),
            status=NO_STATUS,
            values=own_values(name, words),
            columns=(),
            read_at=round(now, 3),
            offset=None,
            trusted=self._clock.trusted(),
        )
        with suppress(ShelteredError):  # it waits in memory until the store keeps again
            await self._store.record([capture], {}, {})
        rate.left_out = 0

    def _rate(self, name: str, meter: str) -> _Rate:
        key = name, meter
        if key not in self._rates and len(self._rates) >= MAX_RATES:
            del self._rates[next(iter(self._rates))]
        return self._rates.setdefault(key, _Rate(self._clock.monotonic()))
