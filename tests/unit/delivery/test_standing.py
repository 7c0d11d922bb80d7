"""Which meters' states are told when; that a flow has them told is in test_deliver."""

import asyncio
import json
from collections.abc import Iterable
from typing import cast

import pytest

from dcu.delivery import standing
from dcu.delivery.standing import SETTLE, MeterStates
from dcu.messages.envelope import Envelopes
from dcu.model import Reach, Standing
from dcu.uplink import Link, Outgoing, RefusedError
from tests.captures import SetClock
from tests.links import TOPICS, MemoryLink, settle
from tests.outbox import NOON

UP, WEAK, DOWN = Reach.REACHABLE, Reach.DEGRADED, Reach.UNREACHABLE


class Bench:
    def __init__(self) -> None:
        self.clock = SetClock(float(NOON))
        self.standings = {f"M{number}": Standing(UP, NOON - 60.0, NOON - 1.0) for number in range(3)}
        self.states = MeterStates(self.standings.keys, self.standings.get, Envelopes("DCU-1", "b"), TOPICS, self.clock)

    async def told(self, link: MemoryLink) -> list[tuple[str, str]]:
        """Return what one look tells over `link`."""
        before = len(link.sent)
        await self.states.step(cast("Link", link))
        return [(sent.body["meter"], sent.body["state"]) for sent in link.sent[before:]]

    async def connected(self, link: MemoryLink) -> list[str]:
        """Return the meters that are told of first over a new connection."""
        task = asyncio.create_task(self.states.run(cast("Link", link)))
        await settle()
        task.cancel()
        return [sent.body["meter"] for sent in link.sent]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(standing, "PAUSE", 0.0)
    return Bench()


def names(of: Iterable[tuple[str, str]]) -> list[str]:
    return [meter for meter, _ in of]


async def test_all_at_first_then_what_has_changed(bench: Bench) -> None:
    link = MemoryLink()
    assert names(await bench.told(link)) == ["M0", "M1", "M2"]
    message = link.sent[0].message
    assert (message.topic, message.qos, message.retain) == ("ami/v1/DCU-1/meter/M0/state", 1, True)
    assert json.loads(message.payload)["last_reading"] == "2026-01-31T11:59:59Z"
    bench.standings["M1"] = Standing(DOWN, NOON)
    bench.clock.time += SETTLE
    assert await bench.told(link) == [("M1", "unreachable")]
    assert await bench.told(link) == []


async def test_one_that_comes_and_goes_is_left_alone_for_a_while(bench: Bench) -> None:
    link = MemoryLink()
    await bench.told(link)
    bench.standings["M1"] = Standing(WEAK, NOON)
    bench.clock.time += SETTLE - 1.0
    assert await bench.told(link) == []
    bench.standings["M1"] = Standing(UP, NOON + 1.0)
    bench.clock.time += 1.0
    assert await bench.told(link) == [], "it stands as it was told"


async def test_only_what_the_broker_lost_is_told_again(bench: Bench) -> None:
    assert len(await bench.connected(MemoryLink())) == 3
    kept = MemoryLink()
    kept.resumed = True
    assert await bench.connected(kept) == []
    assert len(await bench.connected(MemoryLink())) == 3, "the session is lost"
    other = MemoryLink()
    other.resumed, other.broker = True, "another"
    assert len(await bench.connected(other)) == 3


async def test_a_broken_connection_leaves_the_rest_for_the_next(bench: Bench) -> None:
    link = MemoryLink()
    link.breaks_after = 2
    with pytest.raises(Exception, match="connection lost"):
        await bench.told(link)
    again = MemoryLink()
    again.resumed = True
    bench.states._broker = "broker"
    assert await bench.connected(again) == ["M1", "M2"]


async def test_a_meter_that_has_gone_is_cleared_where_something_is_retained(bench: Bench) -> None:
    link = MemoryLink()
    await bench.told(link)
    del bench.standings["M2"]
    await bench.states.step(cast("Link", link))
    assert [(sent.message.topic, sent.message.payload) for sent in link.sent[3:]] == [(TOPICS.of_meter("M2"), b"")]
    link.retains = False
    del bench.standings["M1"]
    await bench.states.step(cast("Link", link))
    assert len(link.sent) == 4


async def test_a_broker_that_does_not_let_us_is_left_alone(bench: Bench) -> None:
    class Refusing(MemoryLink):
        async def publish(self, message: Outgoing) -> None:
            await super().publish(message)
            raise RefusedError("not authorised")

    link = Refusing()
    await bench.states.run(cast("Link", link))
    assert len(link.sent) == 1
