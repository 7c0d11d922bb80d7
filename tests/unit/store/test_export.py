"""A file is read as it is, beside a daemon that writes it; what is no store is said."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dcu.errors import StoreError
from dcu.store import Store
from dcu.store.export import exported
from tests.captures import SetClock, capture

SAVED = Path(__file__).parents[2] / "databases"


async def test_every_capture_comes_out_while_the_store_is_open(path: Path, clock: SetClock) -> None:
    rows = [capture(at, meter, stream) for stream in ("daily", "load0") for meter in ("M1", "M2") for at in (1, 90_000)]
    async with Store.open(path, clock) as store:
        await store.readings.record(rows, {})
        before = path.read_bytes()
        assert list(exported(path, meter=None, stream=None, start=0, end=1 << 40)) == rows
        assert list(exported(path, meter="M2", stream="load0", start=5, end=1 << 40)) == [capture(90_000, "M2")]
        assert path.read_bytes() == before


def test_what_is_no_store_or_an_old_one_is_said(path: Path) -> None:
    old = path.with_name("old.db")
    old.write_bytes((SAVED / "schema4.db").read_bytes())
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE theirs (x)")
    for file, said in ((path, "not a store"), (old, "schema 4 is older"), (path / "x", "cannot read")):
        with pytest.raises(StoreError, match=said):
            list(exported(file, meter=None, stream=None, start=0, end=1))
