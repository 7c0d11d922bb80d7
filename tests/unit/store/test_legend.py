"""What a number of a damaged file stands for: what table and index say, where they do not contradict."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dcu.store import Store
from dcu.store.legend import Legend, believed
from tests.captures import SetClock, capture

A, B, C = (1, "a"), (2, "b"), (3, "c")


@pytest.mark.parametrize(
    ("table", "index", "found"),
    [
        ({A, B}, {A, B}, {A, B}),
        ({A}, {B, C}, {A, B, C}),
        ({A, (2, "c"), C}, {A, B, C}, {A, C}),
        ({A, (2, "x"), C}, {A, B, C}, {A, C}),
        ({A, (9, "b")}, {A, B}, {A}),
        ({(1, "b")}, {A}, set()),
        (set(), set(), set()),
    ],
    ids=["both", "halves", "a name of another", "a name of none", "a number", "nothing sure", "nothing"],
)
def test_what_is_believed(
    table: set[tuple[int, str]], index: set[tuple[int, str]], found: set[tuple[int, str]]
) -> None:
    assert believed(table, index) == believed(index, table) == dict(found)


def test_what_is_told_from_elsewhere_decides() -> None:
    assert believed({(1, "x"), B}, {A, B}, told={"a"}) == dict((A, B))


async def test_names_are_read_from_either_side(path: Path) -> None:
    async with Store.open(path, SetClock()) as store:
        for meter in ("M1", "M2"):
            await store.readings.record([capture(1, meter)], {})
        await store.descriptors.put("M1", "load0", {"period": 900})
    with closing(sqlite3.connect(path)) as database, database:
        legend = Legend.read(database, ())
        assert (legend.meters, legend.streams) == ({1: "M1", 2: "M2"}, {1: "load0"})
        assert legend.known == (frozenset({1, 2}), frozenset({1}), frozenset({1}))
        assert legend.numbers["layout"] == legend.layouts
        assert len(legend.layouts) == 2


def test_what_has_no_tables_says_nothing(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "empty")) as database:
        assert Legend.read(database, ()) == Legend({}, {}, {})
