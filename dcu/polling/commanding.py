"""Commands that are carried out in a conversation of their own: by another client, with secrets, or on the clock.

What is done in the conversation that readings use too is in `ondemand`; when a command has its turn, `poll` knows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dcu.archive import Archive
from dcu.bus import Port
from dcu.clock import Clock
from dcu.conversation.held import Held
from dcu.conversation.opening import SessionMaker
from dcu.errors import NotGivenError
from dcu.messages.catalogue import SECRET_COMMANDS
from dcu.model import Visit
from dcu.polling.clocks import SET_CLOCK, Clocks
from dcu.polling.ondemand import by_client
from dcu.polling.readers import opened_for

#: What a command is answered, or why it is not.
Told = tuple[dict[str, Any] | None, str | None]


@dataclass(slots=True)
class Commanding:
    """Carries them out on one bus; `alive` is told that it goes on."""

    archive: Archive
    sessions: SessionMaker
    held: Held
    clocks: Clocks
    clock: Clock
    alive: Callable[[], None]

    async def apart(self, visit: Visit, port: Port) -> Told | None:
        """Carry out the command of `visit`, None for one that opens the meter as readings do.

        Raises what `Clocks.command`, `rekey.carry_out` and `by_client` raise, but NotGivenError, which is an answer.
        """
        command, meter = visit.command, self.archive.meter(visit.meter)
        assert command is not None
        if command.name == SET_CLOCK:
            await self.held.dismiss(meter.id)
            return await self.clocks.command(meter.id, port, self.alive)
        opened = opened_for(self.archive, meter.id, command)
        if opened is meter and command.name not in SECRET_COMMANDS:
            return None
        await self.held.dismiss(meter.id)
        try:
            if command.name in SECRET_COMMANDS:
                from dcu.polling import rekey  # noqa: PLC0415 - most boxes are never asked for it

                return await rekey.carry_out(self.sessions, port, opened, visit, self.archive, self.alive), None
            return await by_client(self.sessions, port, opened, visit, self.archive, self.clock), None
        except NotGivenError as error:
            return None, str(error)
