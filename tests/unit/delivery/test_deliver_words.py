"""What the head-end says of the blocks it has, and asks for again, over a link in memory."""

import asyncio
import dataclasses
from collections.abc import Mapping
from functools import partial

from dcu.config import UplinkSettings
from dcu.delivery.strikes import SUSPECT_AFTER
from dcu.store.writer import PATIENCE
from sim.virtual import VirtualClock
from tests.flow import running
from tests.lines import virtually
from tests.links import TOPICS, Bench, MemoryLink, acknowledged, bench, is_empty, rows, sent_blocks, settle, until
from tests.outbox import FIRST_SEQ, Block, MemoryOutbox, capture, record


def waiting_for_the_head_end(*links: MemoryLink) -> Bench:
    at = bench(*links)
    at.uplink.settings = dataclasses.replace(at.uplink.settings, acknowledge="head-end")
    at.deliver.awaiting.patience = 600.0
    return at


async def test_rows_are_released_on_the_head_end_s_word_and_on_nothing_else() -> None:
    link = MemoryLink()
    at = waiting_for_the_head_end(link)
    at.store.add(*rows(3), record())
    async with running(at.deliver):
        await until(lambda: at.deliver.figures.awaited == 2)
        await settle()
        assert TOPICS.ack in link.filters
        assert at.store.acknowledged == []
        link.words.put_nowait(b'{"streams": {"load0": 1000}}')
        await until(lambda: at.deliver.figures.awaited == 1)
        link.words.put_nowait(b"nonsense")
        link.words.put_nowait(b'{"streams": {"result": 1000, "load9": 5}}')
        await until(lambda: at.deliver.figures.awaited == 0)
        await until(lambda: len(link.acknowledged) == 3)
    assert at.store.acknowledged == [("load0", FIRST_SEQ), ("result", FIRST_SEQ)]
    assert at.commands == []


async def test_a_command_waits_for_no_word_that_is_being_kept() -> None:
    link = MemoryLink()
    at = waiting_for_the_head_end(link)
    at.store.committing.clear()
    at.store.add(*rows(1), *rows(1, "load1"))
    async with running(at.deliver):
        await until(lambda: at.deliver.figures.awaited == 2)
        link.words.put_nowait(b'{"streams": {"load0": 1000}}')
        await until(lambda: len(link.acknowledged) == 1)
        link.words.put_nowait(b'{"streams": {"load1": 1000}}')
        link.words.put_nowait(b'{"streams": {"load0": 900, "load1": 900}}')
        await until(lambda: len(link.acknowledged) == 3)
        link.down.put_nowait(b"{}")
        await until(lambda: at.commands == [b"{}"])
        assert at.deliver.figures.awaited == 2
        at.store.committing.set()
        await until(lambda: at.deliver.figures.awaited == 0)
        link.words.put_nowait(b'{"streams": {"load0": 1000, "load1": 1000}}')
        await until(lambda: len(link.acknowledged) == 5)
        await settle()
    assert at.store.words == [{"load0": 1000}, {"load1": 1000}], "what was said before is not kept again"


async def test_a_word_whose_commit_a_broken_connection_interrupts_is_kept_over_the_next() -> None:
    link, kept = MemoryLink(), MemoryLink()
    kept.resumed = True
    at = waiting_for_the_head_end(link, kept)
    at.store.committing.clear()
    at.store.add(*rows(1))
    async with running(at.deliver):
        await until(lambda: at.deliver.figures.awaited == 1)
        link.words.put_nowait(b'{"streams": {"load0": 1000}}')
        await until(lambda: len(link.acknowledged) == 1)
        link.lose()
        await until(lambda: bool(kept.states()))
        at.store.committing.set()
        await until(lambda: at.deliver.figures.awaited == 0)
    assert at.store.words == [{"load0": FIRST_SEQ}]


async def test_a_word_of_what_was_never_sent_releases_nothing() -> None:
    link, forgetful = MemoryLink(), MemoryLink()
    at = waiting_for_the_head_end(link, forgetful)
    at.store.add(*rows(1))
    async with running(at.deliver):
        await until(lambda: at.deliver.figures.awaited == 1)
        link.words.put_nowait(b'{"streams": {"load0": 900000, "load9": 0}}')
        await until(lambda: len(link.acknowledged) == 1)
        await settle()
        assert (at.store.words, at.deliver.figures.awaited) == ([], 1)
        link.lose()
        await until(partial(sent_blocks, forgetful, 1))
        assert forgetful.keys == [("load0", FIRST_SEQ)]


async def test_only_what_neither_side_has_is_sent_over_the_next_connection() -> None:
    lost, kept, forgetful = MemoryLink(), MemoryLink(), MemoryLink()
    kept.resumed = True
    at = waiting_for_the_head_end(lost, kept, forgetful)
    at.store.add(*rows(1))
    async with running(at.deliver):
        await until(lambda: at.deliver.figures.awaited == 1)
        lost.lose()
        await until(lambda: bool(kept.states()))
        at.store.add(*rows(1))
        await until(lambda: at.deliver.figures.awaited == 2)
        assert kept.keys == [("load0", FIRST_SEQ + 1)]
        kept.lose()
        await until(partial(sent_blocks, forgetful, 2))
        assert forgetful.keys == [("load0", FIRST_SEQ), ("load0", FIRST_SEQ + 1)]


async def test_what_was_asked_for_goes_out_again_as_it_was() -> None:
    link = MemoryLink()
    at = bench(link)
    at.store.add(*rows(1))
    async with running(at.deliver):
        await until(lambda: at.store.empty)
        at.deliver.wanted.extend([("load0", 5), ("load0", FIRST_SEQ)])
        at.deliver.resend()
        await until(partial(sent_blocks, link, 2))
    assert link.blocks[0].message.payload == link.blocks[1].message.payload


async def test_what_was_asked_for_again_outlasts_a_connection_that_breaks() -> None:
    first, second = MemoryLink(), MemoryLink()
    at = bench(first, second)
    async with running(at.deliver):
        for seq in range(FIRST_SEQ, FIRST_SEQ + 3):
            at.store.add(*rows(1))
            await until(partial(acknowledged, at.store, seq - FIRST_SEQ + 1))
        first.holding = True
        wanted = [("load0", FIRST_SEQ + 2), ("load0", FIRST_SEQ)]
        at.deliver.wanted.extend(wanted)
        at.deliver.resend()
        await until(partial(sent_blocks, first, 5))
        first.blocks[3].puback.set_result(None)
        await until(partial(acknowledged, at.store, 4))
        first.lose()
        await until(partial(acknowledged, at.store, 5))
        await settle()
    assert second.keys == wanted[1:], "what had its PUBACK is not sent for a third time"
    assert not at.deliver.wanted


async def test_what_was_asked_for_and_breaks_every_connection_is_sent_no_more() -> None:
    links = [MemoryLink() for _ in range(8)]
    at = bench(*links)
    at.store.add(*rows(1))
    async with running(at.deliver):
        await until(partial(is_empty, at.store))
        for link in links:
            link.breaks_at = lambda message: message.topic.endswith("load0")
        at.deliver.wanted.append(("load0", FIRST_SEQ))
        at.deliver.resend()
        await until(lambda: not at.deliver.wanted)
        await settle()
        assert at.deliver.figures.connected
        assert sum(len(link.blocks) for link in links) == 1 + SUSPECT_AFTER


class PatientOutbox(MemoryOutbox):
    """Takes for each commit what the daemon's store takes at most, where nothing urgent shares it."""

    async def next_block(self, stream: str, limit: int) -> Block | None:
        block = await super().next_block(stream, limit)
        if block is not None and not stream.startswith("event"):
            await asyncio.sleep(PATIENCE)
        return block

    async def acknowledge_to(self, words: Mapping[str, int]) -> None:
        await asyncio.sleep(PATIENCE)
        await super().acknowledge_to(words)


def test_with_the_daemon_s_own_values_nothing_urgent_waits() -> None:
    """Blocks wait 30 s for company and commits 1.9 s: an event and a command do for neither."""

    async def scenario(_: VirtualClock) -> None:
        link, store, loop = MemoryLink(), PatientOutbox(), asyncio.get_running_loop()
        at = bench(link, store=store)
        at.uplink.settings = UplinkSettings("broker", "DCU-1", acknowledge="head-end")
        at.deliver.awaiting.patience = at.uplink.settings.patience
        streams = [f"load{number}" for number in range(12)]
        async with running(at.deliver):
            store.add(*[capture(stream=stream) for stream in streams])
            await asyncio.sleep(1.0)
            assert not link.blocks
            store.add(capture(stream="event.fraud"))
            await asyncio.sleep(0.1)
            assert [sent.message.topic for sent in link.blocks] == [TOPICS.of_stream("event.fraud")]
            await asyncio.sleep(30.0 + 12 * PATIENCE)
            assert len(link.blocks) == 13
            words = ", ".join(f'"{stream}": {FIRST_SEQ}' for stream in streams)
            link.words.put_nowait(f'{{"streams": {{{words}}}}}'.encode())
            await asyncio.sleep(0.1)
            link.down.put_nowait(b"{}")
            began = loop.time()
            await until(lambda: at.commands == [b"{}"])
            assert loop.time() - began < 0.1
            await asyncio.sleep(PATIENCE)
            assert at.deliver.figures.awaited == 1, "all of one word in one commit"

    virtually(scenario)
