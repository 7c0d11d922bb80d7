"""Blocks known by their numbers after they were acknowledged, and the sums of what is held."""

from pathlib import Path

import pytest

from dcu.errors import CommandRejected
from dcu.messages.canonical import number
from dcu.model import Capture, Dropped
from dcu.store import Store, delivered
from dcu.store.outbox import Block, Shipped
from dcu.store.retention import Shed
from tests.captures import SetClock, capture

NOON = 1_769_860_800


def rows(count: int, meter: str = "M1", first: int = 0) -> list[Capture]:
    return [capture(NOON + 900 * (first + n), meter) for n in range(count)]


async def sent(store: Store, limit: int) -> list[Block]:
    """Hand out all that waits and have it acknowledged."""
    blocks = []
    while (block := await store.outbox.next_block("load0", limit)) is not None:
        await store.outbox.acknowledge("load0", block.seq)
        blocks.append(block)
    return blocks


async def test_a_block_that_was_acknowledged_is_there_as_it_was(store: Store) -> None:
    await store.readings.record(rows(10), {})
    blocks = await sent(store, 4)
    seqs = [block.seq for block in blocks]
    assert [await store.outbox.block("load0", seq) for seq in seqs] == blocks
    assert await store.delivered.known("load0", 0, 1 << 53, 100) == seqs
    assert await store.delivered.known("load0", seqs[1], seqs[1], 100) == seqs[1:2]
    assert await store.delivered.known("load0", 0, 1 << 53, 2) == seqs[:2]
    assert await store.outbox.block("load0", seqs[-1] + 1) is None
    assert await store.outbox.block("load1", seqs[0]) is None


async def test_blocks_by_the_times_of_their_captures(store: Store) -> None:
    for day in range(3):
        await store.readings.record(rows(5, first=96 * day), {})
    seqs = [block.seq for block in await sent(store, 5)]
    yesterday = NOON + 86_400
    assert await store.delivered.known("load0", 0, 1 << 53, 100, (yesterday, yesterday + 900)) == seqs[1:2]
    assert await store.delivered.known("load0", seqs[2], 1 << 53, 100, (yesterday, yesterday + 900)) == []
    assert await store.delivered.known("load0", 0, 1 << 53, 100, (yesterday - 100, yesterday - 1)) == []


async def test_a_block_of_which_rows_have_gone_does_not_go_out_under_its_number(store: Store) -> None:
    await store.readings.record(rows(5), {})
    (block,) = await sent(store, 5)
    await store.retention.shed("load0", "storage")
    assert await store.outbox.block("load0", block.seq) is None


async def test_old_numbers_are_forgotten(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivered, "KNOWN_BLOCKS", 2)
    await store.readings.record(rows(5), {})
    seqs = [block.seq for block in await sent(store, 1)]
    await store.delivered.forget()
    assert await store.delivered.known("load0", 0, 1 << 53, 100) == seqs[-2:]


async def test_what_is_held_is_what_was_acknowledged_and_the_rest_is_pending(store: Store) -> None:
    first, second, third = rows(4), rows(4, "M2"), rows(2, "M2", 4)
    await store.readings.record([*first, *second], {})
    await sent(store, 3)
    await store.readings.record(third, {})
    await store.outbox.next_block("load0", 1)
    held = await store.delivered.held("load0", NOON, NOON + 86_400)
    assert (held.captures, held.pending) == (8, 2)
    assert held.total == sum(map(number, [*first, *second]))
    assert held.meters == {"M1": [4, sum(map(number, first))], "M2": [4, sum(map(number, second))]}
    one = await store.delivered.held("load0", NOON + 900, NOON + 1800, "M2")
    assert (one.captures, one.total) == (2, sum(map(number, second[1:3])))
    assert (await store.delivered.held("load9", NOON, NOON + 86_400)).captures == 0


async def test_what_was_told_as_dropped_is_not_held_although_its_segment_is_here_still(store: Store) -> None:
    await store.readings.record(rows(9), {})
    block = await store.outbox.next_block("load0", 4)
    assert block
    assert await store.retention.shed("load0", "storage", unsent=True) == Shed(5, 5)
    held = await store.delivered.held("load0", NOON, NOON + 86_400)
    assert (held.captures, held.pending) == (0, 4), "of the others no block was made yet"
    word = await store.outbox.next_block("load0", 9)
    assert word
    assert word.dropped == Dropped("storage", NOON + 4 * 900, NOON + 8 * 900, 5)
    for seq in (block.seq, word.seq):
        await store.outbox.acknowledge("load0", seq)
    held = await store.delivered.held("load0", NOON, NOON + 86_400)
    assert (held.captures, held.pending, held.total) == (4, 0, sum(map(number, rows(4))))
    assert await store.outbox.shipped("load0", 0) == Shipped(4, 4, 4)


async def test_what_the_broker_refuses_is_stored_and_not_held_until_it_was_sent_after_all(store: Store) -> None:
    await store.readings.record(rows(9), {})
    block = await store.outbox.next_block("load0", 4)
    assert block
    await store.outbox.refuse("load0", block.seq)
    await sent(store, 5)
    for _ in range(2):
        held = await store.delivered.held("load0", NOON, NOON + 86_400)
        assert (held.captures, held.pending) == (5, 0)
        assert await store.outbox.shipped("load0", 0) == Shipped(9, 5, 5)
        await store.outbox.acknowledge_to({"load0": block.seq})
    await store.outbox.acknowledge("load0", block.seq)
    assert (await store.delivered.held("load0", NOON, NOON + 86_400)).captures == 9
    assert await store.outbox.shipped("load0", 0) == Shipped(9, 9, 9)


async def test_too_much_at_once_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivered, "SUM_BOUND", 3)
    await store.readings.record(rows(4), {})
    with pytest.raises(CommandRejected, match="more than 3"):
        await store.delivered.held("load0", NOON, NOON + 86_400)


async def test_numbers_outlive_a_restart(tmp_path: Path, clock: SetClock) -> None:
    async with Store.open(tmp_path / "again.db", clock) as store:
        await store.readings.record(rows(5), {})
        blocks = await sent(store, 5)
    async with Store.open(tmp_path / "again.db", clock) as store:
        assert [await store.outbox.block("load0", block.seq) for block in blocks] == blocks
