"""The flow up against a real broker that is restarted, killed, restrictive or old. Nothing may be lost or changed."""

import asyncio
import itertools
import random
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from dcu.config import StreamSettings
from dcu.delivery import resting, sending
from dcu.delivery.deliver import Deliver
from dcu.delivery.strikes import MAX_ASIDE
from dcu.errors import UplinkError
from dcu.uplink import Backoff, Outgoing, Uplink, client
from sim.broker import Broker, mosquitto
from sim.headend import HeadEnd
from tests.flow import DCU, fill, make_flow, running
from tests.outbox import MemoryOutbox, capture, record

pytestmark = pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    async with Broker(tmp_path / "broker") as broker:
        yield broker


@asynccontextmanager
async def head_end(broker: Broker) -> AsyncIterator[HeadEnd]:
    async with HeadEnd(broker.host, broker.port, DCU) as head:
        yield head


async def all_delivered(head: HeadEnd, store: MemoryOutbox, count: int) -> None:
    await head.until(lambda: len(head.tally.captures) == count)
    values = sorted(received.values[0] for received in head.tally.captures.values())
    assert values == list(range(count))
    assert (head.tally.conflicts, head.tally.holes(), head.tally.dropped) == (0, {}, [])
    await come_true(lambda: store.empty)  # the last PUBACK may follow what the head-end has already seen


async def come_true(condition: Callable[[], bool]) -> None:
    """Wait for what no message tells of; the test's own time-out is the bound."""
    while not condition():  # noqa: ASYNC110 - figures have no event
        await asyncio.sleep(0.01)


async def test_birth_data_results_and_a_clean_stop(broker: Broker) -> None:
    store = MemoryOutbox()
    fill(store, 3000)
    store.add(record("c1"))
    async with head_end(broker) as head:
        flow = make_flow(broker.port, store)
        async with running(flow):
            await all_delivered(head, store, 3000)
            assert head.tally.state == "online"
            assert head.tally.states[-1]["mqtt"] == "5"
            await head.until(lambda: head.tally.health is not None and "c1" in head.tally.results)
            assert [each["state"] for each in head.tally.results["c1"]] == ["done"]
        await head.until(lambda: head.tally.state == "stopped")
        assert head.tally.duplicates == 0
        assert [state["state"] for state in head.tally.states] == ["online", "stopped"], "no will after a clean stop"


async def test_a_late_joiner_sees_the_state(broker: Broker) -> None:
    flow = make_flow(broker.port, MemoryOutbox())
    async with running(flow):
        async with HeadEnd(broker.host, broker.port, DCU, identifier="first") as head:
            await head.until(lambda: head.tally.state == "online")
        async with HeadEnd(broker.host, broker.port, DCU, identifier="late") as late:
            await late.until(lambda: late.tally.state == "online" and late.tally.health is not None)
    assert [state["state"] for state in late.tally.states] == ["online"]


async def test_the_last_will_when_the_process_dies(broker: Broker) -> None:
    async with head_end(broker) as head:
        command = [sys.executable, "-m", "tests.flow", str(broker.port), "50"]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
        try:
            await head.until(lambda: head.tally.state == "online" and len(head.tally.captures) == 50)
        finally:
            process.kill()
            await process.wait()
        await head.until(lambda: head.tally.state == "offline")
    assert [state["state"] for state in head.tally.states] == ["online", "offline"]


#: So that the head-end's session survives a kill; otherwise the broker acknowledges what nobody gets.
SAVING = ("autosave_on_changes true", "autosave_interval 1")


@pytest.mark.parametrize("ending", ["stop", "kill"])
async def test_an_outage_with_a_backlog(tmp_path: Path, ending: str) -> None:
    store = MemoryOutbox()
    async with Broker(tmp_path / "broker", SAVING) as broker, head_end(broker) as head:
        flow = make_flow(broker.port, store)
        async with running(flow):
            await outage(broker, head, flow, store, ending)
            assert flow.figures.connections == 2


async def outage(broker: Broker, head: HeadEnd, flow: Deliver, store: MemoryOutbox, ending: str) -> None:
    fill(store, 500)
    await all_delivered(head, store, 500)
    await (broker.stop() if ending == "stop" else broker.kill())
    fill(store, 2500, 500)
    await come_true(lambda: not flow.figures.connected)
    await broker.start()
    await all_delivered(head, store, 3000)


async def test_a_broker_that_is_taken_away_again_and_again_while_data_flows(broker: Broker) -> None:
    store = MemoryOutbox()
    flow = make_flow(broker.port, store)
    async with head_end(broker) as head, running(flow):
        for round_ in range(4):
            fill(store, 3000, 3000 * round_)
            await head.until(partial(more_than, head, len(head.tally.captures) + 200))
            await broker.stop()
            await broker.start()
        await all_delivered(head, store, 12_000)
        assert 1 < flow.figures.connections <= 1 + 4


def more_than(head: HeadEnd, count: int) -> bool:
    return len(head.tally.captures) > count


async def test_mqtt_3_1_1_when_configured(broker: Broker) -> None:
    store = MemoryOutbox()
    fill(store, 200)
    async with head_end(broker) as head, running(make_flow(broker.port, store, mqtt_version="3")):
        await all_delivered(head, store, 200)
        assert head.tally.states[-1]["mqtt"] == "3.1.1"


async def test_a_broker_that_knows_only_3_1_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryOutbox()
    fill(store, 200)
    monkeypatch.setattr(client, "DIAL_TIMEOUT", 1.0)  # amqtt keeps silent at a CONNECT of MQTT 5
    async with (
        Broker(tmp_path / "amqtt", embedded=True) as broker,
        head_end(broker) as head,
        running(make_flow(broker.port, store)),
    ):
        await all_delivered(head, store, 200)
        assert head.tally.states[-1]["mqtt"] == "3.1.1"


RESTRICTIVE = ("max_qos 1", "retain_available false", "max_inflight_messages 5", "max_packet_size 20000")


@pytest.mark.parametrize("settings", [{}, {"retain": False}, {"retain": False, "mqtt_version": "3"}])
async def test_a_restrictive_broker(tmp_path: Path, settings: dict[str, Any]) -> None:
    store = MemoryOutbox()
    async with Broker(tmp_path / "broker", RESTRICTIVE) as broker, head_end(broker) as head:
        flow = make_flow(broker.port, store, max_payload=10_000, **settings)
        async with running(flow):
            fill(store, 2000)
            await all_delivered(head, store, 2000)
            assert head.tally.state == "online"
            assert flow.figures.connections == 1


async def test_commands_wait_at_the_broker_while_the_dcu_is_away(broker: Broker) -> None:
    commands: list[bytes] = []
    async with head_end(broker) as head:
        async with running(make_flow(broker.port, MemoryOutbox(), commands)):
            await head.until(lambda: head.tally.state == "online")
            await head.send(b"one")
            await come_true(lambda: len(commands) == 1)
        await head.until(lambda: head.tally.state == "stopped")
        await head.send(b"two")
        async with running(make_flow(broker.port, MemoryOutbox(), commands)):
            await come_true(lambda: len(commands) == 2)
    assert commands == [b"one", b"two"]


async def test_a_command_not_yet_safe_comes_again(broker: Broker) -> None:
    """The broker forgets a command only when the journal has it."""
    asked = asyncio.Event()
    flow = make_flow(broker.port, MemoryOutbox())

    async def never_safe(_: str, __: bytes) -> None:
        asked.set()
        await asyncio.Event().wait()

    flow.on_command = never_safe
    async with head_end(broker) as head:
        async with running(flow):
            await head.until(lambda: head.tally.state == "online")
            await head.send(b"one")
            await asked.wait()
        commands: list[bytes] = []
        async with running(make_flow(broker.port, MemoryOutbox(), commands)):
            await come_true(lambda: len(commands) == 1)
    assert commands == [b"one"]


async def test_there_is_never_a_second_connection(broker: Broker) -> None:
    """The same client id again: the broker ends the older one, which then comes back; both live, one at a time."""
    store = MemoryOutbox()
    flow = make_flow(broker.port, store)
    async with head_end(broker) as head, running(flow):
        await head.until(lambda: head.tally.state == "online")
        other = Uplink(flow.uplink.settings, DCU)
        async with other.connect(Outgoing(flow.uplink.topics.state, b'{"state":"offline"}')):
            # it may be back before anybody looks
            await come_true(lambda: not flow.figures.connected or flow.figures.connections == 2)
        fill(store, 100)
        await all_delivered(head, store, 100)
        assert flow.figures.connections == 2


class Waits(Backoff):
    """Notes its waiting times."""

    def __init__(self) -> None:
        super().__init__(base=0.01, cap=1.0, dice=random.Random(1))
        self.drawn: list[float] = []

    def delay(self) -> float:
        self.drawn.append(super().delay())
        return self.drawn[-1]


@pytest.mark.parametrize("version", ["5", "3"])
async def test_a_thief_of_our_name_who_comes_back_at_once_makes_no_storm(broker: Broker, version: str) -> None:
    """No broker has to say why it hangs up, and in between each of the two is acknowledged what it has to send."""
    store = MemoryOutbox()
    flow = make_flow(broker.port, store, mqtt_version=version)
    waits = flow.backoff = Waits()
    thefts = itertools.count()

    async def steal() -> None:
        async with Uplink(flow.uplink.settings, DCU).connect(Outgoing("x", b"")) as link:
            async for _ in link.messages():
                pass

    async def thief() -> None:
        while True:
            fill(store, 1, next(thefts))
            await come_true(lambda: store.empty and flow.figures.connected)
            with suppress(UplinkError):
                await steal()

    async with head_end(broker), running(flow):
        stealing = asyncio.create_task(thief())
        await come_true(lambda: len(waits.drawn) >= 12)
        stealing.cancel()
        await asyncio.wait([stealing])
    assert next(thefts) >= 12, "each connection had its acknowledgement"
    # never begun anew: by then each is drawn from all of the range
    assert max(waits.drawn) > 0.3


async def test_what_nobody_has_subscribed_to_is_kept_until_somebody_has(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resting, "REST", 0.05)
    monkeypatch.setattr(sending, "REST", 0.06)
    store, told = MemoryOutbox(), asyncio.Event()
    fill(store, 300)
    store.add(record("c1"))
    flow = make_flow(broker.port, store)

    async def report(name: str, **detail: object) -> None:
        assert (name, detail["stream"]) == ("nobody has subscribed", "result")
        assert not told.is_set()
        told.set()

    flow.resting.report = report
    async with running(flow):
        await told.wait()
        published = flow.figures.published
        await come_true(lambda: flow.figures.published > published + 4)
        assert not store.acknowledged
        async with head_end(broker) as head:
            await all_delivered(head, store, 300)
            # streams come back each at its own look: the result may be the last, and behind its own PUBACK
            await head.until(lambda: "c1" in head.tally.results)
            assert [each["state"] for each in head.tally.results["c1"]] == ["done"]
        assert flow.figures.connections == 1


async def test_a_retained_command_is_left_alone_and_others_are_taken(broker: Broker) -> None:
    """A box that was put in another's place would carry out what that one was told long ago."""
    heard: list[bytes] = []
    flow = make_flow(broker.port, MemoryOutbox())

    async def on_command(_: str, payload: bytes) -> None:
        heard.append(payload)

    flow.on_command = on_command
    topic = f"ami/v1/{DCU}/command"
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.publish(topic, b"old", qos=1, retain=True)
        async with running(flow):
            await come_true(lambda: flow.figures.connected)
            await client.publish(topic, b"new", qos=1)
            await come_true(lambda: bool(heard))
            # who hears it when it is said takes it, whatever else the broker does with it
            await client.publish(topic, b"kept", qos=1, retain=True)
            await come_true(lambda: len(heard) > 1)
    assert heard == [b"new", b"kept"]


async def test_who_may_not_publish_one_stream_keeps_that_and_goes_on_with_all_others(tmp_path: Path) -> None:
    rules, store, told = tmp_path / "acl", MemoryOutbox(), asyncio.Event()
    may = [f"readwrite ami/v1/{DCU}/{topic}" for topic in ("state", "health", "result", "event", "data/load0")]
    rules.write_text("".join(f"topic {each}\n" for each in [*may, "read ami/v1/#"]))

    async def report(name: str, **detail: object) -> None:
        assert (name, detail["stream"]) == ("stream refused", "load1")
        told.set()

    async with Broker(tmp_path / "broker", (f"acl_file {rules}",)) as broker, head_end(broker) as head:
        flow = make_flow(broker.port, store, streams={"default": StreamSettings(delay=0.0, rows=1)})
        flow.resting.report = report
        async with running(flow):
            store.add(*[capture(stream="load1", values=(number,)) for number in range(50)])
            await told.wait()
            store.add(record("c1"), capture(stream="event.fraud", values=(40,)))
            fill(store, 50)
            await head.until(lambda: len(head.tally.captures) >= 50 and "c1" in head.tally.results)
            await come_true(lambda: {stream for stream, _ in store.acknowledged} == {"load0", "event.fraud", "result"})
            # there are brokers that end the connection at what may not be published
            assert flow.figures.connections <= 1 + 2 * MAX_ASIDE
    assert (await store.pending())["load1"] == 50
