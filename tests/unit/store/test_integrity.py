"""Files beside the road: which are worked with, which are set aside, and how many of those are kept."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dcu.errors import StoreError
from dcu.store.integrity import (
    ASIDE,
    DAMAGED,
    KEPT_FILES,
    LOST,
    WHOLE,
    admit,
    check,
    drop_copy,
    inspected,
    is_damage,
    log_of,
    put_back,
    put_back_at_last,
    seen,
    set_aside,
)
from dcu.store.shape import APPLICATION_ID, scripts
from dcu.store.wreck import Note

NOW = 1_800_000_000.0
STAMP = "20270115T080000Z"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A sound database of ours, with rows in a table that is always checked."""
    path = tmp_path / "store.db"
    with closing(sqlite3.connect(path)) as database:
        for script in scripts():
            database.executescript(script)
        database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        database.execute(f"PRAGMA user_version = {len(scripts())}")
        database.commit()
    return path


@pytest.fixture
def spare(path: Path) -> Path:
    return path.with_suffix(".spare")


def test_what_is_sound_is_left_as_it_is(path: Path, spare: Path) -> None:
    before = path.read_bytes()
    assert admit(path, spare, NOW) is None
    assert path.read_bytes() == before


def test_a_file_that_is_not_there_is_a_loss_only_where_something_is_kept_of_it(tmp_path: Path) -> None:
    path, spare = tmp_path / "new.db", tmp_path / "new.spare"
    assert admit(path, spare, NOW) is None
    spare.touch()
    for _ in range(2):
        mishap = admit(path, spare, NOW)
        assert mishap is not None
        assert (mishap.event, mishap.aside) == (LOST, None)
        path.touch()  # an empty file is none


@pytest.mark.parametrize("suspect", [None, "a row could not be read"])
def test_what_is_damaged_is_renamed_and_noted(path: Path, spare: Path, suspect: str | None) -> None:
    if suspect is None:
        path.write_bytes(b"\x00" * 100 + path.read_bytes()[100:])
    before = path.read_bytes()
    mishap = admit(path, spare, NOW, suspect)
    assert mishap is not None
    assert mishap.aside is not None
    assert (mishap.event, mishap.aside.name) == (DAMAGED, f"store.db{ASIDE}{STAMP}")
    assert mishap.reason == suspect or suspect is None
    assert (path.exists(), mishap.aside.read_bytes()) == (False, before)
    note = Note.read(path)
    assert note is not None
    assert (note.aside, note.reason, note.begun) == (mishap.aside, mishap.reason, False)
    # the power goes before a new one is begun: the same is told again
    assert admit(path, spare, NOW + 60) == mishap


def test_what_is_no_file_is_left_to_be_refused(tmp_path: Path) -> None:
    (tmp_path / "store.db").mkdir()
    assert admit(tmp_path / "store.db", tmp_path / "store.spare", NOW) is None
    assert (tmp_path / "store.db").is_dir()


@pytest.fixture
def contradicted(path: Path) -> Path:
    """A database whose table of words says one thing, and its index another."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE words (word TEXT)")
        database.execute("CREATE INDEX by_word ON words (word)")
        database.execute("INSERT INTO words VALUES ('unmistakable')")
        database.commit()
    content = path.read_bytes()
    assert content.count(b"unmistakable") == 2
    path.write_bytes(content.replace(b"unmistakable", b"unmistakeble", 1))
    return path


@pytest.mark.parametrize("whole", [True, False])
def test_a_table_whose_index_tells_otherwise_is_found(contradicted: Path, whole: bool) -> None:
    with closing(sqlite3.connect(contradicted)) as database:
        assert "by_word" in str(check(database, whole=whole))


async def test_a_whole_check_beside_the_work_says_what_is_wrong(path: Path) -> None:
    assert await inspected(path) is None
    with pytest.raises(sqlite3.OperationalError):
        await inspected(path.parent / "nowhere" / "store.db")


async def test_a_whole_check_beside_the_work_finds_what_was_damaged_since(contradicted: Path) -> None:
    assert "by_word" in str(await inspected(contradicted))


def test_only_the_file_is_damaged_not_its_user_or_its_disk() -> None:
    error = sqlite3.DatabaseError("malformed")
    assert not is_damage(error)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT | 0x100  # an extended code (SQLITE_CORRUPT_VTAB)
    assert is_damage(error)
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    assert not is_damage(error)
    assert is_damage(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"))


def test_what_is_set_aside_takes_its_log_along_and_a_name_of_its_own(path: Path) -> None:
    for number in range(2):  # the clock stands still
        path.write_bytes(b"%d" % number)
        log_of(path).write_bytes(b"log of %d" % number)
        aside = set_aside(path, NOW)
        assert aside.name == f"store.db{ASIDE}{STAMP}" + "+" * number
        assert (aside.read_bytes(), log_of(aside).read_bytes()) == (b"%d" % number, b"log of %d" % number)
        assert not log_of(path).exists()
    assert Note.told(path) is None


def test_the_oldest_goes_when_there_is_one_too_many(path: Path) -> None:
    kept = []
    for number in range(KEPT_FILES + 1):
        path.write_bytes(b"x")
        kept.append(set_aside(path, NOW + number))
        os.utime(kept[-1], (NOW + number, NOW + number))
    assert [each.exists() for each in kept] == [False] + [True] * KEPT_FILES


def test_for_want_of_room_copies_go_oldest_first_but_not_what_is_still_to_be_salvaged(path: Path) -> None:
    old, copy = path.with_name(f"store.db{ASIDE}20260101T000000Z"), path.with_name("store.db.schema3")
    needed = set_aside(path, NOW, "damaged")
    for age, file in enumerate((needed, copy, old)):
        file.touch()
        os.utime(file, (NOW + age, NOW + age))
    assert [drop_copy(path) for _ in range(3)] == [copy.name, old.name, None]
    assert needed.exists()


def test_a_file_is_known_by_more_than_its_name(path: Path) -> None:
    before = seen(path)
    assert before is not None
    path.rename(path.with_suffix(".old"))
    assert seen(path) is None
    path.touch()
    assert seen(path) not in {None, before}
    with pytest.raises(StoreError):
        seen(path / "beneath a file")


def test_a_file_written_anew_takes_the_name_and_what_is_there_is_set_aside(path: Path) -> None:
    part = path.with_suffix(".part")
    part.write_bytes(b"whole")
    log_of(path).write_bytes(b"of another")
    foreign = path.read_bytes()
    put_back(part, path, None, NOW)
    assert (path.read_bytes(), log_of(path).exists(), part.exists()) == (b"whole", False, False)
    assert path.with_name(f"store.db{ASIDE}{STAMP}").read_bytes() == foreign
    assert put_back_at_last(path, NOW) is None


def test_a_file_that_the_power_kept_from_its_name_gets_it_at_the_next_start(path: Path) -> None:
    path.unlink()
    path.with_name(f"store.db{WHOLE}").write_bytes(b"whole")
    mishap = put_back_at_last(path, NOW)
    assert mishap is not None
    assert mishap.event == LOST
    assert path.read_bytes() == b"whole"
    assert put_back_at_last(path, NOW) is None
