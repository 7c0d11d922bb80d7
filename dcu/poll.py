"""The flow of one bus: plan picks a visit → session → store. It alone touches the port; commands come through the plan.

CLOSED ──open──► IDLE ──plan.next_visit──► VISITING ──stored──► IDLE
  ▲ BusError (port lost), retried every REOPEN_DELAY s    │
  └───────────────────────────────────────────────────────┘
A meter's failure ends its visit, drains the line and tells the plan. A store error ends the flow: readings that
cannot be kept must not be collected as if they were.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import structlog

from dcu.archive import Archive
from dcu.bus import Port
from dcu.clock import Clock
from dcu.errors import (
    BusError,
    CommandRejected,
    DcuError,
    MeterTimeoutError,
    NotGivenError,
    SecurityError,
    StaleError,
    StoreError,
    UnsureError,
)
from dcu.events import EventSieve
from dcu.health import Airtimes, BusHealth, Progress
from dcu.held import Held
from dcu.messages.catalogue import SECRET_COMMANDS
from dcu.model import ERRANDS, IDENTITY, Capture, Meter, Outcome, Reach, Reason, Visit
from dcu.ondemand import on_demand
from dcu.opening import SessionMaker
from dcu.plan import ANSWERED, BusPlan
from dcu.plan.backfill import lost
from dcu.plan.ledger import Asked
from dcu.pushes import Pushes
from dcu.report import Report
from dcu.session import QUIET, Session, Yielded
from dcu.store import Recorded
from dcu.visit import Findings, Reading

log = structlog.get_logger()

#: A lost port (adapter unplugged, gateway down) is tried again this often.
REOPEN_DELAY = 5.0

#: Characters of an error that are told on: a meter may put much of its own into one.
ERROR_BOUND = 200

#: A command is tried again at once: somebody waits for it, and noise on the line is not an answer. After a silence it
#: is not, for the link has asked again as often as is worth its time-outs.
COMMAND_TRIES = 2

#: The longest an idle flow sleeps, so that its progress is seen.
IDLE_BOUND = 10.0

#: What was heard of meters' counters in visits that keep no reading waits this long for one that does, unless the line
#: is idle: a commit for each of them would wear the flash.
HEARD_BOUND = 10.0

#: What is reported of a meter that says another word about itself than before.
CHANGES = {"serial": "meter exchanged", "firmware": "firmware changed"}

#: Tells the command journal how a command's visit went: (visit, answer or None, error or None).
Answer = Callable[[Visit, dict[str, Any] | None, str | None], Awaitable[None]]


class Reached(Protocol):
    """Takes note of a visit: the state it left its meter in, and whether the meter answered."""

    async def __call__(self, meter: str, state: Reach, *, answered: bool) -> None:
        """Return when what changed is kept. Raises StoreError."""


async def _unnoted(meter: str, state: Reach, *, answered: bool) -> None:
    """Nobody keeps a history."""


class Readings(Protocol):
    """What this flow needs of the store."""

    async def record(
        self,
        captures: Sequence[Capture],
        watermarks: Mapping[tuple[str, str], int],
        heard: Mapping[str, int],
        asked: Mapping[tuple[str, str], Sequence[Asked]] | None = None,
    ) -> Recorded:
        """Keep all in one transaction; returns after the commit. Raises StoreError."""


@dataclass(slots=True)
class Poll:
    """Polls one bus for as long as `run` runs."""

    name: str
    port: Port
    plan: BusPlan
    archive: Archive
    events: EventSieve
    sessions: SessionMaker
    held: Held
    store: Readings
    clock: Clock
    health: BusHealth
    progress: Progress
    answer: Answer
    report: Report
    pushes: Pushes | None = None
    reached: Reached = _unnoted
    #: What each meter's visits cost since the start.
    airtimes: Airtimes = field(default_factory=Airtimes)
    _open: bool = False
    _dirty: bool = False
    _kept: float = 0.0
    _visiting: str | None = None
    _between: asyncio.Event = field(default_factory=asyncio.Event)
    _lost: bool = False
    _stray: set[str] = field(default_factory=set)
    _got: Sequence[str] | None = None
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Poll until cancelled; raises StoreError when readings cannot be kept."""
        try:
            while True:
                await self.step()
        except asyncio.CancelledError:
            with suppress(StoreError):  # an ordered end, and no flow is left that could stop for it
                await self._keep_heard()
            raise
        finally:
            await self.held.release()
            self._open = False
            await self.port.close()

    def why(self, meter: str) -> Reason:
        """Return why what is due of `meter` is not here yet."""
        if self._lost:
            return Reason.LINE
        if self.plan.reach(meter) is not Reach.REACHABLE:
            return Reason.UNREACHABLE
        return Reason.CLOCK if meter in self._stray else Reason.PENDING

    def submit(self, visit: Visit) -> None:
        """Queue a visit for a command and wake the flow; raises CommandRejected when too many wait."""
        self.plan.urgent(visit, self.clock.monotonic())
        self._wake.set()

    def take_in(self, meter: Meter) -> None:
        """Read a meter too, from now on."""
        self.plan.add(meter.id, meter.group, self.clock.monotonic())
        self._wake.set()

    async def let_go(self, meter: str) -> None:
        """Read a meter no more; returns when no visit to it is under way."""
        while self._visiting == meter:
            self._between.clear()
            await self._between.wait()
        self.plan.remove(meter)
        self.held.forget(meter)

    async def step(self) -> None:
        """Make the next visit, or wait until one is due."""
        self._alive()
        now = self.clock.monotonic()
        self.plan.align(now, self.clock.now())
        # a clock that was never set cannot say which interval a reading belongs to; whoever asks may still have one
        scheduled = self.clock.trusted()
        visit = self.plan.next_visit(now, scheduled=scheduled)
        if visit is None or now - self._kept >= HEARD_BOUND:
            await self._keep_heard()
        if visit is None:
            await self._sleep(self.plan.next_wake(now) if scheduled else None)
            return
        late = visit.command is not None and (visit.command.expires or math.inf) <= self.clock.now()
        if late or visit.meter not in self.plan:
            self.plan.finished(visit, Outcome.LINE, now)  # nothing was learned about the meter; the journal ends it
            return
        # what stands when the store or a cancellation cuts the visit off: due again, nobody's fault
        outcome, self._got = Outcome.LINE, None
        self._visiting = visit.meter
        try:
            outcome = await self._attempt(visit)
        except StoreError:
            if visit.command is not None:  # its journal could not be told: made again when the flow starts again
                with suppress(CommandRejected):  # more wait than fit: then it is taken up after a restart, or expires
                    # what changes the meter may have been carried out: then the next visit only looks
                    self.plan.urgent(replace(visit, doubtful=True), now)
            raise
        finally:
            self._visiting = None
            self._between.set()
            self.plan.finished(visit, outcome, self.clock.monotonic(), self._got)
        self._count(visit.meter, outcome, self.clock.monotonic() - now)
        await self.reached(visit.meter, self.plan.reach(visit.meter), answered=outcome in ANSWERED)
        if outcome is Outcome.LINE:
            await asyncio.sleep(REOPEN_DELAY)

    async def _sleep(self, until: float | None) -> None:
        pause = IDLE_BOUND if until is None else min(IDLE_BOUND, until - self.clock.monotonic())
        if self.pushes is not None and await self._listen(self.pushes, pause):
            return
        try:
            async with asyncio.timeout(max(0.0, min(pause, REOPEN_DELAY) if self.pushes else pause)):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    async def _listen(self, pushes: Pushes, pause: float) -> bool:
        """Hear what meters say while nobody is asked; return whether the line is there."""
        try:
            await self._ready_line()
            speakers = await pushes.listen(self.port, self._wake, pause)
        except BusError as error:
            self._open = False
            self.health.error = str(error)[:ERROR_BOUND]
            return False
        self._wake.clear()
        for meter in speakers:
            self._look_after(meter)
        return True

    def _look_after(self, meter: str) -> None:
        """Read what may say why a meter spoke."""
        if streams := self.events.telling(meter):
            self.plan.again(meter, streams, self.clock.monotonic())

    async def _attempt(self, visit: Visit) -> Outcome:
        """Visit the meter and say how it ended; a command hears of it whatever happens."""
        answer, reason = None, None
        for _ in range(_tries(visit)):
            try:
                await self._ready_line()
                outcome, answer, reason = await self._visit(visit)
                break
            except StoreError:
                raise
            except UnsureError as error:
                cause = error.__cause__
                outcome = await self._judge(visit, cause if isinstance(cause, DcuError) else error)
                reason = str(error)[:ERROR_BOUND]
                break
            except DcuError as error:
                outcome, reason = await self._judge(visit, error), str(error)[:ERROR_BOUND]
            except Exception as error:  # our own bug over one meter must not cost the others
                log.exception("bug in a visit", bus=self.name, meter=visit.meter)
                outcome, reason = await self._judge(visit, DcuError(f"our own mistake: {error!r}")), repr(error)
                break  # asking again would not mend it, and might do again what was done
            if outcome is Outcome.SILENT:
                break
        if visit.command is not None:
            await self.answer(visit, answer, reason)
        return outcome

    async def _judge(self, visit: Visit, error: DcuError) -> Outcome:
        reason = str(error)[:ERROR_BOUND]
        log.info("visit failed", bus=self.name, meter=visit.meter, reason=reason, who=error.who)
        if isinstance(error, SecurityError):
            log.warning("security event", bus=self.name, meter=visit.meter, breach=error.breach.value, reason=reason)
            self.health.security[error.breach] = self.health.security.get(error.breach, 0) + 1
            await self.report("security breach", meter=visit.meter, breach=error.breach.value, reason=reason)
        self._dirty = True
        self.health.error = reason
        if isinstance(error, BusError):
            self._open, self._lost = False, True
            return Outcome.LINE
        return Outcome.SILENT if isinstance(error, MeterTimeoutError) else Outcome.REFUSED

    async def _ready_line(self) -> None:
        # a gateway hangs up on whoever is silent for a while: that is no failure of the next visit
        if not self._open or self.port.hung_up():
            await self.port.open()
            self._open = self._dirty = True
            self._lost = False
            self.held.forget()
        if self._dirty:
            if await self.port.drain(QUIET):
                self.held.forget()
            self._dirty = False

    async def _visit(self, visit: Visit) -> tuple[Outcome, dict[str, Any] | None, str | None]:
        """One conversation; return how it ended, and what a command is answered or why it is not.

        After a failure nobody says goodbye: the meter may be silent, and SNRM starts afresh.
        """
        meter = self.archive.meter(visit.meter)
        if visit.command is not None and visit.command.name in SECRET_COMMANDS:
            return await self._rekey(meter, visit)
        if (held := await self.held.take(meter)) is not None:
            self.health.resumed += 1
            try:
                return await self._converse(held, visit)
            except StaleError as stale:  # before anything was answered: nothing is done twice
                await self._renew(visit, stale)
        return await self._converse(await self.sessions.open(self.port, meter, self._alive), visit)

    async def _rekey(self, meter: Meter, visit: Visit) -> tuple[Outcome, dict[str, Any] | None, str | None]:
        """Carry out a command about the meter's secrets, which opens as often as it needs to."""
        from dcu import rekey  # noqa: PLC0415 - most boxes are never asked for it

        self.held.forget(meter.id)
        try:
            return Outcome.OK, await rekey.carry_out(self.sessions, self.port, meter, visit, self._alive), None
        except NotGivenError as error:
            return Outcome.OK, None, str(error)

    async def _renew(self, visit: Visit, stale: StaleError) -> None:
        """Make the line ready for a new association in place of one that its meter knows no more."""
        log.info("association was stale", bus=self.name, meter=visit.meter, reason=str(stale)[:ERROR_BOUND])
        self.health.stale += 1
        self.held.stale(self.archive.meter(visit.meter))
        # a meter that said no has nothing more to say; after a silence its answer may still come
        self._open = self._open and not isinstance(stale.__cause__, BusError)
        self._dirty = isinstance(stale.__cause__, MeterTimeoutError)
        await self._ready_line()

    async def _converse(self, session: Session, visit: Visit) -> tuple[Outcome, dict[str, Any] | None, str | None]:
        outcome, answer, reason = Outcome.OK, None, None
        if visit.command is None:
            try:
                outcome = await self._collect(session, visit)
            except Yielded as stop:
                outcome = Outcome.YIELDED
                if not stop.open:
                    return outcome, None, None
        else:
            try:
                answer = await on_demand(session, self.archive, visit, self.clock)
            except NotGivenError as error:  # the question was wrong, not the meter: no failure of its schedule
                reason = str(error)
        if self.pushes is not None and session.notified:
            await self.pushes.of_visit(visit.meter, tuple(session.notified))
            self._look_after(visit.meter)
        session.notified.clear()
        coming = self.plan.coming(visit.meter, self.clock.monotonic())
        await self.held.leave(self.archive.meter(visit.meter), session, coming)
        return outcome, answer, reason

    def _urged(self) -> bool:
        return self.plan.yields(self.clock.monotonic())

    def _alive(self) -> None:
        self.progress.mark(self.clock.monotonic())

    async def _collect(self, session: Session, visit: Visit) -> Outcome:
        found, more = await self._gather(session, visit.meter, visit.streams)
        self._got = [stream for stream in visit.streams if stream not in found.missed]
        if again := [*visit.streams] if found.changed else more + found.recast:
            self.plan.again(visit.meter, again, self.clock.monotonic())
        if found.stopped is not None:
            raise found.stopped
        if self.events.kept(found.captures):  # what raised an alarm stands in the logs: asked for now, not when due
            await self._look_up(session, visit.meter)
        return Outcome.PARTLY if found.refused or found.bad_rows else Outcome.OK

    async def _look_up(self, session: Session, meter: str) -> None:
        """Read the event logs of a meter that has an alarm."""
        found, more = await self._gather(session, meter, self.events.logs(meter))
        if waiting := [*more, *found.missed]:
            self.plan.again(meter, waiting, self.clock.monotonic())
        if found.stopped is not None:
            raise found.stopped

    async def _gather(self, session: Session, meter: str, streams: Sequence[str]) -> tuple[Findings, list[str]]:
        """Read `streams` and keep what came; return it, and the streams of which more is waiting in the meter."""
        shapes = await self.archive.shapes(session, meter, [each for each in streams if each not in ERRANDS])
        ranges = self.archive.ranges(meter, shapes, int(self.clock.now()))
        reading = Reading(
            self.archive.meter(meter),
            self.archive.profile(meter),
            shapes,
            ranges,
            self.archive.past(meter, shapes),
            recognising=IDENTITY in streams or self.archive.unsure(meter, self.clock.monotonic()),
        )
        found = await reading.take(session, self.clock, self._urged)
        return found, await self._keep(meter, found)

    async def _keep(self, meter: str, found: Findings) -> list[str]:
        """Store what was found and is news; return the streams of which more is waiting in the meter."""
        await self.archive.review(meter, found, self.clock.monotonic())
        found.captures = await self.events.sift(found.captures)
        recorded = await self.store.record(found.captures, found.watermarks, self.sessions.heard(), found.asked)
        more = self.archive.stored(found, recorded)
        self._kept = self.clock.monotonic()
        for word, (before, now) in found.changed.items():
            self.health.changed += 1
            await self.report(CHANGES[word], meter=meter, before=before, now=now)
        for _, stream in recorded.overflow:
            await self.report("ledger overflow", meter=meter, stream=stream)
        for stream in (*found.outgrown, *found.recast):
            await self.report("profile changed", meter=meter, stream=stream)
        self.health.captures += len(found.captures)
        self.health.bad_rows += found.bad_rows
        self.health.last_success = self.clock.now()
        (self._stray.add if lost(found.offset) else self._stray.discard)(meter)
        if found.refused or found.bad_rows:
            log.warning("not all could be read", meter=meter, refused=found.refused, bad_rows=found.bad_rows)
        return more

    async def _keep_heard(self) -> None:
        """Keep the counters that were heard in visits which kept nothing."""
        self._kept = self.clock.monotonic()
        if heard := self.sessions.heard():
            await self.store.record((), {}, heard)

    def _count(self, meter: str, outcome: Outcome, busy: float) -> None:
        health, good = self.health, outcome in ANSWERED
        self.airtimes.count(meter, busy, good=good)
        health.visits += 1
        health.busy += busy
        health.wasted += 0.0 if good else busy
        health.octets_sent, health.octets_received = self.port.octets_sent, self.port.octets_received
        setattr(health, outcome.value, getattr(health, outcome.value) + 1)


def _tries(visit: Visit) -> int:
    """Return how often a visit is begun; with secrets on their way each set is tried in it, and not once more."""
    return 1 if visit.command is None or visit.command.name in SECRET_COMMANDS else COMMAND_TRIES
