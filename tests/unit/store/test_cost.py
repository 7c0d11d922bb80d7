"""What questions cost does not grow with what is held: SQLite's own steps are counted, not time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from pathlib import Path

import pytest

from dcu.clock import DAY
from dcu.store import Store
from tests.captures import SetClock, capture

METERS = [f"M{number}" for number in range(12)]
ORIGIN = 20_000 * DAY

#: Days of a nearly empty store, and of a full one.
FEW, MANY = 2, 60

#: A tree grown by a level is searched in a few steps more; what grows with the rows takes thirty times as many.
SLACK = 1.3

Question = Callable[[Store], Awaitable[object]]


async def fill(store: Store, days: int) -> None:
    for day in range(days):
        for hour in range(0, DAY, DAY // 4):
            at = ORIGIN + day * DAY + hour
            await asyncio.gather(
                *(store.readings.record([capture(at, meter)], {(meter, "load0"): at}) for meter in METERS)
            )


async def steps(store: Store, question: Question) -> int:
    """Return the instructions of SQLite's machine that both connections take to answer."""
    counted = count()
    connections = store.database.reading, store.database._writer._database
    for connection in connections:
        await connection.set_progress_handler(lambda: next(counted) and None, 1)
    await question(store)
    for connection in connections:
        await connection.set_progress_handler(lambda: None, 0)
    return next(counted)


async def next_unsent(store: Store) -> None:
    block = await store.outbox.next_block("load0", 20)
    assert block is not None
    assert len(block.items) == 20


async def acknowledged(store: Store) -> None:
    block = await store.outbox.next_block("load0", 20)
    assert block is not None
    await store.outbox.acknowledge("load0", block.seq)


async def first_day(store: Store) -> None:
    assert len(await store.readings.captures("M7", "load0", ORIGIN, ORIGIN + DAY - 1, 1000)) == 4


async def newest(store: Store) -> None:
    assert await store.readings.latest("M7", "load0") is not None


async def recorded(store: Store) -> None:
    at = ORIGIN + 1000 * DAY
    await store.readings.record([capture(at, "M7")], {("M7", "load0"): at})


async def numbers(store: Store) -> None:
    await store.outbox.pending()
    await store.outbox.waiting()
    await store.outbox.streams()
    await store.readings.watermarks()


@pytest.fixture
async def full(tmp_path: Path) -> AsyncIterator[Store]:
    async with Store.open(tmp_path / "full.db", SetClock()) as opened:
        await fill(opened, MANY)
        yield opened


async def test_no_question_of_every_day_costs_more_in_a_full_store(store: Store, full: Store) -> None:
    await fill(store, FEW)
    questions: list[Question] = [next_unsent, acknowledged, first_day, newest, recorded, numbers]
    for question in questions:
        few, many = await steps(store, question), await steps(full, question)
        assert few > 0
        assert many <= few * SLACK, question


async def test_the_measure_tells_a_question_that_goes_through_everything(store: Store, full: Store) -> None:
    async def everything(asked: Store) -> None:
        await asked.retention.holdings()

    await fill(store, FEW)
    assert await steps(full, everything) > 10 * await steps(store, everything)
