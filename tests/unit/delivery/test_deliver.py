"""The flow up over a link in memory: what is sent when, and what happens when the link goes."""

import asyncio
import json
from functools import partial

import pytest

from dcu.delivery import deliver
from dcu.delivery.sending import WINDOW_OCTETS
from dcu.delivery.strikes import SUSPECT_AFTER
from dcu.errors import StoreError
from dcu.model import CommandState
from sim.headend import Tally
from tests.flow import running
from tests.links import TOPICS, MemoryLink, acknowledged, bench, is_empty, rows, sent_blocks, settle, until
from tests.outbox import FIRST_SEQ, capture, record


async def test_birth_after_subscription_then_data_released_by_puback() -> None:
    link = MemoryLink()
    at = bench(link)
    at.store.add(*rows(3))
    async with running(at.deliver):
        await until(lambda: at.store.empty)
        assert link.filters == TOPICS.subscriptions
        birth = link.sent[0]
        assert birth.message.retain
        assert birth.body["streams"] == {"load0": FIRST_SEQ}
        assert birth.body["pending"] == {"load0": 3}
        assert link.blocks[0].message.topic == "ami/v1/DCU-1/data/load0"
        figures = at.deliver.figures
        assert figures.connected
        assert (figures.published, figures.acknowledged, figures.in_flight) == (1, 1, 0)
    (will,) = at.uplink.wills
    assert (will.topic, json.loads(will.payload)["state"], will.retain) == (TOPICS.state, "offline", True)


async def test_new_rows_and_new_streams_wake_it() -> None:
    link = MemoryLink()
    at = bench(link)
    async with running(at.deliver):
        await until(lambda: bool(link.states()))
        for round_, stream in enumerate(["load0", "load0", "instant"], 1):
            at.store.add(*rows(1, stream))
            await until(partial(acknowledged, at.store, round_))
    assert at.store.acknowledged == [("load0", FIRST_SEQ), ("load0", FIRST_SEQ + 1), ("instant", FIRST_SEQ)]


async def test_the_window_bounds_what_is_under_way() -> None:
    link = MemoryLink(window=5, holding=True)
    at = bench(link)
    at.store.add(*rows(1000))
    async with running(at.deliver):
        await settle()
        assert len(link.blocks) == 3, "two places are left to urgent messages"
        assert at.deliver.figures.in_flight == 3
        link.blocks[0].puback.set_result(None)
        await settle()
        assert len(link.blocks) == 4
        assert link.keys == sorted(link.keys)


async def test_octets_bound_the_window_too() -> None:
    link = MemoryLink(window=1000, holding=True)
    at = bench(link)
    at.store.add(*[capture(f"M{n:04}", values=("x" * 400,)) for n in range(2000)])
    async with running(at.deliver):
        await settle()
        under_way = sum(len(sent.message.payload) for sent in link.blocks)
        assert WINDOW_OCTETS / 2 < under_way <= WINDOW_OCTETS
        assert len(link.blocks) > 2


async def test_a_window_of_one_still_moves() -> None:
    link = MemoryLink(window=1)
    at = bench(link)
    at.store.add(*rows(100), record())
    async with running(at.deliver):
        await until(lambda: at.store.empty)
    assert link.keys[0] == ("result", FIRST_SEQ)


async def test_results_and_events_go_before_data_and_into_a_full_window() -> None:
    link = MemoryLink(window=5, holding=True)
    at = bench(link)
    at.store.add(*rows(1000))
    async with running(at.deliver):
        await settle()
        at.store.add(capture(stream="event.fraud", values=(40,)), record("c1"))
        await settle()
        assert link.keys[3:] == [("result", FIRST_SEQ), ("event.fraud", FIRST_SEQ)]
        link.blocks[0].puback.set_result(None)
        at.store.add(record("c2", CommandState.RUNNING))
        await settle()
        assert link.keys[5:] == [("result", FIRST_SEQ + 1)]


async def test_each_command_record_is_a_message_of_its_own() -> None:
    link = MemoryLink()
    at = bench(link)
    at.store.add(record("c1", CommandState.ACCEPTED), record("c1"))
    async with running(at.deliver):
        await until(lambda: at.store.empty)
    assert [sent.body["state"] for sent in link.blocks] == ["accepted", "done"]


async def test_streams_take_turns() -> None:
    link = MemoryLink(window=3)
    at = bench(link)
    at.store.add(*rows(600, "load0"), *rows(600, "load1"))
    async with running(at.deliver):
        await until(lambda: at.store.empty)
    first = [stream for stream, _ in link.keys[:6]]
    assert first.count("load0") == first.count("load1") == 3


async def test_nothing_is_released_before_its_own_puback() -> None:
    link = MemoryLink(holding=True)
    at = bench(link)
    at.store.add(*rows(40))
    async with running(at.deliver):
        await until(lambda: len(link.blocks) == 2)
        await settle()
        assert at.store.acknowledged == []
        link.blocks[1].puback.set_result(None)
        await settle()
        assert at.store.acknowledged == [("load0", FIRST_SEQ + 1)]


async def test_what_was_not_acknowledged_is_sent_again_alike_and_first() -> None:
    lost, link = MemoryLink(holding=True), MemoryLink()
    at = bench(lost, link)
    at.store.add(*rows(100))
    async with running(at.deliver):
        await until(lambda: len(lost.blocks) >= 3)
        lost.blocks[1].puback.set_result(None)
        await settle()
        at.store.add(*rows(5))
        lost.lose()
        await until(lambda: at.store.empty)
    unacknowledged = [sent.message.payload for n, sent in enumerate(lost.blocks) if n != 1]
    assert [sent.message.payload for sent in link.blocks[: len(unacknowledged)]] == unacknowledged
    assert at.deliver.figures.connections == 2
    assert [seq for _, seq in sorted(at.store.acknowledged)] == list(range(FIRST_SEQ, at.store.numbers["load0"]))


async def test_losing_the_link_at_any_message_loses_and_changes_nothing() -> None:
    for breaking in range(1, 12):
        lost, link, tally = MemoryLink(), MemoryLink(), Tally()
        lost.breaks_after = breaking
        at = bench(lost, link)
        at.store.add(*rows(100), record())
        async with running(at.deliver):
            await until(partial(is_empty, at.store))
        for sent in lost.blocks + link.blocks:
            tally.take("data", sent.message.payload)
        assert len(tally.captures) == 100
        assert tally.conflicts == 0
        assert tally.holes() == {}
        assert tally.results["c1"]


async def test_cancelled_at_any_turn_it_ends_and_keeps_what_is_not_acknowledged() -> None:
    for turns in range(40):
        link = MemoryLink()
        at = bench(link)
        at.store.add(*rows(100))
        task = asyncio.create_task(at.deliver.run())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        acknowledged = {seq for _, seq in at.store.acknowledged}
        assert acknowledged | set(at.store.allotted["load0"]) == set(range(FIRST_SEQ, at.store.numbers["load0"]))
        assert not at.deliver.figures.connected


async def test_a_clean_stop_says_so_with_its_reason() -> None:
    link = MemoryLink()
    at = bench(link)
    at.deliver.stop_reason = "SIGTERM"
    async with running(at.deliver):
        await until(lambda: link.states() == ["online"])
    assert link.states() == ["online", "stopped"]
    assert link.sent[-1].body["reason"] == "SIGTERM"


async def test_a_stop_without_an_answer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliver, "STOP_TIMEOUT", 0.01)
    link = MemoryLink()
    at = bench(link)
    async with running(at.deliver):
        await until(lambda: link.states() == ["online"])
        link.silent = True
    assert link.states() == ["online", "stopped"]


@pytest.mark.parametrize("turns", range(10))
async def test_a_stop_in_the_instant_of_a_loss_is_still_a_stop(turns: int) -> None:
    link = MemoryLink(holding=True)
    at = bench(link)
    at.store.add(*rows(5))
    task = asyncio.create_task(at.deliver.run())
    await until(partial(sent_blocks, link, 1))
    link.lose()
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await settle()
    assert task.cancelled()


async def test_a_command_is_acknowledged_when_it_is_safe() -> None:
    link = MemoryLink()
    at = bench(link)
    safe = asyncio.Event()

    async def journal(_: str, payload: bytes) -> None:
        at.commands.append(payload)
        await safe.wait()

    at.deliver.on_command = journal
    async with running(at.deliver):
        link.down.put_nowait(b"ping")
        await until(lambda: at.commands == [b"ping"])
        await settle()
        assert link.acknowledged == []
        safe.set()
        await until(lambda: link.acknowledged == [b"ping"])


async def test_who_clears_what_was_retained_commands_nothing() -> None:
    """An empty message deletes a retained one and goes to whoever has subscribed now (MQTT 5, 3.3.1.3)."""
    link = MemoryLink()
    at = bench(link)
    async with running(at.deliver):
        for payload in (b"", b"ping"):
            link.down.put_nowait(payload)
        await until(lambda: link.acknowledged == [b"", b"ping"])
    assert at.commands == [b"ping"]


async def test_a_store_error_ends_the_flow() -> None:
    at = bench(MemoryLink())
    at.store.failure = StoreError("disk full")
    at.store.add(*rows(1))
    with pytest.RaisesGroup(StoreError, flatten_subgroups=True):
        await at.deliver.run()
    assert not at.store.acknowledged


async def test_a_poison_capture_does_not_block_its_stream() -> None:
    link, tally = MemoryLink(), Tally()
    at = bench(link)
    at.store.add(*rows(3), capture("M9999", values=("x" * 100_000,)), *rows(3, "load1"))
    async with running(at.deliver):
        await until(lambda: at.store.empty)
    for sent in link.blocks:
        tally.take("data", sent.message.payload)
    assert len(tally.captures) == 6
    assert [dropped["meter"] for dropped in tally.dropped] == ["M9999"]


async def test_an_oversized_block_is_divided_and_released_after_its_last_part() -> None:
    link, tally = MemoryLink(max_payload=1000, holding=True), Tally()
    at = bench(link)
    at.store.add(*rows(10))
    async with running(at.deliver):
        await until(lambda: len(link.blocks) == 1)
        parts = link.blocks[0].body["parts"]
        for part in range(parts):
            await until(partial(sent_blocks, link, part + 1))
            assert at.store.acknowledged == []
            link.blocks[part].puback.set_result(None)
        await until(lambda: at.store.empty)
    for sent in link.blocks:
        assert len(sent.message.payload) <= 1000
        tally.take("data", sent.message.payload)
    assert len(tally.captures) == 10


async def test_a_refused_block_is_set_aside_and_the_rest_goes_on() -> None:
    link = MemoryLink()
    link.refuses = lambda message: message.topic.endswith("load0") and b'"M0017"' in message.payload
    at = bench(link)
    at.store.add(*rows(100))
    async with running(at.deliver):
        await until(lambda: list(at.store.allotted["load0"]) == [FIRST_SEQ + 1] and not at.store.rows["load0"])
        assert at.deliver.figures.refused == 1
        assert at.deliver.figures.set_aside == 1
        assert at.deliver.figures.connected


async def test_a_block_that_breaks_every_connection_ends_up_last() -> None:
    def poisoned() -> MemoryLink:
        link = MemoryLink(window=1)
        link.breaks_at = lambda message: b'"M0000"' in message.payload
        return link

    links = [poisoned() for _ in range(SUSPECT_AFTER + 1)]
    at = bench(*links)
    at.store.add(*rows(100))
    async with running(at.deliver):
        await until(lambda: not at.store.rows["load0"] and list(at.store.allotted["load0"]) == [FIRST_SEQ])
        assert at.deliver.figures.connected
    assert len(at.uplink.links) == 0


@pytest.mark.parametrize("window", [1, 3, 20])
async def test_a_long_backlog_over_a_link_that_keeps_breaking(window: int) -> None:
    links = [MemoryLink(window) for _ in range(200)]
    for link in links:
        link.breaks_after = 9
    at, tally = bench(*links), Tally()
    at.store.add(*rows(1500))
    async with running(at.deliver):
        await until(lambda: at.store.empty)
    for link in links:
        for sent in link.blocks:
            tally.take("data", sent.message.payload)
    assert len(tally.captures) == 1500
    assert (tally.conflicts, tally.holes()) == (0, {})
