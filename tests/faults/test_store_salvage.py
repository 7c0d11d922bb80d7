"""What is brought over from a damaged database, what is asked for again, and a cut in the middle of it."""

from pathlib import Path

import pytest

from dcu.errors import StoreError
from dcu.model import Capture, Command
from dcu.plan.ledger import Asked
from dcu.store import Store, salvage, wreck
from dcu.store import database as database_module
from dcu.store.integrity import DAMAGED
from tests.captures import SetClock, capture
from tests.damage import flip, pages
from tests.faults.test_store_damage import ROWS, damaged_half, taken, times


async def test_what_can_be_read_is_salvaged_and_nothing_comes_twice(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    everything = await damaged_half(path)
    async with Store.open(path, SetClock()) as store:
        assert store.database.mishap is not None
        assert await store.readings.watermarks() == {("M1", "load0"): ROWS - 1}
        assert await store.descriptors.of("M1") == {"load0": {"period": 900}}
        assert (await store.commands.accept(Command("c", "meter.read", ("M1",))))[1] is False
        assert (await store.audit.verify()).last == 1
        # what was not acknowledged is there before anything else
        sent = [row for block in await store.outbox.unacknowledged("load0") for row in times(block.items)]
        while (block := await store.outbox.next_block("load0", 100)) is not None:
            sent += times(block.items)
        assert len(sent) == len(set(sent))
        assert set(sent) <= set(range(ROWS // 2, ROWS))
        assert len(sent) > ROWS // 2 - 80
        await store.readings.record([capture(ROWS)], {("M1", "load0"): ROWS})
    async with Store.open(path, SetClock()) as store:  # a restart before the rest came
        assert store.database.mishap is None
        found = await store.salvage.bring_rest()
        assert found is not None
        assert found.captures
        assert found.unreadable
        held = await store.database.read("SELECT sum(rows) FROM segments")
        assert ROWS - 140 < held[0][0] <= ROWS + 1
        kept = times(await store.readings.captures("M1", "load0", 0, ROWS, 1000))
        assert len(kept) == len(set(kept))
        assert set(kept) <= everything | {ROWS}
        assert await store.outbox.next_block("load0", 100) is not None
        assert await store.outbox.next_block("load0", 100) is None
        assert await store.salvage.bring_rest() is None


async def test_much_that_was_not_acknowledged_comes_after_the_start_and_leaves_in_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start has little time: the end comes at once, so that new rows have their places, and what is due first."""
    path = tmp_path / "store.db"
    await damaged_half(path)
    monkeypatch.setattr(wreck, "FOREMOST_OCTETS", 1)
    for module in (wreck, salvage):
        monkeypatch.setattr(module, "WINDOW", 100)
    async with Store.open(path, SetClock()) as store:
        assert store.database.coming
        sent = [row for block in await store.outbox.unacknowledged("load0") for row in times(block.items)]
        sent += await taken(store)
        await store.readings.record([capture(ROWS)], {("M1", "load0"): ROWS})
        assert await taken(store) == []
        assert (await store.retention.shed("load0", "storage", unsent=True)).unsent == 0
    async with Store.open(path, SetClock()) as store:  # a restart before the rest came
        assert store.database.mishap is None
        assert await taken(store) == []
        await store.salvage.bring_owed()
        assert not store.database.coming
        rest = await taken(store)
        assert sent + rest == sorted({*sent, *rest})
        assert rest[-1] == ROWS
        assert ROWS // 2 - 80 < len(sent + rest) <= ROWS // 2 + 1
        assert (await store.salvage.bring_rest()) is not None
    async with Store.open(path, SetClock()) as store:
        assert not store.database.coming
        assert not list(tmp_path.glob("*.salvage"))


async def visit(store: Store, meter: str, hour: int) -> None:
    """Record the four rows of an hour."""
    rows = [hour * 3600 + quarter * 900 for quarter in range(1, 5)]
    asked = Asked(rows[0], rows[-1], 900, since=900)
    taking = [capture(at, meter, values=(f"{at * 7919:x}" * 20,)) for at in rows]
    await store.readings.record(taking, {}, asked={(meter, "load0"): [asked]})


async def sent_rows(store: Store) -> list[tuple[str, int]]:
    found = await store.outbox.unacknowledged("load0")
    while (block := await store.outbox.next_block("load0", 100)) is not None:
        found.append(block)
    return [(item.meter, item.at) for block in found for item in block.items if isinstance(item, Capture)]


@pytest.mark.parametrize("back", [4, 9, 15])
async def test_what_a_salvage_cannot_read_is_asked_for_again_and_comes_once(tmp_path: Path, back: int) -> None:
    path, meters, hours = tmp_path / "store.db", ("M1", "M2", "M3"), 30
    async with Store.open(path, SetClock()) as store:
        for hour in range(hours):
            for meter in meters:
                await visit(store, meter, hour)
        for _ in range(2):
            block = await store.outbox.next_block("load0", 48)
            assert block is not None
            await store.outbox.acknowledge("load0", block.seq)
    flip(path, pages(path, (13,))[-back])
    async with Store.open(path, SetClock()) as store:
        assert store.database.mishap is not None
        before = await sent_rows(store)
        lost = {(meter, 900 * row) for meter in meters for row in range(33, 4 * hours + 1)} - set(before)
        assert lost
        found = await store.salvage.bring_rest()
        assert found is not None
        assert found.again == len(lost)
        owed = {
            (meter, at)
            for (meter, _), gaps in (await store.ledger.unread()).items()
            for gap in gaps
            for at in range(gap.start, gap.end + 1, 900)
        }
        assert owed == lost
        for hour in range(hours):  # a backfill that asks for everything
            for meter in meters:
                await visit(store, meter, hour)
        assert sorted(await sent_rows(store)) == sorted({*before, *lost})


async def test_a_power_cut_in_a_salvage_begins_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store.db"
    await damaged_half(path)

    def cut(*_: object, **__: object) -> None:
        raise OSError("the power goes")

    for name in ("begin", "fill", "restore"):
        with monkeypatch.context() as patch:
            patch.setattr(database_module, name, cut)
            with pytest.raises(StoreError, match="the power goes"):
                async with Store.open(path, SetClock()):
                    pass
    async with Store.open(path, SetClock()) as store:
        assert store.database.mishap is not None
        assert store.database.mishap.event == DAMAGED
        assert await store.readings.watermarks() == {("M1", "load0"): ROWS - 1}
        assert (await store.outbox.pending())["load0"] == ROWS // 2
    assert len(list(tmp_path.glob("*.damaged-*"))) == 1
