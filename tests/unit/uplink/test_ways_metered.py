"""Channels that cost money, on loopback: what they carry, what is counted on them, and what they are not used for."""

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path

import pytest

from dcu.config import ChannelSettings
from dcu.errors import UnattendedError, UplinkError
from dcu.uplink import Outgoing, ways
from dcu.uplink.ways import Ways
from sim.broker import free_port
from tests.certificates import Authority
from tests.scripted_broker import scripted
from tests.unit.uplink.test_tls import tls_broker
from tests.unit.uplink.test_ways import LOOPBACK, WILL, held, lively, make, opened, two


async def test_a_metered_channel_carries_what_it_may_and_counts_its_octets(tmp_path: Path) -> None:
    async with scripted(lively) as broker:
        plans = two(free_port(), broker.port, metered=True, budget=10_000, carries=frozenset({"billing"}))
        way = make(tmp_path, *plans)
        with pytest.raises(UplinkError):
            await opened(way)
        async with held(way) as (link, _):
            assert link.metered
            assert (link.admits("billing"), link.admits("load0")) == (True, False)
            await link.publish(Outgoing("t", bytes(12_000)))
        again = make(tmp_path, *plans)
        taken = again.describe()["channels"][1]["taken"]
        assert 12_000 < taken < 20_000
        with pytest.raises(UplinkError):
            await opened(again)
        async with again.connect(WILL) as link:
            assert not link.admits("billing"), "the budget of the day is spent"


def hanging_up(_first: int, _body: bytes) -> bytes | None:
    return None


async def test_a_try_of_which_nothing_comes_is_counted_on_a_metered_channel(tmp_path: Path) -> None:
    async with scripted(hanging_up) as broker:
        way = make(tmp_path, ChannelSettings("gprs", ((LOOPBACK, broker.port),), metered=True))
        for _ in range(2):
            with pytest.raises(UplinkError):
                async with way.connect(Outgoing("s", bytes(3000))):
                    pass
        tries = broker.connections
    # that of MQTT 5, with the will in it
    assert 3000 * tries < way.describe()["channels"][0]["taken"] < 5000 * tries


async def test_a_handshake_that_fails_is_counted_on_a_metered_channel(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("broker"))
    async with tls_broker(context) as broker:
        plan = ChannelSettings("gprs", ((LOOPBACK, broker.port),), metered=True)
        way = make(tmp_path, plan, tls=other.settings())
        with pytest.raises(UplinkError, match="comes from an authority"):
            await opened(way)
    # a greeting and a certificate
    assert 700 < way.describe()["channels"][0]["taken"] < 5000


async def test_a_question_whether_a_metered_channel_is_back_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "PROBE_EVERY", 0.02)
    async with scripted(lively) as standby:
        main = ChannelSettings("gprs", ((LOOPBACK, free_port()),), metered=True)
        way = make(tmp_path, main, ChannelSettings("sat", ((LOOPBACK, standby.port),)))
        with pytest.raises(UplinkError):
            await opened(way)
        async with held(way):
            before = way.describe()["channels"][0]["taken"]
            async with asyncio.timeout(30):
                while way.describe()["channels"][0]["taken"] <= before:  # noqa: ASYNC110 - a figure has no event
                    await asyncio.sleep(0.01)


async def deserted(way: Ways) -> bool:
    """Connect to a broker at which nobody is; return whether another may be looked at."""
    elsewhere = False
    with suppress(UnattendedError):
        async with way.connect(WILL):
            elsewhere = way.elsewhere
            raise UnattendedError("the primary host is not online")
    return elsewhere


@pytest.mark.parametrize(
    ("costs", "then"), [((False, False), "gprs"), ((False, True), "eth"), ((True, False), "eth"), ((True, True), "eth")]
)
async def test_nobody_is_looked_for_over_what_costs_money(tmp_path: Path, costs: tuple[bool, bool], then: str) -> None:
    async with scripted(lively) as one, scripted(lively) as other:
        ports = {"eth": one.port, "gprs": other.port}
        plans = [
            ChannelSettings(name, ((LOOPBACK, port),), metered=metered)
            for (name, port), metered in zip(ports.items(), costs, strict=True)
        ]
        way = make(tmp_path, *plans)
        assert await deserted(way) is (then == "gprs")
        assert (way.channels.at_once, way.channels.way.channel) == (False, then)


async def test_another_channel_to_the_same_broker_is_no_place_to_look(tmp_path: Path) -> None:
    async with scripted(lively) as broker:
        way = make(tmp_path, *two(broker.port, broker.port))
        assert not await deserted(way)
        assert way.channels.way.channel == "eth"
