"""A box that speaks Sparkplug B, over a real broker, heard by a host that holds it to the specification's rules."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import aiomqtt
import pytest

from dcu.clock import SystemClock
from dcu.config import ChannelSettings
from dcu.delivery.deliver import Deliver
from dcu.delivery.sparkplug import Sparkplug
from dcu.messages.edge_node import REBIRTH, EdgeNode
from dcu.messages.envelope import Envelopes
from dcu.messages.sparkplug import Metric, Payload, encode_payload
from dcu.uplink.ways import Ways
from sim.broker import Broker, mosquitto
from tests.flow import DCU, fill, make_flow, running
from tests.outbox import NOON, MemoryOutbox, capture, record
from tests.sparkplug_listening import GROUP, PRIMARY, listening

pytestmark = pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")


def speaking(
    port: int, store: MemoryOutbox, lost: set[str] | None = None, version: str = "auto", host: str | None = None
) -> Deliver:
    flow = make_flow(port, store, mqtt_version=version)
    node = EdgeNode(GROUP, DCU, {"version": "1"})
    gone = set[str]() if lost is None else lost
    flow.dialect = Sparkplug(Envelopes(DCU, "b"), flow.uplink.topics, SystemClock(), node, gone.__contains__, host)
    return flow


async def come_true(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - figures have no event
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("version", ["5", "3"])
async def test_every_reading_is_told_by_the_rules_and_released_by_its_receipt(tmp_path: Path, version: str) -> None:
    store = MemoryOutbox()
    fill(store, 300)
    async with Broker(tmp_path / "broker") as broker, listening(broker) as heard:
        async with running(speaking(broker.port, store, version=version)):
            await heard.until(told=300, receipts=1)
            await come_true(lambda: store.empty)
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
            known = heard.host.known
            await come_true(lambda: set(known) == {"", "M2"})


@pytest.mark.parametrize("version", ["5", "3"])
async def test_all_but_results_waits_for_the_primary_host_and_stops_when_it_goes(tmp_path: Path, version: str) -> None:
    store = MemoryOutbox()
    fill(store, 100)
    store.add(record("c1"))
    async with Broker(tmp_path / "broker") as broker, listening(broker) as heard:
        await heard.client.subscribe(f"ami/v1/{DCU}/result", qos=1)
        flow = speaking(broker.port, store, version=version, host=PRIMARY)
        async with running(flow):
            await come_true(lambda: ("result", 1000) in store.acknowledged)
            assert "scada is not online" in (flow.figures.error or "")
            assert heard.births == 0
            await heard.say(1, online=True)
            await heard.until(told=100)
            await come_true(lambda: store.empty)
            assert not flow.figures.error
            await heard.say(2, online=False)
            await heard.until(deaths=1)
            await come_true(lambda: flow.figures.connections == 2)
            fill(store, 100, 100)
            heard.connection_ended()
            await heard.say(3, online=True)
            await heard.until(told=100, births=2)
            await come_true(lambda: store.empty)
    assert heard.values() == list(range(100, 200))


async def test_a_host_that_goes_is_waited_for_by_the_channel_in_use_where_all_lead_to_one_broker(
    tmp_path: Path,
) -> None:
    store = MemoryOutbox()
    async with Broker(tmp_path / "broker") as broker, listening(broker) as heard:
        flow = speaking(broker.port, store, host=PRIMARY)
        channels = ChannelSettings("eth"), ChannelSettings("gprs", metered=True)
        settings = replace(flow.uplink.settings, channels=channels)
        flow.uplink = ways = Ways(settings, DCU, SystemClock(), tmp_path)
        await heard.say(1, online=True)
        async with running(flow):
            await heard.until(births=1)
            await heard.say(2, online=False)
            await heard.until(deaths=1)
            await come_true(lambda: flow.figures.connections == 2)
            heard.connection_ended()
            await heard.say(3, online=True)
            await heard.until(births=2)
        assert [account.connections for account in ways.accounts.values()] == [2, 0]


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
