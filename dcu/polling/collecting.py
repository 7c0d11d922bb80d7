"""What one visit reads: asked, doubted, and handed over to be kept.

Which meter is visited, for what, and what becomes of a visit that fails, is in `poll`.
"""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Protocol

import structlog

from dcu.archive import Archive
from dcu.clock import Clock
from dcu.conversation.continuity import counts_up, fallen
from dcu.conversation.opening import SessionMaker
from dcu.conversation.recognition import NOTHING_KNOWN, RECOGNISE_EVERY, SERIAL, TITLE, Asking, Known, scalers
from dcu.conversation.session import Session
from dcu.conversation.visit import Findings, Reading
from dcu.errors import ShelteredError
from dcu.events import LATEST, LOOK_BACK, EventSieve, conditions, risen
from dcu.model import IDENTITY, Capture, Meter, Reason
from dcu.plan.backfill import SETTLED, lost
from dcu.polling.autumn import HOUR, Autumn, tells
from dcu.polling.handover import Handover, Keeping
from dcu.polling.readers import readers
from dcu.report import Report

log = structlog.get_logger()


class Readings(Keeping, Protocol):
    """What is needed of the store."""

    async def before(self, meter: str, stream: str, end: int, limit: int) -> list[Capture]:
        """Return the last `limit` captures with at ≤ `end`, in the order of recording. Raises StoreError."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was found and handed over to be kept, whether an alarm has changed, and which conditions began."""

    found: Findings
    alarmed: bool
    risen: Sequence[str] = ()


@dataclass(slots=True)
class Collecting:
    """Reads and keeps for one bus. `urged` says whether something urgent waits for the line."""

    archive: Archive
    events: EventSieve
    sessions: SessionMaker
    store: Readings
    clock: Clock
    handover: Handover
    report: Report
    urged: Callable[[], bool]
    #: When something was kept last, monotonic s.
    kept_at: float = 0.0
    #: The meters whose clock has lost the time.
    _stray: set[str] = field(default_factory=set)
    #: Those whose clock went back behind what was read, and from when on that is told; LATEST: it is not.
    _back: dict[str, int] = field(default_factory=dict)
    #: By how many seconds the clocks are slow that are to be waited for.
    _slow: dict[str, int] = field(default_factory=dict)
    #: When meters whose rows seemed unevenly spaced were asked for their capture periods (monotonic s).
    _uneven: dict[str, float] = field(default_factory=dict)
    _autumn: Autumn = field(init=False)

    def __post_init__(self) -> None:
        self._autumn = Autumn(self.store, self.clock)

    def open_reason(self, meter: str) -> Reason:
        """Return why what lies ahead of a meter that can be reached is not there."""
        return Reason.CLOCK if meter in self._stray or meter in self._back else Reason.PENDING

    async def collect(self, session: Session, opened: Meter, streams: Sequence[str]) -> tuple[Findings, list[str]]:
        """Read `streams`, and where alarms or status bits say that something happened, what tells more of it.

        Returns what was found of `streams`, and which of the logs were not reached, or are for another client than the
        one by which the meter is `opened`; `stopped` tells of both.
        """
        meter = opened.id
        own = opened == self.archive.meter(meter)
        gathered = await self.gather(session, meter, streams, own=own)
        found, missed = gathered.found, list[str]()
        more = self._telling(meter, gathered, streams)
        if found.stopped is not None:  # what said so is kept, and will be no news to the next visit
            return found, more
        parts = readers(self.archive, meter, more)
        if ours := parts.pop(opened, []):
            logs = await self.gather(session, meter, ours, own=own)
            missed += logs.found.missed
            found.stopped = logs.found.stopped
        return found, [*missed, *chain.from_iterable(parts.values())]

    def _telling(self, meter: str, gathered: Gathered, streams: Sequence[str]) -> list[str]:
        """Return what is to be read at once for what was `gathered` of `streams`.

        An alarm may have risen after its log was answered; what a row tells is older than the whole answer.
        """
        if gathered.alarmed:
            return self.events.logs(meter)
        if not gathered.risen:
            return []
        log.info("status bits rose", meter=meter, conditions=gathered.risen)
        return [stream for stream in self.events.telling(meter) if stream not in streams]

    async def gather(self, session: Session, meter: str, streams: Sequence[str], *, own: bool = True) -> Gathered:
        """Read `streams` and have what came kept; raises what `Session.get` raises, and StoreError.

        What is another meter's, as its serial number or its rows tell, is asked for once more, with the question who it
        is. Where that was not answered to the end, only what came from the serial number that is known is kept. To a
        client that is not its `own` a meter need not tell its number: there none proves nothing.
        """
        await self.handover.settle(meter)
        known = self.archive.acquaintance
        asking = Asking.ALL if IDENTITY in streams else known.asking(meter, self.clock.monotonic(), session)
        found = await self._read(session, meter, streams, asking)
        told = found.serial is not None or (own and found.stopped is None)
        asked = asking is Asking.SERIAL and told
        if asking is not Asking.ALL and (doubt := await self._doubt(meter, found, asked=asked)) is not None:
            log.info("the meter is in doubt", meter=meter, reason=doubt)
            known.doubt(meter)
            asking = Asking.ALL
            if found.stopped is None:
                found = await self._read(session, meter, streams, asking)
        if asking is Asking.ALL and found.stopped is not None:
            if found.serial != await self.archive.said(meter, SERIAL):
                found.disown()
                found.missed.update(streams)
        elif asked or asking is not Asking.SERIAL:
            known.heard(meter, self.clock.monotonic())
        rose = await self._risen(meter, found)
        await self._look_for_autumn(meter, found)
        await self.handover.keep(meter, found, self.sessions.heard(), streams)
        self.kept_at = self.clock.monotonic()
        await self._look_at_clock(meter, found)
        return Gathered(found, self.events.kept(found.captures), rose)

    async def keep_heard(self) -> None:
        """Keep the counters that were heard in visits which kept nothing."""
        self.kept_at = self.clock.monotonic()
        if heard := self.sessions.heard():
            with suppress(ShelteredError):
                await self.store.record((), {}, heard)

    async def _doubt(self, meter: str, found: Findings, *, asked: bool) -> str | None:
        """Return what of `found` says that another meter answers, None when nothing does."""
        if asked and not self.archive.acquaintance.fits(meter, found.serial):
            return f"its serial number is {found.serial}"
        if found.uneven and self._asks_periods(meter):
            return f"rows of {found.uneven[0]} do not come at the period that is known"
        register = await self._fallen(meter, found)
        return None if register is None else f"{register} fell"

    def _asks_periods(self, meter: str) -> bool:
        """Whether uneven rows are a reason to ask this meter now: once a day, for it may write its rows late."""
        now = self.clock.monotonic()
        if now - self._uneven.get(meter, -math.inf) < RECOGNISE_EVERY:
            return False
        self._uneven[meter] = now
        return True

    async def _read(self, session: Session, meter: str, streams: Sequence[str], asking: Asking) -> Findings:
        if asking is Asking.ALL:
            session.doubt()
            await self.archive.shapes(session, meter, [])
        profile = self.archive.profile(meter)
        # what is learned in this visit need not be asked twice
        known = NOTHING_KNOWN
        if asking is Asking.ALL:
            known = Known(scalers(profile, self.archive.known(meter)), self.archive.paces(meter))
        shapes = await self.archive.shapes(session, meter, streams)
        ranges = self.archive.ranges(meter, shapes, int(self.clock.now()), self._slow.get(meter, 0))
        reading = Reading(
            self.archive.meter(meter),
            profile,
            shapes,
            ranges,
            self.archive.past(meter, shapes, self.clock.monotonic()),
            asking=asking,
            known=known,
        )
        found = await reading.take(session, self.clock, self.urged)
        looked = self.archive.acquaintance.looked(meter)
        found.since = None if looked is None else self.clock.now() - (self.clock.monotonic() - looked)
        if found.identity is not None and session.title:
            found.identity[TITLE] = session.title.hex()
        open_ = [stream for stream in streams if stream not in shapes and not self.archive.lacks(meter, stream)]
        found.refused |= dict.fromkeys(open_, "the meter does not tell its shape now")
        return found

    async def _fallen(self, meter: str, found: Findings) -> str | None:
        """Return a register that counts up and fell, None when none did."""
        for stream, some in _by_stream(row for row in found.captures if any(map(counts_up, row.columns))).items():
            known = await self.store.before(meter, stream, LATEST, 1)
            if (register := fallen(known[0] if known else None, some)) is not None:
                return register
        return None

    async def _risen(self, meter: str, found: Findings) -> list[str]:
        """Return which conditions begin, by their status bits, in rows that are newer than every row that is kept.

        Nothing begins in the past that is read later on, for the logs have been read since; nor where no row is kept,
        for then all is due that the meter has to tell.
        """
        profile = self.archive.profile(meter)
        telling = {row.stream for row in found.captures if conditions(profile, row)}
        rose: list[str] = []
        for stream, rows in _by_stream(row for row in found.captures if row.stream in telling).items():
            asked = found.asked.get((meter, stream), ())
            if (known := await self._newest(meter, stream, {each.period for each in asked})) is not None:
                rose += risen(profile, known, rows)
        return rose

    async def _newest(self, meter: str, stream: str, periods: Collection[int]) -> Capture | None:
        """Return the newest row that is kept of a stream, None where none is; `periods`: of what is accounted for.

        Of one day rows lie as they came, those of the past last: the last one is the newest if it reaches the mark, as
        hardly any does not. All others are read only then, for a condition may last for years.
        """
        last = await self.store.before(meter, stream, LATEST, 1)
        mark = self.archive.standing.mark(meter, stream)
        if last and periods and (mark is None or last[0].at <= mark - max(1, *periods)):
            last = await self.store.before(meter, stream, LATEST, LOOK_BACK)
        return max(last, key=lambda row: row.at, default=None)

    async def _look_at_clock(self, meter: str, found: Findings) -> None:
        offset = found.offset
        (self._stray.add if lost(offset) else self._stray.discard)(meter)
        if not lost(offset):
            now = self.clock.now()
            await self.archive.reopen(meter, int(now), None if offset is None else int(now + offset))
        if offset is None:
            return
        if -offset > SETTLED and not lost(offset):
            self._slow[meter] = int(-offset)
        else:
            self._slow.pop(meter, None)
        await self._look_back(meter, found, offset)

    async def _look_for_autumn(self, meter: str, found: Findings) -> None:
        """Have it told that an hour of what is held came twice while the meter was not read. Raises StoreError."""
        if not tells(found):
            return
        hour = await self._autumn.hour(meter, found)
        if hour is not None and self.archive.behind(meter, hour):
            await self.archive.repeat(meter, hour)
            await self.report("meter clock jumped", meter=meter, offset=round(found.offset or 0.0, 1))
        self._autumn.seen(meter, found)

    async def _look_back(self, meter: str, found: Findings, offset: float) -> None:
        """Have it told, each time a meter's clock falls lower than before, that it went back behind what was read."""
        shown, stray = int(self.clock.now() + offset), meter in self._stray
        if not self.archive.behind(meter, shown):
            self._back.pop(meter, None)
        elif meter not in self._back or (shown < self._back[meter] and not stray):
            local = found.clock is not None and found.clock.deviation is None
            await self._repeats(meter, shown, local=local)
            self._back[meter] = LATEST if stray else shown
            self._autumn.seen(meter, found)
            await self.report("meter clock jumped", meter=meter, offset=round(offset, 1))

    async def _repeats(self, meter: str, shown: int, *, local: bool) -> None:
        """Have it told that what comes from now on bears times of captures that are here, by a clock that went back.

        One that keeps `local` time has gone back by the hour: to its beginning.
        """
        hour = shown // HOUR * HOUR
        if local and not self.archive.behind(meter, hour + HOUR):
            shown = hour - 1
        if meter not in self._stray:
            await self.archive.repeat(meter, shown + 1)


def _by_stream(rows: Iterable[Capture]) -> dict[str, list[Capture]]:
    found: dict[str, list[Capture]] = {}
    for row in rows:
        found.setdefault(row.stream, []).append(row)
    return found
