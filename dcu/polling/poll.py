"""The flow of one bus: plan picks a visit → session → store. It alone touches the port; commands come through the plan.

CLOSED ──open──► IDLE ──plan.next_visit──► VISITING ──handed over to be stored──► IDLE
  ▲ BusError (port lost), retried every REOPEN_DELAY s    │
  └───────────────────────────────────────────────────────┘
A meter's failure ends its visit, drains the line and tells the plan. A store error ends the flow: readings that
cannot be kept must not be collected as if they were.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import structlog

from dcu.archive import Archive
from dcu.bus import Port
from dcu.clock import Clock
from dcu.conversation.held import Held
from dcu.conversation.line import Line
from dcu.conversation.opening import SessionMaker
from dcu.conversation.session import Session, Yielded
from dcu.errors import (
    BusError,
    CommandRejected,
    DcuError,
    MeterError,
    MeterTimeoutError,
    NotAskedError,
    NotGivenError,
    SecurityError,
    StaleError,
    StoreError,
    UnsureError,
)
from dcu.events import EventSieve
from dcu.health import Airtimes, BusHealth, Moments, Progress
from dcu.model import CLOCK, Meter, Outcome, Priority, Reach, Reason, Visit
from dcu.plan import ANSWERED, BusPlan
from dcu.plan.airtime import Measured
from dcu.polling.clocks import Clocks
from dcu.polling.collecting import Collecting, Readings
from dcu.polling.commanding import Commanding, Orders, Permit
from dcu.polling.handover import Handover
from dcu.polling.idle import ERROR_BOUND, REOPEN_DELAY, Idle
from dcu.polling.readers import Postponed, readers
from dcu.polling.urged import Urged
from dcu.report import Reached, Report, report_breach, unnoted

if TYPE_CHECKING:
    from dcu.polling.discovery import Discovery  # loaded for buses where new meters are looked for
    from dcu.polling.pushes import Pushes  # loaded for buses whose meters may speak

log = structlog.get_logger()

#: What was heard of meters' counters in visits that keep no reading waits this long for one that does, unless the line
#: is idle: a commit for each of them would wear the flash.
HEARD_BOUND = 10.0

#: How a visit ended, what a command is answered, or why it is not.
Answered = tuple[Outcome, dict[str, Any] | None, str | None]


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
    orders: Orders
    report: Report
    clocks: Clocks
    pushes: "Pushes | None" = None
    discovery: "Discovery | None" = None
    reached: Reached = unnoted
    #: What visits found, on its way into the store.
    handover: Handover = field(init=False)
    #: What each meter's visits cost since the start.
    airtimes: Airtimes = field(default_factory=Airtimes)
    #: The same of each kind of visits, maybe together with other lines.
    measured: Measured = field(default_factory=Measured)
    moments: Moments = field(default_factory=Moments)
    _postponed: Postponed = field(default_factory=Postponed)
    _urged: Urged = field(default_factory=Urged)
    _visiting: str | None = None
    _between: asyncio.Event = field(default_factory=asyncio.Event)
    _line: Line = field(init=False)
    _idle: Idle = field(init=False)
    _collecting: Collecting = field(init=False)
    _commanding: Commanding = field(init=False)
    _permit: Permit = field(init=False)
    _got: Sequence[str] | None = None
    _cut_short: bool = False
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._line = Line(self.port, self.held)
        self._idle = Idle(self._line, self._wake, self.clock, self.health, self._alive)
        self.handover = Handover(
            self.store, self.archive, self.events, self.clock, self.health, self.report, self._again, self.moments
        )
        self._commanding = Commanding(self.archive, self.sessions, self.held, self.clocks, self.clock, self._alive)
        self._collecting = Collecting(
            archive=self.archive,
            events=self.events,
            sessions=self.sessions,
            store=self.store,
            clock=self.clock,
            handover=self.handover,
            report=self.report,
            urged=lambda: self.plan.yields(self.clock.monotonic()),
        )

    async def run(self) -> None:
        """Poll until cancelled; raises StoreError when readings cannot be kept."""
        try:
            while True:
                await self.step()
        except asyncio.CancelledError:
            with suppress(StoreError):  # an ordered end, and no flow is left that could stop for it
                await self._collecting.keep_heard()
            raise
        finally:
            try:
                await self.handover.end()
                await self.held.release()
            finally:  # a flow that lost the store may be told to end while it ends: the line must be free all the same
                await self._line.close()

    def why(self, meter: str) -> Reason:
        """Return why what is due of `meter` is not here yet."""
        if self._line.lost:
            return Reason.LINE
        if self.plan.reach(meter) is not Reach.REACHABLE:
            return Reason.UNREACHABLE
        return self._collecting.open_reason(meter)

    def submit(self, visit: Visit) -> None:
        """Queue a visit for a command and wake the flow; raises CommandRejected when too many wait."""
        now, expires = self.clock.monotonic(), visit.command.expires if visit.command else None
        self.plan.urgent(visit, now, math.inf if expires is None else now + expires - self.clock.now())
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
        self.sessions.forget(meter)
        self.clocks.forget(meter)

    async def step(self) -> None:
        """Make the next visit, or wait until one is due."""
        self._alive()
        await self.handover.check()
        now = self.clock.monotonic()
        self.plan.align(now, self.clock.now())
        for meter, streams in (*((each, [CLOCK]) for each in self.clocks.due(now)), *self._postponed.due(now)):
            self.plan.again(meter, streams, now)
        for meter in filter(self.plan.__contains__, self._urged.due(now)):
            self.plan.again(meter, self.events.telling(meter), now, Priority.EVENT)  # what may say why it spoke
        # a clock that was never set cannot say which interval a reading belongs to; whoever asks may still have one
        scheduled = self.clock.trusted()
        visit = self.plan.next_visit(now, scheduled=scheduled)
        if visit is None or now - self._collecting.kept_at >= HEARD_BOUND:
            await self._collecting.keep_heard()
        if visit is None:
            until = self.plan.next_wake(now) if scheduled else None
            if not await self._idle.search(self.discovery, until):
                self._urged.put(await self._idle.rest(self.pushes, until))
            return
        if visit.meter not in self.plan or (visit.command is not None and not self.orders.open(visit)):
            self.plan.finished(visit, Outcome.LINE, now)  # nothing was learned about the meter; the journal ends it
            return
        # what stands when the store or a cancellation cuts the visit off: due again, nobody's fault
        outcome, self._got, self._cut_short = Outcome.LINE, None, False
        self._visiting, octets = visit.meter, self._line.octets
        try:
            outcome = await self._attempt(visit)
        except StoreError:
            if visit.command is not None:  # its journal could not be told: made again when the flow starts again
                with suppress(CommandRejected):  # more wait than fit: then it is taken up after a restart, or expires
                    # what may have been carried out is only looked at then
                    self.plan.urgent(replace(visit, doubtful=self._permit.doubtful), now)
            raise
        finally:
            self._visiting = None
            self._between.set()
            self.plan.finished(visit, outcome, self.clock.monotonic(), self._got)
        await self._note(visit, outcome, self.clock.monotonic() - now, self._line.octets - octets)
        if outcome is Outcome.LINE:
            await asyncio.sleep(REOPEN_DELAY)

    def _again(self, meter: str, streams: Sequence[str]) -> None:
        """Read streams of a meter again, unless it is read no more."""
        self.plan.again(meter, streams, self.clock.monotonic())
        self._wake.set()

    async def _attempt(self, visit: Visit) -> Outcome:
        """Visit the meter and say how it ended; a command hears of it whatever happens."""
        answer, reason = None, None
        self._permit = permit = Permit(visit, self.orders)
        for _ in range(self._commanding.tries(visit)):
            try:
                await self._line.ready()
                outcome, answer, reason = await self._visit(visit)
                break
            except StoreError:
                raise
            except UnsureError as error:
                cause = error.__cause__
                outcome = await self._judge(visit, cause if isinstance(cause, DcuError) else error)
                reason = str(error)[:ERROR_BOUND]
                break
            except NotAskedError as error:
                outcome, reason = Outcome.UNASKED, permit.said(error)[:ERROR_BOUND]
                break
            except DcuError as error:
                outcome, reason = await self._judge(visit, error), permit.said(error)[:ERROR_BOUND]
            except Exception as error:  # our own bug over one meter must not cost the others
                log.exception("bug in a visit", bus=self.name, meter=visit.meter)
                outcome, reason = await self._judge(visit, DcuError(f"our own mistake: {error!r}")), permit.said(error)
                break  # asking again would not mend it
            if outcome is Outcome.SILENT or permit.sent:  # what was sent is never sent again
                break
        if visit.command is not None:
            await self.orders.answered(visit, answer, reason)
        return outcome

    async def _judge(self, visit: Visit, error: DcuError) -> Outcome:
        reason = str(error)[:ERROR_BOUND]
        log.info("visit failed", bus=self.name, meter=visit.meter, reason=reason, who=error.who)
        if isinstance(error, SecurityError):
            await report_breach(self.report, self.health, visit.meter, error)
        self._line.disturb()
        self.health.error = reason
        self.archive.acquaintance.missed(self.plan if isinstance(error, BusError) else (visit.meter,))
        if isinstance(error, BusError):
            self._line.lose()
            return Outcome.LINE
        return Outcome.SILENT if isinstance(error, MeterTimeoutError) else Outcome.REFUSED

    async def _visit(self, visit: Visit) -> Answered:
        """One conversation; return how it ended, and what a command is answered or why it is not.

        After a failure nobody says goodbye: the meter may be silent, and SNRM starts afresh.
        """
        meter = self.archive.meter(visit.meter)
        if visit.command is not None:
            if (told := await self._commanding.apart(visit, self.port, self._permit)) is not None:
                return Outcome.OK, *told
        elif len(parts := readers(self.archive, meter.id, visit.streams)) > 1:
            return await self._by_clients(visit, parts), None, None
        return await self._by_us(meter, visit)

    async def _by_us(self, meter: Meter, visit: Visit) -> Answered:
        """Converse by the meter's own access, over what is held open if anything is."""
        if (held := await self.held.take(meter)) is not None:
            self.health.resumed += 1
            try:
                return await self._converse(held, visit)
            except StaleError as stale:  # before anything was answered: nothing is done twice
                await self._renew(visit, stale)
        return await self._converse(await self.sessions.open(self.port, meter, self._alive), visit)

    async def _by_clients(self, visit: Visit, parts: Mapping[Meter, Sequence[str]]) -> Outcome:
        """Read what is due in an association for each client that reads some of it, our own first.

        What fails there is tried again later: it is no failure of a meter that answers us.
        """
        (own, ours), *others = parts.items()
        outcome = Outcome.OK
        if ours:
            outcome, *_ = await self._by_us(own, replace(visit, streams=tuple(ours)))
        for opened, streams in others:
            if outcome is Outcome.YIELDED:
                break
            await self.held.dismiss(own.id)
            try:
                part = await self._beside(opened, streams)
                outcome = outcome if part is Outcome.OK else part
            except MeterError as error:
                await self._judge(visit, error)
                if not ours and not isinstance(error, NotGivenError):
                    await self._line.ready()
                    await (await self.sessions.open(self.port, own, self._alive)).close()
                self._postponed.put(own.id, streams, self.clock.monotonic())
                outcome, self._got = Outcome.PARTLY, [*(self._got or ()), *streams]
        return outcome

    async def _beside(self, opened: Meter, streams: Sequence[str]) -> Outcome:
        """Read `streams` in an association of their own, by the access of `opened`."""
        if self.sessions.lacks_keys(opened):
            raise NotAskedError(f"no keys for the access {opened.access}")
        await self._line.ready()
        session = await self.sessions.open(self.port, opened, self._alive)
        try:
            outcome, _ = await self._collect(session, opened, streams)
        except Yielded as stop:
            if not stop.open:
                return Outcome.YIELDED
            outcome = Outcome.YIELDED
        await self._heed(session, opened.id)
        await session.close()
        return outcome

    async def _renew(self, visit: Visit, stale: StaleError) -> None:
        """Make the line ready for a new association in place of one that its meter knows no more."""
        log.info("association was stale", bus=self.name, meter=visit.meter, reason=str(stale)[:ERROR_BOUND])
        self.health.stale += 1
        self.archive.acquaintance.missed([visit.meter])
        self.held.stale(self.archive.meter(visit.meter))
        if isinstance(stale.__cause__, BusError):
            self._line.lose()
        # a meter that said no has nothing more to say; after a silence its answer may still come
        self._line.disturb(late=isinstance(stale.__cause__, MeterTimeoutError))
        await self._line.ready()

    async def _converse(self, session: Session, visit: Visit) -> Answered:
        outcome, answer, reason = Outcome.OK, None, None
        left: Session | None = session
        if visit.command is None:
            try:
                outcome, moves = await self._collect(session, self.archive.meter(visit.meter), visit.streams)
            except Yielded as stop:
                outcome, moves = Outcome.YIELDED, False
                if not stop.open:
                    return outcome, None, None
            if moves:
                left = await self.clocks.follow(session, visit.meter, self.port, self._alive)
        else:
            answer, reason = await self._commanding.within(session, visit, self._permit)
        await self._heed(session, visit.meter)
        if left is None:  # closed for another, or broken off
            self._line.disturb()
        else:
            coming = self.plan.coming(visit.meter, self.clock.monotonic())
            await self.held.leave(self.archive.meter(visit.meter), left, coming)
        return outcome, answer, reason

    async def _heed(self, session: Session, meter: str) -> None:
        """Keep what the meter said unasked meanwhile, where it may."""
        if self.pushes and session.notified and await self.pushes.of_visit(meter, tuple(session.notified)):
            self._urged.put([meter])
        session.notified.clear()

    def _alive(self) -> None:
        self.progress.mark(self.clock.monotonic())

    async def _collect(self, session: Session, opened: Meter, streams: Sequence[str]) -> tuple[Outcome, bool]:
        """Read what is due and keep it; return how that went, and whether the meter's clock is to be moved now."""
        found, missed = await self._collecting.collect(session, opened, streams)
        self._got = [*(self._got or ()), *(stream for stream in streams if stream not in found.missed)]
        self._cut_short |= bool(found.more)
        self.plan.again(opened.id, missed, self.clock.monotonic(), Priority.EVENT)
        if found.stopped is not None:
            raise found.stopped
        # of another meter than before nothing but that is known: its clock is measured anew before it is moved
        clock = None if found.changed else found.clock
        moves = clock is not None and await self.clocks.note(opened.id, clock)
        return Outcome.PARTLY if found.refused or found.bad_rows else Outcome.OK, moves

    async def _note(self, visit: Visit, outcome: Outcome, busy: float, octets: int) -> None:
        if outcome is not Outcome.UNASKED:
            self._count(visit, outcome, busy, octets)
            await self.reached(visit.meter, self.plan.reach(visit.meter), answered=outcome in ANSWERED)

    def _count(self, visit: Visit, outcome: Outcome, busy: float, octets: int) -> None:
        # the first since the start also asks who the meter is, one that catches up brings more than is due each time
        first = visit.meter not in self.airtimes.visits
        if outcome is Outcome.OK and not (visit.command or visit.more or first or self._cut_short):
            meter = self.archive.meter(visit.meter)
            self.measured.count((meter.access, meter.profile, frozenset(visit.streams)), busy, octets)
        self.airtimes.count(visit.meter, busy, good=outcome in ANSWERED)
        self.health.count(outcome, busy, good=outcome in ANSWERED)
        self.health.octets_sent, self.health.octets_received = self.port.octets_sent, self.port.octets_received
