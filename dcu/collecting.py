"""What one visit reads: asked, doubted, sifted and kept, and what of it is told besides.

Which meter is visited, for what, and what becomes of a visit that fails, is in `dcu.poll`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from dcu.archive import Archive
from dcu.clock import Clock
from dcu.continuity import counts_up, fallen
from dcu.events import LATEST, EventSieve
from dcu.health import BusHealth
from dcu.model import IDENTITY, Capture, Reason
from dcu.opening import SessionMaker
from dcu.plan.backfill import lost
from dcu.plan.ledger import Asked
from dcu.report import Report
from dcu.session import Session
from dcu.store import Recorded
from dcu.visit import Findings, Reading

log = structlog.get_logger()

#: What is reported of a meter that says another word about itself than before.
CHANGES = {"serial": "meter exchanged", "firmware": "firmware changed"}


class Readings(Protocol):
    """What is needed of the store."""

    async def record(
        self,
        captures: Sequence[Capture],
        watermarks: Mapping[tuple[str, str], int],
        heard: Mapping[str, int],
        asked: Mapping[tuple[str, str], Sequence[Asked]] | None = None,
    ) -> Recorded:
        """Keep all in one transaction; returns after the commit. Raises StoreError."""

    async def before(self, meter: str, stream: str, end: int, limit: int) -> list[Capture]:
        """Return the last `limit` captures with at ≤ `end`, in the order of recording. Raises StoreError."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was found and kept, the streams of which `more` is waiting in the meter, whether an alarm has changed."""

    found: Findings
    more: list[str]
    alarmed: bool


@dataclass(slots=True)
class Collecting:
    """Reads and keeps for one bus. `urged` says whether something urgent waits for the line."""

    archive: Archive
    events: EventSieve
    sessions: SessionMaker
    store: Readings
    clock: Clock
    health: BusHealth
    report: Report
    urged: Callable[[], bool]
    #: When something was kept last, monotonic s.
    kept_at: float = 0.0
    #: The meters whose clock has lost the time, and those whose clock went back behind what was read.
    _stray: set[str] = field(default_factory=set)
    _back: set[str] = field(default_factory=set)

    def open_reason(self, meter: str) -> Reason:
        """Return why what lies ahead of a meter that can be reached is not there."""
        return Reason.CLOCK if meter in self._stray or meter in self._back else Reason.PENDING

    async def collect(self, session: Session, meter: str, streams: Sequence[str]) -> tuple[Findings, list[str]]:
        """Read `streams`, and the logs of a meter whose alarms have changed: what raised one stands there.

        Returns what was found of `streams`, and which streams are to be asked for again; `stopped` tells of both.
        """
        gathered = await self.gather(session, meter, streams)
        found = gathered.found
        again = [*streams] if found.changed else gathered.more + found.recast
        if gathered.alarmed and found.stopped is None:
            logs = await self.gather(session, meter, self.events.logs(meter))
            again += [*logs.more, *logs.found.missed]
            found.stopped = logs.found.stopped
        return found, again

    async def gather(self, session: Session, meter: str, streams: Sequence[str]) -> Gathered:
        """Read `streams` and keep what came; raises what `Session.get` raises, and StoreError.

        Rows that cannot follow those that are known are asked for once more, with the question who the meter is.
        """
        recognising = IDENTITY in streams or self.archive.unsure(meter, self.clock.monotonic())
        found = await self._read(session, meter, streams, recognising=recognising)
        if not recognising and found.stopped is None and (register := await self._fallen(meter, found)) is not None:
            log.info("rows that cannot follow", meter=meter, register=register)
            found = await self._read(session, meter, streams, recognising=True)
        more = await self._keep(meter, found)
        alarmed = self.events.kept(found.captures)
        await self._tell(meter, found)
        return Gathered(found, more, alarmed)

    async def keep_heard(self) -> None:
        """Keep the counters that were heard in visits which kept nothing."""
        self.kept_at = self.clock.monotonic()
        if heard := self.sessions.heard():
            await self.store.record((), {}, heard)

    async def _read(self, session: Session, meter: str, streams: Sequence[str], *, recognising: bool) -> Findings:
        shapes = await self.archive.shapes(session, meter, streams)
        ranges = self.archive.ranges(meter, shapes, int(self.clock.now()))
        reading = Reading(
            self.archive.meter(meter),
            self.archive.profile(meter),
            shapes,
            ranges,
            self.archive.past(meter, shapes),
            recognising=recognising,
        )
        return await reading.take(session, self.clock, self.urged)

    async def _fallen(self, meter: str, found: Findings) -> str | None:
        """Return a register that counts up and fell, None when none did."""
        rows: dict[str, list[Capture]] = {}
        for capture in found.captures:
            if any(map(counts_up, capture.columns)):
                rows.setdefault(capture.stream, []).append(capture)
        for stream, some in rows.items():
            known = await self.store.before(meter, stream, LATEST, 1)
            if (register := fallen(known[0] if known else None, some)) is not None:
                return register
        return None

    async def _keep(self, meter: str, found: Findings) -> list[str]:
        """Store what was found and is news; return the streams of which more is waiting in the meter."""
        await self.archive.review(meter, found, self.clock.monotonic())
        found.captures = await self.events.sift(found.captures)
        recorded = await self.store.record(found.captures, found.watermarks, self.sessions.heard(), found.asked)
        more = self.archive.stored(found, recorded)
        self.kept_at = self.clock.monotonic()
        for _, stream in recorded.overflow:
            await self.report("ledger overflow", meter=meter, stream=stream)
        self.health.captures += len(found.captures)
        self.health.bad_rows += found.bad_rows
        self.health.last_success = self.clock.now()
        return more

    async def _tell(self, meter: str, found: Findings) -> None:
        for word, (before, now) in found.changed.items():
            self.health.changed += 1
            await self.report(CHANGES[word], meter=meter, before=before, now=now)
        for stream in (*found.outgrown, *found.recast):
            await self.report("profile changed", meter=meter, stream=stream)
        await self._look_at_clock(meter, found.offset)
        if found.refused or found.bad_rows:
            log.warning("not all could be read", meter=meter, refused=found.refused, bad_rows=found.bad_rows)

    async def _look_at_clock(self, meter: str, offset: float | None) -> None:
        (self._stray.add if lost(offset) else self._stray.discard)(meter)
        if offset is None:
            return
        if not self.archive.behind(meter, self.clock.now() + offset):
            self._back.discard(meter)
        elif meter not in self._back:
            self._back.add(meter)
            await self.report("meter clock jumped", meter=meter, offset=round(offset, 1))
