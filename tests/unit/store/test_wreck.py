"""How a damaged file is read: range by range around what cannot be, and only what is whole."""

import shutil
import sqlite3
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from dcu.model import Capture
from dcu.store import Store
from dcu.store.forward import singly
from dcu.store.integrity import DAMAGED, Mishap
from dcu.store.legend import Known
from dcu.store.segments import Run, Segment
from dcu.store.shape import scripts
from dcu.store.wreck import WINDOW, Note, put, window
from tests.captures import SetClock, capture

SAVED = sorted((Path(__file__).parents[2] / "databases").glob("*.db"))

KNOWN = Known(frozenset({1}), frozenset({1}), frozenset({1}))


async def test_a_window_has_the_segments_that_begin_in_it(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        for start in range(0, 2 * WINDOW, 1024):
            await store.readings.record([capture(at) for at in range(start, start + 1024)], {})
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


async def held(path: Path, found: Mishap | None = None) -> list[object]:
    """Return what a store knows and, in their order, all items that it has still to deliver."""
    async with Store.open(path, SetClock(), found=found) as store:
        salvaged = store.database.salvaged.captures
        assert bool(salvaged) is bool(found)
        assert (await store.salvage.bring_rest() is None) is (found is None)
        items = {}
        for stream in await store.outbox.streams():
            blocks = await store.outbox.unacknowledged(stream)
            while (block := await store.outbox.next_block(stream, 100)) is not None:
                blocks.append(block)
            items[stream] = [(block.seq, block.items, block.dropped) for block in blocks]
        found_again = {}
        for meter, stream in await store.database.read("SELECT meters.name, streams.name FROM meters, streams"):
            found_again[meter, stream] = await store.readings.captures(meter, stream, -(1 << 40), 1 << 40, 1000)
        kept = await store.database.read("SELECT sum(rows) FROM segments")
        if found:  # what went for want of room may part a day of the sound one
            assert sum(map(len, found_again.values())) == (kept[0][0] or 0)
        return [
            items,
            kept,
            await store.readings.watermarks(),
            await store.descriptors.of("M1"),
            await store.commands.unfinished(),
        ]


@pytest.mark.parametrize("saved", SAVED, ids=lambda saved: saved.stem)
async def test_a_damaged_store_of_an_older_schema_opens_with_what_it_held(tmp_path: Path, saved: Path) -> None:
    """Tables that its schema had not are empty; all that can be read is there, and leaves as it would have left."""
    sound, damaged = tmp_path / "sound.db", tmp_path / "damaged.db"
    for path in (sound, damaged):
        shutil.copyfile(saved, path)
    assert await held(damaged, Mishap(DAMAGED, "a page failed its check")) == await held(sound)


async def test_a_store_that_was_brought_forward_only_so_far_gives_both_its_parts(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        await store.readings.record([capture(900), capture(1800)], {})
    with closing(sqlite3.connect(path)) as damaged, damaged:
        damaged.execute(scripts()[0][scripts()[0].index("CREATE TABLE captures") :].partition(";")[0])
        rows = [((1 << 40) + at, None, 1, 1, 900 * at, 0, 1.0, None, 1, "[1]") for at in (3, 4)]
        damaged.executemany("INSERT INTO captures VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    found, lost = window(path, KNOWN, 1, 1, 4)
    assert sorted((row[0] & 0xFF, row[1]) for row in found) == [(1, 2), (3, 1), (4, 1)]
    assert lost == 0


async def test_a_table_whose_key_has_lost_its_name_is_left(path: Path, clock: SetClock) -> None:
    """SQLite would number its rows anew."""
    path.write_bytes((SAVED[0].parent / "schema10.db").read_bytes())
    with closing(sqlite3.connect(path)) as damaged, damaged:
        damaged.execute("ALTER TABLE streams RENAME COLUMN stream TO strean")
    async with Store.open(path, clock, found=Mishap(DAMAGED, "a name")) as store:
        # its name and what left are told by others
        assert list(await store.outbox.streams()) == ["load0"]
        assert len(await store.outbox.unacknowledged("load0")) == 1


def test_of_older_captures_the_damaged_are_left_out() -> None:
    place = 1 << 40 | 7
    sound = (place, None, 1, 1, 900, 0, 905.0, None, 1, '[1,"x"]')
    broken = [(*sound[:-1], cells) for cells in ('[1,"\ufffd"]', "[1", "1", None)]
    beyond = (*sound[:6], float("inf"), *sound[7:])
    [(found, rows, *_, octets, content)] = singly([*broken, beyond, sound])
    assert (found, rows) == (place, 1)
    [run] = Segment.unpacked(7, octets, content).runs
    assert list(run.captures("M1", "load0", ())) == [Capture("M1", "load0", 900, 0, (1, "x"), (), 905.0, None, True)]
