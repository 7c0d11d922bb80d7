"""What a line is good for while no meter is due: unasked words are heard, new meters are looked for, or it rests.

What is believed of such words is in `pushes`, where is looked in `discovery`; whose turn it is, is `poll`'s business.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from dcu.clock import Clock
from dcu.conversation.line import Line
from dcu.errors import BusError
from dcu.health import BusHealth

if TYPE_CHECKING:
    from dcu.polling.discovery import Discovery  # loaded for buses where new meters are looked for
    from dcu.polling.pushes import Pushes  # loaded for buses whose meters may speak

T = TypeVar("T")

#: A lost port (adapter unplugged, gateway down) is tried again this often.
REOPEN_DELAY = 5.0

#: The longest an idle flow sleeps, so that its progress is seen.
IDLE_BOUND = 10.0

#: Characters of an error that are told on: a meter may put much of its own into one.
ERROR_BOUND = 200


@dataclass(slots=True)
class Idle:
    """The idle time of one line; `wake` ends it at once."""

    line: Line
    wake: asyncio.Event
    clock: Clock
    health: BusHealth
    alive: Callable[[], None]

    async def search(self, discovery: "Discovery | None", until: float | None) -> bool:
        """Ask one address whether a meter is there, if there is time for that; return whether that was done."""
        if discovery is None or not discovery.wants(self.clock.monotonic(), until):
            return False
        asked = await self._over_line(lambda: discovery.step(self.line.port, self.alive))
        if asked:
            self.line.disturb()
        return asked is not None

    async def rest(self, pushes: "Pushes | None", until: float | None) -> list[str]:
        """Wait until `until` (monotonic s), but IDLE_BOUND at most; return the meters that spoke meanwhile."""
        pause = IDLE_BOUND if until is None else min(IDLE_BOUND, until - self.clock.monotonic())
        if pushes is not None:
            speakers = await self._over_line(partial(pushes.listen, self.line.port, self.wake, pause))
            if speakers is not None:
                self.wake.clear()
                return speakers
            pause = min(pause, REOPEN_DELAY)
        try:
            async with asyncio.timeout(max(0.0, pause)):
                await self.wake.wait()
        except TimeoutError:
            return []
        self.wake.clear()
        return []

    async def _over_line(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """Return what `work` returns over the line that nobody needs now, None when the line is not there."""
        try:
            await self.line.ready()
            return await work()
        except BusError as error:
            self.line.lose()
            self.health.error = str(error)[:ERROR_BOUND]
            return None
