"""The client below the link; what it does over a connection is in test_link."""

import asyncio

import aiomqtt
import pytest

from dcu.uplink.client import Client, Granted, PubackRefusedError
from tests.scripted_broker import ACCEPTED_5, CONNECT, connack_5, scripted


def client(port: int) -> Client:
    return Client("127.0.0.1", port, None, identifier="D", protocol=aiomqtt.ProtocolVersion.V5)


async def test_what_a_broker_does_not_say_it_grants_by_the_standard() -> None:
    async with scripted(lambda first, _: ACCEPTED_5 if first == CONNECT else b"") as broker:
        plain = client(broker.port)
        await plain.open()
        assert plain.granted == Granted(receive_maximum=65_535, max_qos=2, retain=True, max_packet=268_435_455)
        plain.close()


async def test_what_it_says_counts() -> None:
    properties = bytes.fromhex("210014 2401 2500 2700010000")
    async with scripted(lambda first, _: connack_5(0, properties) if first == CONNECT else b"") as broker:
        limited = client(broker.port)
        await limited.open()
        assert limited.granted == Granted(receive_maximum=20, max_qos=1, retain=False, max_packet=65_536)
        limited.close()


async def test_closing_is_at_once_may_be_repeated_and_ends_what_waits() -> None:
    async with scripted(lambda first, _: ACCEPTED_5 if first == CONNECT else b"") as broker:
        closing = client(broker.port)
        await closing.open()
        waiting = closing.send("t", b"x", qos=1, retain=False)
        closing.close()
        closing.close()
        with pytest.raises(aiomqtt.MqttError, match="connection lost"):
            await waiting
        with pytest.raises(aiomqtt.MqttError):
            closing.send("t", b"x", qos=1, retain=False)
        await broker.until(lambda: broker.open == 0)


@pytest.mark.parametrize("topic", ["a/#", "a/+/b"])
async def test_what_mqtt_has_no_way_to_say_is_refused_here(topic: str) -> None:
    async with scripted(lambda first, _: ACCEPTED_5 if first == CONNECT else b"") as broker:
        plain = client(broker.port)
        await plain.open()
        with pytest.raises(PubackRefusedError, match="no MQTT message"):
            plain.send(topic, b"x", qos=1, retain=False)
        plain.close()


@pytest.mark.parametrize("turns", range(12))
async def test_cancelled_at_any_turn_nothing_stays(turns: int) -> None:
    async with scripted(lambda first, _: ACCEPTED_5 if first == CONNECT else b"") as broker:
        opening = client(broker.port)
        task = asyncio.create_task(opening.open())
        for _ in range(turns):
            await asyncio.sleep(0)
        late = task.done()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() is not late
        if late:
            opening.close()
        await broker.until(lambda: broker.open == 0)
