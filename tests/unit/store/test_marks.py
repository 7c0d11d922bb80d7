"""Where a stream of a meter stands, from the tables to what an answer makes of it and back."""

from collections.abc import AsyncIterator

import aiosqlite
import pytest

from dcu.model import Reason
from dcu.plan.ledger import GAP_BOUND, Account, Asked, Gap
from dcu.store.marks import Mark, keep, reason_of
from dcu.store.shape import scripts

KEY = (1, 2)
MISSING, PENDING = Gap(900, 1799, Reason.LINE), Gap(3600, 4499, Reason.PENDING)


@pytest.fixture
async def database() -> AsyncIterator[aiosqlite.Connection]:
    async with aiosqlite.connect(":memory:") as opened:
        for script in scripts():
            await opened.executescript(script)
        yield opened


async def gaps(database: aiosqlite.Connection) -> list[tuple[object, ...]]:
    rows = await database.execute_fetchall("SELECT start, last, reason, intervals FROM gaps ORDER BY start")
    return [tuple(row) for row in rows]


async def test_a_stream_of_which_nothing_is_kept_has_an_empty_mark(database: aiosqlite.Connection) -> None:
    mark = await Mark.find(database, *KEY)
    assert mark == Mark(*KEY)
    await keep(database, [mark])
    assert await Mark.find(database, *KEY) == Mark(*KEY)


async def test_what_is_kept_is_found_again(database: aiosqlite.Connection) -> None:
    mark = Mark(*KEY, day=20_000, newest=7)
    mark.put(Account(0, 900, 8999, (MISSING, PENDING)))
    await keep(database, [mark, Mark(1, 3, watermark=5)])
    found = await Mark.find(database, *KEY)
    assert (found.day, found.newest, found.watermark, found.account) == (20_000, 7, 8999, mark.account)
    assert (found.gone, found.changed) == ([], [])
    assert await gaps(database) == [(900, 1799, "line error", 1), (3600, 4499, "not read yet", 1)]


async def test_only_gaps_that_changed_are_written_and_those_that_closed_go(database: aiosqlite.Connection) -> None:
    mark = Mark(*KEY)
    mark.put(Account(0, 900, 8999, (MISSING, PENDING)))
    await keep(database, [mark])
    found = await Mark.find(database, *KEY)
    longer = Gap(900, 2699, Reason.LINE)
    found.put(Account(0, 900, 8999, (longer,)))
    assert (found.gone, found.changed) == ([(*KEY, 3600)], [(*KEY, 900, 2699, "line error", 2)])
    await keep(database, [found])
    assert await gaps(database) == [(900, 2699, "line error", 2)]


async def test_an_answer_moves_the_watermark_and_says_which_rows_are_news(database: aiosqlite.Connection) -> None:
    mark = Mark(*KEY)
    assert mark.enter([Asked(0, 2699, 900, Reason.NO_RECORD, since=0)], [0, 900]) == {0, 1}
    assert mark.account is not None
    assert mark.watermark == mark.account.watermark
    assert [gap.reason for gap in mark.account.gaps] == [Reason.NO_RECORD]
    await keep(database, [mark])
    again = await Mark.find(database, *KEY)
    assert again.account == mark.account
    assert again.enter([Asked(0, 2699, 900, Reason.NO_RECORD)], [0, 1800]) == {1}


def test_a_watermark_without_an_account_only_moves_forward() -> None:
    mark = Mark(*KEY)
    for at, stands in ((50, 50), (40, 50), (60, 60)):
        mark.move(at)
        assert mark.watermark == stands
    assert mark.row == (*KEY, None, None, 60, None, None)


async def test_what_is_read_but_was_never_accounted_for_is_from_its_watermark_on(
    database: aiosqlite.Connection,
) -> None:
    await keep(database, [Mark(*KEY, watermark=60)])
    assert (await Mark.find(database, *KEY)).account == Account(61, 0, 60)


def test_there_are_no_more_gaps_than_can_be_kept() -> None:
    mark = Mark(*KEY)
    many = tuple(Gap(at, at + 1, Reason.LINE) for at in range(0, 10 * (GAP_BOUND + 1), 10))
    mark.put(Account(0, 0, 99_999, many[:-1]))
    assert overflows(mark) == (False, GAP_BOUND)
    mark.put(Account(0, 0, 99_999, many))
    assert overflows(mark) == (True, GAP_BOUND)


def overflows(mark: Mark) -> tuple[bool, int]:
    assert mark.account is not None
    return mark.overflow, len(mark.account.gaps)


def test_a_reason_that_is_damaged_promises_nothing() -> None:
    assert [reason_of(text) for text in ("line error", "line errer", "")] == [
        Reason.LINE,
        Reason.PENDING,
        Reason.PENDING,
    ]
