"""A box that speaks Sparkplug B, over a real broker, heard by a host that holds it to the specification's rules."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiomqtt
import pytest

from dcu.clock import SystemClock
from dcu.delivery.deliver import Deliver
from dcu.delivery.sparkplug import Sparkplug
from dcu.messages.edge_node import REBIRTH, EdgeNode
from dcu.messages.envelope import Envelopes
from dcu.messages.sparkplug import Metric, Payload, encode_payload
from sim.broker import Broker, mosquitto
from tests.flow import DCU, fill, make_flow, running
from tests.outbox import NOON, MemoryOutbox, capture, record
from tests.sparkplug_host import Host

pytestmark = pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")

GROUP = "utility"


class Listening:
    """A host behind a client of its own: it judges each message as it comes."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self.client = client
        self.host: Host | None = None
        self.receipts: list[str] = []
        self.births = 0
        self.deaths = 0
        self.heard = asyncio.Event()

    async def run(self) -> None:
        async for message in self.client.messages:
            topic, payload = str(message.topic), bytes(message.payload)
            if not topic.startswith("spBv1.0/"):
                self.receipts.append(topic)
            elif "/NCMD/" in topic:
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
                # the will is the broker's secret until the end: bdSeq of the birth stands for it
                self.host = Host(GROUP, DCU, EdgeNode(GROUP, DCU).connect().payload)
        assert self.host is not None, "data before the first birth"
        self.host.hear(topic, payload, qos=message.qos, retain=message.retain)

    def values(self) -> list[int]:
        """Return what was told of the first column of all captures."""
        told = self.host.told if self.host else {}
        return sorted(value for (_, name), tags in told.items() if "/status" not in name for _, value, _ in tags)

    async def until(self, told: int = 0, births: int = 0, deaths: int = 0, receipts: int = 0) -> None:
        async with asyncio.timeout(30):
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


def speaking(port: int, store: MemoryOutbox, lost: set[str] | None = None, version: str = "auto") -> Deliver:
    flow = make_flow(port, store, mqtt_version=version)
    node = EdgeNode(GROUP, DCU, {"version": "1"})
    gone = set[str]() if lost is None else lost
    flow.dialect = Sparkplug(Envelopes(DCU, "b"), flow.uplink.topics, SystemClock(), node, gone.__contains__)
    return flow


@pytest.mark.parametrize("version", ["5", "3"])
async def test_every_reading_is_told_by_the_rules_and_released_by_its_receipt(tmp_path: Path, version: str) -> None:
    store = MemoryOutbox()
    fill(store, 300)
    async with Broker(tmp_path / "broker") as broker, listening(broker) as heard:
        async with running(speaking(broker.port, store, version=version)):
            await heard.until(told=300, receipts=1)
            async with asyncio.timeout(30):
                while not store.empty:  # noqa: ASYNC110 - the store has no event for that
                    await asyncio.sleep(0.01)
        await heard.until(deaths=1)
    assert heard.values() == list(range(300))
    assert heard.births == 1


async def test_a_host_that_asks_is_told_all_again_and_a_lost_meter_dies(tmp_path: Path) -> None:
    store, lost = MemoryOutbox(), set[str]()
    store.add(capture("M1"), capture("M2"))
    async with Broker(tmp_path / "broker") as broker, listening(broker) as heard:
        flow = speaking(broker.port, store, lost)
        async with running(flow):
            await heard.until(told=2)
            request = encode_payload(Payload(1, (Metric(True, 1, REBIRTH),)))
            await heard.client.publish(f"spBv1.0/{GROUP}/NCMD/{DCU}", b"\xff\xff", qos=1)
            await heard.client.publish(f"spBv1.0/{GROUP}/NCMD/{DCU}", request, qos=1)
            await heard.until(births=2)
            assert heard.host is not None
            lost.add("M1")
            assert isinstance(flow.dialect, Sparkplug)
            flow.dialect._looked = 0.0
            store.add(capture("M2", at=NOON + 60))
            await heard.until(told=3)
            assert set(heard.host.known) == {"", "M2"}


async def test_results_and_commands_stay_in_our_own_words(tmp_path: Path) -> None:
    store, commands = MemoryOutbox(), list[bytes]()
    store.add(record("c1"))
    async with Broker(tmp_path / "broker") as broker, aiomqtt.Client(broker.host, broker.port) as client:
        await client.subscribe(f"ami/v1/{DCU}/result", qos=1)
        flow = speaking(broker.port, store)

        async def on_command(_: str, payload: bytes) -> None:
            commands.append(payload)

        flow.on_command = on_command
        async with running(flow), asyncio.timeout(30):
            result = await anext(aiter(client.messages))
            assert b'"id":"c1"' in bytes(result.payload)
            await client.publish(f"ami/v1/{DCU}/command", b"{}", qos=1)
            while not commands:  # noqa: ASYNC110 - a list has no event
                await asyncio.sleep(0.01)
