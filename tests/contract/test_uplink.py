"""One suite of the contract for every broker and way to it: what docs/asyncapi.yaml says is what a head-end gets."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from dcu.config import TlsSettings, UplinkSettings
from sim.broker import Broker, free_port, mosquitto
from tests.asyncapi import faults
from tests.box import DCU, STREAMS, Box, HeadEnd, box, head_end
from tests.outbox import NOON, capture
from tests.unit.uplink.test_tls import self_signed

#: Channels of the document by the first level of a topic.
CHANNELS = {"state": "state", "event": "event", "result": "result", "meter": "meterState"}

#: What each DCU may do by the name in its certificate, and what the head-end may, which has none (mosquitto.conf(5)).
RULES = """
topic readwrite ami/v1/#
pattern write ami/v1/%u/#
pattern read ami/v1/%u/command
pattern read ami/v1/%u/ack
pattern read ami/v1/_all/command
"""


@dataclass(frozen=True)
class Kind:
    """A broker and the way to it; `version` is what the birth says."""

    version: str
    settings: Callable[[Path], UplinkSettings] = lambda _: UplinkSettings("127.0.0.1", DCU)
    options: Callable[[Path], Sequence[str]] = lambda _: ()
    embedded: bool = False
    retains: bool = True


def secured(folder: Path) -> Sequence[str]:
    """Return a second listener, for DCUs with a certificate only, and their rights."""
    server, key = self_signed(folder, "server")
    self_signed(folder, DCU)
    (folder / "acl").write_text(RULES)
    (folder / "acl").chmod(0o600)
    (folder / "port").write_text(str(free_port()))
    return (
        f"acl_file {folder}/acl",
        f"listener {(folder / 'port').read_text()} 127.0.0.1",
        f"cafile {folder}/{DCU}.pem",
        f"certfile {server}",
        f"keyfile {key}",
        "require_certificate true",
        "use_identity_as_username true",
    )


def certified(folder: Path) -> UplinkSettings:
    tls = TlsSettings(f"{folder}/server.pem", f"{folder}/{DCU}.pem", f"{folder}/{DCU}.key")
    return UplinkSettings("127.0.0.1", DCU, port=int((folder / "port").read_text()), tls=tls)


def version_3(_: Path) -> UplinkSettings:
    return UplinkSettings("127.0.0.1", DCU, mqtt_version="3")


def restricted(_: Path) -> UplinkSettings:
    return UplinkSettings("127.0.0.1", DCU, retain=False, max_payload=10_000)


LITTLE = ("max_qos 1", "retain_available false", "max_inflight_messages 5", "max_packet_size 20000")
installed = pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")
KINDS = [
    pytest.param(Kind("5"), id="mosquitto", marks=installed),
    pytest.param(Kind("3.1.1", version_3), id="mosquitto-3.1.1", marks=installed),
    pytest.param(Kind("5", restricted, lambda _: LITTLE, retains=False), id="mosquitto-restricted", marks=installed),
    pytest.param(Kind("5", certified, secured), id="mosquitto-certificates", marks=installed),
    pytest.param(Kind("3.1.1", version_3, embedded=True), id="amqtt"),
]


@asynccontextmanager
async def at_work(folder: Path, kind: Kind) -> AsyncIterator[tuple[Broker, HeadEnd, Box]]:
    options = kind.options(folder)
    async with Broker(folder / "broker", options, embedded=kind.embedded) as broker, head_end(broker) as head:
        settings = kind.settings(folder)
        port = broker.port if settings.tls is None else settings.port
        asked = replace(settings, port=port, streams=STREAMS, acknowledge="head-end", acknowledge_within=60.0)
        async with box(folder, asked) as subject:
            yield broker, head, subject


async def fill(subject: Box) -> None:
    loads = [capture(f"M{n % 8:04}", "load0", NOON + 900 * (n // 8), (n,)) for n in range(400)]
    others = [capture(f"M{n:04}", "load1", NOON, ("x" * n,)) for n in range(50)]
    events = [capture("M0001", "event.fraud", NOON + n, (40,)) for n in range(3)]
    await subject.store.readings.record([*loads, *others, *events], {})


@pytest.mark.parametrize("kind", KINDS)
async def test_the_contract(tmp_path: Path, kind: Kind) -> None:
    async with at_work(tmp_path, kind) as (broker, head, subject):
        await head.until(lambda: head.states("state") == ["online"])
        await everything_once(head, subject)
        await states_of_meters(head)
        await past_and_present_compared(head, subject)
        if kind.retains:
            await a_late_head_end(broker)
    # the box has ended, the broker has not heard the last of it
    assert f'"mqtt":"{kind.version}"'.encode() in head.heard[0][1]
    for leaf, payload in head.heard:
        # a box without buses has no health to tell: that of the whole daemon is held to its schema in test_results
        if payload.startswith(b"{") and leaf != "health":
            channel = CHANNELS.get(leaf.split("/")[0], "data")
            assert not faults(channel, payload), payload


async def everything_once(head: HeadEnd, subject: Box) -> None:
    await fill(subject)
    await head.until(lambda: len(head.captures) == 453)
    assert head.repeats == 0
    assert not list(head.follower.gaps())
    leaves = {leaf for leaf, _ in head.heard}
    assert {"data/load0", "data/load1", "event"} <= leaves
    first = next(leaf for leaf, _ in head.heard if leaf.startswith(("data", "event")))
    assert first == "event", "events go before data"


async def states_of_meters(head: HeadEnd) -> None:
    wanted = {"M0001": ["reachable"], "M0002": ["unreachable"]}
    await head.until(lambda: {meter: head.states(f"meter/{meter}/state") for meter in wanted} == wanted)


async def past_and_present_compared(head: HeadEnd, subject: Box) -> None:
    """The head-end's word releases rows; what it has is what the box holds; what it asks for comes again."""
    assert sum((await subject.store.outbox.pending()).values()) >= 453
    await head.acknowledge()
    span = {"stream": "load0", "from": NOON, "to": NOON + 86_400}
    answer = await head.ask("dcu.reconcile", **span)
    sums = head.sums("load0")
    assert (answer["captures"], answer["hash"], answer["pending"]) == (400, sums.hash, 0)
    assert not list(sums.differences(answer))
    again = await head.ask("dcu.resend", **span)
    await head.until(lambda: head.repeats == again["blocks"])
    await head.acknowledge()
    await head.ask("dcu.ping")
    assert {stream: rows for stream, rows in (await subject.store.outbox.pending()).items() if stream != "result"} == {
        "load0": 0,
        "load1": 0,
        "event.fraud": 0,
    }


async def a_late_head_end(broker: Broker) -> None:
    async with head_end(broker, "late") as late:
        await late.until(lambda: late.states("state") == ["online"] and len(late.states("meter/M0002/state")) == 1)
