"""How a damaged file is read: range by range around what cannot be, and only what is whole."""

import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

from dcu.store import Store
from dcu.store.legend import Known
from dcu.store.segments import Run, Segment
from dcu.store.wreck import WINDOW, Note, put, window
from tests.captures import SetClock, capture

KNOWN = Known(frozenset({1}), frozenset({1}), frozenset({1}))


async def test_a_window_has_the_segments_that_begin_in_it(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        for start in range(0, 2 * WINDOW, 1024):
            await store.record([capture(at) for at in range(start, start + 1024)], {})
    found = [row for first in (1, 1 + WINDOW) for row in window(path, KNOWN, 1, first, first + WINDOW - 1)[0]]
    assert sum(row[1] for row in found) == 2 * WINDOW
    assert len({row[0] for row in found}) == len(found)
    assert window(path, KNOWN, 1, 1, WINDOW)[1] == 0
    assert window(path, KNOWN, 7, 1, WINDOW) == ([], 0)


def test_a_file_that_is_no_database_gives_nothing(tmp_path: Path) -> None:
    path = tmp_path / "wreck"
    path.write_bytes(b"nothing at all" * 500)
    assert window(path, KNOWN, 1, 1, 100) == ([], 100)


def packed(*runs: Run) -> tuple[int, bytes]:
    """Return octets and content of a segment."""
    return Segment(1, runs).row[4:]


def run(rows: int, meter: int = 1, layout: int = 1) -> Run:
    return Run.of(meter, layout, 0, [capture(at) for at in range(rows)])


TABLE = "CREATE TABLE segments (place INTEGER PRIMARY KEY, rows, read, oldest, newest, octets, content)"


def test_only_whole_segments_are_put_and_none_twice(tmp_path: Path) -> None:
    (octets, content), first = packed(run(5)), 1 << 40
    text = zlib.decompress(content)
    rows = [
        (first | 1, 5, 0, 0, 0, octets, content),
        (first | 6, 5, 0, 0, 0, octets, text),
        (first | 11, 5, 0, 0, 0, octets, content[:-3] + b"???"),
        (first | 16, 5, 0, 0, 0, octets - 1, text),
        (first | 21, 5, 0, 0, 0, octets, "text"),
        (first | 26, None, 0, 0, 0, octets, content),
        (first | 41, 5, 0, "0", 0, octets, content),
        (first | 31, 6, 0, 0, 0, octets, content),
    ]
    with closing(sqlite3.connect(tmp_path / "wreck")) as damaged, damaged:
        damaged.execute(TABLE)
        damaged.executemany("INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    sound, _ = window(tmp_path / "wreck", KNOWN, 1, 1, 100)
    assert sound == rows[:2]
    with closing(sqlite3.connect(tmp_path / "fresh")) as fresh:
        fresh.execute(TABLE)
        assert put(fresh, sound) == 10
        put(fresh, sound)
        assert fresh.execute("SELECT place FROM segments").fetchall() == [(first | 1,), (first | 6,)]


def test_runs_of_unknown_numbers_are_left_out_and_the_others_keep_their_places(tmp_path: Path) -> None:
    """They would be the captures of whoever is given the number next."""
    first = 1 << 40
    content = packed(run(2), run(3, meter=9), run(4), run(1, layout=9), run(2))
    with closing(sqlite3.connect(tmp_path / "wreck")) as damaged, damaged:
        damaged.execute(TABLE)
        damaged.execute("INSERT INTO segments VALUES (?, 12, 5, 0, 3, ?, ?)", (first | 7, *content))
    rows, _ = window(tmp_path / "wreck", KNOWN, 1, 1, 100)
    assert [row[:2] for row in rows] == [(first | 7, 2), (first | 12, 4), (first | 17, 2)]
    assert [Segment.unpacked(7, *row[-2:]).runs for row in rows] == [(run(2),), (run(4),), (run(2),)]


def test_a_note_says_what_is_left_while_the_file_is_there(tmp_path: Path) -> None:
    path, aside = tmp_path / "store.db", tmp_path / "store.db.damaged-1"
    assert Note.read(path) is None
    note = Note(aside, "malformed")
    note.write(path)
    assert Note.read(path) is None
    aside.touch()
    assert Note.read(path) == note
    path.with_suffix(".salvage").write_text("{")
    assert Note.read(path) is None
    owing = Note(aside, "malformed", begun=True, owed={3: (7, 900)}, unsent={3: 5}, known=KNOWN)
    owing.write(path)
    assert Note.read(path) == owing
    note.remove(path)
    assert not path.with_suffix(".salvage").exists()
