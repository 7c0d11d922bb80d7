"""Readings and events in the words of Sparkplug B; what proves them, and commands, in our own (decision 0011).

The messages themselves are in `messages.edge_node`. When a block counts as delivered is `sending`'s business.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

import structlog

from dcu.delivery.dialect import Block, Dialect, Owed
from dcu.messages.edge_node import EdgeNode, Message, asks_for_rebirth
from dcu.messages.envelope import RESULT
from dcu.model import Capture
from dcu.uplink import Link, Outgoing

log = structlog.get_logger()

#: Seconds between two looks for meters that cannot be reached any more.
LOOK = 60.0


@dataclass(slots=True)
class Sparkplug(Dialect):
    """Speaks as `node`. `lost` says of a meter that it cannot be reached, or is read no more."""

    node: EdgeNode
    lost: Callable[[str], bool]
    _asked: bool = False
    _looked: float = field(default=0.0)

    @property
    def laborious(self) -> bool:
        return True

    @property
    def consecutive(self) -> bool:
        return True  # each bears the next number of 256

    @property
    def hears(self) -> tuple[str, ...]:
        return (self.node.commands,)

    def will(self) -> Outgoing:
        will = self.node.connect()
        return Outgoing(will.topic, will.payload)

    def births(self, _owed: Owed, _version: str, _limit: int) -> Iterator[Outgoing]:
        self._asked = False
        return map(_told, self.node.births(self.clock.now()))

    def heard(self, payload: bytes) -> None:
        self._asked |= asks_for_rebirth(payload)

    def due(self) -> Iterable[Outgoing]:
        if self._asked:
            self._asked = False
            log.info("births are told again")
            yield from map(_told, self.node.births(self.clock.now()))
        if self.clock.monotonic() - self._looked >= LOOK:
            self._looked = self.clock.monotonic()
            for meter in filter(self.lost, self.node.devices):
                yield from map(_told, self.node.gone(self.clock.now(), meter))

    def block(self, block: Block, limit: int, *, compact: bool) -> list[Outgoing]:
        if block.stream == RESULT or block.dropped is not None:
            return Dialect.block(self, block, limit, compact=compact)
        captures = cast("list[Capture]", block.items)
        messages = [_told(message) for message in self.node.data(self.clock.now(), captures)]
        receipt = self.envelopes.receipt(block.stream, block.seq, len(messages))
        return [*messages, Outgoing(self.topics.of_stream(block.stream), receipt)]

    async def farewell(self, link: Link, _reason: str) -> None:
        await link.publish(self._death())
        # MQTT 5 has a word for it, which Sparkplug asks for besides (payloads-ndeath-will-message…-mqtt50)
        link.leave_will()

    def _death(self) -> Outgoing:
        death = self.node.death()
        return Outgoing(death.topic, death.payload)


def _told(message: Message) -> Outgoing:
    return Outgoing(message.topic, message.payload, qos=0)
