"""The power goes while a damaged file is set aside: whatever was done by then, the next start goes on with it."""

import shutil
from pathlib import Path

import pytest

from dcu.model import LEAP, Capture, Dropped
from dcu.store import Mishap, Store
from dcu.store.integrity import DAMAGED
from tests.captures import SetClock, capture

#: What was found while it was open: no check at a start would find it.
FOUND = Mishap(DAMAGED, "a check of the whole file failed")


class PowerCutError(BaseException):
    """Nothing that the program could do anything about."""


async def left_behind(path: Path) -> dict[int, list[int]]:
    """Make a store as a killed process leaves it, the half of it in its log; return the blocks that were handed out."""
    live = path.parent / "live" / "store.db"
    live.parent.mkdir()
    async with Store.open(live, SetClock()) as store:
        await store.readings.record([capture(at) for at in range(300)], {("M1", "load0"): 299})
    async with Store.open(live, SetClock()) as store:
        await store.readings.record([capture(at) for at in range(300, 600)], {("M1", "load0"): 599})
        given = [await store.outbox.next_block("load0", 100) for _ in range(5)]
        for suffix in (".db", ".db-wal", ".spare"):
            shutil.copy(live.with_suffix(suffix), path.with_suffix(suffix))
    return {block.seq: times(block.items) for block in given if block is not None}


def times(items: tuple[object, ...]) -> list[int]:
    return [item.at for item in items if isinstance(item, Capture)]


def cut(monkeypatch: pytest.MonkeyPatch, step: int) -> list[str]:
    """Let the power go behind the change of names number `step`; return what was done."""
    done: list[str] = []

    def counted(name: str) -> None:
        own = getattr(Path, name)

        def change(file: Path, *more: object, **flags: object) -> object:
            if name == "unlink" and not file.exists():
                return own(file, *more, **flags)
            if len(done) == step:
                raise PowerCutError
            done.append(f"{name} {file.name}")
            return own(file, *more, **flags)

        monkeypatch.setattr(Path, name, change)

    for name in ("rename", "replace", "unlink"):
        counted(name)
    return done


@pytest.mark.parametrize("again", [None, 0, 1, 2, 3])
@pytest.mark.parametrize("step", range(7))
async def test_nothing_is_lost_and_no_number_comes_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, again: int | None
) -> None:
    path = tmp_path / "store.db"
    given = await left_behind(path)
    for found, at in ((FOUND, step), (None, again)):
        if at is not None:
            with monkeypatch.context() as patch:
                cut(patch, at)
                with pytest.raises(PowerCutError):
                    async with Store.open(path, SetClock(), found=found):
                        raise PowerCutError  # behind the last step: it is open
    async with Store.open(path, SetClock()) as store:
        blocks = {block.seq: times(block.items) for block in await store.outbox.unacknowledged("load0")}
        assert blocks == given
        block = await store.outbox.next_block("load0", 1000)
        assert block is not None
        if block.seq != max(given) + 1:
            assert block.dropped == Dropped(LEAP, 0, 0, 0, (max(given) + 1, block.seq - 1))
            block = await store.outbox.next_block("load0", 1000)
            assert block is not None
        assert times(block.items) == list(range(500, 600))
        assert await store.readings.watermarks() == {("M1", "load0"): 599}
    assert len(list(tmp_path.glob("*.damaged-*Z"))) <= 1
