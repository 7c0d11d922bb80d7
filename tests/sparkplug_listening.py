"""A Sparkplug host at a real broker: it holds what comes to the rules, and counts births, deaths and our receipts."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiomqtt

from dcu.messages.edge_node import EdgeNode
from sim.broker import Broker
from tests.flow import DCU
from tests.sparkplug_host import Host

GROUP, PRIMARY = "utility", "scada"


class Listening:
    """A host behind a client of its own: it judges each message as it comes."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.client = client
        self.host: Host | None = None
        self.connections = 1
        self.receipts: list[str] = []
        self.births = 0
        self.deaths = 0
        self.heard = asyncio.Event()

    async def run(self) -> None:
        async for message in self.client.messages:
            topic, payload = str(message.topic), bytes(message.payload)
            if not topic.startswith("spBv1.0/"):
                self.receipts.append(topic)
            elif "/NCMD/" in topic or "/STATE/" in topic:
                continue
            elif "/NDEATH/" in topic:
                self.deaths += 1
            else:
                self._judge(topic, payload, message)
            self.heard.set()

    def _judge(self, topic: str, payload: bytes, message: aiomqtt.Message) -> None:
        if "/NBIRTH/" in topic:
            self.births += 1
            if self.host is None:
                # the will is the broker's secret until the end: that of as many connections stands for it
                node = EdgeNode(GROUP, DCU)
                wills = [node.connect() for _ in range(self.connections)]
                self.host = Host(GROUP, DCU, wills[-1].payload)
        assert self.host is not None, "data before the first birth"
        self.host.hear(topic, payload, qos=message.qos, retain=message.retain)

    def connection_ended(self) -> None:
        """Judge what comes from now on as of the next connection."""
        self.host, self.connections = None, self.connections + 1

    async def say(self, at: int, *, online: bool) -> None:
        """Say whether the primary host is there."""
        payload = json.dumps({"online": online, "timestamp": at})
        await self.client.publish(f"spBv1.0/STATE/{PRIMARY}", payload, qos=1, retain=True)

    def values(self) -> list[int]:
        """Return what was told of the first column of all captures."""
        told = self.host.told if self.host else {}
        return sorted(value for (_, name), tags in told.items() if "/status" not in name for _, value, _ in tags)

    async def until(self, told: int = 0, births: int = 0, deaths: int = 0, receipts: int = 0) -> None:
        async with asyncio.timeout(60):
            while not (
                len(self.values()) >= told
                and self.births >= births
                and self.deaths >= deaths
                and len(self.receipts) >= receipts
            ):
                self.heard.clear()
                await self.heard.wait()


@asynccontextmanager
async def listening(broker: Broker) -> AsyncIterator[Listening]:
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.subscribe("spBv1.0/#")
        await client.subscribe(f"ami/v1/{DCU}/data/#", qos=1)
        found = Listening(client)
        task = asyncio.create_task(found.run())
        try:
            yield found
        finally:
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled(), task.exception()
