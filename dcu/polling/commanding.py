"""The commands of one bus: whether they may be sent still, how often they are tried, and those that talk by themselves.

What is done in the conversation that readings use too is in `ondemand`; when a command has its turn, `poll` knows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from dcu.archive import Archive
from dcu.bus import Port
from dcu.clock import Clock
from dcu.conversation.held import Held
from dcu.conversation.opening import SessionMaker
from dcu.conversation.session import Session
from dcu.errors import NotAskedError, NotGivenError, OverError, UnsureError
from dcu.messages.catalogue import SECRET_COMMANDS
from dcu.model import Meter, Visit
from dcu.polling.clocks import SET_CLOCK, Clocks
from dcu.polling.ondemand import on_demand
from dcu.polling.presence import check_device
from dcu.polling.readers import opened_for

#: A command is tried again at once: somebody waits for it, and noise on the line is not an answer. After a silence it
#: is not, for the link has asked again as often as is worth its time-outs.
COMMAND_TRIES: Final = 2

#: What a command is answered, or why it is not.
Told = tuple[dict[str, Any] | None, str | None]


class Orders(Protocol):
    """The command journal, as a bus sees it."""

    def open(self, visit: Visit) -> bool:
        """Whether somebody waits for what the command of `visit` is to do."""

    def sending(self, visit: Visit) -> bool:
        """Whether what changes the meter may be sent now; it counts as sent from then on."""

    async def answered(self, visit: Visit, found: dict[str, Any] | None, error: str | None) -> None:
        """Tell how the visit for a command went: its answer, or why there is none. Raises StoreError."""


@dataclass(slots=True)
class Permit:
    """What one visit asks before it changes its meter, however many requests that takes."""

    visit: Visit
    orders: Orders
    sent: bool = False

    def __call__(self) -> None:
        """Raise OverError when the command is over, UnsureError when it may have been sent in an earlier visit."""
        if self.sent:
            return
        if self.visit.doubtful:
            raise UnsureError
        if not self.orders.sending(self.visit):
            raise OverError("its time was over before it was sent")
        self.sent = True

    @property
    def doubtful(self) -> bool:
        """Whether the meter may have been changed, by this visit or one before it."""
        return self.sent or self.visit.doubtful

    def said(self, error: Exception) -> str:
        """Return what the command is told of an error that ended the visit."""
        return str(UnsureError(str(error)) if self.doubtful and not isinstance(error, UnsureError) else error)


@dataclass(slots=True)
class Commanding:
    """Carries them out on one bus; `alive` is told that it goes on."""

    archive: Archive
    sessions: SessionMaker
    held: Held
    clocks: Clocks
    clock: Clock
    alive: Callable[[], None]

    def tries(self, visit: Visit) -> int:
        """Return how often `visit` is made, at most, for its answer; where secrets are on their way, once."""
        once = visit.command is None or visit.command.name in SECRET_COMMANDS
        return 1 if once else COMMAND_TRIES

    async def within(self, session: Session, visit: Visit, permit: Permit, *, own: bool = True) -> Told:
        """Carry out the command of `visit` in an open session, of the meter's `own` client or of another.

        A question that was wrong is no failure of the meter. Raises what `on_demand` raises, but NotGivenError, which
        is an answer.
        """
        try:
            return await on_demand(session, self.archive, visit, self.clock, permit, own=own), None
        except NotGivenError as error:
            return None, str(error)

    async def apart(self, visit: Visit, port: Port, permit: Permit) -> Told | None:
        """Carry out the command of `visit`, None for one that opens the meter as readings do.

        Raises what `check_device`, `Clocks.command`, `rekey.carry_out`, `on_demand` and `SessionMaker.open` raise, but
        of NotGivenError, which is an answer, only NotAskedError, which is none of the meter's.
        """
        try:
            await check_device(self.archive, visit)
            return await self._apart(visit, port, permit)
        except NotAskedError:
            raise
        except NotGivenError as error:
            return None, str(error)

    async def _apart(self, visit: Visit, port: Port, permit: Permit) -> Told | None:
        command, meter = visit.command, self.archive.meter(visit.meter)
        assert command is not None
        if command.name == SET_CLOCK:
            await self.held.dismiss(meter.id)
            return await self.clocks.command(meter.id, port, self.alive, permit)
        opened = opened_for(self.archive, meter.id, command)
        if opened is meter and command.name not in SECRET_COMMANDS:
            return None
        await self.held.dismiss(meter.id)
        if command.name not in SECRET_COMMANDS:
            return await self._by_client(port, opened, visit, permit)
        from dcu.polling import rekey  # noqa: PLC0415 - most boxes are never asked for it

        known = self.sessions, port, opened, visit, self.archive
        return await rekey.carry_out(*known, self.alive, permit), None

    async def _by_client(self, port: Port, opened: Meter, visit: Visit, permit: Permit) -> Told:
        """Carry out the command of `visit` in a conversation of its own, by the access of `opened`."""
        if self.sessions.lacks_keys(opened):
            raise NotAskedError(f"no keys for the access {opened.access}")
        session = await self.sessions.open(port, opened)
        told = await self.within(session, visit, permit, own=False)
        await session.close()
        return told
