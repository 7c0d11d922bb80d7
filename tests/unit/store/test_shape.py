"""Whether a file has the tables that the scripts make."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dcu.store import Store
from dcu.store.shape import misshapen, scripts
from tests.captures import SetClock


@pytest.fixture
async def database(path: Path) -> sqlite3.Connection:
    async with Store.open(path, SetClock()):
        pass
    return sqlite3.connect(path, isolation_level=None)


@pytest.mark.parametrize("file", sorted(Path("tests/databases").glob("*.db")), ids=lambda file: file.stem)
def test_files_of_every_version_have_their_shape(file: Path) -> None:
    with closing(sqlite3.connect(f"file:{file}?immutable=1", uri=True)) as old:
        assert misshapen(old) is None


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("SELECT 1", None),
        ("CREATE TABLE more (x)", None),
        ("ALTER TABLE archive RENAME added TO aaded", "not those"),
        ("ALTER TABLE clocks DROP COLUMN offset", "not those"),
        ("DROP VIEW tails", "not those"),
        ("DROP INDEX commands_unfinished", "not those"),
        ("PRAGMA user_version = 3", "not those of schema 3"),
        ("PRAGMA user_version = 0", "no version"),
        ("PRAGMA application_id = 7", "whose it is"),
        (f"PRAGMA user_version = {len(scripts()) + 1}", None),
    ],
)
def test_what_is_said(database: sqlite3.Connection, statement: str, said: str | None) -> None:
    with closing(database):
        database.execute(statement)
        found = misshapen(database)
        assert (found is None) == (said is None)
        assert (said or "") in (found or "")


def test_another_s_file_is_none_of_ours(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "theirs")) as database:
        assert misshapen(database) is None
        database.execute("CREATE TABLE theirs (x)")
        database.execute("PRAGMA user_version = 3")
        assert misshapen(database) is None
