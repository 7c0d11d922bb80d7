"""How the box speaks over a connection: our own contract. Another dialect of the same streams is in `sparkplug`.

Which block goes next, and when it counts as delivered, is decided in `sending`; what messages hold, in `messages`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from dcu.clock import Clock
from dcu.messages.encoding import UNTELLABLE
from dcu.messages.envelope import Envelopes, content_type, urgent
from dcu.model import Capture, CommandRecord, Dropped
from dcu.uplink import Link, Outgoing, Topics

log = structlog.get_logger()


class Block(Protocol):
    """A row range of one stream under the number it keeps for ever."""

    @property
    def stream(self) -> str: ...
    @property
    def seq(self) -> int: ...
    @property
    def items(self) -> Sequence[Capture] | Sequence[CommandRecord]: ...
    @property
    def dropped(self) -> Dropped | None: ...


@dataclass(frozen=True, slots=True)
class Owed:
    """What a birth tells of the streams: their next numbers, the lowest not acknowledged, rows that wait."""

    streams: Mapping[str, int]
    least: Mapping[str, int]
    pending: Mapping[str, int]


@dataclass(slots=True)
class Dialect:
    """Our contract (docs/reference/mqtt.md): blocks under a number, and `state` with its last will."""

    envelopes: Envelopes
    topics: Topics
    clock: Clock

    @property
    def laborious(self) -> bool:
        """Whether a block of some rows takes longer to write than JSON does."""
        return False

    @property
    def consecutive(self) -> bool:
        """Whether the messages of a block leave as they were written, without others between them."""
        return False

    @property
    def hears(self) -> tuple[str, ...]:
        """Topics of what is said in this dialect to us; commands are not among it."""
        return ()

    @property
    def waits(self) -> str | None:
        """What everything but results waits for, in words; None: for nothing."""
        return None

    @property
    def over(self) -> bool:
        """Whether the connection is to end, by what was heard."""
        return False

    def will(self) -> Outgoing:
        """The last will of the connection that is made now."""
        return self._state(self.envelopes.will(self.clock.now()))

    def births(self, owed: Owed, version: str, limit: int) -> Iterable[Outgoing]:
        """What is said first on a connection of MQTT `version` that takes `limit` octets, in this order.

        Where many streams would make it too long for a small broker, it says less of them: it has to be said.
        """
        now, payload = self.clock.now(), b""
        for told in (owed, replace(owed, pending={}), Owed({}, {}, {})):
            payload = self.envelopes.birth(now, told.streams, told.least, told.pending, version)
            if len(payload) <= limit:
                break
        yield self._state(payload)

    def heard(self, topic: str, payload: bytes) -> None:
        """Take what came by one of the topics in `hears`. Raises CommandRejected when it cannot be understood."""

    def due(self) -> Iterable[Outgoing]:
        """What has to be said before the next block, in this order."""
        return ()

    def told(self, block: Block, limit: int, *, compact: bool) -> list[Outgoing]:
        """Return the messages of a block as `block` does; of one that cannot be written at all, the word of that."""
        try:
            return self.block(block, limit, compact=compact)
        except UNTELLABLE:
            log.exception("block cannot be written", stream=block.stream, seq=block.seq)
            return [self._message(block.stream, self.envelopes.dropped(block.stream, block.seq, _untellable(block)))]

    def block(self, block: Block, limit: int, *, compact: bool) -> list[Outgoing]:
        """Return the messages of a block, each of at most `limit` octets; the last one's PUBACK proves them all.

        Raises what is in UNTELLABLE. Takes tens of milliseconds for hundreds of rows; to be called by one at a time.
        """
        if block.dropped is not None:
            payloads = [self.envelopes.dropped(block.stream, block.seq, block.dropped)]
        else:
            payloads = self.envelopes.block(block.stream, block.seq, block.items, limit, compact=compact)
        return [self._message(block.stream, payload) for payload in payloads]

    def _message(self, stream: str, payload: bytes) -> Outgoing:
        topic, hasty = self.topics.of_stream(stream), urgent(stream)
        return Outgoing(topic, payload, content_type=content_type(payload), wanted=True, urgent=hasty)

    async def farewell(self, link: Link, reason: str, until: float | None = None) -> None:
        """Say that we go on purpose, perhaps until a known time (UTC seconds). Raises UplinkError."""
        await link.publish(self._state(self.envelopes.stopped(self.clock.now(), reason, until)))

    def _state(self, payload: bytes) -> Outgoing:
        return Outgoing(self.topics.state, payload, retain=True)


def _untellable(block: Block) -> Dropped:
    times = [int(item.at if isinstance(item, Capture) else item.changed) for item in block.items] or [0]
    return Dropped("unencodable", min(times), max(times), len(block.items))
