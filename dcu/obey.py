"""Commands, from the uplink or the local socket, through one journal to the buses and back.

Results leave as readings leave: the store puts each journal change of an MQTT command into the `result` stream, which
`dcu.delivery` sends.

    (refused at the door) ──► rejected
    accepted ──► running ──► done      every meter answered
        │           ├──────► failed    at least one meter did not, or we could not; what was read is in the result
        └───────────┴──────► expired   `expires` passed before the end; checked again after a restart
    Each state is committed before it is told. A repeat of an id gets the recorded answer and touches no meter.
    After a restart an unfinished command starts over if it changes nothing, or was not yet running. What changes a
    meter and was running is not sent again: it is done when the meter shows what it was to do, and has failed if not.
    A command to many (`targets`) changes nothing: it asks some meters at a time, and tells more of the same state.
    What the box itself does (`own`) is done here, one after the other; doing it twice leaves what doing it once does.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

import structlog

from dcu.clock import Clock
from dcu.errors import CommandRejected, DcuError, StoreError, UnsureError
from dcu.health import Health, Progress
from dcu.messages.catalogue import CATALOGUE, OBJECT_COMMANDS
from dcu.messages.commands import parse_command
from dcu.messages.encoding import encode
from dcu.messages.envelope import answer
from dcu.model import Command, CommandRecord, CommandState, Priority, Role, Visit
from dcu.underway import BOX, Underway

log = structlog.get_logger()

#: Commands under way at once; one more is rejected, so that a flood cannot take the memory.
UNDERWAY_BOUND = 1000

#: Payloads without so much as an id that are journalled and answered, per start: a stranger must not fill the disk.
GARBAGE_BOUND = 100

#: How often expiry is looked at: a fifth of the 5 s a command may take to a meter.
EXPIRY_STEP = 1.0


#: Does what a command asks of the box; raises DcuError with the reason why not.
Own = Callable[[Command], Awaitable[Mapping[str, Any]]]


class Journal(Protocol):
    """What this flow needs of the store."""

    async def accept(self, command: Command, rejected: str | None = None) -> tuple[CommandRecord, bool]:
        """Commit a new command as accepted, or as rejected with the reason; a known id gives its record and False."""

    async def change(
        self,
        command_id: str,
        state: CommandState,
        result: Any = None,
        error: str | None = None,
        progress: dict[str, int] | None = None,
    ) -> CommandRecord:
        """Commit the next state, or more of the same."""

    async def unfinished(self) -> list[CommandRecord]:
        """Return what a restart finds accepted or running."""


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
        self._allow = allow
        # bounded by UNDERWAY_BOUND
        self._work: asyncio.Queue[Underway] = asyncio.Queue()
        self._journal = journal
        self._submit = submit
        self._knows = knows
        self._own = own
        self._clock = clock
        self._health = health
        self._progress: Progress = health.watch("obey", clock.monotonic())
        self._underway: dict[str, Underway] = {}
        self._garbage = 0

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
        for record in await self._journal.unfinished():
            if record.command.id not in self._underway:
                await self._take_up(record)

    async def _take_up(self, record: CommandRecord) -> None:
        """Start a command again, unless the configuration has changed under it."""
        command = record.command
        gone = [meter for meter in command.meters if not self._knows(meter)]
        reason = f"no such meter any more: {', '.join(gone)}" if gone else self._forbidden(command)
        if reason is None:
            await self._start(record)
        else:
            await self._journal.change(command.id, CommandState.FAILED, error=reason)

    async def step(self) -> None:
        """End the commands whose time is over."""
        self._progress.mark(self._clock.monotonic())
        now = self._clock.now()
        for underway in list(self._underway.values()):
            expires = underway.command.expires
            # without a meter to wait for it is about to end by itself
            if expires is not None and expires <= now and underway.waiting:
                await self._end(underway, CommandState.EXPIRED, "expired before every meter had answered")
            elif underway.due(self._clock.monotonic()):
                await self._tell(underway)

    async def work(self) -> None:
        """Wait for something that the box itself has to do, and do it."""
        underway = await self._work.get()
        try:
            await self._do(underway)
        except BaseException:
            # for want of the store: whoever starts the flow again takes it up from the journal
            self._underway.pop(underway.command.id, None)
            raise

    async def _do(self, underway: Underway) -> None:
        found, error = await self._ask_own(underway.command)
        await self.told(underway.command.id, BOX, found, error)

    async def receive(self, payload: bytes, door: str = "mqtt") -> CommandRecord:
        """Take one command envelope; returns its journal line, which may already be final. Never raises for input."""
        try:
            command = parse_command(payload, door=door, received=self._clock.now())
        except CommandRejected as rejection:
            blank = _blank(rejection, payload, door, self._clock.now())
            self._garbage += rejection.id is None
            if rejection.id is None and self._garbage > GARBAGE_BOUND:
                return CommandRecord(blank, CommandState.REJECTED, error=str(rejection))
            return await self._reject(blank, str(rejection))
        if refusal := self._refusal(command):
            return await self._reject(command, refusal)
        if door == "local" and not command.meters and not CATALOGUE[command.name].changes_state:
            # what the box says of itself must be there when the disk is full, and must not fill it by being asked
            found, error = await self._ask_own(command)
            state = CommandState.DONE if error is None else CommandState.FAILED
            return CommandRecord(command, state, result=found, error=error, changed=self._clock.now())
        record, new = await self._journal.accept(command)
        # an open command that nobody works on was cut off before it was started
        if new or not (record.state.final or command.id in self._underway):
            return await self._start(record)
        return record

    def _refusal(self, command: Command) -> str | None:
        unknown = [meter for meter in command.meters if not self._knows(meter)]
        if unknown:
            return f"no such meter: {', '.join(unknown[:10])}"
        if command.targets and command.door == "local":
            return "commands to many meters come by MQTT"
        if refusal := self._forbidden(command) or _shapeless(command):
            return refusal
        return f"{UNDERWAY_BOUND} commands are under way already" if len(self._underway) >= UNDERWAY_BOUND else None

    def _forbidden(self, command: Command) -> str | None:
        """Return why nobody may give this command here."""
        kind = CATALOGUE.get(command.name)
        if kind is None:
            return "no such command any more"
        if kind.role in self._allow:
            return None
        return f"{command.name} is for the role {kind.role.value}, which dcu.allow does not name"

    async def ask(self, payload: bytes) -> AsyncIterator[CommandRecord]:
        """Take a command at the local door: yield the journal line now, and again when the command is over."""
        record = await self.receive(payload, door="local")
        underway = self._underway.get(record.command.id)
        yield record
        if underway is not None:
            # shield: the client may hang up, the command goes on and another client may ask for the same id
            yield await asyncio.shield(underway.over)

    async def lines(self, request: bytes) -> AsyncIterator[bytes]:
        """Answer one line of the local door as JSON lines."""
        async for record in self.ask(request):
            yield encode(answer(record))

    async def answered(self, visit: Visit, found: dict[str, Any] | None, error: str | None) -> None:
        """A bus flow reports how the visit for a command ended."""
        if visit.command is not None:
            await self.told(visit.command.id, visit.meter, found, error)

    async def told(self, command_id: str, part: str, found: dict[str, Any] | None, error: str | None) -> None:
        """Note how `part` of a command ended: a meter, or BOX. With the last of them the command is over."""
        underway = self._underway.get(command_id)
        if underway is None or part not in underway.waiting:
            return  # it expired meanwhile: the journal has its end already
        underway.take(part, found, error)
        if underway.waiting == {part}:
            state = CommandState.FAILED if underway.failed else CommandState.DONE
            await self._end(underway, state, underway.complaint())
        # only now: when the end could not be kept, the visit is made again
        underway.waiting.discard(part)
        if underway.waiting:
            await self._go_on(underway)

    async def _go_on(self, underway: Underway) -> None:
        """Tell what has come together, and ask the next meters."""
        if underway.due(self._clock.monotonic()):
            await self._tell(underway)
        await self._ask_next(underway)

    async def _tell(self, underway: Underway) -> None:
        answers, why = dict(underway.answers), underway.complaint()
        told = [*answers, *underway.errors]
        command, progress = underway.command, underway.progress()
        await self._journal.change(command.id, CommandState.RUNNING, answers, why or None, progress)
        underway.forget(told, self._clock.monotonic())

    async def _ask_next(self, underway: Underway) -> None:
        if underway.asking:  # a bus that takes no more says so at once
            return
        underway.asking = True
        try:
            command = underway.command
            while command.id in self._underway and (meter := underway.ask()) is not None:
                doubtful = underway.doubtful
                await self._send_out(Visit(meter, command=command, priority=Priority.COMMAND, doubtful=doubtful))
        finally:
            underway.asking = False

    async def gone(self, meter: str, reason: str) -> None:
        """End what commands want of `meter`, which takes part no more."""
        for underway in list(self._underway.values()):
            await self.told(underway.command.id, meter, None, reason)

    async def _start(self, record: CommandRecord) -> CommandRecord:
        command = record.command
        if command.expires is not None and command.expires <= self._clock.now():
            return await self._journal.change(command.id, CommandState.EXPIRED, error="expired before it was started")
        kind = CATALOGUE[command.name]
        doubtful = kind.changes_state and record.state is CommandState.RUNNING
        if doubtful and not kind.shows:
            return await self._journal.change(command.id, CommandState.FAILED, error=str(UnsureError()))
        among = self.among(command.targets) if command.targets else ()
        underway = self._underway[command.id] = Underway.of(command, among, self._clock.monotonic())
        underway.doubtful = doubtful
        try:
            return await self._begin(underway)
        except BaseException:
            # for want of the store, or because the uplink that brought it went: whoever brings it again starts it
            self._underway.pop(command.id, None)
            raise

    async def _begin(self, underway: Underway) -> CommandRecord:
        command = underway.command
        record = await self._journal.change(command.id, CommandState.RUNNING)
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

    async def _send_out(self, visit: Visit) -> None:
        try:
            self._submit(visit)
        except CommandRejected as rejection:  # the bus has more commands waiting than it can ever serve in time
            await self.answered(visit, None, str(rejection))

    async def _end(self, underway: Underway, state: CommandState, error: str | None) -> None:
        command = underway.command
        if underway.ending:  # its answer and its expiry meet: the first of them counts
            return
        result = underway.answers.get(BOX) if BOX in underway.answers else underway.answers
        underway.ending = True
        try:
            record = await self._journal.change(command.id, state, result or None, error or None, underway.progress())
        finally:
            underway.ending = False
        self._underway.pop(command.id, None)
        underway.over.set_result(record)
        self._health.command_latency.append(self._clock.now() - command.received)
        log.info("command over", id=command.id, name=command.name, state=state.value, error=error)

    async def _reject(self, command: Command, reason: str) -> CommandRecord:
        log.warning("command rejected", id=command.id, name=command.name, reason=reason)
        record, _ = await self._journal.accept(command, rejected=reason)
        return record


def _shapeless(command: Command) -> str | None:
    """Return why no meter could take this command, as far as that is known without one."""
    if command.name in OBJECT_COMMANDS:
        from dcu.conversation import objects  # noqa: PLC0415 - loaded for those who ask

        try:
            objects.check(command)
        except CommandRejected as rejection:
            return str(rejection)
    return None


def _blank(rejection: CommandRejected, payload: bytes, door: str, now: float) -> Command:
    """Return a journal line for what could not be read as a command; equal garbage has an equal id, so it stays one."""
    name = rejection.id or "unreadable-" + hashlib.sha256(payload).hexdigest()[:16]
    return Command(id=name, name="", door=door, received=now)
