"""The listener at a real broker: what is taken is acknowledged, what is not comes again, nonsense does no harm."""

import asyncio
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import chain, repeat
from pathlib import Path

import aiomqtt
import pytest

from dcu_headend import Follower, Health, Message, State, mqtt
from dcu_headend.mqtt import Listener
from sim.broker import Broker
from tests.scripted_broker import ACCEPTED_3, CONNECT, DISCONNECT, SUBSCRIBE, Answer, scripted

PATIENCE = 30.0
HEALTH = b'{"dcu":"D1","boot":"b","at":"2026-01-31T12:00:00Z","n":%d}'


class Heard:
    """Takes messages; while `failing` it does not."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.refused: list[tuple[str, bytes]] = []
        self.failing = False
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()

    def take(self, message: Message) -> None:
        if self.failing:
            raise RuntimeError("the database is away")
        self.messages.append(message)
        self._loop.call_soon_threadsafe(self._changed.set)

    def refuse(self, topic: str, payload: bytes, _: Exception) -> None:
        self.refused.append((topic, payload))
        self._loop.call_soon_threadsafe(self._changed.set)

    @property
    def healths(self) -> list[object]:
        return [each.figures["n"] for each in self.messages if isinstance(each, Health)]

    @property
    def born(self) -> list[str]:
        return [each.dcu for each in self.messages if isinstance(each, State)]

    async def birth(self, dcu: str) -> None:
        await self.until(lambda: dcu in self.born)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await self._changed.wait()
                self._changed.clear()


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with Broker(tmp_path) as broker:
        yield broker


async def publish(broker: Broker, leaf: str, *payloads: bytes) -> None:
    async with aiomqtt.Client(broker.host, broker.port) as client:
        for payload in payloads:
            await client.publish(f"ami/v1/D1/{leaf}", payload, qos=1)


async def there(broker: Broker, heard: Heard) -> None:
    """Return when the listener has its session: it hears what was retained before."""
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.publish("ami/v1/D0/state", b'{"dcu":"D0","boot":"b","state":"online"}', qos=1, retain=True)
    await heard.until(lambda: heard.messages)


async def test_listeners_of_one_share_divide_the_messages_but_for_births(broker: Broker) -> None:
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.publish("ami/v1/D0/state", b'{"dcu":"D0","boot":"b","state":"online"}', qos=1, retain=True)
    heard = [Heard(), Heard()]
    listeners = [Listener(each.take, each.refuse, identifier=f"h{at}", share="s") for at, each in enumerate(heard)]
    listening = [asyncio.create_task(asyncio.to_thread(each.run, broker.host, broker.port)) for each in listeners]
    number = 0
    async with asyncio.timeout(PATIENCE):
        while not all(each.healths and each.born for each in heard):  # until both have subscribed, and had a turn
            await publish(broker, "health", HEALTH % number)
            number += 1
    assert not set(heard[0].healths) & set(heard[1].healths)
    await publish(broker, "state", b'{"dcu":"D1","boot":"b","state":"online"}')
    for each in heard:
        await each.birth("D1")
    assert [each.born for each in heard] == [["D0", "D1"], ["D0", "D1"]]
    for listener, task in zip(listeners, listening, strict=True):
        listener.stop()
        await asyncio.wait_for(task, PATIENCE)


async def test_what_is_not_taken_comes_again_and_nonsense_is_put_aside(broker: Broker) -> None:
    heard = Heard()
    listener = Listener(heard.take, heard.refuse, identifier="h")
    listening = asyncio.create_task(asyncio.to_thread(listener.run, broker.host, broker.port))
    await there(broker, heard)
    await publish(broker, "health", HEALTH % 1, b"\xdc\x01")
    await heard.until(lambda: heard.refused)
    assert heard.healths == [1]
    assert heard.refused == [("ami/v1/D1/health", b"\xdc\x01")]
    heard.failing = True
    await publish(broker, "health", HEALTH % 2)
    with pytest.raises(RuntimeError, match="away"):
        await asyncio.wait_for(listening, PATIENCE)
    heard.failing = False
    again = Listener(heard.take, heard.refuse, identifier="h")
    listening = asyncio.create_task(asyncio.to_thread(again.run, broker.host, broker.port))
    await heard.until(lambda: len(heard.healths) > 1)
    again.stop()
    await asyncio.wait_for(listening, PATIENCE)
    assert heard.healths == [1, 2]


async def test_commands_reach_the_dcu(broker: Broker) -> None:
    heard = Heard()
    listener = Listener(heard.take, heard.refuse, identifier="h", dcu="D1")
    async with aiomqtt.Client(broker.host, broker.port) as dcu:
        await dcu.subscribe("ami/v1/+/command", qos=1)
        listening = asyncio.create_task(asyncio.to_thread(listener.run, broker.host, broker.port))
        await publish(broker, "state", b'{"dcu":"D1","boot":"b","state":"online"}')
        listener.send("_all", b"{}")
        async with asyncio.timeout(PATIENCE):
            message = await anext(aiter(dcu.messages))
        assert (str(message.topic), message.payload) == ("ami/v1/_all/command", b"{}")
        listener.stop()
        await asyncio.wait_for(listening, PATIENCE)
    assert all(isinstance(each, State) for each in heard.messages)


async def test_dcus_hear_what_the_head_end_has(broker: Broker) -> None:
    heard = Heard()
    listener = Listener(heard.take, heard.refuse, identifier="h")
    listening = asyncio.create_task(asyncio.to_thread(listener.run, broker.host, broker.port))
    async with aiomqtt.Client(broker.host, broker.port) as dcu:
        await dcu.subscribe("ami/v1/D1/ack", qos=1)
        await there(broker, heard)
        follower = Follower()
        follower.heard(State("D1", "b", "online", {}, {"load0": 8}, {}))
        listener.acknowledge(follower)
        async with asyncio.timeout(PATIENCE):
            message = await anext(aiter(dcu.messages))
        assert message.payload == b'{"streams": {"load0": 7}}'
    listener.stop()
    await listening


async def test_what_is_to_be_said_is_said_between_messages(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt, "TEND_EVERY", 0.0)
    heard, tended = Heard(), list[int]()
    listener = Listener(heard.take, heard.refuse, identifier="h")

    def tend(line: Listener) -> None:
        assert line is listener
        tended.append(len(heard.messages))
        line.send("D1", b"{}")

    async with aiomqtt.Client(broker.host, broker.port) as dcu:
        await dcu.subscribe("ami/v1/D1/command", qos=1)
        listening = asyncio.create_task(asyncio.to_thread(listener.run, broker.host, broker.port, tend=tend))
        await asyncio.sleep(0.5)  # as above
        await publish(broker, "health", HEALTH % 1, HEALTH % 2)
        async with asyncio.timeout(PATIENCE):
            messages = aiter(dcu.messages)
            await anext(messages)
            await anext(messages)
    listener.stop()
    await listening
    assert tended == [1, 2]


def answering(connacks: Iterator[bytes], reasons: bytes) -> Answer:
    """Answer each CONNECT with the next of `connacks`, and a subscription with `reasons`."""

    def answer(first: int, body: bytes) -> bytes | None:
        if first & 0xF0 == CONNECT:
            return next(connacks)
        if first & 0xF0 == SUBSCRIBE:
            return bytes((0x90, 2 + len(reasons))) + body[:2] + reasons
        return None if first & 0xF0 == DISCONNECT else b""

    return answer


@pytest.mark.parametrize(
    ("connack", "reasons", "told"),
    [
        ("20020005", b"", "refuses the connection: Not authorized"),
        ("20020004", b"", "refuses the connection: Bad user name or password"),
        ("20020000", b"\x01\x01\x80\x01\x01\x01", "refuses ami/v1/[+]/event: Unspecified error"),
        ("20020000", b"\x01\x00\x01\x01\x01\x01", "grants QoS 0 only for ami/v1/[+]/data/[+]: messages could be lost"),
        ("20020000", b"\x01\x01\x01", "answers 3 of 6 subscriptions"),
    ],
)
async def test_a_broker_that_refuses_is_an_error_that_says_what(connack: str, reasons: bytes, told: str) -> None:
    heard = Heard()
    listener = Listener(heard.take, heard.refuse, identifier="h")
    async with scripted(answering(repeat(bytes.fromhex(connack)), reasons)) as broker:
        listening = asyncio.create_task(asyncio.to_thread(listener.run, "127.0.0.1", broker.port))
        done, _ = await asyncio.wait([listening], timeout=PATIENCE)
        listener.stop()
        assert done, "it goes on, and says nothing"
        with pytest.raises(ConnectionRefusedError, match=told):
            await listening
        assert broker.connections == 1


async def test_a_broker_that_is_not_ready_is_asked_again() -> None:
    heard = Heard()
    listener = Listener(heard.take, heard.refuse, identifier="h")
    listener.client.reconnect_delay_set(0, 0)
    connacks = chain([bytes.fromhex("20020003")] * 2, repeat(ACCEPTED_3))
    async with scripted(answering(connacks, b"\x01" * 6)) as broker, asyncio.timeout(PATIENCE):
        listening = asyncio.create_task(asyncio.to_thread(listener.run, "127.0.0.1", broker.port))
        await broker.until(lambda: SUBSCRIBE in broker.kinds())
        listener.stop()
        await listening
        assert broker.connections == 3


async def test_a_broker_that_comes_later_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(mqtt, "RETRY", 0.01)
    heard, tried = Heard(), asyncio.Event()
    listener, loop = Listener(heard.take, heard.refuse, identifier="h"), asyncio.get_running_loop()
    connect = listener.client.connect

    def trying(host: str, port: int) -> object:
        loop.call_soon_threadsafe(tried.set)
        return connect(host, port)

    monkeypatch.setattr(listener.client, "connect", trying)
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    port = bound.getsockname()[1]
    async with asyncio.timeout(PATIENCE):
        listening = asyncio.create_task(asyncio.to_thread(listener.run, "127.0.0.1", port))
        for _ in range(2):
            tried.clear()
            await tried.wait()
        async with scripted(answering(repeat(ACCEPTED_3), b"\x01" * 6), bound) as broker:
            await broker.until(lambda: SUBSCRIBE in broker.kinds())
            listener.stop()
            await listening
    assert [record.getMessage() for record in caplog.records if record.name == mqtt.__name__] == [
        f"the broker at 127.0.0.1:{port} cannot be reached, tried every 0 s: [Errno 111] Connection refused"
    ]


async def test_who_waits_for_a_broker_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    heard, tried = Heard(), asyncio.Event()
    listener, loop = Listener(heard.take, heard.refuse, identifier="h"), asyncio.get_running_loop()

    def refused(*_: object) -> None:
        loop.call_soon_threadsafe(tried.set)
        raise ConnectionRefusedError

    monkeypatch.setattr(listener.client, "connect", refused)
    monkeypatch.setattr(mqtt, "RETRY", 2 * PATIENCE)
    async with asyncio.timeout(PATIENCE):
        listening = asyncio.create_task(asyncio.to_thread(listener.run, "127.0.0.1", 1))
        await tried.wait()
        assert not listening.done()
        listener.stop()
        await listening
    assert heard.messages == []


async def test_a_broker_that_is_not_to_be_trusted_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Heard()
    listener = Listener(heard.take, heard.refuse, identifier="h")

    def distrusted(*_: object) -> None:
        raise ssl.SSLCertVerificationError(1, "certificate verify failed")

    monkeypatch.setattr(listener.client, "connect", distrusted)
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.wait_for(asyncio.to_thread(listener.run, "127.0.0.1", 1), PATIENCE)


def test_a_paho_that_is_too_old_is_named() -> None:
    script = "import sys; sys.modules['paho.mqtt.enums'] = None; import dcu_headend.mqtt"
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "dcu_headend.mqtt needs paho-mqtt 2.1" in ended.stderr
