"""The states of meters at the head-end: all of them when the broker may not have them, otherwise what has changed.

Whether a meter can be reached is decided elsewhere; here is only who has been told of it.
"""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import structlog

from dcu.clock import Clock
from dcu.messages.envelope import Envelopes
from dcu.model import Reach, Standing
from dcu.uplink import Link, Outgoing, RefusedError, Topics

log = structlog.get_logger()

#: Seconds between two looks for what has changed. What was over before the next look is not told.
STEP: Final = 60.0

#: Seconds for which a meter that was told of is left alone: one that comes and goes costs six messages an hour.
SETTLE: Final = 600.0

#: Seconds between two messages at least. 1024 meters take a minute and, with one message under way at a time, no more
#: than one place of the window.
PAUSE: Final = 0.05


@dataclass(slots=True)
class MeterStates:
    """Tells the state of each of `meters`, over all connections. `standing` is None for one never visited."""

    meters: Callable[[], Collection[str]]
    standing: Callable[[str], Standing | None]
    envelopes: Envelopes
    topics: Topics
    clock: Clock
    _broker: str | None = None
    _told: dict[str, tuple[Reach, float]] = field(default_factory=dict)

    async def run(self, link: Link) -> None:
        """Tell over `link` until cancelled; ends when the broker does not let us. Raises UplinkError."""
        if not link.resumed or link.broker != self._broker:
            self._told.clear()
        self._broker = link.broker
        try:
            while True:
                await self.step(link)
                await asyncio.sleep(STEP)
        except RefusedError as error:
            log.warning("states of meters are not taken", error=str(error))

    async def step(self, link: Link) -> None:
        """Tell what has changed, one meter after the other. Raises UplinkError, RefusedError among them."""
        there = self.meters()
        for meter in [*chain(there, (each for each in self._told if each not in there))]:
            if meter not in there:
                await self._clear(link, meter)
            elif (standing := self._news(meter)) is not None:
                payload = self.envelopes.meter(meter, standing, self.clock.now())
                await link.publish(Outgoing(self.topics.of_meter(meter), payload, retain=True))
                self._told[meter] = standing.state, self.clock.monotonic()
                await asyncio.sleep(PAUSE)

    def _news(self, meter: str) -> Standing | None:
        """Return how `meter` stands if that is to be told now."""
        standing = self.standing(meter)
        if standing is None or meter not in self._told:
            return standing
        state, at = self._told[meter]
        return standing if standing.state is not state and self.clock.monotonic() - at >= SETTLE else None

    async def _clear(self, link: Link, meter: str) -> None:
        """Let the broker forget a meter that has gone: an empty retained message (MQTT 5, 3.3.1.3)."""
        if link.retains:
            await link.publish(Outgoing(self.topics.of_meter(meter), b"", retain=True))
        del self._told[meter]
