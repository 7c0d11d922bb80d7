"""The head-end's words of what it has, heard at once and kept beside: a commit is no reason for a command to wait.

What a word looks like is in `messages.acknowledgement`, what is sent again without one in `awaiting`.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from dcu.delivery.awaiting import Awaiting
from dcu.messages.acknowledgement import MAX_STREAMS

log = structlog.get_logger()


class Ledger(Protocol):
    """What this flow needs of the store. Each raises StoreError, which ends the flow."""

    async def streams(self) -> Mapping[str, int]:
        """Streams that were ever stored, each with the number its next block will bear."""

    async def acknowledge_to(self, words: Mapping[str, int]) -> None:
        """The head-end has all blocks up to a number, of each stream in `words`."""


@dataclass(slots=True, kw_only=True)
class Heeding:
    """Over all connections. `released` hears which words were kept."""

    store: Ledger
    awaiting: Awaiting
    released: Callable[[Mapping[str, int]], None]
    _heard: dict[str, int] = field(default_factory=dict)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, words: Mapping[str, int]) -> None:
        """Take words; of more than MAX_STREAMS streams none is kept, and the head-end says them again."""
        for stream, seq in words.items():
            if self.awaiting.lacks(stream, seq) and (stream in self._heard or len(self._heard) < MAX_STREAMS):
                self._heard[stream] = max(seq, self._heard.get(stream, 0))
        if self._heard:
            self._wake.set()

    async def run(self) -> None:
        """Keep what is heard, all that came meanwhile in one commit."""
        while True:
            self._wake.clear()
            await self.step()
            await self._wake.wait()

    async def step(self) -> None:
        """Keep what was heard and is not kept; a word of blocks that there never were is left alone."""
        heard = {stream: seq for stream, seq in self._heard.items() if self.awaiting.lacks(stream, seq)}
        streams = await self.store.streams() if heard else {}
        words = {stream: seq for stream, seq in heard.items() if seq < streams.get(stream, 0)}
        if beyond := sorted(heard.keys() - words.keys()):
            log.warning("acknowledged what was never sent", streams=beyond)
        if words:
            await self.store.acknowledge_to(words)
            self.released(words)
        # what a connection's end interrupts is kept over the next one
        self._heard = {stream: seq for stream, seq in self._heard.items() if seq > heard.get(stream, -1)}
