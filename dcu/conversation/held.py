"""The associations of one bus that stay open between visits: found again, released in time, or found stale.

Whether one is worth keeping is decided in `dcu.plan.keeping`; what is said over it is `session`'s.

  visit ends ──keeps──► HELD ──next visit──► goes on ──first answer──► as any other
                          │ time over: forgotten         │ silence, DM, FRMR, exception, connection closed
                          │ MAX_OPEN: the last to come   └──► StaleError: a new one, once, in the same visit
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from dcu.clock import Clock
from dcu.conversation.opening import SessionMaker
from dcu.conversation.session import Session
from dcu.errors import DcuError
from dcu.model import Meter
from dcu.plan.keeping import keeps, rests

#: Associations that one bus may hold; above it the one whose meter comes last is released. (Not the one that rests
#: longest: where meters are visited in turn, that is the very next.)
MAX_OPEN = 16

#: Releasing all that is held when the flow ends may take this many seconds; what is not released times out by itself.
RELEASE_BOUND = 1.0


@dataclass(frozen=True, slots=True)
class _Resting:
    """A session at rest: when (monotonic s) its meter is expected, and until when the meter knows it."""

    session: Session
    expected: float
    until: float


class Held:
    """What `sessions` opened on one bus and nobody closed yet; `keep_open` in seconds, 0: nothing is ever held."""

    def __init__(self, sessions: SessionMaker, keep_open: float, clock: Clock) -> None:
        self._sessions = sessions
        self._keep_open = keep_open
        self._clock = clock
        self._open: dict[str, _Resting] = {}
        self._stale: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._open)

    async def take(self, meter: Meter) -> Session | None:
        """Return the session held with `meter`, which is nobody else's from now on; StoreError: no counters for it."""
        resting = self._open.pop(meter.id, None)
        if resting is None or resting.until <= self._clock.monotonic():
            return None  # the meter has given it up as we do: nothing has to be said
        await self._sessions.prepare(meter)
        resting.session.resume()
        return resting.session

    def stale(self, meter: Meter) -> None:
        """Count that `meter` did not know the session that was taken any more."""
        self._stale[meter.id] = self._stale.get(meter.id, 0) + 1

    async def leave(self, meter: Meter, session: Session, coming: float | None) -> None:
        """Hold `session` for a visit expected in `coming` seconds (None: not at all), or close it."""
        if session.resumed:
            self._stale.pop(meter.id, None)
        stale, now = self._stale.get(meter.id, 0), self._clock.monotonic()
        if coming is None or not (keeps(coming, self._keep_open, stale) and session.rest()):
            await session.close()
            return
        self._open[meter.id] = _Resting(session, now + coming, now + rests(self._keep_open, stale))
        if len(self._open) > MAX_OPEN:
            await self._release(max(self._open, key=lambda each: self._open[each].expected))

    def forget(self, meter: str | None = None) -> None:
        """Drop what is held with `meter`, None: with any, without a word: what it ran on, or under, is no more."""
        if meter is None:
            self._open.clear()
        else:
            self._open.pop(meter, None)

    async def dismiss(self, meter: str) -> None:
        """Close what is held with `meter`, if anything is: it may have room for one connection, whoever has it."""
        if meter in self._open:
            await self._release(meter)

    async def release(self) -> None:
        """Close all that is held, as far as that goes within RELEASE_BOUND."""
        with suppress(TimeoutError):
            async with asyncio.timeout(RELEASE_BOUND):
                for meter in tuple(self._open):
                    await self._release(meter)
        self.forget()

    async def _release(self, meter: str) -> None:
        resting = self._open.pop(meter)
        if resting.until > self._clock.monotonic():
            with suppress(DcuError):  # manners only: nothing depends on it
                await resting.session.close()
