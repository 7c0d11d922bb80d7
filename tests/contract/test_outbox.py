"""One suite for what delivery needs of a store: the real one, and the one in memory that its tests use."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dcu.clock import SystemClock
from dcu.delivery.dialect import Block
from dcu.delivery.outbox import Outbox
from dcu.model import Capture, Dropped
from dcu.store import Store
from tests.outbox import NOON, MemoryOutbox, capture


@dataclass
class Subject:
    outbox: Outbox
    add: Callable[[list[Capture]], Awaitable[object]]


async def add_to_memory(outbox: MemoryOutbox, captures: list[Capture]) -> None:
    outbox.add(*captures)


@pytest.fixture(params=["memory", "sqlite"])
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    if request.param == "memory":
        memory = MemoryOutbox()
        yield Subject(memory, lambda captures: add_to_memory(memory, captures))
        return
    async with Store.open(tmp_path / "store.db", SystemClock()) as store:
        yield Subject(store.outbox, lambda captures: store.readings.record(captures, {}))


def rows(count: int, stream: str = "load0") -> list[Capture]:
    return [capture(stream=stream, at=NOON + 900 * n, values=(n,)) for n in range(count)]


async def block(subject: Subject, limit: int) -> Block:
    found = await subject.outbox.next_block("load0", limit)
    assert found is not None
    return found


async def test_blocks_in_order_with_growing_numbers_until_none_is_left(subject: Subject) -> None:
    await subject.add(rows(5))
    first = (await subject.outbox.streams())["load0"]
    blocks = [await block(subject, 2) for _ in range(3)]
    assert [each.seq for each in blocks] == [first, first + 1, first + 2]
    assert [item for each in blocks for item in each.items] == rows(5)
    assert await subject.outbox.next_block("load0", 2) is None
    assert await subject.outbox.next_block("load1", 2) is None
    assert (await subject.outbox.streams())["load0"] == first + 3


async def test_what_is_not_acknowledged_stays_as_it_was(subject: Subject) -> None:
    await subject.add(rows(6))
    blocks = [await block(subject, 2) for _ in range(3)]
    await subject.outbox.acknowledge("load0", blocks[1].seq)
    assert await subject.outbox.owed("load0") == [blocks[0].seq, blocks[2].seq]
    assert await subject.outbox.least_owed() == {"load0": blocks[0].seq}
    for each in blocks:
        again = await subject.outbox.block("load0", each.seq)
        assert again is not None
        assert (again.stream, again.seq, tuple(again.items)) == (each.stream, each.seq, tuple(each.items))
    assert await subject.outbox.block("load0", blocks[2].seq + 1) is None
    assert await subject.outbox.pending() == {"load0": 4}
    assert await subject.outbox.waiting() == {"load0": 0}
    await subject.add(rows(3, "load1"))
    assert await subject.outbox.waiting() == {"load0": 0, "load1": 3}


async def test_every_commit_is_told(subject: Subject) -> None:
    subject.outbox.fresh.clear()
    await subject.add(rows(1))
    assert subject.outbox.fresh.is_set()
    assert set(await subject.outbox.streams()) == {"load0"}
    await subject.add(rows(1, "instant"))
    assert set(await subject.outbox.streams()) == {"load0", "instant"}


async def test_the_head_end_s_word_releases_all_up_to_it(subject: Subject) -> None:
    await subject.add(rows(6))
    blocks = [await block(subject, 2) for _ in range(3)]
    await subject.outbox.acknowledge_to({"load0": blocks[1].seq})
    assert await subject.outbox.owed("load0") == [blocks[2].seq]
    await subject.outbox.acknowledge_to({"load0": blocks[2].seq + 1000})
    assert await subject.outbox.owed("load0") == []
    assert await subject.outbox.least_owed() == {"load0": blocks[2].seq + 1}
    assert await subject.outbox.pending() == {"load0": 0}


async def test_in_place_of_what_is_refused_stands_the_word_of_that_until_it_is_asked_for(
    subject: Subject,
) -> None:
    await subject.add(rows(5))
    first, second = await block(subject, 3), await block(subject, 3)
    assert await subject.outbox.refuse("load0", first.seq)
    said = await subject.outbox.block("load0", first.seq)
    assert said is not None
    assert (said.items, said.dropped) == ((), Dropped("refused", NOON, NOON + 1800, 3))
    assert await subject.outbox.owed("load0") == [first.seq, second.seq]
    await subject.outbox.acknowledge("load0", first.seq)
    assert await subject.outbox.block("load0", first.seq) == first
    await subject.outbox.acknowledge("load0", first.seq)
    assert await subject.outbox.block("load0", first.seq) == first
    assert not await subject.outbox.refuse("load0", first.seq), "it is not on its way"
    assert await subject.outbox.owed("load0") == [second.seq]
