"""Delivery: dense sequence numbers, blocks that never change, and an exact count of what is left."""

import asyncio
from functools import partial
from pathlib import Path

from dcu.errors import StoreError
from dcu.model import Command, CommandState, Dropped
from dcu.store import BLOCK_ROWS, Store
from tests.captures import SetClock, capture


async def test_blocks_follow_each_other_without_a_hole(store: Store) -> None:
    await store.readings.record([capture(at) for at in range(5)], {})
    blocks = [await store.outbox.next_block("load0", 2) for _ in range(4)]
    found = [(block.seq - 1_800_000_000_250, len(block.items)) for block in blocks if block]
    assert found == [(0, 2), (1, 2), (2, 1)]
    assert blocks[3] is None
    assert [item for block in blocks if block for item in block.items] == [capture(at) for at in range(5)]


async def test_an_unacknowledged_block_comes_again_with_the_same_content(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        await store.readings.record([capture(1), capture(2)], {})
        first = await store.outbox.next_block("load0", 2)
        await store.readings.record([capture(3)], {})
        second = await store.outbox.next_block("load0", 2)
    clock.time += 10_000
    async with Store.open(path, clock) as store:
        assert await store.outbox.unacknowledged("load0") == [first, second]
        await store.readings.record([capture(4)], {})
        third = await store.outbox.next_block("load0", 2)
        assert first
        assert second
        assert third
        assert [first.seq + 1, second.seq + 1] == [second.seq, third.seq]
        assert third.items == (capture(4),)


async def test_acknowledged_out_of_order_and_twice(store: Store) -> None:
    await store.readings.record([capture(at) for at in range(3)], {})
    blocks = [block for _ in range(3) if (block := await store.outbox.next_block("load0", 1))]
    for block in (blocks[1], blocks[1], blocks[2]):
        await store.outbox.acknowledge("load0", block.seq)
    assert await store.outbox.unacknowledged("load0") == [blocks[0]]
    assert await store.outbox.pending() == {"load0": 1}


async def test_pending_counts_what_is_stored_or_on_its_way(store: Store) -> None:
    assert await store.outbox.pending() == {}
    await store.readings.record([capture(at) for at in range(5)], {})
    await store.readings.record([capture(1, stream="daily")], {})
    block = await store.outbox.next_block("load0", 2)
    assert await store.outbox.pending() == {"load0": 5, "daily": 1}
    assert block
    await store.outbox.acknowledge("load0", block.seq)
    assert await store.outbox.pending() == {"load0": 3, "daily": 1}


async def test_streams_tell_their_next_sequence_number(store: Store, clock: SetClock) -> None:
    assert await store.outbox.streams() == {}
    await store.readings.record([capture(1), capture(2)], {})
    block = await store.outbox.next_block("load0", 1)
    assert block
    assert await store.outbox.streams() == {"load0": block.seq + 1}


async def test_an_unknown_stream_has_no_block_and_is_not_made(store: Store) -> None:
    assert await store.outbox.next_block("load9", 1) is None
    await store.outbox.acknowledge("load9", 1)
    assert await store.outbox.unacknowledged("load9") == []
    assert await store.outbox.streams() == {}


async def test_a_block_is_bounded_whatever_is_asked(store: Store) -> None:
    await store.readings.record([capture(at) for at in range(BLOCK_ROWS + 1)], {})
    block = await store.outbox.next_block("load0", 10**9)
    assert block
    assert len(block.items) == BLOCK_ROWS


async def test_results_are_delivered_like_readings_each_as_it_was(store: Store, clock: SetClock) -> None:
    accepted, _ = await store.commands.accept(Command("c1", "dcu.ping"))
    clock.time += 1
    done = await store.commands.change("c1", CommandState.DONE, {"pong": 1})
    assert await store.outbox.pending() == {"result": 2}
    blocks = [await store.outbox.next_block("result", 1), await store.outbox.next_block("result", 1)]
    assert [block.items for block in blocks if block] == [(accepted,), (done,)]
    assert await store.outbox.unacknowledged("result") == blocks


async def test_fresh_is_set_by_what_can_be_delivered(store: Store) -> None:
    assert store.database.fresh.is_set()  # a backlog may wait since the last run
    store.database.fresh.clear()
    await store.readings.record([], {("M1", "load0"): 1})
    await store.counters.reserve("M1", 1)
    assert not store.database.fresh.is_set()
    await store.readings.record([capture(2)], {})
    assert store.database.fresh.is_set()


async def test_a_number_that_was_not_committed_is_given_again(store: Store) -> None:
    await store.readings.record([capture(1)], {})
    numbers = await store.outbox.streams()

    async def broken(_: object) -> None:
        raise StoreError("the disk is gone")

    allotting = store.database.write(partial(store.outbox._allot, name="load0", limit=1))
    refused = await asyncio.gather(allotting, store.database.write(broken), return_exceptions=True)
    assert [str(error) for error in refused] == ["the disk is gone"] * 2
    assert (await store.outbox.streams(), await store.outbox.unacknowledged("load0")) == (numbers, [])
    block = await store.outbox.next_block("load0", 1)
    assert block
    assert (block.seq, block.items) == (numbers["load0"], (capture(1),))


async def test_while_little_waits_a_block_of_data_waits_for_company(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock, patience=60.0) as store:
        await store.readings.record([capture(at) for at in range(8)], {})
        behind = await store.outbox.next_block("load0", 1)  # so far behind is committed at once
        assert behind
        waiting = asyncio.create_task(store.outbox.next_block("load0", 4))
        done, _ = await asyncio.wait([waiting], timeout=0.05)
        assert not done
        acknowledging = asyncio.create_task(store.outbox.acknowledge("load0", behind.seq))
        done, _ = await asyncio.wait([acknowledging], timeout=0.05)
        assert not done
        await store.readings.record([capture(1, stream="event.dcu")], {})
        assert await store.outbox.next_block("event.dcu", 4)  # nor does what is urgent
        block = await waiting
        await acknowledging
        assert block
        assert await store.outbox.unacknowledged("load0") == [block]


async def test_where_nothing_waits_nothing_is_written(store: Store) -> None:
    await store.readings.record([capture(1)], {})
    assert await store.outbox.next_block("load0", 1)
    before = await store.database.read("PRAGMA data_version")
    assert await store.outbox.next_block("load0", 1) is None
    assert await store.database.read("PRAGMA data_version") == before


async def test_what_the_broker_refuses_is_said_over_a_restart_and_holds_up_nothing(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        await store.readings.record([capture(900 * n) for n in range(5)], {})
        refused, other = [await store.outbox.next_block("load0", 2) for _ in range(2)]
        assert refused
        assert other
        assert await store.outbox.refuse("load0", refused.seq)
        assert await store.outbox.refuse("load0", refused.seq)
    async with Store.open(path, clock) as store:
        assert await store.outbox.pending() == {"load0": 3}
        (said, _) = await store.outbox.unacknowledged("load0")
        assert said.dropped == Dropped("refused", 0, 900, 2)
        await store.outbox.acknowledge_to({"load0": other.seq})
        assert await store.outbox.block("load0", refused.seq) == refused
        assert (await store.readings.captures("M1", "load0", 0, 900, 10))[:2] == list(refused.items)


async def test_a_result_that_the_broker_refuses_is_said_too(store: Store, clock: SetClock) -> None:
    await store.commands.accept(Command("c1", "dcu.ping"))
    block = await store.outbox.next_block("result", 1)
    assert block
    assert await store.outbox.refuse("result", block.seq)
    said = await store.outbox.block("result", block.seq)
    assert said
    assert said.dropped == Dropped("refused", int(clock.now()), int(clock.now()), 1)
