"""Readings and events in the words of Sparkplug B; what proves them, and commands, in our own (decision 0011).

    subscribed ──► waiting ──the primary host is online, or none is named──► born ──it is offline──► over: connect anew
The messages themselves are in `messages.edge_node`. When a block counts as delivered is `sending`'s business.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

import structlog

from dcu.delivery.dialect import Block, Dialect, Owed
from dcu.messages.edge_node import EdgeNode, Message, asks_for_rebirth
from dcu.messages.encoding import UNTELLABLE
from dcu.messages.envelope import RESULT, content_type
from dcu.messages.primary_host import HostState, parse_state, state_topic
from dcu.model import Capture
from dcu.uplink import Link, Outgoing

log = structlog.get_logger()

#: Seconds between two looks for meters that cannot be reached any more.
LOOK = 60.0


@dataclass(slots=True)
class Sparkplug(Dialect):
    """Speaks as `node`. `lost` says of a meter that it cannot be reached, or is read no more.

    `host` is the primary host, without which nothing is told (5.4); where it may be `elsewhere`, at another broker, one
    at which it is offline is left.
    """

    node: EdgeNode
    lost: Callable[[str], bool]
    host: str | None = None
    elsewhere: Callable[[], bool] = bool
    _primary: HostState | None = None
    _over: bool = False
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
        return (self.node.commands,) if self.host is None else (self.node.commands, state_topic(self.host))

    @property
    def waits(self) -> str | None:
        there = self.host is None or (self._primary is not None and self._primary.online)
        return None if there else f"the primary host {self.host} is not online"

    @property
    def over(self) -> bool:
        return self._over

    def will(self) -> Outgoing:
        # another broker may have an older word of it: each connection begins without
        self._primary, self._over = None, False
        will = self.node.connect()
        return Outgoing(will.topic, will.payload)

    def births(self, _owed: Owed, _version: str, _limit: int) -> Iterator[Outgoing]:
        self._asked = False
        return iter(()) if self.waits else map(_told, self.node.births(self.clock.now()))

    def heard(self, topic: str, payload: bytes) -> None:
        if topic == self.node.commands:
            self._asked |= asks_for_rebirth(payload)
        else:
            self._judge(parse_state(payload))

    def _judge(self, state: HostState) -> None:
        """Take the host's word, unless a newer one is known (message-flow-edge-node-birth-publish-phid-…)."""
        if self._primary is not None and state.at < self._primary.at:
            return
        born, self._primary = self.waits is None, state
        self._asked |= state.online and not born
        self._over = not state.online and (born or self.elsewhere())

    def due(self) -> Iterable[Outgoing]:
        if self.waits:
            return
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
        try:
            messages = [_told(message) for message in self.node.data(self.clock.now(), captures)]
        except UNTELLABLE:  # our own words name the row that is at fault, and tell the others
            log.exception("block has no words in Sparkplug", stream=block.stream, seq=block.seq)
            return Dialect.block(self, block, limit, compact=compact)
        receipt = self.envelopes.receipt(block.stream, block.seq, len(messages))
        return [*messages, Outgoing(self.topics.of_stream(block.stream), receipt, content_type=content_type(receipt))]

    async def farewell(self, link: Link, _reason: str, _until: float | None = None) -> None:
        await link.publish(self._death())
        # MQTT 5 has a word for it, which Sparkplug asks for besides (payloads-ndeath-will-message…-mqtt50)
        link.leave_will()

    def _death(self) -> Outgoing:
        death = self.node.death()
        return Outgoing(death.topic, death.payload)


def _told(message: Message) -> Outgoing:
    return Outgoing(message.topic, message.payload, qos=0)
