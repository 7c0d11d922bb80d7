"""Streams that nobody has subscribed to, as the broker says: they wait, and the box tells of it once.

The broker's word is the reason in a PUBACK (MQTT 5, 3.4.2.1: no matching subscribers). What waits is kept in `sending`.
"""

import asyncio
from dataclasses import dataclass, field

import structlog

from dcu.report import Report

log = structlog.get_logger()

#: Seconds between two blocks by which it is asked whether somebody is there now.
UNHEARD_PERIOD = 300.0


@dataclass(slots=True)
class Unheard:
    """Over all connections; `report` keeps an event of the box."""

    report: Report | None = None
    _until: dict[str, float] = field(default_factory=dict)

    async def note(self, stream: str) -> None:
        """Nobody was there for a block of `stream`. Raises StoreError."""
        news = not self._until
        self._until[stream] = _later()
        if news:
            log.error("nobody has subscribed", stream=stream)
            if self.report is not None:
                await self.report("nobody has subscribed", stream=stream)

    def heard(self, stream: str) -> None:
        """Somebody was there."""
        self._until.pop(stream, None)

    def tried(self, stream: str) -> None:
        """A block of `stream` leaves; where nobody was, no second one does before it is known what became of it."""
        if stream in self._until:
            self._until[stream] = _later()

    def waits(self, stream: str) -> bool:
        """Whether `stream` has to wait."""
        return stream in self._until and asyncio.get_running_loop().time() < self._until[stream]


def _later() -> float:
    return asyncio.get_running_loop().time() + UNHEARD_PERIOD
