"""A segment that cannot be read: nothing waits for it, the head-end hears of it, and meters are asked again."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dcu.errors import DamagedError
from dcu.model import Capture, Dropped, Reason
from dcu.plan.ledger import Asked, Gap
from dcu.store import Block, Store
from dcu.store.readings import SPOILT_BOUND
from dcu.store.spoilt import Forfeited
from tests.captures import SetClock, capture

STREAM, PERIOD, ROWS = "load0", 900, 4
METERS = ("M1", "M2", "M3")


def spoil(path: Path, number: int) -> None:
    """Flip an octet in the content of the segment `number` (from 0)."""
    with closing(sqlite3.connect(path)) as database, database:
        [(place, content)] = database.execute(
            "SELECT place, content FROM segments ORDER BY place LIMIT 1 OFFSET ?", (number,)
        )
        wrong = content[:20] + bytes([content[20] ^ 0xFF]) + content[21:]
        database.execute("UPDATE segments SET content = ? WHERE place = ?", (wrong, place))


async def visit(store: Store, meter: str, hour: int) -> None:
    """Record the rows of an hour, those at its end."""
    times = [hour * 3600 + row * PERIOD for row in range(1, ROWS + 1)]
    asked = Asked(times[0], times[-1], PERIOD, since=PERIOD)
    await store.readings.record([capture(at, meter) for at in times], {}, asked={(meter, STREAM): [asked]})


async def sweeps(store: Store, hours: int) -> None:
    """Record hours, each of them one segment."""
    for hour in range(hours):
        await asyncio.gather(*(visit(store, meter, hour) for meter in METERS))


async def blocks(store: Store, limit: int) -> list[Block]:
    found = []
    while (block := await store.outbox.next_block(STREAM, limit)) is not None:
        found.append(block)
    return found


def rows(found: list[Block]) -> list[tuple[str, int]]:
    return [(item.meter, item.at) for block in found for item in block.items if isinstance(item, Capture)]


async def test_a_block_of_which_nothing_can_be_read_is_told_of_in_its_place(path: Path) -> None:
    async with Store.open(path, SetClock()) as store:
        await sweeps(store, 3)
        spoil(path, 1)
        found = await blocks(store, len(METERS) * ROWS)
        assert [len(block.items) for block in found] == [12, 0, 12]
        assert found[1].dropped == Dropped("damaged", 3600 + PERIOD, 2 * 3600, 12)
        assert [block.seq for block in found] == [found[0].seq + number for number in range(3)]
        await store.spoilt.forfeit()
    async with Store.open(path, SetClock()) as store:
        assert await store.outbox.unacknowledged(STREAM) == found


@pytest.mark.parametrize("limit", [1, 5, 7, 12, 30, 100])
async def test_what_is_around_it_leaves_once_and_in_order(path: Path, limit: int) -> None:
    async with Store.open(path, SetClock()) as store:
        await sweeps(store, 4)
        spoil(path, 1)
        found = rows(await blocks(store, limit))
        left = [(meter, hour * 3600 + row * PERIOD) for hour in (0, 2, 3) for meter in METERS for row in range(1, 5)]
        assert found == left


async def test_what_nobody_has_acknowledged_is_asked_for_again_and_comes_once(path: Path) -> None:
    async with Store.open(path, SetClock()) as store:
        await sweeps(store, 4)
        spoil(path, 2)
        await blocks(store, 5)
        times = (2 * 3600 + PERIOD, 3 * 3600)
        assert await store.spoilt.forfeit() == [Forfeited(STREAM, 12, *times, 12)]
        assert await store.spoilt.forfeit() == []
        assert await store.ledger.unread() == {(meter, STREAM): (Gap(*times, Reason.PENDING),) for meter in METERS}
        for hour in (1, 2, 3):  # a backfill asks for more than was lost
            await visit(store, "M2", hour)
        assert rows(await blocks(store, 100)) == [("M2", 2 * 3600 + row * PERIOD) for row in range(1, 5)]
        assert ("M2", STREAM) not in await store.ledger.unread()


async def test_what_the_head_end_has_is_not_asked_for_again(path: Path) -> None:
    async with Store.open(path, SetClock()) as store:
        await sweeps(store, 2)
        for block in await blocks(store, 100):
            await store.outbox.acknowledge(STREAM, block.seq)
        spoil(path, 0)
        assert await store.readings.captures("M1", STREAM, 0, 7200, 10) == [
            capture(3600 + row * PERIOD) for row in range(1, 5)
        ]
        assert [lost.again for lost in await store.spoilt.forfeit()] == [0]
        assert await store.ledger.unread() == {}


async def test_where_others_of_that_time_have_gone_after_their_delivery_nothing_is_asked_again(path: Path) -> None:
    """They are held no more either: nobody could tell them from what was lost."""
    async with Store.open(path, SetClock()) as store:
        for meter in METERS:
            await visit(store, meter, 0)
        first = await store.outbox.next_block(STREAM, 2 * ROWS)
        assert first is not None
        await store.outbox.acknowledge(STREAM, first.seq)
        assert (await store.retention.shed(STREAM, "storage")).captures == 2 * ROWS
        spoil(path, 0)
        assert await store.outbox.next_block(STREAM, 100) is not None
        assert await store.spoilt.forfeit() == [Forfeited(STREAM, ROWS, PERIOD, 3600, 0)]


async def test_what_must_go_for_want_of_room_goes_though_it_cannot_be_read(path: Path) -> None:
    async with Store.open(path, SetClock()) as store:
        await sweeps(store, 3)
        spoil(path, 0)
        assert (await store.retention.shed(STREAM, "storage", unsent=True)).unsent == 36
        assert await store.spoilt.forfeit() == []
        word = await store.outbox.next_block(STREAM, 100)
        assert word is not None
        assert word.dropped is not None
        assert word.dropped.count == 36


async def test_where_many_cannot_be_read_it_is_the_file(path: Path) -> None:
    async with Store.open(path, SetClock()) as store:
        await sweeps(store, SPOILT_BOUND + 2)
        for number in range(SPOILT_BOUND + 1):
            spoil(path, number)
        with pytest.raises(DamagedError, match="a segment is damaged"):
            await blocks(store, 1000)
        assert store.database.broken.is_set()


async def test_positions_of_what_was_let_go_are_not_given_again(path: Path) -> None:
    """Of the newest segment, too: a chain that leads there would show another meter's captures."""
    async with Store.open(path, SetClock()) as store:
        await visit(store, "M1", 0)
        await visit(store, "M2", 0)
        spoil(path, 1)
        assert await store.readings.captures("M2", STREAM, 0, 7200, 10) == []
        assert [lost.again for lost in await store.spoilt.forfeit()] == [ROWS]
    async with Store.open(path, SetClock()) as store:
        await visit(store, "M3", 0)
        assert await store.readings.captures("M2", STREAM, 0, 7200, 10) == []
        assert await store.readings.latest("M2", STREAM) is None
        assert await store.readings.captures("M3", STREAM, 0, 7200, 10) == [
            capture(row * PERIOD, "M3") for row in range(1, 5)
        ]
        await visit(store, "M2", 0)
        assert await store.readings.captures("M2", STREAM, 0, 7200, 10) == [
            capture(row * PERIOD, "M2") for row in range(1, 5)
        ]
        assert rows(await blocks(store, 100)) == [
            (meter, row * PERIOD) for meter in ("M1", "M3", "M2") for row in range(1, 5)
        ]


async def test_a_chain_ends_where_another_meter_s_captures_are(path: Path) -> None:
    """As a file can be that lost positions before they were kept from being given again."""
    async with Store.open(path, SetClock()) as store:
        for meter in METERS:
            await visit(store, meter, 0)
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE marks SET newest = 9 WHERE meter = 2")
        assert await store.readings.captures("M2", STREAM, 0, 7200, 10) == []


async def test_a_gap_whose_reason_cannot_be_read_is_a_gap_all_the_same(path: Path) -> None:
    async with Store.open(path, SetClock()) as store:
        await visit(store, "M1", 0)
        await store.readings.record(
            [capture(9000)], {}, asked={("M1", STREAM): [Asked(4500, 9000, PERIOD, since=PERIOD)]}
        )
        [(gaps,)] = await store.database.read("SELECT count(*) FROM gaps")
        assert gaps
        await store.database.write(lambda database: database.execute("UPDATE gaps SET reason = 'absqnt'"))
        await visit(store, "M1", 1)
        assert await store.database.read("SELECT start, last FROM gaps") == [(8100, 8100)]
        assert not store.database.closed


async def test_the_word_of_what_was_lost_that_cannot_be_read_says_how_many_there_were(path: Path) -> None:
    async with Store.open(path, SetClock()) as store:
        await sweeps(store, 1)
        spoil(path, 0)
        await blocks(store, 100)
        await store.database.write(lambda database: database.execute("UPDATE outbox SET dropped = '['"))
        assert [block.dropped for block in await store.outbox.unacknowledged(STREAM)] == [Dropped("damaged", 0, 0, 12)]
