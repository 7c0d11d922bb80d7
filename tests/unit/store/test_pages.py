"""Runs of one transaction: those of one stream become segments together, none longer than it may be."""

import aiosqlite
import pytest

from dcu.store.numbers import place_of
from dcu.store.pages import Pages
from dcu.store.segments import SEGMENT_ROWS, Run

TABLE = "CREATE TABLE segments (place INTEGER PRIMARY KEY, rows, read, oldest, newest, octets, content)"


def run(meter: int, rows: int) -> Run:
    return Run(meter, 1, 0, 1000.0, None, 1, 0, [900] + [1] * (rows - 1), [])


async def sealed(pages: Pages) -> list[tuple[int, int]]:
    """Return place and rows of each segment that `pages` are sealed into."""
    async with aiosqlite.connect(":memory:") as database:
        await database.execute(TABLE)
        await pages.seal(database)
        return [tuple(row) for row in await database.execute_fetchall("SELECT place, rows FROM segments")]


async def test_runs_of_a_stream_lie_together_and_those_of_another_apart() -> None:
    pages = Pages()
    pages.add(1, 50, run(7, 3))
    pages.add(2, 90, run(7, 2))
    pages.add(1, 53, run(8, 4))
    assert await sealed(pages) == [(place_of(1, 50), 7), (place_of(2, 90), 2)]


@pytest.mark.parametrize(
    ("rows", "segments"),
    [
        ([SEGMENT_ROWS - 1, 1], [SEGMENT_ROWS]),
        ([SEGMENT_ROWS, 1], [SEGMENT_ROWS, 1]),
        ([SEGMENT_ROWS - 1, 2, 2], [SEGMENT_ROWS - 1, 4]),
        ([SEGMENT_ROWS + 1, 1], [SEGMENT_ROWS + 1, 1]),  # a run is never divided
    ],
)
async def test_a_segment_that_is_full_is_followed_by_the_next(rows: list[int], segments: list[int]) -> None:
    pages, position = Pages(), 10
    for number, count in enumerate(rows):
        pages.add(1, position, run(number, count))
        position += count
    found = await sealed(pages)
    assert [count for _, count in found] == segments
    assert [place for place, _ in found] == [place_of(1, 10 + sum(segments[:at])) for at in range(len(segments))]


async def test_what_was_sealed_or_forgotten_is_not_written_again() -> None:
    pages = Pages()
    pages.add(1, 1, run(7, 1))
    assert len(await sealed(pages)) == 1
    assert await sealed(pages) == []
    pages.add(1, 2, run(7, 1))
    pages.forget()
    assert await sealed(pages) == []
