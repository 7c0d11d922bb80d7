"""Whether a bus's line is open and quiet, so that a visit may begin on it. What is said over it is not known here.

CLOSED ──ready──► QUIET ──disturb: an answer may still come──► DISTURBED ──ready: drained──► QUIET
  ▲ lose: the port is gone, or was hung up                          │
  └─────────────────────────────────────────────────────────────────┘
"""

from dataclasses import dataclass

from dcu.bus import Port
from dcu.conversation.held import Held
from dcu.conversation.session import QUIET


@dataclass(slots=True)
class Line:
    """The state of `port`; what is `held` open over it is forgotten with the connection."""

    port: Port
    held: Held
    #: Whether the line broke and has not been there since.
    lost: bool = False
    _open: bool = False
    _disturbed: bool = False

    @property
    def octets(self) -> int:
        """How many went over the line since the start, both ways together."""
        return self.port.octets_sent + self.port.octets_received

    async def ready(self) -> None:
        """Return when a visit may begin. Raises BusError when the line cannot be had."""
        # a gateway hangs up on whoever is silent for a while: that is no failure of the next visit
        if not self._open or self.port.hung_up():
            await self.port.open()
            self._open = self._disturbed = True
            self.lost = False
            self.held.forget()
        if self._disturbed:
            if await self.port.drain(QUIET):
                self.held.forget()
            self._disturbed = False

    def disturb(self, *, late: bool = True) -> None:
        """A conversation broke off; `late`: whoever was asked may still answer, which must not answer another."""
        self._disturbed = late

    def lose(self) -> None:
        """The port is gone: it is opened before the next visit."""
        self._open, self.lost = False, True

    async def close(self) -> None:
        self._open = False
        await self.port.close()
