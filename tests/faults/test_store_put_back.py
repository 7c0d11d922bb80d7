"""The power goes while a file that was deleted under the daemon is put back: the next start goes on with it, whole."""

from pathlib import Path

import pytest

from dcu.errors import StoreError
from dcu.store import Store
from dcu.store.integrity import LOST, WHOLE
from tests.captures import SetClock, capture
from tests.faults.test_store_aside import PowerCutError, cut

#: Changes of names from the first that a start goes on with; there are no more than these.
STEPS = 6

ROWS = [capture(at) for at in range(300)]


def deleted(path: Path, what: str) -> None:
    """Do to an open store what somebody did by mistake."""
    if what != "its log":
        path.unlink()
    if what == "both, and another is there":
        path.write_bytes(b"somebody else's")
    path.with_name("store.db-wal").unlink()


async def cut_off(path: Path, what: str, patch: pytest.MonkeyPatch, step: int, given: list[int]) -> None:
    """Work until the power goes; `given` gets the number of the block that was handed out."""
    async with Store.open(path, SetClock()) as store:
        await store.readings.record(ROWS, {("M1", "load0"): 299})
        block = await store.outbox.next_block("load0", 100)
        assert block is not None
        given.append(block.seq)
        deleted(path, what)
        cut(patch, step)
        await store.readings.record([capture(300)], {})


@pytest.mark.parametrize("step", range(1, STEPS))
@pytest.mark.parametrize("what", ["its log", "both", "both, and another is there"])
async def test_at_whatever_step_the_power_goes_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, step: int
) -> None:
    path, given = tmp_path / "store.db", list[int]()
    with monkeypatch.context() as patch, pytest.raises((PowerCutError, StoreError)):
        await cut_off(path, what, patch, step, given)
    async with Store.open(path, SetClock()) as store:
        assert await store.readings.captures("M1", "load0", 0, 1000, 1000) == ROWS
        assert [each.seq for each in await store.outbox.unacknowledged("load0")] == given
        assert (await store.outbox.streams())["load0"] == given[0] + 1
    assert list(tmp_path.glob(f"*{WHOLE}")) == []
    kept = [file.read_bytes() for file in tmp_path.glob("*.damaged-*Z")]
    assert (b"somebody else's" in kept) == (what == "both, and another is there")


async def test_what_was_put_back_at_the_start_is_told(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with Store.open(path, SetClock()) as store:
        await store.readings.record([capture(1)], {})
    path.rename(tmp_path / f"store.db{WHOLE}")
    async with Store.open(path, SetClock()) as store:
        assert store.database.mishap is not None
        assert (store.database.mishap.event, store.database.mishap.leapt) == (LOST, ())
        assert await store.outbox.pending() == {"load0": 1}
    async with Store.open(path, SetClock()) as store:
        assert store.database.mishap is None


async def test_one_that_cannot_be_put_back_leaves_nothing_that_is_old_tomorrow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "store.db"
    async with Store.open(path, SetClock()) as store:
        await store.readings.record([capture(1)], {})
        held = path.rename(tmp_path / "held")

        def fails(*_: object) -> None:
            raise OSError("no names left")

        with monkeypatch.context() as patch:
            patch.setattr("dcu.store.integrity._take_the_name", fails)
            with pytest.raises(StoreError, match="no names left"):
                await store.readings.record([capture(2)], {})
        assert list(tmp_path.glob(f"*{WHOLE}")) == []
        held.rename(path)  # and here it is again
        await store.readings.record([capture(3)], {})
    async with Store.open(path, SetClock()) as store:
        assert await store.outbox.pending() == {"load0": 2}
