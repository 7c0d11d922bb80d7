"""Streams that the broker has nobody for or refuses: they rest, and the box tells of it once.

The broker's word is the reason in a PUBACK (MQTT 5, 3.4.2.1). What waits is kept in `sending`; when so many blocks
are refused that it is not their fault is in `strikes`.
"""

import asyncio
from dataclasses import dataclass, field

import structlog

from dcu.report import Report

log = structlog.get_logger()

#: Seconds between two blocks by which it is asked whether the broker takes the stream now.
REST = 300.0


@dataclass(slots=True)
class Resting:
    """Over all connections; `report` keeps an event of the box."""

    report: Report | None = None
    _until: dict[str, float] = field(default_factory=dict)
    _refused: set[str] = field(default_factory=set)
    _broker: str | None = None

    def at(self, broker: str) -> None:
        """We are connected to `broker`: what another one refused does not rest for that."""
        if broker != self._broker:
            for stream in self._refused & self._until.keys():
                del self._until[stream]
        self._broker = broker

    async def unheard(self, stream: str) -> None:
        """Nobody was there for a block of `stream`. Raises StoreError."""
        news = not self._until.keys() - self._refused
        self._until[stream] = _later()
        self._refused.discard(stream)
        if news:
            await self._tell("nobody has subscribed", stream)

    async def refused(self, stream: str, why: str) -> None:
        """The broker refuses `stream`. Raises StoreError."""
        news = stream not in self._refused
        self._until[stream] = _later()
        self._refused.add(stream)
        if news:
            await self._tell("stream refused", stream, why=why)

    async def _tell(self, event: str, stream: str, **more: str) -> None:
        log.error(event, stream=stream, **more)
        if self.report is not None:
            await self.report(event, stream=stream, **more)

    def taken(self, stream: str) -> None:
        """The broker took a block of `stream`, and had somebody for it."""
        self._until.pop(stream, None)
        self._refused.discard(stream)

    def tried(self, stream: str) -> None:
        """A block of `stream` leaves; of one that rests no second does before it is known what became of it."""
        if stream in self._until:
            self._until[stream] = _later()

    def waits(self, stream: str) -> bool:
        """Whether `stream` has to wait."""
        return stream in self._until and asyncio.get_running_loop().time() < self._until[stream]


def _later() -> float:
    return asyncio.get_running_loop().time() + REST
