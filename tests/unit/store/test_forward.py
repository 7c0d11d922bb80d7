"""Older files are brought forward: each that ever was, whole; a long way in slices, and gone on with after a kill."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dcu.clock import DAY
from dcu.errors import StoreError
from dcu.model import Capture, Dropped, Reason
from dcu.plan.ledger import Asked, Gap
from dcu.store import Store, forward
from dcu.store.shape import scripts
from tests.captures import COLUMNS, SetClock, capture

SAVED = Path(__file__).parents[2] / "databases"
FILES = sorted(SAVED.glob("schema*.db"))

#: Rows of the long file, and the day on which they begin.
ROWS, FIRST_DAY = 1400, 100

_ROW = """
INSERT INTO captures (place, back, meter, layout, at, status, read_at, offset, trusted, cells)
VALUES (?, NULL, ?, 1, ?, 0, ?, -0.375, 1, ?)
"""


def tables(path: Path) -> dict[str, list[Any]]:
    """Return the columns of each table and view by its name; the file must be sound."""
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")]
        database.create_function("sqlar_uncompress", 2, lambda text, _: text)
        return {name: sorted(database.execute(f"SELECT name, type FROM pragma_table_info('{name}')")) for name in names}


def test_every_version_before_this_one_has_left_a_file() -> None:
    for version in range(1, len(scripts())):
        assert any(file.name.startswith(f"schema{version}") for file in FILES), version


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
async def test_an_older_file_becomes_what_a_new_one_is(path: Path, tmp_path: Path, file: Path) -> None:
    path.write_bytes(file.read_bytes())
    new = tmp_path / "new.db"
    for each in (path, new):
        async with Store.open(each, SetClock()) as store:
            # one from before there was a spare goes on at the clock
            assert store.database.mishap is None or store.database.mishap.leapt == ("daily",)
            await store.readings.record([capture(20_000 * DAY, "M9")], {})
            assert await store.readings.latest("M9", "load0") == capture(20_000 * DAY, "M9")
    assert tables(path) == tables(new)


async def test_a_store_of_schema_7_opens_and_tells_what_had_to_go(path: Path) -> None:
    """A block on its way, five rows that went unsent and are not named yet, a key, a command."""
    path.write_bytes((SAVED / "schema7.db").read_bytes())
    async with Store.open(path, SetClock()) as store:
        [block] = await store.outbox.unacknowledged("load0")
        assert block.items == (capture(900), capture(1800))
        word = await store.outbox.next_block("load0", 100)
        assert word is not None
        assert (word.seq, word.dropped) == (block.seq + 1, Dropped("storage", 900, 6300, 5))
        rest = await store.outbox.next_block("load0", 100)
        assert rest is not None
        assert rest.items == (capture(7200),)
        assert [sealed.secrets for sealed in await store.generations.all()] == [{"password": b"\x01\x02"}]
        assert (await store.audit.verify()).last == 1


async def test_a_store_of_schema_8_opens_and_its_marks_go_on(path: Path) -> None:
    """A block that was acknowledged, one on its way, a meter that was read behind a gap, a stream without a ledger."""
    path.write_bytes((SAVED / "schema8.db").read_bytes())
    async with Store.open(path, SetClock()) as store:
        marks = {("M1", "load0"): 3600, ("M2", "load0"): DAY, ("M3", "load0"): 3600}
        assert await store.readings.watermarks() == marks
        assert await store.ledger.unread() == {("M2", "load0"): (Gap(4500, DAY - 900, Reason.PENDING),)}
        [block] = await store.outbox.unacknowledged("load0")
        assert await store.delivered.known("load0", 0, block.seq, 10) == [block.seq - 1]
        assert await store.readings.captures("M2", "load0", 0, DAY, 2) == [capture(3600, "M2"), capture(DAY, "M2")]
        await store.readings.record(
            [capture(DAY + 900, "M2")], {}, asked={("M2", "load0"): [Asked(DAY + 1, DAY + 900, 900)]}
        )
        assert (await store.readings.watermarks())["M2", "load0"] == DAY + 900
        assert await store.readings.captures("M2", "load0", 0, 2 * DAY, 2) == [
            capture(DAY, "M2"),
            capture(DAY + 900, "M2"),
        ]
        assert await store.database.read("SELECT meter, stream FROM marks") == [(1, 1), (1, 2), (2, 1), (3, 1)]


def lengthen(path: Path) -> list[Capture]:
    """Make a file of schema 4 with many rows of two meters; return those of the first."""
    shutil.copy(SAVED / "schema4.db", path)
    rows = [capture(FIRST_DAY * DAY + 900 * number) for number in range(ROWS)]
    with closing(sqlite3.connect(path)) as database, database:
        for number, row in enumerate(rows):
            for meter in (1, 2):
                position = 11 + number // 4 * 8 + (meter - 1) * 4 + number % 4  # four rows a visit
                cells = str(list(row.values)) if meter == 1 else "[0,0,0,0,0,0,0,0]"
                database.execute(_ROW, (1 << 40 | position, meter, row.at, row.read_at, cells))
    assert len(rows[0].values) == len(COLUMNS)
    return rows


async def read(store: Store) -> list[Capture]:
    """Return all rows of the first meter behind the first day of the long file, day by day."""
    found = []
    for day in range(FIRST_DAY, FIRST_DAY + ROWS * 900 // DAY + 1):
        found += await store.readings.captures("M1", "load0", day * DAY, day * DAY + DAY - 1, 1000)
    return found


async def test_a_long_way_is_gone_on_with_after_a_kill(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = lengthen(path)
    monkeypatch.setattr(forward, "SLICE", 512)
    put = forward._put
    for kill_at in (1, 3, 9):
        steps = count(1)

        async def dying(*what: Any, kill_at: int = kill_at, steps: Iterator[int] = steps) -> None:
            if next(steps) == kill_at:
                raise OSError("killed")
            await put(*what)

        monkeypatch.setattr(forward, "_put", dying)
        with pytest.raises(StoreError, match="killed"):
            async with Store.open(path, SetClock()):
                pass
    monkeypatch.setattr(forward, "_put", put)
    async with Store.open(path, SetClock()) as store:
        assert await read(store) == rows
        assert (await store.outbox.pending())["load0"] == 2 * ROWS + 5
        assert (await store.readings.latest("M2", "load0")) is not None
        assert await store.database.read("SELECT name FROM sqlite_schema WHERE name = 'captures'") == []
    with closing(sqlite3.connect(f"{path}.schema4")) as kept:
        assert kept.execute("SELECT count(*) FROM captures").fetchall() == [(2 * ROWS + 12,)]


async def test_no_transaction_of_it_is_long(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lengthen(path)
    monkeypatch.setattr(forward, "SLICE", 512)
    longest = 0
    put = forward._put

    async def measured(database: Any, marks: Any, stream: int, rows: Any) -> None:
        nonlocal longest
        await put(database, marks, stream, rows)
        longest = max(longest, Path(f"{path}-wal").stat().st_size)

    monkeypatch.setattr(forward, "_put", measured)
    async with Store.open(path, SetClock()):
        pass
    assert 0 < longest < 400_000
