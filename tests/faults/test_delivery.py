"""Brokers and ways that lose, repeat, reorder or never acknowledge: nothing is lost, and nothing is taken twice."""

import asyncio
import random
from pathlib import Path

import aiomqtt
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from dcu.config import UplinkSettings
from dcu_headend import Result, decode
from dcu_headend.commands import command
from sim.broker import Broker, mosquitto
from tests.box import DCU, ROOT, STREAMS, HeadEnd, box, head_end
from tests.flow import fill, make_flow, running
from tests.outbox import NOON, MemoryOutbox, capture
from tests.scripted_broker import (
    ACCEPTED_3,
    CONNECT,
    PUBACK,
    PUBLISH,
    SUBSCRIBE,
    ScriptedBroker,
    packet_id,
    puback,
    scripted,
)

needs_mosquitto = pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")


def settings(broker: Broker, **more: object) -> UplinkSettings:
    return UplinkSettings("127.0.0.1", DCU, broker.port, streams=STREAMS, **more)  # type: ignore[arg-type]


def published(broker: ScriptedBroker) -> list[bytes]:
    """The payloads of data, in the order in which they came."""
    data = [body for first, body in broker.packets if first & 0xF0 == PUBLISH and b"/data/" in body[:60]]
    return [body.partition(packet_id(body))[2] for body in data]


async def test_a_broker_that_takes_everything_and_acknowledges_no_data() -> None:
    """Each connection is given up in its time, all is sent again as it was, and nothing counts as delivered."""

    def answer(first: int, body: bytes) -> bytes | None:
        kind = first & 0xF0
        if kind == PUBLISH and b"/data/" in body[:60]:
            return b""
        return {
            CONNECT: ACCEPTED_3,
            SUBSCRIBE: b"\x90\x04" + body[:2] + b"\x01\x01",
            PUBLISH: puback(body) if first & 0x06 else b"",
        }.get(kind, b"")

    store = MemoryOutbox()
    fill(store, 300)
    async with scripted(answer) as broker:
        flow = make_flow(broker.port, store, mqtt_version="3", keepalive=0.2)
        async with running(flow):
            # a connection may have been given up before anything was sent over it
            await broker.until(lambda: broker.connections >= 4 and len(published(broker)) >= 3)
    sent = published(broker)
    assert len(set(sent)) == 1, "the same content under the same number"
    assert not store.acknowledged
    assert (await store.pending())["load0"] == 300


def command_number(number: int) -> bytes:
    topic = f"ami/v1/{DCU}/command".encode()
    body = len(topic).to_bytes(2, "big") + topic + number.to_bytes(2, "big") + b"%d" % number
    return bytes([0x32, len(body)]) + body


@pytest.mark.parametrize("pause", [0.0, 0.002])
async def test_commands_that_come_all_at_once_are_all_taken(pause: float) -> None:
    """Over 3.1.1 a broker may send whatever it has kept for us, and repeats it over another connection only."""
    kept = set(range(1, 251))

    def answer(first: int, body: bytes) -> bytes | None:
        kind = first & 0xF0
        if kind == SUBSCRIBE:
            return b"\x90\x04" + body[:2] + b"\x01\x01" + b"".join(map(command_number, sorted(kept)))
        if kind == PUBACK:
            kept.discard(int.from_bytes(body[:2], "big"))
        return {CONNECT: ACCEPTED_3, PUBLISH: puback(body) if first & 0x06 else b""}.get(kind, b"")

    commands: list[bytes] = []
    async with scripted(answer) as broker:
        flow = make_flow(broker.port, MemoryOutbox(), mqtt_version="3")

        async def on_command(_: str, payload: bytes) -> None:
            await asyncio.sleep(pause)
            commands.append(payload)

        flow.on_command = on_command
        async with running(flow):
            await broker.until(lambda: not kept)
            assert broker.connections <= 3
    assert sorted(map(int, set(commands))) == list(range(1, 251))


@needs_mosquitto
async def test_a_broker_that_forgets_everything(tmp_path: Path) -> None:
    """What it had not handed on is sent again, for the head-end has not acknowledged it; so are states of meters."""
    rows = [capture(f"M{n % 8:04}", at=NOON + 900 * (n // 8), values=(n,)) for n in range(400)]
    async with Broker(tmp_path / "broker", ("persistence false",)) as broker:
        waits = settings(broker, acknowledge="head-end", acknowledge_within=60.0)
        async with box(tmp_path, waits) as subject:
            await subject.store.readings.record(rows, {})
            async with asyncio.timeout(60):
                while not subject.deliver.figures.awaited:  # noqa: ASYNC110 - figures have no event
                    await asyncio.sleep(0.01)
            await broker.kill()  # nobody had subscribed: it took all of it, and has none
            await broker.start()
            async with head_end(broker) as head:
                await head.until(lambda: len(head.captures) == 400 and bool(head.states("meter/M0002/state")))
                await head.acknowledge()
                await head.ask("dcu.ping")
                assert (await subject.store.outbox.pending())["load0"] == 0


class Mixer:
    """Hands on what it hears, each message once or twice and in any order, as brokers in a chain may."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)

    def through(self, heard: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
        twice = [each for each in heard for _ in range(self.dice.choice((1, 1, 2)))]
        return sorted(twice, key=lambda _: self.dice.random())


@needs_mosquitto
async def test_repeats_and_another_order_on_the_way(tmp_path: Path) -> None:
    rows = [capture(f"M{n % 8:04}", "load1", NOON + 900 * (n // 8), (n,)) for n in range(400)]
    async with Broker(tmp_path / "broker") as broker, head_end(broker) as head:
        async with box(tmp_path, settings(broker)) as subject:
            await subject.store.readings.record(rows, {})
            await head.until(lambda: len(head.captures) == 400)
            answer = await head.ask("dcu.reconcile", stream="load1", **{"from": NOON, "to": NOON + 86_400})
        for seed in range(20):
            far = HeadEnd(head.client)
            for leaf, payload in Mixer(seed).through(head.heard):
                far.take(leaf, payload)
            assert len(far.captures) == 400
            assert far.repeats > 0
            assert not list(far.follower.gaps())
            assert not list(far.sums("load1").differences(answer))
            assert far.follower.positions() == head.follower.positions()


@needs_mosquitto
async def test_a_command_beyond_every_bound_is_refused_once_and_breaks_nothing(tmp_path: Path) -> None:
    async with (
        Broker(tmp_path / "broker") as broker,
        head_end(broker) as head,
        box(tmp_path, settings(broker, mqtt_version="3")) as subject,
    ):
        await head.until(lambda: head.states("state") == ["online"])
        _, ping = command("dcu.ping")
        await head.client.publish(ROOT + "command", ping[:-1] + b" " * 600_000 + b"}", qos=1)
        await head.until(lambda: any(each.state == "rejected" for each in head.results.values()))
        await head.ask("dcu.ping")
        assert subject.deliver.figures.connections == 1


@needs_mosquitto
async def test_an_answer_goes_where_it_was_asked_for_too(tmp_path: Path) -> None:
    """An asker that the broker lets nowhere near the answers of others, and a topic on which nothing may be said."""
    rules = tmp_path / "acl"
    rules.write_text("topic readwrite ami/v1/#\ntopic readwrite hes/#\n")
    rules.chmod(0o600)
    async with (
        Broker(tmp_path / "broker", (f"acl_file {rules}",)) as broker,
        head_end(broker) as head,
        box(tmp_path, settings(broker)) as subject,
        aiomqtt.Client(broker.host, broker.port, protocol=aiomqtt.ProtocolVersion.V5) as asker,
    ):
        await head.until(lambda: head.states("state") == ["online"])
        await asker.subscribe("hes/7", qos=1)
        for topic in ("nobody/listens", "hes/7"):
            wanted = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho leaves it untyped
            wanted.ResponseTopic, wanted.CorrelationData = topic, b"42"
            identity, ping = command("dcu.ping")
            await asker.publish(ROOT + "command", ping, qos=1, properties=wanted)
            await head.until(lambda of=identity: of in head.results and head.results[of].final)  # type: ignore[misc]
        said = []
        async with asyncio.timeout(60):
            async for message in asker.messages:
                assert isinstance(message.payload, bytes)
                assert getattr(message.properties, "CorrelationData", None) == b"42"
                said.append(decode(message.payload))
                if len(said) == 3:
                    break
        assert [(each.id, each.state) for each in said if isinstance(each, Result)] == [
            (identity, "accepted"),
            (identity, "running"),
            (identity, "done"),
        ]
        assert subject.deliver.figures.connections <= 2, "this broker hangs up where nobody may write: once"
