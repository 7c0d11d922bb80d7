"""Which commands are taken at a door, and which of those that were taken are begun late; the rest, with the reason why.

What an envelope may say is known to `dcu.messages`; what becomes of a command that is taken, to `obey`.
"""

import hashlib
import math
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final

import structlog

from dcu.clock import DAY, Clock
from dcu.errors import CommandRejected, excerpt
from dcu.messages.catalogue import CATALOGUE, OBJECT_COMMANDS, SET
from dcu.messages.commands import parse_command
from dcu.model import Command, CommandRecord, CommandState, Role

log = structlog.get_logger()

#: Commands under way at once; one more is rejected, so that a flood cannot take the memory.
UNDERWAY_BOUND: Final = 1000

#: Of these, commands to many meters: each knows which of 1024 have not answered yet.
MANY_BOUND: Final = 32

#: What changes something and does not say when it expires is begun within so many seconds, or never: whoever sent it
#: may have given it up for lost, and done it otherwise.
TOO_OLD: Final = 900.0

#: Refused commands that are journalled and answered, at once and per day, and payloads without so much as an id: a
#: stranger must not fill the disk, nor make the journal forget what others have asked for.
REFUSALS: Final = 1000
GARBAGE: Final = 100

#: Meters that a refused command names in the journal.
NAMED: Final = 8

_UNDATED: Final = "this unit's own clock is not trusted: nobody can tell whether it is too late"


#: Gives what is known of the device that bears the name of a meter now. Raises StoreError.
Device = Callable[[str], Awaitable[Mapping[str, str]]]


@dataclass(frozen=True, slots=True)
class Admission:
    """Decides for one box. `knows` says which meters there are; `allow` are the roles whose commands are taken."""

    knows: Callable[[str], bool]
    allow: Collection[Role]
    clock: Clock

    def read(self, payload: bytes, door: str) -> Command:
        """Return the command in an envelope; raises CommandRejected, whatever the envelope does to us."""
        try:
            return parse_command(payload, door=door, received=self.clock.now())
        except CommandRejected:
            raise
        except Exception as error:
            log.exception("bug in reading a command")
            raise CommandRejected(mistake(error)) from error

    def refusal(self, command: Command, underway: int, many: int = 0) -> str | None:
        """Return why a command is not taken while so many are `underway`, `many` of them to many meters; else None."""
        try:
            return self._refusal(command) or _crowded(command, underway, many)
        except Exception as error:  # a value may do to us what nobody thought of: then it is this command that fails
            log.exception("bug in looking at a command", id=command.id, name=command.name)
            return mistake(error)

    def _refusal(self, command: Command) -> str | None:
        unknown = [meter for meter in command.meters if not self.knows(meter)]
        if unknown:
            return f"no such meter: {', '.join(unknown[:10])}"
        if command.targets and command.door == "local":
            return "commands to many meters come by MQTT"
        if refusal := self._forbidden(command) or _shapeless(command):
            return refusal
        if command.expires is not None and CATALOGUE[command.name].changes_state and not self.clock.trusted():
            return _UNDATED
        return None

    def lapse(self, record: CommandRecord) -> str | None:
        """Return why a command that was taken, and that nobody works on, is not begun any more; None when it is."""
        command = record.command
        if gone := [meter for meter in command.meters if not self.knows(meter)]:
            return f"no such meter any more: {', '.join(gone)}"
        if forbidden := self._forbidden(command):
            return forbidden
        # what was running is at most looked at
        if record.state is not CommandState.ACCEPTED or not CATALOGUE[command.name].changes_state:
            return None
        if not self.clock.trusted():
            return _UNDATED
        late = command.expires is None and self.clock.now() - command.received > TOO_OLD
        return f"not begun within {TOO_OLD:.0f} s" if late else None

    def _forbidden(self, command: Command) -> str | None:
        """Return why nobody may give this command here."""
        kind = CATALOGUE.get(command.name)
        if kind is None:
            return "no such command any more"
        if kind.role not in self.allow:
            return f"{command.name} is for the role {kind.role.value}, which dcu.allow does not name"
        if Role.OPERATOR not in self.allow and (what := _interrupts(command)):
            also = f"is for the role {Role.OPERATOR.value}, too, which dcu.allow lacks"
            return f"{command.name} of {what}, which may interrupt supply, {also}"
        return None


@dataclass(slots=True)
class Refusals:
    """How many refused commands may still be journalled and answered: so many `per_day`, and at once."""

    per_day: float
    _used: float = 0.0
    _at: float = -math.inf

    def one_more(self, now: float) -> bool:
        """Count one at `now` (monotonic s), and say whether it may."""
        self._used = max(0.0, self._used - (now - self._at) / DAY * self.per_day)
        self._at = now
        if self._used + 1 > self.per_day:
            return False
        self._used += 1
        return True


async def unknown(_: str) -> Mapping[str, str]:
    """Return that nothing is known of a device."""
    return {}


async def bound(command: Command, device: Device) -> Command:
    """Return `command` bound to the `device` that its meter is now: it is for no other. Raises StoreError."""
    if len(command.meters) != 1:
        return command
    return replace(command, device=dict(await device(command.meters[0])))


def outline(command: Command) -> Command:
    """Return what is kept of a refused command: arguments nobody heeds may be long, or secret."""
    return replace(command, args={}, meters=command.meters if len(command.meters) <= NAMED else ())


def mistake(error: Exception) -> str:
    """Return what is said of an error that we did not mean to raise."""
    return f"our own mistake: {excerpt(error)}"


def unreadable(rejection: CommandRejected, payload: bytes, door: str, now: float) -> Command:
    """Return a journal line for what could not be read as a command; equal garbage has an equal id, so it stays one."""
    name = rejection.id or "unreadable-" + hashlib.sha256(payload).hexdigest()[:16]
    return Command(id=name, name="", door=door, received=now)


def _crowded(command: Command, underway: int, many: int) -> str | None:
    if underway >= UNDERWAY_BOUND:
        return f"{UNDERWAY_BOUND} commands are under way already"
    if command.targets and many >= MANY_BOUND:
        return f"{MANY_BOUND} commands to many meters are under way already"
    return None


def _interrupts(command: Command) -> str | None:
    """Return what a command would set up that may interrupt supply by itself."""
    if command.name != SET:
        return None
    from dcu.conversation import objects  # noqa: PLC0415 - loaded for those who ask

    return objects.interrupts(command)


def _shapeless(command: Command) -> str | None:
    """Return why no meter could take this command, as far as that is known without one."""
    if command.name in OBJECT_COMMANDS:
        from dcu.conversation import objects  # noqa: PLC0415 - loaded for those who ask

        try:
            objects.check(command)
        except CommandRejected as rejection:
            return str(rejection)
    return None
