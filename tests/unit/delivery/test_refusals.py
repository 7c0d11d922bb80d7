"""What the broker refuses, over links in memory and in virtual time: blocks, streams, everything."""

import asyncio
from dataclasses import replace

import pytest

from dcu.config import StreamSettings
from dcu.delivery.resting import REST
from dcu.delivery.strikes import MAX_ASIDE, MAX_SUSPECTS
from dcu.messages.events import OWN_EVENTS
from sim.virtual import VirtualClock
from tests.flow import running
from tests.lines import virtually
from tests.links import TOPICS, Bench, MemoryLink, bench, rows
from tests.outbox import FIRST_SEQ, capture, record


def refusing(*streams: str) -> MemoryLink:
    link = MemoryLink()
    link.refuses = lambda message: message.topic in {TOPICS.of_stream(stream) for stream in streams}
    return link


def keep_events(at: Bench) -> None:
    async def report(name: str, *, meter: str = "", **detail: object) -> None:
        at.store.add(capture(meter, "event.standard", values=(name, detail["stream"])))

    at.deliver.resting.report = report


def sent(link: MemoryLink, stream: str) -> list[int]:
    return [seq for name, seq in link.keys if name == stream]


def test_one_stream_that_is_not_authorised_rests_and_all_others_go_on() -> None:
    async def work(_: VirtualClock) -> None:
        link = refusing("load1")
        at = bench(link)
        keep_events(at)
        async with running(at.deliver):
            for number in range(40):
                at.store.add(capture(stream="load0", values=(number,)), capture(stream="load1", values=(number,)))
                await asyncio.sleep(1.0)
            at.store.add(record(), capture(stream="event.fraud", values=(40,)))
            await asyncio.sleep(1.0)
            assert len(sent(link, "load0")) == 40
            assert len(sent(link, "load1")) == MAX_ASIDE + 1
            assert len(sent(link, "result")) == len(sent(link, "event.fraud")) == 1
            (told,) = [each.body for each in link.blocks if each.key[0] == "event.standard"]
            assert told["captures"][0]["values"] == ["stream refused", "load1"]
            await asyncio.sleep(4 * REST)
            assert len(sent(link, "load1")) == MAX_ASIDE + 1 + 4, "one asks in each period"
            assert (at.deliver.figures.connected, at.deliver.figures.connections) == (True, 1)

    assert "stream refused" in OWN_EVENTS
    virtually(work)


def test_a_stream_at_which_the_broker_ends_the_connection_rests_too() -> None:
    async def work(_: VirtualClock) -> None:
        links = [MemoryLink() for _ in range(MAX_ASIDE + 4)]
        for link in links:
            link.breaks_at = lambda message: message.topic == TOPICS.of_stream("load1")
        at = bench(*links)
        at.store.add(*rows(2000, "load1"), *rows(100))
        async with running(at.deliver):
            await asyncio.sleep(REST - 1.0)
            assert at.deliver.figures.connections == MAX_ASIDE + 2
            assert (at.deliver.figures.connected, at.store.rows["load0"]) == (True, [])
            await asyncio.sleep(REST)
            assert at.deliver.figures.connections == MAX_ASIDE + 3, "one asks"

    virtually(work)


def test_a_stream_that_is_taken_again_is_delivered_whole() -> None:
    async def work(_: VirtualClock) -> None:
        link = refusing("load1")
        at = bench(link)
        at.store.add(*rows(2000, "load1"))
        async with running(at.deliver):
            await asyncio.sleep(3 * REST)
            assert not at.store.acknowledged
            link.refuses = lambda _: False
            await asyncio.sleep(3 * REST)
            assert at.store.empty
            assert not at.deliver.resting.waits("load1")

    virtually(work)


def test_what_asks_for_a_refused_stream_is_bounded() -> None:
    async def work(_: VirtualClock) -> None:
        link = refusing("load1")
        at = bench(link)
        async with running(at.deliver):
            for number in range(2 * MAX_SUSPECTS):
                at.store.add(capture(stream="load1", values=(number,)))
                await asyncio.sleep(REST)
            assert len(set(sent(link, "load1"))) == MAX_SUSPECTS
            assert len(sent(link, "load1")) > MAX_SUSPECTS, "those that were refused ask"

    virtually(work)


def test_blocks_refused_one_after_the_other_do_not_hold_up_those_behind() -> None:
    async def work(_: VirtualClock) -> None:
        poison = range(FIRST_SEQ, FIRST_SEQ + MAX_ASIDE + 4)
        link = MemoryLink()
        link.refuses = lambda message: any(b'"seq":%d,' % seq in message.payload for seq in poison)
        at = bench(link)
        alone = StreamSettings(compact=False, delay=0.0, rows=1)
        at.uplink.settings = replace(at.uplink.settings, streams={"default": alone})
        at.store.add(*rows(60))
        async with running(at.deliver):
            await asyncio.sleep(5 * REST)
            assert sorted(at.store.allotted["load0"]) == list(poison)
            assert not at.store.rows["load0"]

    virtually(work)


def poisoned() -> MemoryLink:
    """Refuses the first block of load0 for what it is."""
    link = MemoryLink()
    link.refuses = lambda message: b'"stream":"load0","seq":%d,"columns":[[' % FIRST_SEQ in message.payload
    link.for_good = True
    return link


async def hourly(at: Bench, days: float) -> None:
    for number in range(int(24 * days)):
        at.store.add(capture(values=(number,)))
        await asyncio.sleep(3600.0)


def test_a_block_that_the_broker_refuses_for_good_is_told_of_after_a_day_and_comes_when_it_is_asked_for() -> None:
    async def work(_: VirtualClock) -> None:
        link = poisoned()
        at = bench(link)
        async with running(at.deliver):
            await hourly(at, 1.0)
            assert list(at.store.allotted["load0"]) == [FIRST_SEQ]
            await hourly(at, 1.0)
            assert at.store.empty
            told = next(each.body for each in reversed(link.blocks) if each.key == ("load0", FIRST_SEQ))
            assert (told["captures"], told["dropped"]["reason"], told["dropped"]["count"]) == ([], "refused", 1)
            count = len(link.keys)
            await asyncio.sleep(10 * REST)
            assert (len(link.keys), at.deliver.figures.set_aside) == (count, 0)
            link.refuses = lambda _: False
            at.deliver.wanted.append(("load0", FIRST_SEQ))
            at.deliver.resend()
            await asyncio.sleep(1.0)
            assert len(link.blocks[-1].body["captures"]) == 1

    virtually(work)


def test_where_the_head_end_acknowledges_what_stands_in_place_of_a_block_lets_it_go_on() -> None:
    async def work(_: VirtualClock) -> None:
        link = poisoned()
        at = bench(link)
        at.deliver.awaiting.patience = 600.0
        async with running(at.deliver):
            await hourly(at, 2.0)
            assert ("load0", FIRST_SEQ) in at.store.refused
            last = max(seq for _, seq in link.keys)
            link.words.put_nowait(b'{"streams": {"load0": %d}}' % last)
            await asyncio.sleep(1.0)
            assert at.store.empty

    virtually(work)


@pytest.mark.parametrize("streams", [("load0",), ("load0", "load1")])
def test_what_is_refused_for_our_rights_or_with_all_of_its_stream_is_never_given_up(streams: tuple[str, ...]) -> None:
    async def work(_: VirtualClock) -> None:
        link = refusing(*streams)
        link.for_good = len(streams) > 1
        at = bench(link)
        async with running(at.deliver):
            await hourly(at, 4.0)
            assert not at.store.acknowledged
            assert not at.store.refused

    virtually(work)


def test_a_broker_that_refuses_everything_is_left_and_nothing_released() -> None:
    async def work(_: VirtualClock) -> None:
        link, later = refusing("load0", "event.dcu"), MemoryLink()
        later.broker = "another"
        at = bench(link, later)
        keep_events(at)
        at.store.add(*rows(2000))
        async with running(at.deliver):
            await asyncio.sleep(1.0)
            assert len(link.blocks) <= MAX_ASIDE + 20
            assert not set(at.store.acknowledged) & set(link.keys) - set(later.keys)
            await asyncio.sleep(2 * REST)
            assert at.store.empty
            assert at.deliver.figures.connections == 2

    virtually(work)
