"""Commands, from the uplink or the local socket, through one journal to the buses and back.

Results leave as readings leave: the store puts each journal change of an MQTT command into the `result` stream, which
`dcu.delivery` sends.

    state     where it is                what comes next, each committed before it is told
    --------  -------------------------  --------------------------------------------------------------------------
    (none)    at the door                REJECTED, or ACCEPTED; a repeat of an id gets the recorded answer
    ACCEPTED  begun at once; cut off     RUNNING; EXPIRED; FAILED when it may not be begun any more (`admission`)
              there, within LOOK_EVERY
    RUNNING   waits for its line, or     EXPIRED at `expires`, or FAILED when its meter goes; from then on it is not
              for the box's turn         `open`, and nobody sends it. `sending` passes: it is sent
    RUNNING   sent (what changes         does not expire: DONE or FAILED by the answer, or FAILED as not known. No
              something, once `sending`  second try sends it; cut off by the store or a restart it is only looked at
              has passed)                (`doubtful`), or FAILED as not known where it does not show
    final     in the journal             nothing: a state that comes later is not entered

    A command to many (`targets`) changes nothing: it asks some meters at a time, and tells more of the same state.
    What the box itself does (`own`) is done here, one after the other; doing it twice leaves what doing it once does.
    An error that nobody thought of fails the one command over which it came up. A store error ends the flow.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from dcu.clock import Clock
from dcu.errors import CommandRejected, DcuError, StoreError, UnsureError
from dcu.health import Health, Progress
from dcu.messages.catalogue import CATALOGUE
from dcu.messages.encoding import UNWRITABLE, encode, written
from dcu.messages.envelope import answer
from dcu.model import Command, CommandRecord, CommandState, Priority, Role, Visit
from dcu.obeying.admission import (
    GARBAGE,
    REFUSALS,
    Admission,
    Device,
    Refusals,
    bound,
    mistake,
    outline,
    unknown,
    unreadable,
)
from dcu.obeying.book import Book, Journal
from dcu.obeying.underway import BOX, Underway

log = structlog.get_logger()

#: How often expiry is looked at: a fifth of the 5 s a command may take to a meter.
EXPIRY_STEP = 1.0

#: How often the journal is looked through for commands that were cut off before anybody worked on them, in seconds.
LOOK_EVERY = 60.0


#: Does what a command asks of the box; raises DcuError with the reason why not.
Own = Callable[[Command], Awaitable[Mapping[str, Any]]]


class Obey:
    """Carries commands out. `submit` queues a visit on its meter's bus; `knows` says which meters there are.

    `own` does what no meter is needed for. `allow` are the roles whose commands are taken, at whichever door.
    """

    def __init__(
        self,
        journal: Journal,
        submit: Callable[[Visit], None],
        knows: Callable[[str], bool],
        own: Own,
        clock: Clock,
        health: Health,
        allow: Collection[Role] = (Role.VIEWER,),
    ) -> None:
        #: Gives the meters that a command to all or to a group is for.
        self.among: Callable[[str], Sequence[str]] = lambda _: ()
        #: Tells which device bears the name of a meter.
        self.device: Device = unknown
        # bounded by UNDERWAY_BOUND
        self._work: asyncio.Queue[Underway] = asyncio.Queue()
        self._journal = journal
        self._submit = submit
        self._own = own
        self._clock = clock
        self._admission = Admission(knows, allow, clock)
        self._progress: Progress = health.watch("obey", clock.monotonic())
        self._book = Book(journal, clock, health)
        self._refused, self._garbage = Refusals(REFUSALS), Refusals(GARBAGE)
        self._looked = clock.monotonic()

    async def run(self) -> None:
        """Take up what a restart left, then do the box's own work and end what expires, until cancelled."""
        await self.resume()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._working())
            while True:
                await asyncio.sleep(EXPIRY_STEP)
                await self.step()

    async def _working(self) -> None:
        while True:
            await self.work()

    async def resume(self) -> None:
        """Start again what the journal holds unfinished and nobody works on: after a restart, that is all of it."""
        self._looked = self._clock.monotonic()
        for record in await self._journal.unfinished():
            # it may have been begun, and even ended, since the journal was asked: then `change` says so
            if record.command.id not in self._book.underway:
                await self._book.surely(record.command, self._take_up(record))

    async def _take_up(self, record: CommandRecord) -> CommandRecord:
        """Start a command again, unless that would be wrong by now."""
        reason = self._admission.lapse(record)
        if reason is None:
            return await self._start(record)
        return await self._journal.change(record.command.id, CommandState.FAILED, error=reason)

    async def step(self) -> None:
        """End the commands whose time is over, tell of those that go on, and take up those that were cut off."""
        now = self._clock.monotonic()
        self._progress.mark(now)
        for underway in list(self._book.underway.values()):
            await self._book.surely(underway.command, self._look(underway))
        if now - self._looked >= LOOK_EVERY:
            await self.resume()

    async def _look(self, underway: Underway) -> None:
        if underway.late(self._clock.now()):
            await self._book.end(underway, CommandState.EXPIRED, "expired before every meter had answered")
        elif underway.due(self._clock.monotonic()):
            await self._book.tell(underway)

    async def work(self) -> None:
        """Wait for something that the box itself has to do, and do it."""
        underway = await self._work.get()
        try:
            await self._book.surely(underway.command, self._do(underway))
        except BaseException as error:
            self._book.drop(underway.command, error)
            raise

    async def _do(self, underway: Underway) -> None:
        if underway.ending or underway.over.done():
            return
        if underway.late(self._clock.now()):
            await self._book.end(underway, CommandState.EXPIRED, "expired before it was begun")
            return
        underway.sent = True
        found, error = await self._ask_own(underway.command)
        await self.told(underway.command.id, BOX, found, error)

    async def receive(self, payload: bytes, door: str = "mqtt") -> CommandRecord:
        """Take one command envelope; returns its journal line, which may already be final. Never raises for input."""
        try:
            command = self._admission.read(payload, door)
        except CommandRejected as rejection:
            blank = unreadable(rejection, payload, door, self._clock.now())
            return await self._reject(blank, str(rejection), self._refused if rejection.id else self._garbage)
        many = sum(bool(each.command.targets) for each in self._book.underway.values())
        if refusal := self._admission.refusal(command, len(self._book.underway), many):
            return await self._reject(command, refusal, self._refused)
        if door == "local" and not command.meters and not CATALOGUE[command.name].changes_state:
            # what the box says of itself must be there when the disk is full, and must not fill it by being asked
            found, error = await self._ask_own(command)
            state = CommandState.DONE if error is None else CommandState.FAILED
            return CommandRecord(command, state, result=found, error=error, changed=self._clock.now())
        record, new = await self._journal.accept(await bound(command, self.device))
        if record.state.final or command.id in self._book.underway:
            return record
        # an open command that nobody works on was cut off before it was started
        return await self._book.surely(record.command, self._start(record) if new else self._take_up(record))

    async def ask(self, payload: bytes) -> AsyncIterator[CommandRecord]:
        """Take a command at the local door: yield the journal line now, and again when the command is over."""
        record = await self.receive(payload, door="local")
        underway = self._book.underway.get(record.command.id)
        yield record
        if underway is not None:
            # shield: the client may hang up, the command goes on and another client may ask for the same id
            yield await asyncio.shield(underway.over)

    async def lines(self, request: bytes) -> AsyncIterator[bytes]:
        """Answer one line of the local door as JSON lines."""
        async for record in self.ask(request):
            payload = written(answer(record))
            yield encode(answer(replace(record, result=None, error=UNWRITABLE))) if payload is None else payload

    def open(self, visit: Visit) -> bool:
        """Whether somebody waits for what `visit` is to do; asked before it is made."""
        underway = self._waiting_for(visit)
        if underway is None or underway.late(self._clock.now()):
            return False
        return visit.doubtful or not underway.sent  # of what was sent only the look at it is still to be made

    def sending(self, visit: Visit) -> bool:
        """Whether what changes a meter may be sent to it now; it counts as sent from then on, and never passes again.

        No other state is told until the visit is over and `answered`.
        """
        underway = self._waiting_for(visit)
        if underway is None or underway.sent or underway.late(self._clock.now()):
            return False
        underway.sent = True
        return True

    def _waiting_for(self, visit: Visit) -> Underway | None:
        underway = None if visit.command is None else self._book.underway.get(visit.command.id)
        return None if underway is None or underway.ending or visit.meter not in underway.waiting else underway

    async def answered(self, visit: Visit, found: dict[str, Any] | None, error: str | None) -> None:
        """A bus flow reports how the visit for a command ended."""
        if visit.command is not None:
            await self.told(visit.command.id, visit.meter, found, error)

    async def told(self, command_id: str, part: str, found: dict[str, Any] | None, error: str | None) -> None:
        """Note how `part` of a command ended: a meter, or BOX. With the last of them the command is over."""
        underway = self._book.underway.get(command_id)
        if underway is None or part not in underway.waiting:
            return  # it expired meanwhile: the journal has its end already
        await self._book.surely(underway.command, self._take(underway, part, found, error))

    async def _take(self, underway: Underway, part: str, found: dict[str, Any] | None, error: str | None) -> None:
        underway.take(part, found, error)
        if underway.waiting == {part}:
            await self._book.end(underway, self._outcome(underway), underway.complaint())
        # only now: when the end could not be kept, the visit is made again
        underway.waiting.discard(part)
        if underway.waiting:
            await self._go_on(underway)

    def _outcome(self, underway: Underway) -> CommandState:
        if not underway.failed:
            return CommandState.DONE
        return CommandState.EXPIRED if underway.late(self._clock.now()) else CommandState.FAILED

    async def _go_on(self, underway: Underway) -> None:
        """Tell what has come together, and ask the next meters."""
        if underway.due(self._clock.monotonic()):
            await self._book.tell(underway)
        await self._ask_next(underway)

    async def _ask_next(self, underway: Underway) -> None:
        if underway.asking:  # a bus that takes no more says so at once
            return
        underway.asking = True
        try:
            command = underway.command
            while command.id in self._book.underway and (meter := underway.ask()) is not None:
                doubtful = underway.sent
                await self._send_out(Visit(meter, command=command, priority=Priority.COMMAND, doubtful=doubtful))
        finally:
            underway.asking = False

    async def gone(self, meter: str, reason: str) -> None:
        """End what commands want of `meter`, which takes part no more. Raises StoreError after the last of them."""
        lost: StoreError | None = None
        for underway in list(self._book.underway.values()):
            why = str(UnsureError(reason)) if underway.sent else reason
            try:
                await self.told(underway.command.id, meter, None, why)
            except StoreError as error:  # no visit to this meter is made any more that would tell it again
                self._book.drop(underway.command, error)
                lost = error
        if lost:
            raise lost

    async def _start(self, record: CommandRecord) -> CommandRecord:
        """Begin a command that nobody works on; one that was running and changes a meter may have been sent."""
        command, kind = record.command, CATALOGUE[record.command.name]
        sent = kind.changes_state and record.state is CommandState.RUNNING
        if sent and not kind.shows:
            return await self._journal.change(command.id, CommandState.FAILED, error=str(UnsureError()))
        if not sent and command.expires is not None and command.expires <= self._clock.now():
            return await self._journal.change(command.id, CommandState.EXPIRED, error="expired before it was started")
        try:
            return await self._begin(command, sent=sent)
        except (StoreError, asyncio.CancelledError) as error:  # the store is gone, or the uplink that brought it
            self._book.drop(command, error)
            raise

    async def _begin(self, command: Command, *, sent: bool) -> CommandRecord:
        among = self.among(command.targets) if command.targets else ()
        underway = self._book.underway[command.id] = Underway.of(command, among, self._clock.monotonic())
        underway.sent = sent
        record = await self._journal.change(command.id, CommandState.RUNNING)
        if record.state.final:
            self._book.finish(underway, record)
            return record
        if command.targets and not underway.many:
            await self.told(command.id, BOX, {}, None)
            return await underway.over
        if BOX not in underway.waiting:
            await self._ask_next(underway)
            return record
        kind = CATALOGUE[command.name]
        if kind.changes_state or kind.slow:  # it may take its time, and others come through the same door
            self._work.put_nowait(underway)
            return record
        await self._do(underway)
        return await underway.over

    async def _ask_own(self, command: Command) -> tuple[dict[str, Any] | None, str | None]:
        """Return what the box says to a command, or why it does not do it. Raises StoreError."""
        try:
            return dict(await self._own(command)), None
        except StoreError:
            raise
        except DcuError as error:
            return None, str(error)
        except Exception as error:
            log.exception("bug in a command of the box", id=command.id, name=command.name)
            return None, mistake(error)

    async def _send_out(self, visit: Visit) -> None:
        try:
            self._submit(visit)
        except CommandRejected as rejection:  # the bus has more commands waiting than it can ever serve in time
            await self.answered(visit, None, str(rejection))

    async def _reject(self, command: Command, reason: str, among: Refusals) -> CommandRecord:
        if not among.one_more(self._clock.monotonic()):
            return CommandRecord(command, CommandState.REJECTED, error=reason)
        log.warning("command rejected", id=command.id, name=command.name, reason=reason)
        record, _ = await self._journal.accept(outline(command), rejected=reason)
        return record
