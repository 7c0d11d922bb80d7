"""A box without meters: store, journal and uplink as in the daemon; and a head-end made of its library alone."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt

from dcu.clock import SystemClock
from dcu.config import StreamSettings, UplinkSettings
from dcu.delivery.deliver import Deliver
from dcu.delivery.dialect import Dialect
from dcu.delivery.redelivery import Redelivery
from dcu.delivery.standing import MeterStates
from dcu.health import Health
from dcu.messages.envelope import Envelopes
from dcu.model import Command, Reach, Standing
from dcu.obeying.obey import Obey
from dcu.store import Store
from dcu.uplink import Backoff, Uplink
from dcu_headend import Block, Capture, Follower, Message, Result, State, Sums, decode
from dcu_headend.commands import command
from sim.broker import Broker

DCU = "DCU-0001"
ROOT = f"ami/v1/{DCU}/"
PATIENCE = 30.0

#: Readable and compact, without a wait for more.
STREAMS = {"load1": StreamSettings(compact=False, delay=0.0, rows=20), "default": StreamSettings(delay=0.0)}


@dataclass
class Box:
    """What runs, and the meters it tells of."""

    store: Store
    deliver: Deliver
    standings: dict[str, Standing]


@asynccontextmanager
async def box(folder: Path, settings: UplinkSettings) -> AsyncIterator[Box]:
    """Run a box that connects as `settings` say."""
    clock, health = SystemClock(), Health()
    standings = {"M0001": Standing(Reach.REACHABLE, clock.now()), "M0002": Standing(Reach.UNREACHABLE, clock.now())}
    async with Store.open(folder / "store.db", clock) as store:
        envelopes = Envelopes(DCU, "b", {"version": "0", "revision": "0" * 16, "meters": len(standings), "buses": 0})
        way = Uplink(settings, DCU)

        async def own(asked: Command) -> Mapping[str, Any]:
            past = Redelivery(store, deliver.wanted, deliver.resend)
            return await past.commands[asked.name](asked) if asked.name in past.commands else {"now": clock.now()}

        async def on_command(_: str, payload: bytes) -> None:
            await obey.receive(payload)

        obey = Obey(store.commands, lambda _: None, standings.__contains__, own, clock, health)
        deliver = Deliver(
            store=store.outbox,
            uplink=way,
            dialect=Dialect(envelopes, way.topics, clock),
            clock=clock,
            on_command=on_command,
            backoff=Backoff(base=0.02, cap=0.1),
            states=MeterStates(standings.keys, standings.get, envelopes, way.topics, clock),
        )
        tasks = [asyncio.create_task(flow.run()) for flow in (deliver, obey)]
        try:
            yield Box(store, deliver, standings)
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


@dataclass
class HeadEnd:
    """Hears one box; follows it, sums up what it has, and keeps every message by its topic."""

    client: aiomqtt.Client
    heard: list[tuple[str, bytes]] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    captures: list[Capture] = field(default_factory=list)
    results: dict[str, Result] = field(default_factory=dict)
    repeats: int = 0
    follower: Follower = field(default_factory=Follower)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, leaf: str, payload: bytes) -> None:
        """Take one message; what came before counts as a repeat."""
        self.heard.append((leaf, payload))
        message = decode(payload)
        self.messages.append(message)
        if isinstance(message, State):
            self.follower.heard(message)
        if isinstance(message, Block | Result):
            if not self.follower.took(message):
                self.repeats += 1
            elif isinstance(message, Block):
                self.captures += message.captures
            else:
                self.results[message.id] = message
        self.changed.set()

    async def listen(self) -> None:
        async for message in self.client.messages:
            leaf = str(message.topic).removeprefix(ROOT)
            assert isinstance(message.payload, bytes)
            if leaf not in {"command", "ack"}:
                self.take(leaf, message.payload)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def ask(self, name: str, **args: object) -> dict[str, Any]:
        """Send a command; return what it was answered with."""
        identity, payload = command(name, args=args)
        await self.client.publish(ROOT + "command", payload, qos=1)
        await self.until(lambda: identity in self.results and self.results[identity].final)
        assert self.results[identity].state == "done", self.results[identity]
        return dict(self.results[identity].result or {})

    async def acknowledge(self) -> None:
        await self.client.publish(ROOT + "ack", self.follower.acknowledgements()[DCU], qos=1)

    def sums(self, stream: str) -> Sums:
        sums = Sums()
        blocks = [each for each in self.messages if isinstance(each, Block) and each.stream == stream]
        sums.add(capture for seq in {each.seq: each for each in blocks}.values() for capture in seq.captures)
        return sums

    def states(self, leaf: str) -> list[str]:
        return [json.loads(payload)["state"] for each, payload in self.heard if each == leaf]


@asynccontextmanager
async def head_end(broker: Broker, identifier: str = "head-end") -> AsyncIterator[HeadEnd]:
    """Hear the box at `broker`, over 3.1.1, which every broker speaks."""
    async with aiomqtt.Client(broker.host, broker.port, identifier=identifier, clean_session=False) as client:
        await client.subscribe(ROOT + "#", qos=1)
        head = HeadEnd(client)
        listening = asyncio.create_task(head.listen())
        try:
            yield head
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
