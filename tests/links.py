"""A link to a broker in memory whose PUBACKs a test gives when it likes, and a Deliver over such links."""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from dcu.clock import ClockState
from dcu.config import StreamSettings, UplinkSettings
from dcu.delivery.deliver import Deliver
from dcu.delivery.dialect import Dialect
from dcu.errors import UplinkError
from dcu.messages.envelope import Envelopes
from dcu.model import Capture
from dcu.uplink import Backoff, Link, Outgoing, RefusedError, Reply, Topics
from tests.outbox import NOON, MemoryOutbox, capture

#: Readable, and sent at once.
PLAIN = {"default": StreamSettings(compact=False, delay=0.0, rows=100)}
TOPICS = Topics("ami/v1", "DCU-1")


class FixedClock:
    def now(self) -> float:
        return float(NOON)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    def trusted(self) -> bool:
        return True

    def state(self) -> ClockState:
        return ClockState.SYNCHRONISED


@dataclass
class Sent:
    message: Outgoing
    puback: asyncio.Future[None]

    @property
    def key(self) -> tuple[str, int]:
        return self.body["stream"], self.body["seq"]

    @property
    def body(self) -> dict[str, Any]:
        return cast("dict[str, Any]", json.loads(self.message.payload))


@dataclass
class Heard:
    """A message on its way down."""

    topic: str
    payload: bytes
    reply: Reply | None = None
    retained: bool = False


class MemoryLink:
    """Acknowledges by itself unless `holding`; `lose()` is the end of the connection."""

    version = "5"
    broker = "broker"
    resumed = False
    retains = True
    metered = False
    longest_delay = math.inf

    def __init__(self, window: int = 20, *, holding: bool = False, max_payload: int = 100_000) -> None:
        self.window = window
        self.max_payload = max_payload
        self.holding = holding
        self.filters: tuple[str, ...] = ()
        self.sent: list[Sent] = []
        self.acknowledged: list[bytes] = []
        self.down: asyncio.Queue[bytes] = asyncio.Queue()
        self.words: asyncio.Queue[bytes] = asyncio.Queue()
        self.lost = asyncio.get_running_loop().create_future()
        self.silent = False
        self.refuses: Callable[[Outgoing], bool] = lambda _: False
        #: Whether it refuses a message for what it is.
        self.for_good = False
        self.breaks_after: int | None = None
        self.breaks_at: Callable[[Outgoing], bool] = lambda _: False

    async def publish(self, message: Outgoing) -> None:
        puback = asyncio.get_running_loop().create_future()
        sent = Sent(message, puback)
        self.sent.append(sent)
        if len(self.sent) == self.breaks_after or self.breaks_at(message):
            self.lose()
        if self.refuses(message):
            raise RefusedError("not authorized", for_good=self.for_good)
        if self.silent:
            await asyncio.Event().wait()
        if message.qos == 0 or not (self.lost.done() or (self.holding and message.topic != TOPICS.state)):
            puback.set_result(None)
        await asyncio.wait([puback, self.lost], return_when=asyncio.FIRST_COMPLETED)
        if not puback.done():
            raise UplinkError("connection lost")

    async def subscribe(self, *filters: str) -> None:
        self.filters = filters

    async def messages(self) -> AsyncGenerator[Any, None]:
        while True:
            heard = {asyncio.create_task(self.down.get()): TOPICS.command}
            heard[asyncio.create_task(self.words.get())] = TOPICS.ack
            try:
                await asyncio.wait([*heard, self.lost], return_when=asyncio.FIRST_COMPLETED)
                if self.lost.done():
                    raise UplinkError("connection lost")
                payload = next(each for each in heard if each.done())
                yield Heard(heard[payload], payload.result())
            finally:
                for each in heard:
                    each.cancel()

    def admits(self, stream: str) -> bool:
        return True

    def acknowledge(self, message: Any) -> None:
        self.acknowledged.append(message.payload)

    def lose(self) -> None:
        if not self.lost.done():
            self.lost.set_result(None)

    @property
    def blocks(self) -> list[Sent]:
        return [sent for sent in self.sent if sent.message.topic not in {TOPICS.state, TOPICS.health}]

    @property
    def keys(self) -> list[tuple[str, int]]:
        return [sent.key for sent in self.blocks]

    def states(self) -> list[str]:
        return [sent.body["state"] for sent in self.sent if sent.message.topic == TOPICS.state]


@dataclass
class MemoryUplink:
    """Hands out the links it was given, then none."""

    links: list[MemoryLink]
    settings: UplinkSettings = field(default_factory=lambda: UplinkSettings("broker", "DCU-1", streams=PLAIN))
    topics: Topics = TOPICS
    wills: list[Outgoing] = field(default_factory=list)

    @asynccontextmanager
    async def connect(self, will: Outgoing) -> AsyncIterator[Link]:
        self.wills.append(will)
        if not self.links:
            raise UplinkError("connection refused")
        link = self.links.pop(0)
        try:
            yield cast("Link", link)
        finally:
            link.lose()


@dataclass
class Bench:
    store: MemoryOutbox
    deliver: Deliver
    uplink: MemoryUplink
    commands: list[bytes]


def bench(*links: MemoryLink, store: MemoryOutbox | None = None) -> Bench:
    commands: list[bytes] = []

    async def on_command(_: str, payload: bytes) -> None:
        commands.append(payload)

    store = store or MemoryOutbox()
    uplink = MemoryUplink(list(links))
    flow = Deliver(
        store=store,
        uplink=uplink,
        dialect=Dialect(Envelopes("DCU-1", "b"), uplink.topics, FixedClock()),
        clock=FixedClock(),
        on_command=on_command,
        backoff=Backoff(base=1e-6, cap=1e-6),
    )
    return Bench(store, flow, uplink, commands)


async def until(condition: Callable[[], bool], turns: int = 10_000) -> None:
    """Let the tasks run; everything here is in memory, so turns of the loop are enough."""
    for _ in range(turns):
        if condition():
            return
        await asyncio.sleep(0)
    pytest.fail("did not come true")


def acknowledged(store: MemoryOutbox, count: int) -> bool:
    return len(store.acknowledged) == count


def is_empty(store: MemoryOutbox) -> bool:
    return store.empty


def sent_blocks(link: MemoryLink, count: int) -> bool:
    return len(link.blocks) == count


async def settle() -> None:
    for _ in range(200):
        await asyncio.sleep(0)


def rows(count: int, stream: str = "load0") -> list[Capture]:
    return [capture(f"M{n:04}", stream, values=(n,)) for n in range(count)]
