"""Clocks that keep local time and went back by the hour while nobody asked them: which hour came twice.

What a visit sees of that hour while it lasts is told by `collecting`, what comes twice in one answer by the ledger.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from dcu.clock import Clock
from dcu.conversation.visit import Findings
from dcu.events import LATEST, Recorded
from dcu.plan.backfill import slice_of
from dcu.plan.standing import CLOCK_PLAY

#: Seconds by which clocks are set back in autumn, where they are.
HOUR: Final = 3600


@dataclass(slots=True)
class Autumn:
    """What the clocks that name no zone showed, and when (UTC s, monotonic s), by meter."""

    store: Recorded
    clock: Clock
    _shown: dict[str, tuple[float, float]] = field(default_factory=dict)

    async def hour(self, meter: str, found: Findings) -> int | None:
        """Return the beginning of the hour that a meter's clock showed twice, None where it did not or nobody knows.

        To be asked of what `tells`, before `found` is kept. Where rows come twice, it is their hour. Where none does in
        all that was captured since the meter was seen last, it is the hour in which it was seen. Raises StoreError.
        """
        if (before := await self._before(meter, found)) is None:
            return None
        showed, at = before
        now = self.clock.monotonic()
        if abs(showed + now - at - self._now(found) - HOUR) > CLOCK_PLAY:
            return None
        twice = min(_twice(found), default=None)
        if twice is None and now - at > slice_of(min(_periods(found))):
            return None
        return int(showed if twice is None else twice) // HOUR * HOUR

    def seen(self, meter: str, found: Findings) -> None:
        """Go on from what the clock shows now: what had to be told is."""
        if _local(found):
            self._shown[meter] = self._now(found), self.clock.monotonic()

    async def _before(self, meter: str, found: Findings) -> tuple[float, float] | None:
        """Return what the clock showed, and when it did: by the rows that are kept where that was before the start."""
        if meter not in self._shown and self.clock.trusted():
            rows = [row for _, stream in found.asked for row in await self.store.before(meter, stream, LATEST, 1)]
            row = max(rows, key=lambda row: row.read_at, default=None)
            if row is not None and row.trusted and row.offset is not None:
                at = self.clock.monotonic() - (self.clock.now() - row.read_at)
                self._shown[meter] = row.read_at + row.offset, at
        return self._shown.get(meter)

    def _now(self, found: Findings) -> float:
        return self.clock.now() + (found.offset or 0.0)


def _local(found: Findings) -> bool:
    return found.clock is not None and found.clock.deviation is None


def tells(found: Findings) -> bool:
    """Whether there are rows of a clock that keeps local time, near enough to one another to tell of an hour."""
    return _local(found) and bool(_periods(found))


def _periods(found: Findings) -> set[int]:
    return {asked.period for some in found.asked.values() for asked in some if 0 < asked.period <= HOUR}


def _twice(found: Findings) -> Iterator[int]:
    """Yield the times that come more than once in one of the streams that were asked for at fixed times."""
    fixed = {stream for (_, stream), some in found.asked.items() if any(asked.period for asked in some)}
    times = Counter((row.stream, row.at) for row in found.captures if row.stream in fixed)
    yield from (at for (_, at), count in times.items() if count > 1)
