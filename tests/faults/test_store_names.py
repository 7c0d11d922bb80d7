"""What a number stands for, damaged: captures never leave under another meter's name, and no start dies of it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dcu.errors import DamagedError
from dcu.model import Capture
from dcu.store import Store
from dcu.store.integrity import DAMAGED
from tests.captures import SetClock, capture
from tests.damage import flip, leaves_of


async def many_meters(path: Path) -> list[str]:
    """Make a store with a capture of each of many meters that tells whose it is; return them."""
    meters = [f"METER-{number:04}" for number in range(200)]
    async with Store.open(path, SetClock()) as store:
        for number, meter in enumerate(meters):
            await store.readings.record(
                [capture(100 + at, meter, values=(number,)) for at in range(3)], {(meter, "load0"): 200}
            )
    return meters


async def rows_under_their_names(store: Store, meters: list[str]) -> int:
    """Return how many captures there are to deliver, all of them under the name of the meter they are of."""
    rows = 0
    while (block := await store.outbox.next_block("load0", 60)) is not None:
        for item in block.items:
            assert isinstance(item, Capture)
            assert meters[int(str(item.values[0]))] == item.meter
            rows += 1
    return rows


@pytest.mark.parametrize("which", [0, 3, -1])
@pytest.mark.parametrize("index", [False, True], ids=["table", "table and index"])
async def test_no_capture_leaves_under_another_meter_s_name(tmp_path: Path, which: int, *, index: bool) -> None:
    """Names are found in their index; where that is lost with them, their numbers are not another meter's."""
    path = tmp_path / "store.db"
    meters = await many_meters(path)
    damaged = leaves_of(path, "meters")[which : which + 1 or None]
    if index:
        damaged += leaves_of(path, "sqlite_autoindex_meters_1")
    for page in damaged:
        flip(path, page)
    async with Store.open(path, SetClock()) as store:
        assert store.database.mishap is not None
        await store.ledger.expect({"load0": {0: list(reversed(meters))}})
        rows = await rows_under_their_names(store, meters)
        assert (rows == 600) != index
        assert rows > 300
        assert await store.salvage.bring_rest() is not None
        for meter in reversed(meters):
            await store.readings.record([capture(500, meter, values=(int(meter[-4:]),))], {(meter, "load0"): 500})
        assert await rows_under_their_names(store, meters) == 200
    async with Store.open(path, SetClock()) as store:
        assert store.database.mishap is None
        for number, meter in enumerate(meters):
            assert {each.values for each in await store.readings.captures(meter, "load0", 0, 1000, 10)} == {(number,)}


@pytest.mark.parametrize("what", ["a letter of a name", "a number", "a layout"])
async def test_a_flipped_bit_in_what_a_number_stands_for(tmp_path: Path, what: str) -> None:
    path = tmp_path / "store.db"
    meters = await many_meters(path)
    whole = path.read_bytes()
    page = leaves_of(path, "meters")[0]
    offset, mask = {
        "a letter of a name": (whole.index(b"METER-0004", page) + 9, 0x01),
        "a number": (whole.index(b"METER-0004", page) - 3, 0x40),
        "a layout": (whole.index(b"[[3,") + 2, 0x10),
    }[what]
    flip(path, offset, mask)
    async with Store.open(path, SetClock()) as store:
        assert store.database.mishap is not None
        assert store.database.mishap.event == DAMAGED
        assert 597 <= await rows_under_their_names(store, meters) <= 600
        await store.database.inspect()


async def test_a_name_that_is_lost_while_it_is_open_asks_for_a_new_file(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    meters = await many_meters(path)
    async with Store.open(path, SetClock()) as store:
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("DELETE FROM meters WHERE meter = 5")
        with pytest.raises(DamagedError, match="number 5"):
            await store.outbox.next_block("load0", 60)
        assert store.database.broken.is_set()
    async with Store.open(path, SetClock(), found=store.database.found) as store:
        [block] = await store.outbox.unacknowledged("load0")
        assert len(block.items) == 57
        assert await rows_under_their_names(store, meters) == 540


@pytest.mark.parametrize(
    "text",
    [b"changed    REAL", b"added  REAL", b"name   TEXT", b"newest    INTEGER", b"octets  INTEGER"],
    ids=lambda text: text.decode(),
)
async def test_a_flipped_bit_in_the_name_of_a_column(tmp_path: Path, text: bytes) -> None:
    """The schema is valid with it; what stands in the columns is found by their places, and no start dies of it."""
    path = tmp_path / "store.db"
    meters = await many_meters(path)
    flip(path, path.read_bytes().index(text) + 1, 0x02)
    async with Store.open(path, SetClock()) as store:
        assert store.database.mishap is not None
        assert store.database.mishap.event == DAMAGED
        assert await rows_under_their_names(store, meters) == 600
    async with Store.open(path, SetClock()) as store:
        assert store.database.mishap is None
        assert len(await store.readings.watermarks()) == 200
