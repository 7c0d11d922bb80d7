"""Several channels on loopback: brokers that answer, refuse or fall silent, and one connection at a time."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from dcu.clock import SystemClock
from dcu.config import ChannelSettings, UplinkSettings
from dcu.errors import CommandRejected, StoreError, UplinkError
from dcu.model import Command
from dcu.uplink import Link, Outgoing, traffic, ways
from dcu.uplink.channels import State
from dcu.uplink.ways import SHORT_DELAY, Account, Ways, plain
from sim.broker import free_port
from tests.asyncapi import faults_of_result
from tests.scripted_broker import ACCEPTED_5, CONNECT, PUBLISH, ScriptedBroker, puback, scripted

WILL = Outgoing("s", b"will")
PINGREQ = 0xC0
LOOPBACK = "127.0.0.1"


class Office:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, object]]] = []
        self.channels: list[str] = []

    async def tell(self, name: str, **detail: object) -> None:
        self.events.append((name, detail))


def lively(first: int, body: bytes) -> bytes | None:
    return {CONNECT: ACCEPTED_5, PUBLISH: puback(body), PINGREQ: b"\xd0\0"}.get(first & 0xF0, b"")


def mute(first: int, _: bytes) -> bytes | None:
    return {CONNECT: ACCEPTED_5}.get(first & 0xF0, b"")


def two(main: int, standby: int, silence: float | None = None, **standby_has: Any) -> tuple[ChannelSettings, ...]:
    return (
        ChannelSettings("eth", ((LOOPBACK, main),), silence=silence),
        ChannelSettings("gprs", ((LOOPBACK, standby),), **standby_has),
    )


def make(folder: Path, *channels: ChannelSettings, office: Office | None = None, **settings: Any) -> Ways:
    office = office or Office()
    uplink = UplinkSettings(LOOPBACK, "D", 1, mqtt_version="5", channels=channels, **settings)
    return Ways(uplink, "D", SystemClock(), folder, office.tell, office.channels.append)


async def live(way: Ways) -> None:
    """Connect and stay until the connection is lost."""
    with suppress(UplinkError):
        async with way.connect(WILL) as link:
            async for _ in link.messages():
                pass


async def opened(way: Ways) -> str:
    """Connect and part; return the channel that was used."""
    async with way.connect(WILL):
        return way.channels.way.channel


@asynccontextmanager
async def held(way: Ways) -> AsyncIterator[tuple[Link, asyncio.Event]]:
    """A connection that lives until something ends it, which is what the event says."""
    gone, there = asyncio.Event(), asyncio.Event()
    links: list[Link] = []

    async def live() -> None:
        with suppress(UplinkError):
            async with way.connect(WILL) as link:
                links.append(link)
                there.set()
                async for _ in link.messages():
                    pass
        gone.set()
        there.set()

    task = asyncio.create_task(live())
    await there.wait()
    assert links, [account.error for account in way.accounts.values()]
    try:
        yield links[0], gone
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def test_a_main_channel_that_refuses_is_followed_at_once_by_the_standby(tmp_path: Path) -> None:
    async with scripted(lively) as broker:
        way = make(tmp_path, *two(free_port(), broker.port))
        with pytest.raises(UplinkError):
            await opened(way)
        assert way.backoff.delay() == 0.0
        assert await opened(way) == "gprs"
        assert way.accounts["eth"].error
        assert way.accounts["gprs"].connections == 1


async def test_when_nobody_answers_there_is_a_rest_after_each_round(tmp_path: Path) -> None:
    way, rests = make(tmp_path, *two(free_port(), free_port())), []
    for _ in range(6):
        with pytest.raises(UplinkError):
            await opened(way)
        rests.append(way.backoff.delay() > 0)
    assert rests == [False, True] * 3
    assert way.accounts["eth"].tries == way.accounts["gprs"].tries == 3


async def test_a_broker_that_falls_silent_is_left_within_its_time(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with scripted(mute) as silent, scripted(lively) as broker:
        way = make(tmp_path, *two(silent.port, broker.port, 0.2))
        began = loop.time()
        async with held(way) as (_, gone):
            await gone.wait()
        assert loop.time() - began >= 0.2
        assert "nothing came through for 0.2 s" in (way.accounts["eth"].error or "")
        await silent.until(lambda: silent.open == 0)


async def test_one_that_answers_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "PING_SHARE", 0.1)  # soon, and an answer has time
    async with scripted(lively) as broker:
        way = make(tmp_path, *two(broker.port, free_port(), 4.0))
        async with held(way) as (_, gone):
            await broker.until(lambda: broker.kinds().count(PINGREQ) == 2)
            assert not gone.is_set()
        assert broker.connections == 1


async def test_back_to_the_main_channel_which_is_asked_without_a_second_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "PROBE_EVERY", 0.02)
    office, port = Office(), free_port()
    async with scripted(lively) as standby:
        way = make(tmp_path, *two(port, standby.port), office=office, return_after=0.05)
        with pytest.raises(UplinkError):
            await opened(way)
        async with held(way) as (_, gone):
            main = await listening(port)
            await gone.wait()
            assert main.packets == []
        assert way.backoff.delay() == 0.0
        async with held(way):
            while not office.events:  # noqa: ASYNC110 - told to a list
                await asyncio.sleep(0.01)
        assert office.channels == ["gprs", "eth"]
        (changed,) = office.events
        assert changed == (
            "uplink channel changed",
            {"channel": "eth", "was": "gprs", "why": "connection lost: left for another channel"},
        )


SERVERS: list[asyncio.Server] = []


@pytest.fixture(autouse=True)
async def _no_server_stays() -> AsyncIterator[None]:
    yield
    while SERVERS:
        SERVERS.pop().close()


async def listening(port: int) -> ScriptedBroker:
    broker = ScriptedBroker(lively)
    SERVERS.append(await asyncio.start_server(broker.serve, LOOPBACK, port))
    return broker


async def test_the_operator_changes_the_channel_at_once(tmp_path: Path) -> None:
    async with scripted(lively) as main, scripted(lively) as standby:
        way = make(tmp_path, *two(main.port, standby.port))
        async with held(way) as (_, gone):
            shown = await way.commands["dcu.switch-uplink"](Command("c", "dcu.switch-uplink", args={"channel": "gprs"}))
            assert shown["preferred"] == "gprs"
            assert not faults_of_result("dcu.switch-uplink", shown)
            await gone.wait()
        async with held(way) as (_, gone):
            assert way.describe()["channel"] == "gprs"
            await way.commands["dcu.switch-uplink"](Command("d", "dcu.switch-uplink"))
            await gone.wait()
        assert await opened(way) == "eth"


async def test_a_channel_that_there_is_not(tmp_path: Path) -> None:
    way = make(tmp_path, *two(1, 2))
    with pytest.raises(CommandRejected, match="expected one of eth, gprs"):
        await way.commands["dcu.switch-uplink"](Command("c", "dcu.switch-uplink", args={"channel": "x"}))


async def test_a_channel_with_a_timetable_sleeps_when_all_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "QUIET", 0.0)
    async with scripted(lively) as main:
        way = make(tmp_path, ChannelSettings("gprs", ((LOOPBACK, main.port),), every=3600.0))
        said: list[float] = []

        async def farewell(link: Link, reason: str, until: float) -> None:
            assert reason == "sleep"
            await link.publish(Outgoing("s", b"asleep"))
            said.append(until)

        way.farewell = farewell
        async with held(way) as (link, gone):
            assert link.longest_delay == SHORT_DELAY
            await gone.wait()
        assert [body[-6:] for first, body in main.packets if first & 0xF0 == PUBLISH] == [b"asleep"]
        assert "asleep by its timetable" in (way.accounts["gprs"].error or "")
        slept = way.backoff.delay()
        assert way.backoff.asleep
        # to the next full hour, or up to a minute later
        assert abs((SystemClock().now() + slept + 1800) % 3600 - 1800) < 90
        assert abs(said[0] - SystemClock().now() - slept) < 60
        assert way.channels.at_once
        await way.commands["dcu.switch-uplink"](Command("d", "dcu.switch-uplink"))
        assert not way.backoff.asleep


async def test_an_event_that_cannot_be_kept_ends_the_flow_and_the_connection(tmp_path: Path) -> None:
    async def failing(_name: str, **_: object) -> None:
        raise StoreError("disk full")

    async with scripted(lively) as main, scripted(lively) as standby:
        way = make(tmp_path, *two(main.port, standby.port))
        way._tell = failing
        assert await opened(way) == "eth"
        way.channels.prefer("gprs")
        with pytest.raises(StoreError):
            await live(way)


async def test_who_does_not_hear_that_it_sleeps_is_no_reason_to_stay_awake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "QUIET", 0.0)
    monkeypatch.setattr(ways, "LULL", 0.05)
    async with scripted(mute) as main:
        way = make(tmp_path, ChannelSettings("gprs", ((LOOPBACK, main.port),), every=3600.0))

        async def farewell(link: Link, reason: str, until: float) -> None:
            await link.publish(Outgoing("s", b"asleep"))

        way.farewell = farewell
        async with held(way) as (_, gone):
            await gone.wait()
        assert way.backoff.delay() > 0
        assert way.backoff.asleep


async def test_a_fleet_is_spread_before_the_first_connection_and_after_a_rest_only(tmp_path: Path) -> None:
    way = make(tmp_path, *two(free_port(), free_port()), connect_spread=500.0)
    assert way.settings.connect_spread == 500.0
    for _ in range(2):
        with pytest.raises(UplinkError):
            await opened(way)
    assert way.settings.connect_spread == 0.0
    rests = []
    for _ in range(40):
        while way.channels.at_once:
            way.channels.failed()
        rests.append(way.backoff.delay())
    assert max(rests) > 60


async def test_what_is_shown(tmp_path: Path) -> None:
    way = make(tmp_path, *two(1, 2, 0.2, metered=True, budget=2_000_000, keepalive=300.0, interface="wwan0"))
    shown = way.describe()
    assert (shown["state"], shown["channel"], shown["broker"]) == (State.AWAY.value, "eth", "127.0.0.1:1")
    main, standby = shown["channels"]
    assert (main["noticed_within"], main["cost"], main["taken"]) == (0.25, "free", None)
    assert standby["noticed_within"] == 600.0
    assert standby["idle_octets"] == 86_400 / 300 * 160
    assert (standby["taken"], standby["budget"], standby["interface"]) == (0, 2_000_000, "wwan0")


def test_a_plain_uplink_has_one_channel_to_show_and_none_to_choose() -> None:
    settings, clock = UplinkSettings("h", "D"), SystemClock()
    account = Account(3, 2, "connection refused")
    shown = plain(Command("c", "dcu.uplink"), settings, clock, account, connected=True)
    assert (shown["state"], shown["broker"]) == ("on", "h:1883")
    (main,) = shown["channels"]
    told = {"tries": 3, "connections": 2, "error": "connection refused"}
    assert main | told | {"name": "main"} == main
    with pytest.raises(CommandRejected, match="there is one channel"):
        plain(Command("c", "dcu.switch-uplink"), settings, clock, account, connected=True)


def test_a_plain_uplink_has_nothing_of_this_in_memory() -> None:
    code = "import sys, dcu.daemon; print(*[name for name in sys.modules if name.startswith('dcu.uplink.')])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    late = {"ways", "turns", "beside", "budget", "channels", "renewal", "traffic"}
    assert not {f"dcu.uplink.{name}" for name in late} & set(found)
