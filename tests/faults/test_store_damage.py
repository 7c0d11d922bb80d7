"""A database that is damaged anywhere, gone, or from a crashed run: kept aside, a new one begun, nothing goes back.

A flipped octet is put into each region of the file in turn: the outcome is stated beside each.
"""

import shutil
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from dcu.errors import DamagedError, StoreError
from dcu.model import Capture, Command, CommandRecord
from dcu.store import Store
from dcu.store.generations import Sealed
from dcu.store.integrity import DAMAGED, KEPT_FILES, LOST, TORN
from dcu.store.schema import PAGE_SIZE
from tests.captures import SetClock, capture
from tests.damage import INTERIOR, LEAF, flip, pages

ROWS = 1200

#: Meters of one capture each: enough for their table to have several leaves.
OTHERS = tuple(f"OTHER-{number:03}" for number in range(60))


async def filled(path: Path, others: Sequence[str] = ()) -> int:
    """Make a store with captures, a block on its way, counters and keys; return the last sequence number given."""
    async with Store.open(path, SetClock()) as store:
        for start in range(0, ROWS, 200):
            rows = [capture(at, values=(at, f"{at * 7919:x}" * 3)) for at in range(start, start + 200)]
            await store.readings.record(rows, {("M1", "load0"): start + 199})
        if others:
            await store.readings.record(
                [capture(100, meter) for meter in others], {(meter, "load0"): 200 for meter in others}
            )
        await store.counters.reserve("k", 50)
        await store.generations.begin(Sealed("M1", 1, "current", 1.0, {"encryption": b"only here"}))
        block = await store.outbox.next_block("load0", 100)
        assert block is not None
        await store.database.write(lambda database: database.execute("CREATE TABLE scrap (x)"))
        await store.database.write(lambda database: database.execute("INSERT INTO scrap VALUES (zeroblob(9000))"))
        await store.database.write(lambda database: database.execute("DROP TABLE scrap"))  # leaves free pages
    return block.seq


async def assert_begun_anew(path: Path, seq: int) -> None:
    """The damaged file is kept; counters, keys and sequence numbers go on; it works."""
    damaged = path.read_bytes()
    async with Store.open(path, SetClock()) as store:
        assert store.database.mishap is not None
        assert store.database.mishap.event == DAMAGED
        assert store.database.mishap.aside is not None
        assert store.database.mishap.aside.read_bytes() == damaged
        await assert_nothing_went_back(store, seq)


async def assert_nothing_went_back(store: Store, seq: int, sent: list[Capture | CommandRecord] | None = None) -> None:
    given = await store.counters.reserve("k", 50)
    assert given.start >= int(SetClock().time) + 50
    [sealed] = await store.generations.all()
    assert sealed.secrets == {"encryption": b"only here"}
    await store.readings.record([capture(5000)], {})
    numbers = []
    while (block := await store.outbox.next_block("load0", 1000)) is not None:
        numbers.append(block.seq)
        (sent if sent is not None else []).extend(block.items)
    assert numbers
    assert min(numbers) > seq


@pytest.mark.parametrize(
    ("region", "offset"),
    [("magic", 3), ("page size", 17), ("format", 19), ("payload fraction", 21), ("page type", 100), ("cells", 108)],
)
async def test_a_flipped_octet_in_the_first_page(tmp_path: Path, region: str, offset: int) -> None:
    path = tmp_path / "store.db"
    seq = await filled(path)
    flip(path, offset)
    await assert_begun_anew(path, seq)


async def test_a_flipped_octet_in_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    seq = await filled(path)
    flip(path, path.read_bytes().index(b"CREATE TABLE"), 0x20)
    flip(path, path.read_bytes().index(b"CREATE TABLE streams") + 7)
    await assert_begun_anew(path, seq)


@pytest.mark.no_cover  # page after page
@pytest.mark.parametrize("types", [INTERIOR, LEAF], ids=["interior", "leaf"])
@pytest.mark.parametrize("octet", [0, 3, 5, 9], ids=["type", "cells", "content", "pointers"])
async def test_a_flipped_octet_in_the_head_of_any_tree_page(tmp_path: Path, types: tuple[int, ...], octet: int) -> None:
    """Every page of that kind in turn: never a crash, never a wrong number; what is noticed is begun anew.

    Whatever leaves is a capture that was read, under the meter's own name, and leaves once.
    """
    path = tmp_path / "store.db"
    seq = await filled(path, OTHERS)
    read = {(each.meter, each.at): each for each in await everything_in(path)}
    assert len(read) == ROWS + len(OTHERS)
    noticed = 0
    for page in pages(path, types)[:40]:
        copy = tmp_path / f"{page}" / "store.db"
        copy.parent.mkdir()
        shutil.copy(path, copy)
        shutil.copy(path.with_suffix(".spare"), copy.with_suffix(".spare"))
        flip(copy, page + octet)
        async with Store.open(copy, SetClock()) as store:
            noticed += store.database.mishap is not None
            await store.readings.record([capture(1, meter) for meter in reversed(("M0", *OTHERS))], {})
            sent = [item for block in await store.outbox.unacknowledged("load0") for item in block.items]
            await assert_nothing_went_back(store, seq, sent)
        found = [each for each in sent if isinstance(each, Capture) and (each.meter, each.at) in read]
        assert found == [read[each.meter, each.at] for each in found]
        assert len({(each.meter, each.at) for each in found}) == len(found)
        shutil.rmtree(copy.parent)
    assert noticed


async def everything_in(path: Path) -> list[Capture]:
    """Return the captures of a copy of the file."""
    copy = path.parent / "whole" / "store.db"
    copy.parent.mkdir()
    shutil.copy(path, copy)
    async with Store.open(copy, SetClock()) as store:
        blocks = await store.outbox.unacknowledged("load0")
        while (block := await store.outbox.next_block("load0", 1000)) is not None:
            blocks.append(block)
    return [item for block in blocks for item in block.items if isinstance(item, Capture)]


async def test_a_flipped_octet_in_the_list_of_free_pages(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    seq = await filled(path)
    first = int.from_bytes(path.read_bytes()[32:36])
    assert first
    flip(path, (first - 1) * PAGE_SIZE + 4)  # how many pages it lists
    await assert_begun_anew(path, seq)


async def test_a_flipped_octet_anywhere_in_what_holds_captures_stops_nothing(tmp_path: Path) -> None:
    """Content of leaves and pages behind them: what cannot be read is left out, the rest leaves, once each."""
    path = tmp_path / "store.db"
    seq = await filled(path)
    with closing(sqlite3.connect(path)) as database:
        contents = [content for (content,) in database.execute("SELECT content FROM segments ORDER BY place")]
    whole = path.read_bytes()
    places = [place for content in contents for place in (whole.find(content[-30:]), whole.find(content[:30]))]
    left_out = 0
    for number, place in enumerate(each for each in places if each > 0):
        copy = tmp_path / f"{number}" / "store.db"
        copy.parent.mkdir()
        shutil.copy(path, copy)
        shutil.copy(path.with_suffix(".spare"), copy.with_suffix(".spare"))
        flip(copy, place + 10)
        async with Store.open(copy, SetClock()) as store:
            assert store.database.mishap is None
            sent = [row for block in await store.outbox.unacknowledged("load0") for row in times(block.items)]
            sent += await taken(store)
            assert sent == sorted(set(sent))
            assert ROWS - 256 <= len(sent) <= ROWS
            left_out += len(sent) < ROWS
            assert bool(await store.spoilt.forfeit()) == (len(sent) < ROWS)
            await assert_nothing_went_back(store, seq)
        shutil.rmtree(copy.parent)
    assert left_out


async def test_a_file_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    seq = await filled(path)
    path.write_bytes(path.read_bytes()[: 5 * PAGE_SIZE])
    await assert_begun_anew(path, seq)


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    seq = await filled(path)
    path.write_bytes(b"not a database at all" * 100)
    await assert_begun_anew(path, seq)


async def crashed(path: Path) -> tuple[Path, int]:
    """Return a copy of an open store, log and all, as a killed process leaves it, and the last number it has given."""
    copy = path.parent / "crashed" / "store.db"
    copy.parent.mkdir()
    await filled(path)
    async with Store.open(path, SetClock()) as store:
        for at in range(6000, 6020):
            await store.readings.record([capture(at)], {("M1", "load0"): at})
        block = await store.outbox.next_block("load0", 100)
        assert block is not None
        for suffix in (".db", ".db-wal", ".spare"):
            shutil.copy(path.with_suffix(suffix), copy.with_suffix(suffix))
    return copy, block.seq


async def test_a_log_of_a_crashed_run_is_taken_up(tmp_path: Path) -> None:
    path, seq = await crashed(tmp_path / "store.db")
    async with Store.open(path, SetClock()) as store:
        assert store.database.mishap is None
        assert await store.readings.watermarks() == {("M1", "load0"): 6019}
        assert await store.outbox.streams() == {"load0": seq + 1}


@pytest.mark.parametrize("place", [5, 17, 25, 40, 300, 3000, -2500])
async def test_a_flipped_octet_in_the_log_sets_back_and_repeats_no_number(tmp_path: Path, place: int) -> None:
    """What was committed behind it is gone with it, as is what the watermarks say of it; numbers leap."""
    path, seq = await crashed(tmp_path / "store.db")
    log = path.with_suffix(".db-wal")
    flip(log, place % log.stat().st_size)
    async with Store.open(path, SetClock()) as store:
        assert store.database.mishap is not None
        assert (store.database.mishap.event, store.database.mishap.leapt) == (TORN, ("load0",))
        mark = (await store.readings.watermarks())["M1", "load0"]
        assert mark < 6020
        assert len(await store.readings.captures("M1", "load0", 6000, 7000, 1000)) == max(0, mark - 5999)
        await assert_nothing_went_back(store, seq)


async def test_damage_that_is_met_while_it_is_open_asks_for_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    seq = await filled(path)
    async with Store.open(path, SetClock()) as store:
        content = path.read_bytes()
        path.write_bytes(content[: 3 * PAGE_SIZE] + b"\xff" * (len(content) - 3 * PAGE_SIZE))
        with pytest.raises(DamagedError, match="malformed"):
            await store.readings.captures("M1", "load0", 0, ROWS, 1000)
        assert store.database.broken.is_set()
        with pytest.raises(StoreError, match="has to be opened anew"):
            await store.readings.record([capture(1)], {})
    async with Store.open(path, SetClock(), found=store.database.found) as store:
        assert store.database.mishap is not None
        assert store.database.mishap.event == DAMAGED
        await assert_nothing_went_back(store, seq)


async def test_a_check_of_the_whole_file_finds_damage_while_it_is_open(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    await filled(path)
    async with Store.open(path, SetClock()) as store:
        await store.database.inspect()
        assert not store.database.broken.is_set()
        flip(path, pages(path, LEAF)[-1])
        with pytest.raises(DamagedError):
            await store.database.inspect()
        assert store.database.broken.is_set()


@pytest.mark.parametrize("how", ["deleted", "with its log", "its log", "its log replaced", "replaced"])
async def test_a_file_deleted_while_it_is_open_is_written_out_again(tmp_path: Path, how: str) -> None:
    path = tmp_path / "store.db"
    seq = await filled(path)
    async with Store.open(path, SetClock()) as store:
        await store.readings.record([capture(7000)], {("M1", "load0"): 7000})
        if "its log" in how:
            path.with_suffix(".db-wal").unlink()
        if how == "its log replaced":
            path.with_suffix(".db-wal").touch()
        if not how.startswith("its log"):
            path.unlink()
        if how == "replaced":
            with closing(sqlite3.connect(path)) as database:
                database.execute("CREATE TABLE theirs (x)")
        with pytest.raises(StoreError, match="deleted or replaced"):
            await store.readings.record([capture(8000)], {("M1", "load0"): 8000})
        assert store.database.broken.is_set()
    async with Store.open(path, SetClock(), found=store.database.found) as store:
        assert store.database.mishap is not None
        assert store.database.mishap.event == LOST
        assert await store.readings.watermarks() == {("M1", "load0"): 7000}
        assert await store.outbox.pending() == {"load0": ROWS + 1}
        assert await store.outbox.streams() == {"load0": seq + 1}
    assert len(list(tmp_path.glob("*.damaged-*"))) == (how == "replaced")


async def test_damaged_files_do_not_fill_the_disk(tmp_path: Path) -> None:
    path, clock = tmp_path / "store.db", SetClock()
    for number in count(1):
        path.write_bytes(b"no database" * 100 + bytes(number))
        async with Store.open(path, clock) as store:
            assert store.database.mishap is not None
        path.unlink()
        clock.time += 1
        if number == KEPT_FILES + 2:
            break
    kept = sorted(each.stat().st_size for each in tmp_path.glob("*.damaged-*"))
    assert kept == [1100 + number for number in (3, 4, 5)]


async def test_a_clock_that_went_back_repeats_no_number(tmp_path: Path) -> None:
    path, clock = tmp_path / "store.db", SetClock()
    seq = await filled(path)
    clock.time -= 30 * 86_400
    async with Store.open(path, clock) as store:
        assert store.database.mishap is None
        await assert_nothing_went_back(store, seq)


async def damaged_half(path: Path) -> set[int]:
    """Make a store half of whose rows are acknowledged, damage one leaf of each half, and return the times of all."""
    async with Store.open(path, SetClock()) as store:
        for start in range(0, ROWS, 10):
            rows = [capture(at, values=(f"{at * 7919:x}" * 40,)) for at in range(start, start + 10)]
            await store.readings.record(rows, {("M1", "load0"): start + 9})
        for _ in range(ROWS // 200):
            block = await store.outbox.next_block("load0", 100)
            assert block is not None
            await store.outbox.acknowledge("load0", block.seq)
        assert await store.outbox.next_block("load0", 100) is not None
        await store.descriptors.put("M1", "load0", {"period": 900})
        await store.commands.accept(Command("c", "meter.read", ("M1",)), rejected="no")
    leaves = pages(path, (13,))
    # the last leaves are of captures: of some that were acknowledged, and of some that were not
    for page in (leaves[-15], leaves[-4]):
        flip(path, page)
    return set(range(ROWS))


def times(items: Iterable[Capture | CommandRecord]) -> list[int]:
    return [item.at for item in items if isinstance(item, Capture)]


async def taken(store: Store) -> list[int]:
    """Take all blocks that are to be had; return the times of their rows."""
    found: list[int] = []
    while (block := await store.outbox.next_block("load0", 100)) is not None:
        found += times(block.items)
    return found
