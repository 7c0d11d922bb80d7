"""Brokers that send us away, or to another."""

import asyncio

import pytest

from dcu.errors import SentAwayError, UplinkError
from dcu.uplink import Uplink
from tests.scripted_broker import ACCEPTED_5, Answer, connack_5, scripted
from tests.unit.uplink.test_link import DATA, WILL, accepting, acknowledging, uplink


@pytest.mark.parametrize(
    ("reason", "kind"),
    [(137, SentAwayError), (151, SentAwayError), (159, SentAwayError), (135, UplinkError), (128, UplinkError)],
)
async def test_a_broker_that_wants_us_to_stay_away(reason: int, kind: type[UplinkError]) -> None:
    async with scripted(accepting(connack_5(reason))) as broker:
        with pytest.raises(UplinkError) as caught:
            async with uplink(broker.port, mqtt_version="5").connect(WILL):
                pass
        assert type(caught.value) is kind


async def test_who_is_sent_away_later_is_told_so_by_whatever_waits() -> None:
    taken_over = bytes([0xE0, 2, 142, 0])
    async with scripted(accepting(on_publish=taken_over)) as broker, uplink(broker.port).connect(WILL) as link:
        outcomes = await asyncio.gather(link.publish(DATA), anext(link.messages()), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [SentAwayError] * 2
        assert "Session taken over" in str(outcomes[0])


async def refusal(way: Uplink) -> str:
    """Return why there is no connection."""
    with pytest.raises(UplinkError) as caught:
        async with way.connect(WILL):
            pass
    return str(caught.value)


def referring(reference: bytes, reason: int = 156) -> Answer:
    """A broker that names another at CONNECT."""
    return accepting(connack_5(reason, b"\x1c" + len(reference).to_bytes(2, "big") + reference))


async def test_another_broker_is_followed_when_that_is_allowed_and_for_one_connection() -> None:
    async with scripted(acknowledging(ACCEPTED_5)) as other, scripted(referring(b"")) as home:
        home.answer = referring(b"127.0.0.1:%d spare" % other.port)
        way = uplink(home.port, referral=True)
        for _ in range(2):
            assert "Use another server" in await refusal(way)
            async with way.connect(WILL) as link:
                assert link.broker == f"127.0.0.1:{other.port}"
        assert (home.connections, other.connections) == (2, 2)


async def test_another_broker_is_not_followed_when_nobody_said_so() -> None:
    async with scripted(referring(b"127.0.0.1:1")) as home:
        way = uplink(home.port)
        assert [await refusal(way) for _ in range(3)] == ["[code:156] Use another server"] * 3
        assert home.connections == 3


@pytest.mark.parametrize("reference", [b"", b" b", b"h:0", b"\xc3\xa4.example"])
async def test_a_reference_that_is_none_leads_home(reference: bytes) -> None:
    async with scripted(referring(reference)) as home:
        way = uplink(home.port, referral=True)
        await refusal(way)
        await refusal(way)
        assert home.connections == 2


async def test_a_circle_of_references_leads_home() -> None:
    async with scripted(referring(b"")) as home:
        home.answer = referring(b"127.0.0.1:%d" % home.port)
        way = uplink(home.port, referral=True)
        hops = []
        for _ in range(8):
            await refusal(way)
            hops.append(way._hops)
        assert hops == [1, 2, 3, 0] * 2
