"""The flow up over many connections: tries, health, waiting times, sleep, what goes between parts, a small broker."""

import asyncio
import random
from collections.abc import Mapping
from functools import partial

import pytest

from dcu.delivery.standing import MeterStates
from dcu.model import Reach, Standing
from dcu.uplink import Backoff
from dcu.uplink.backoff import STEADY
from sim.virtual import VirtualClock
from tests.flow import running
from tests.lines import virtually
from tests.links import TOPICS, MemoryLink, acknowledged, bench, is_empty, rows, sent_blocks, settle, until
from tests.outbox import FIRST_SEQ, NOON, capture, record


async def test_without_a_broker_it_keeps_trying_and_keeps_alive() -> None:
    at = bench()
    at.deliver.progress.mark(-1.0)
    async with running(at.deliver):
        await until(lambda: len(at.uplink.wills) >= 5)
        assert at.deliver.figures.error == "connection refused"
        assert at.deliver.progress.last > 0


async def test_health_is_reported_when_connected() -> None:
    link = MemoryLink()
    at = bench(link)
    figures: Mapping[str, object] = {"visits": 12}
    at.deliver.health = lambda: figures
    async with running(at.deliver):
        await until(lambda: any(sent.message.topic == TOPICS.health for sent in link.sent))
    (health,) = [sent for sent in link.sent if sent.message.topic == TOPICS.health]
    assert (health.message.qos, health.message.retain, health.body["visits"]) == (0, True, 12)


@pytest.mark.parametrize(("lived", "again"), [(STEADY + 1, True), (STEADY - 1, False)])
def test_a_connection_that_lived_resets_the_waiting_time_and_one_that_only_delivered_does_not(
    lived: float, *, again: bool
) -> None:
    async def work(_: VirtualClock) -> None:
        link = MemoryLink()
        at = bench(link)
        backoff = at.deliver.backoff = Backoff(dice=random.Random(1))
        while backoff.delay() < 30:
            pass
        at.store.add(record())
        asyncio.get_running_loop().call_later(lived, link.lose)
        await at.deliver.step()
        assert at.store.empty
        assert (backoff.delay() <= 3.0) is again

    virtually(work)


async def test_the_states_of_meters_go_over_every_connection_that_lost_them() -> None:
    lost, link = MemoryLink(), MemoryLink()
    at = bench(lost, link)
    standing = Standing(Reach.UNREACHABLE, NOON)
    envelopes = at.deliver.dialect.envelopes
    at.deliver.states = MeterStates(lambda: ["M1"], lambda _: standing, envelopes, TOPICS, at.deliver.clock)
    async with running(at.deliver):
        for each in (lost, link):
            await until(partial(told, each))
            assert told(each)
            each.lose()


def told(link: MemoryLink) -> bool:
    return TOPICS.of_meter("M1") in {sent.message.topic for sent in link.sent}


async def test_a_sleep_ends_for_what_is_urgent_and_has_not_reached_the_broker() -> None:
    at = bench()
    at.deliver.backoff.asleep = True
    assert not await at.deliver._woken()
    at.store.add(capture(), capture(stream="event.fraud"))
    assert await at.deliver._woken()
    block = await at.store.next_block("event.fraud", 1)
    assert block
    assert await at.deliver._woken(), "it has its number, and the connection ended"
    at.deliver.awaiting.add("event.fraud", block.seq, 0.0)
    assert not await at.deliver._woken(), "the broker has it, and the head-end's word is waited for"
    at.deliver.awaiting.forget()
    at.deliver._strikes.refuse(("event.fraud", block.seq))
    assert not await at.deliver._woken(), "it waits until nothing else does"


async def test_an_alarm_goes_between_the_parts_of_a_block() -> None:
    link = MemoryLink(max_payload=1000, holding=True)
    at = bench(link)
    at.store.add(*rows(16))
    async with running(at.deliver):
        await until(partial(sent_blocks, link, 1))
        assert link.blocks[0].body["parts"] > 2
        at.store.add(capture(stream="event.fraud"), *rows(1, "load1"))
        await until(partial(sent_blocks, link, 2))
        await settle()
        assert link.keys == [("load0", FIRST_SEQ), ("event.fraud", FIRST_SEQ)], "data waits for the last part"
        link.holding = False
        link.blocks[0].puback.set_result(None)
        link.blocks[1].puback.set_result(None)
        await until(partial(is_empty, at.store))
    assert link.keys[-1] == ("load1", FIRST_SEQ)


async def test_a_result_goes_between_the_parts_of_many_events_and_no_other_event_of_them_does() -> None:
    link = MemoryLink(max_payload=1000, holding=True)
    at = bench(link)
    at.store.add(*rows(16, "event.fraud"))
    async with running(at.deliver):
        await until(partial(sent_blocks, link, 1))
        assert link.blocks[0].body["parts"] > 2
        at.store.add(*rows(1), *rows(1, "event.fraud"), record("c1"))
        await until(partial(sent_blocks, link, 2))
        await settle()
        assert link.keys == [("event.fraud", FIRST_SEQ), ("result", FIRST_SEQ)]
        link.holding = False
        link.blocks[0].puback.set_result(None)
        link.blocks[1].puback.set_result(None)
        await until(partial(is_empty, at.store))
    assert link.keys[-2:] == [("event.fraud", FIRST_SEQ + 1), ("load0", FIRST_SEQ)]


@pytest.mark.parametrize("stream", ["load0", "event.fraud"])
async def test_a_block_that_left_before_a_long_one_of_its_stream_does_not_end_the_division(stream: str) -> None:
    link = MemoryLink(max_payload=4000, holding=True)
    at = bench(link)
    at.store.add(*rows(1, stream))
    async with running(at.deliver):
        await until(partial(sent_blocks, link, 1))
        at.store.add(*(capture(f"M{n}", stream, values=("0" * 1000,)) for n in range(4)))
        await until(partial(sent_blocks, link, 2))
        short, long = link.blocks
        assert "parts" not in short.body
        assert long.body["parts"] > 1
        short.puback.set_result(None)
        await until(partial(acknowledged, at.store, 1))
        at.store.add(*rows(1, "load1"), *rows(1, stream))
        await settle()
        assert link.keys == [(stream, FIRST_SEQ), (stream, FIRST_SEQ + 1)], "they wait for the last part"
        link.holding = False
        long.puback.set_result(None)
        await until(partial(is_empty, at.store))
    assert set(link.keys[-2:]) == {("load1", FIRST_SEQ), (stream, FIRST_SEQ + 2)}


@pytest.mark.parametrize(("limit", "told"), [(100_000, 40), (2800, 40), (1000, 0)])
async def test_a_small_broker_gets_a_birth_that_it_can_take(limit: int, told: int) -> None:
    link = MemoryLink(max_payload=limit)
    at = bench(link)
    for number in range(40):
        at.store.add(*rows(1, f"a-stream-of-many-{number:02}"))
    async with running(at.deliver):
        await until(lambda: bool(link.states()))
    birth = link.sent[0]
    assert len(birth.message.payload) <= limit
    assert (len(birth.body["streams"]), len(birth.body["owed"])) == (told, told)
    assert (len(birth.body["pending"]) == 40) is (limit == 100_000)


def ailing() -> Mapping[str, object]:
    problems = [f"archive: M{number:04} takes no part: bus: expected rs485-1, got ttyS{number}" for number in range(8)]
    success = {stream: {"target": 0.985, "expected": 1024, "share": 1.0} for stream in ("load0", "load1", "daily")}
    return {"buses": {"rs485-1": {"visits": 12, "error": "x" * 900}}, "problems": problems, "success": success}


@pytest.mark.parametrize(("limit", "problems", "streams"), [(1100, 8, 3), (600, 4, 3), (400, 4, 0)])
async def test_a_health_message_is_shortened_until_the_broker_takes_it(limit: int, problems: int, streams: int) -> None:
    link = MemoryLink(max_payload=limit)
    at = bench(link)
    at.deliver.health = ailing
    async with running(at.deliver):
        await until(lambda: any(sent.message.topic == TOPICS.health for sent in link.sent))
    (health,) = [sent for sent in link.sent if sent.message.topic == TOPICS.health]
    assert len(health.message.payload) <= limit
    assert str(health.body["buses"]).endswith(" octets")
    assert (len(health.body["problems"]), len(health.body["success"])) == (problems, streams)


async def test_a_health_message_that_cannot_be_shortened_enough_is_not_sent() -> None:
    link = MemoryLink(max_payload=300)
    at = bench(link)
    at.deliver.health = ailing
    at.store.add(record())
    async with running(at.deliver):
        await until(lambda: at.store.empty)
        await settle()
        assert TOPICS.health not in {sent.message.topic for sent in link.sent}
        assert at.deliver.figures.connections == 1
