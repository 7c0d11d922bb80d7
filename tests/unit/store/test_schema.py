"""The form of the file: how it is set up, and which files are refused and left alone."""

import asyncio
import json
import math
import sqlite3
import sys
from asyncio.subprocess import PIPE
from contextlib import closing
from pathlib import Path
from zlib import decompress

import pytest
from aiosqlite import Connection

from dcu.errors import StoreError
from dcu.model import Capture, Dropped, Meter, Reach, Reason
from dcu.plan.ledger import Asked, Gap
from dcu.store import Store
from dcu.store.cells import to_json
from dcu.store.generations import Sealed
from dcu.store.ledger import Span, Tally
from dcu.store.schema import PAGE_SIZE, translated
from dcu.store.shape import APPLICATION_ID, scripts
from tests.captures import SetClock, capture

SAVED = Path(__file__).parents[2] / "databases"

VALUES = (1, None, b"\x01\xff", "x", True, -5)


def content(path: Path) -> list[object]:
    """Return all rows of all tables, and the version."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as database:
        tables = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
        rows = [database.execute(f"SELECT * FROM {name}").fetchall() for (name,) in tables]
        return [tables, rows, database.execute("PRAGMA user_version").fetchall()]


async def refusal(path: Path) -> str:
    with pytest.raises(StoreError) as caught:
        async with Store.open(path, SetClock()):
            pass
    return str(caught.value)


async def test_a_commit_is_on_the_disk_before_it_is_said(store: Store) -> None:
    async def pragmas(database: Connection) -> list[object]:
        names = ("synchronous", "journal_mode", "page_size", "wal_autocheckpoint", "user_version", "application_id")
        answers = [await database.execute_fetchall(f"PRAGMA {name}") for name in names]
        return [value for [(value,)] in answers]

    full = 2
    assert await store.database.write(pragmas) == [full, "wal", PAGE_SIZE, 0, len(scripts()), APPLICATION_ID]


async def test_the_reading_connection_cannot_write(store: Store) -> None:
    with pytest.raises(StoreError, match="readonly"):
        await store.database.read("INSERT INTO meters (name) VALUES ('M9')")


async def test_a_store_of_schema_1_opens(tmp_path: Path) -> None:
    """The file was made by the first version: two streams, a block on its way, a command, a descriptor, counters."""
    path = tmp_path / "schema1.db"
    path.write_bytes((SAVED / "schema1.db").read_bytes())
    async with Store.open(path, SetClock()) as store:
        assert await store.readings.watermarks() == {("M1", "load0"): 2700, ("M2", "load0"): 1800}
        assert await store.readings.latest("M1", "instant") == capture(2705, stream="instant", values=VALUES)
        assert await store.outbox.pending() == {"instant": 1, "load0": 3, "result": 2}
        [block] = await store.outbox.unacknowledged("load0")
        assert (block.seq, block.items) == (1800000000251, (capture(2700), capture(1800, "M2")))
        assert await store.readings.captures("M1", "load0", 0, 9999, 10) == [capture(900), capture(1800), capture(2700)]
        [record] = await store.commands.unfinished()
        assert (record.command.id, record.command.args) == ("read-1", {"profile": "load0"})
        assert await store.descriptors.of("M1") == {"load0": {"period": 900}}
        assert await store.counters.reserve("M1", 2) == range(1800000100, 1800000102)
        assert await store.generations.all() == []
        await store.generations.begin(Sealed("M1", 1, "pending", 1.0, {"password": b"x"}))
        assert [found.meter for found in await store.generations.all()] == ["M1"]


async def test_a_store_of_schema_2_opens(tmp_path: Path) -> None:
    """Two meters with watermarks but no ledger, a block on its way, a generation of keys."""
    path = tmp_path / "schema2.db"
    path.write_bytes((SAVED / "schema2.db").read_bytes())
    async with Store.open(path, SetClock()) as store:
        assert await store.readings.watermarks() == {("M1", "load0"): 1800, ("M2", "load0"): 900}
        [block] = await store.outbox.unacknowledged("load0")
        assert block.items == (capture(900), capture(1800))
        assert [sealed.secrets for sealed in await store.generations.all()] == [{"encryption": b"\x01\x02"}]
        await store.reaches.reached("M2", Reach.DEGRADED, 4.5)
        assert await store.reaches.since(0) == [("M2", 4.5, Reach.DEGRADED)]
        assert (
            await store.database.read("SELECT since, period FROM marks UNION ALL SELECT start, last FROM gaps")
            == [(None, None)] * 3
        )


async def test_a_store_of_schema_3_opens(tmp_path: Path) -> None:
    """A ledger with a gap, a meter that was hard to reach, a block on its way."""
    path = tmp_path / "schema3.db"
    path.write_bytes((SAVED / "schema3.db").read_bytes())
    async with Store.open(path, SetClock()) as store:
        assert await store.readings.watermarks() == {("M1", "load0"): 1800, ("M2", "load0"): 900}
        assert await store.reaches.since(0) == [("M2", 4.5, Reach.DEGRADED)]
        assert len(await store.database.read("SELECT * FROM gaps")) == 1
        assert (await store.lines.added(), await store.lines.stations(), await store.clocks.adjustments()) == (
            [],
            [],
            {},
        )
        await store.lines.replace(Meter("M2", "b", 17, "reader", "idis"), "command", ["load0"], 5000)
        assert await store.database.read("SELECT * FROM gaps") == []
        assert await store.readings.watermarks() == {("M1", "load0"): 1800, ("M2", "load0"): 5000}
        assert await store.clocks.points("M2") == []


async def test_a_ledger_of_schema_3_goes_on(tmp_path: Path) -> None:
    """Gaps of two kinds, a stream that was never asked for, a meter that was lost."""
    path = tmp_path / "schema3-gaps.db"
    path.write_bytes((SAVED / "schema3-gaps.db").read_bytes())
    async with Store.open(path, SetClock()) as store:
        assert await store.readings.watermarks() == {
            ("M1", "load0"): 3600,
            ("M2", "load0"): 900,
            ("M2", "daily"): 86_399,
        }
        assert await store.ledger.unread() == {("M2", "daily"): (Gap(86_400, 259_200, Reason.PENDING),)}
        assert await store.ledger.tallies([Span("load0", 0, 3600)]) == [Tally(8, 3, {Reason.NO_RECORD: 2})]
        assert await store.reaches.since(0) == [("M2", 1000.5, Reach.UNREACHABLE)]
        recorded = await store.readings.record([capture(1800)], {}, asked={("M1", "load0"): [Asked(1351, 2249, 900)]})
        assert recorded.accounts["M1", "load0"].gaps == (Gap(2700, 2700, Reason.NO_RECORD),)


async def test_a_store_of_schema_4_opens_and_leaves_a_copy(tmp_path: Path) -> None:
    """A day that was read behind a newer one, a block on its way, texts and octets, a line of the archive, a clock."""
    path, day = tmp_path / "store.db", 86_400
    path.touch(0o640)
    path.write_bytes((SAVED / "schema4.db").read_bytes())
    load = [capture(start + at) for start in (3 * day, 2 * day) for at in range(0, 3600, 900)]
    second = [capture(3 * day + at, "M2") for at in (0, 900)]
    async with Store.open(path, SetClock()) as store:
        assert await store.readings.captures("M1", "load0", 0, 9 * day, 10) == load[4:] + load[:4]
        assert await store.readings.captures("M2", "load0", 0, 9 * day, 10) == second
        instants = await store.readings.captures("M1", "instant", 0, 10, 10)
        assert [each.values for each in instants] == [VALUES, (2, None, b"\x02", "y", False, -6)]
        [block] = await store.outbox.unacknowledged("load0")
        assert block.items == tuple(load[:3])
        last = await store.outbox.next_block("load0", 10)
        assert last is not None
        assert (last.seq, last.items) == (block.seq + 2, tuple(second))
        await store.readings.record([capture(3 * day + 3600)], {})
        assert len(await store.readings.captures("M1", "load0", 3 * day, 4 * day, 10)) == 5
        assert [line.meter.id for line in await store.lines.added()] == ["M3"]
    copy = tmp_path / "store.db.schema4"
    assert content(copy) == content(SAVED / "schema4.db")
    assert copy.stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("why", ["no room", "the disk fails"])
async def test_a_store_that_cannot_be_copied_opens_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    path = tmp_path / "store.db"
    path.write_bytes((SAVED / "schema7.db").read_bytes())
    if why == "no room":
        monkeypatch.setattr("dcu.store.schema.DISK_RESERVE", 1 << 60)
    else:
        (tmp_path / "store.db.schema7").mkdir()  # the name cannot be taken
    async with Store.open(path, SetClock()) as store:
        assert store.database.mishap is not None
        assert store.database.mishap.event == "store not copied"
        assert not (tmp_path / "store.db.schema7.part").exists()
        assert not (tmp_path / "store.db.schema7").is_file()


async def test_a_store_of_schema_5_opens_and_can_let_go(tmp_path: Path) -> None:
    """Two days of one meter and a row of another in segments, a block on its way; nothing could be dropped then."""
    path, day = tmp_path / "store.db", 86_400
    path.write_bytes((SAVED / "schema5.db").read_bytes())
    async with Store.open(path, SetClock()) as store:
        [block] = await store.outbox.unacknowledged("load0")
        assert [item.at for item in block.items if isinstance(item, Capture)] == [
            3 * day,
            3 * day + 900,
            3 * day + 1800,
        ]
        shed = await store.retention.shed("load0", "storage", unsent=True)
        assert shed.unsent == 6
        word = await store.outbox.next_block("load0", 100)
        assert word is not None
        assert (word.seq, word.dropped) == (block.seq + 1, Dropped("storage", 2 * day, 3 * day + 2700, 6))
        assert await store.audit.entries(0, 10) == []


async def test_a_store_of_schema_6_opens_with_its_audit(tmp_path: Path) -> None:
    """Two captures and two commands that are over; nothing could be dropped then."""
    path = tmp_path / "store.db"
    path.write_bytes((SAVED / "schema6.db").read_bytes())
    async with Store.open(path, SetClock()) as store:
        verdict = await store.audit.verify()
        assert (verdict.first, verdict.last, verdict.problem) == (1, 2, None)
        assert [entry.outcome for entry in await store.audit.entries(1, 10)] == ["done", "failed"]
        block = await store.outbox.next_block("load0", 10)
        assert block is not None
        assert block.items == (capture(900), capture(1800))


async def test_a_store_of_schema_9_opens_and_keeps_its_days(tmp_path: Path) -> None:
    """Captures of two meters, a block that was acknowledged and one on its way, a clock; no day was kept then."""
    path = tmp_path / "store.db"
    path.write_bytes((SAVED / "schema9.db").read_bytes())
    async with Store.open(path, SetClock()) as store:
        assert await store.history.days(0, 10) == []
        await store.history.keep_day(20_000, {"visits": 7})
        assert await store.history.days(0, 10) == [(20_000, {"visits": 7})]
        assert await store.readings.watermarks() == {("M1", "load0"): 3149, ("M2", "load0"): 1800}
        [block] = await store.outbox.unacknowledged("load0")
        assert (block.seq, block.items) == (1_800_000_000_251, (capture(900, "M2"), capture(1800, "M2")))
        before = await store.outbox.block("load0", block.seq - 1)
        assert before is not None
        assert before.items == (capture(900), capture(1800))
        assert await store.clocks.points("M1") == [(86_400, 3.5)]
    assert content(tmp_path / "store.db.schema9") == content(SAVED / "schema9.db")


async def test_a_store_of_schema_10_opens_with_its_days(tmp_path: Path) -> None:
    """As that of schema 9, and a day; no stream had leapt then."""
    path = tmp_path / "store.db"
    path.write_bytes((SAVED / "schema10.db").read_bytes())
    async with Store.open(path, SetClock()) as store:
        assert await store.history.days(0, 10) == [(20_000, {"visits": 7})]
        [block] = await store.outbox.unacknowledged("load0")
        last = await store.outbox.next_block("load0", 10)
        assert last is not None
        assert (last.seq, last.items, last.dropped) == (block.seq + 1, (capture(3600),), None)
    assert content(tmp_path / "store.db.schema10") == content(SAVED / "schema10.db")


async def test_a_new_store_leaves_no_copy(path: Path) -> None:
    for _ in range(2):
        async with Store.open(path, SetClock()):
            pass
    assert not list(path.parent.glob("*.schema*"))


def shown(path: Path, query: str) -> list[tuple[object, ...]]:
    """Ask as the sqlite3 shell does; it brings sqlar_uncompress along."""
    with closing(sqlite3.connect(path)) as database:
        database.create_function("sqlar_uncompress", 2, lambda text, n: text if len(text) == n else decompress(text))
        return database.execute(query).fetchall()


async def test_one_number_that_json_has_no_word_for_does_not_hide_the_captures_of_all_meters(path: Path) -> None:
    async with Store.open(path, SetClock()) as store:
        await store.readings.record([capture(900)], {})
        odd = (math.nan, -math.inf, "a\x00b", 1 << 63)
        await store.readings.record([capture(900, "M2", values=odd)], {})
        await store.readings.record([capture(1800, "M2", values=("x", "y", "z", None))], {})
        kept = await store.readings.captures("M2", "load0", 0, 900, 9)
    assert [repr(value) for value in kept[0].values] == list(map(repr, odd))
    rows = shown(path, "SELECT meter, at, cells FROM readings ORDER BY meter, at")
    assert [row[:2] for row in rows] == [("M1", 900), ("M2", 900), ("M2", 1800)]
    assert json.loads(str(rows[1][2]))[:3] == [{"float": "nan"}, {"float": "-inf"}, "a\x00b"]


async def test_a_store_of_schema_11_opens_and_shows_what_was_hidden(tmp_path: Path) -> None:
    """Two captures of a meter, and one of another with NaN and infinities as they were written then."""
    path = tmp_path / "store.db"
    path.write_bytes((SAVED / "schema11.db").read_bytes())
    async with Store.open(path, SetClock()) as store:
        (odd,) = await store.readings.captures("M2", "load0", 0, 900, 9)
        assert [repr(value) for value in odd.values] == ["nan", "-inf", "inf", "'NaN'", "5"]
    assert content(tmp_path / "store.db.schema11") == content(SAVED / "schema11.db")
    rows = shown(path, "SELECT meter, at, cells FROM readings ORDER BY meter, at")
    assert [row[:2] for row in rows] == [("M1", 900), ("M1", 1800), ("M2", 900)]
    assert json.loads(str(rows[2][2]))[:3] == [None, None, None]


async def test_people_can_read_every_capture(path: Path) -> None:
    odd = capture(7, values=VALUES)
    plain = [capture(86_400 * day + at) for day in (1, 2) for at in range(3)]
    async with Store.open(path, SetClock()) as store:
        await store.readings.record([*plain, odd], {})
    rows = shown(path, "SELECT stream, meter, at, status, read_at, offset, trusted, cells FROM readings")
    found = {at: (stream, meter, *rest[:-1], json.loads(str(rest[-1]))) for stream, meter, at, *rest in rows}
    assert shown(path, "SELECT stream, captures, oldest, newest FROM holdings") == [("load0", 7, 7, 2 * 86_400 + 2)]
    assert found == {
        each.at: ("load0", "M1", 0, each.read_at, -0.375, 1, json.loads(to_json(each.values))) for each in [*plain, odd]
    }


async def test_a_newer_schema_is_refused_and_left_alone(path: Path) -> None:
    async with Store.open(path, SetClock()):
        pass
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    assert f"schema 99 is newer than this program knows ({len(scripts())})" in await refusal(path)
    assert path.read_bytes() == before


async def test_another_programs_database_is_refused_and_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    assert "not a store of this program" in await refusal(path)
    assert path.read_bytes() == before


async def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "unmounted" / "store.db"
    assert f"cannot open the store {path}: [Errno 2] No such file" in await refusal(path)
    assert "Is a directory" in await refusal(tmp_path)


async def test_an_interrupted_creation_is_made_good(path: Path) -> None:
    """The power went after the file was made and before its schema was committed."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        database.execute("PRAGMA journal_mode = WAL")
    async with Store.open(path, SetClock()) as store:
        await store.readings.record([capture(900)], {})
        assert await store.readings.latest("M1", "load0") == capture(900)


def test_operating_system_errors_are_translated_with_what_was_done() -> None:
    with pytest.raises(StoreError, match="cannot do this: gone"), translated("cannot do this"):
        raise OSError("gone")


OUTSIDE = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
print(database.execute("SELECT count(*) FROM segments").fetchone()[0])
database.close()
"""


@pytest.mark.parametrize("older", [None, "schema4.db"])
async def test_a_look_from_outside_takes_no_log_away(path: Path, older: str | None) -> None:
    """A process that believes to be the last one deletes it: our locks must hold, after a migration too."""
    if older is not None:
        path.write_bytes((SAVED / older).read_bytes())
    async with Store.open(path, SetClock()) as store:
        await store.readings.record([capture(900, "M9")], {})
        held = [(count,)] = await store.database.read("SELECT count(*) FROM segments")
        assert held
        for _ in range(2):
            looked = await asyncio.create_subprocess_exec(sys.executable, "-c", OUTSIDE, str(path), stdout=PIPE)
            said, _ = await looked.communicate()
            assert int(said) == count
            assert path.with_suffix(".db-wal").exists()
            await store.readings.record([capture(1800, "M9")], {})
            count += 1
