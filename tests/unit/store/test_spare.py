"""The spare by itself: what was flushed is read again, a torn end costs nothing, a damaged line is noticed."""

from pathlib import Path

import pytest

from dcu.errors import StoreError
from dcu.store.spare import BELIEVED, COUNTER, LEAP, LINE, OURS, SECRETS, SEQUENCE_STEP, STREAM, Kept, Spare


@pytest.fixture
async def spare(tmp_path: Path) -> Spare:
    found = Spare(tmp_path / "store.spare")
    await found.replace(Kept())
    return found


def read(spare: Spare) -> Kept:
    kept = Kept.read(spare.path)
    assert kept is not None
    return kept


async def test_numbers_never_go_back_but_for_one_that_is_believed(spare: Spare) -> None:
    for kind, key, value in (
        (OURS, "k", 20),
        (OURS, "k", 10),
        (COUNTER, "m", 900),
        (COUNTER, "m", 800),
        (COUNTER, "n", 900),
        (BELIEVED, "n", 5),
        (STREAM, "load0", 7),
        (STREAM, "load0", 3),
    ):
        spare.note(kind, key, value)
    assert await spare.flush()
    kept = read(spare)
    assert (kept.ours, kept.heard, kept.streams) == ({"k": 20}, {"m": 900, "n": 5}, {"load0": 7})
    assert spare.ours == {"k"}


async def test_what_was_dropped_is_gone(spare: Spare) -> None:
    for kind in (SECRETS, LINE):
        spare.note(kind, "M1", ["old"])
        spare.note(kind, "M2", ["kept"])
        spare.note(kind, "M1", None)
    await spare.flush()
    assert (read(spare).secrets, read(spare).lines) == ({"M2": ["kept"]}, {"M2": ["kept"]})


async def test_sequence_numbers_are_noted_in_steps(spare: Spare) -> None:
    sizes = set()
    for seq in range(100, 100 + SEQUENCE_STEP):
        spare.sequence("load0", seq)
        await spare.flush()
        sizes.add(spare.path.stat().st_size)
    assert len(sizes) == 1
    spare.sequence("load0", 100 + SEQUENCE_STEP)
    await spare.flush()
    assert read(spare).streams == {"load0": 100 + 2 * SEQUENCE_STEP}


async def test_a_torn_end_was_never_relied_on(spare: Spare) -> None:
    spare.note(OURS, "k", 10)
    await spare.flush()
    whole = spare.path.read_bytes()
    spare.note(OURS, "k", 20)
    await spare.flush()
    for length in range(len(whole), spare.path.stat().st_size):
        spare.path.write_bytes(spare.path.read_bytes()[:length] if length else b"")
        assert (read(spare).ours["k"], read(spare).damaged) in {(10, 0), (20, 0)}
        spare.path.write_bytes(whole)


async def test_after_a_torn_line_the_next_is_whole(spare: Spare) -> None:
    with spare.path.open("ab") as file:
        file.write(b"\n0badc0de [torn")
    spare.note(COUNTER, "m", 10)
    await spare.flush()
    assert (read(spare).heard, read(spare).damaged) == ({"m": 10}, 1)


async def test_damage_inside_is_noticed_and_our_counters_leap(spare: Spare) -> None:
    for number in range(10, 40, 10):
        spare.note(OURS, "k", number)
        spare.note(COUNTER, "m", number)
        await spare.flush()
    content = spare.path.read_bytes()
    for place in range(content.index(b"\n", 1) - 1):
        flipped = bytearray(content)
        flipped[place] ^= 0x10
        spare.path.write_bytes(flipped)
        kept = read(spare)
        assert kept.damaged or kept.ours == {"k": 30}
        assert kept.ours == {"k": 30 + (LEAP if kept.damaged else 0)}
        assert kept.heard == {"m": 30}


async def test_a_file_that_is_gone_is_not_begun_with_half_of_it(spare: Spare) -> None:
    spare.path.unlink()
    spare.note(OURS, "k", 10)
    assert not await spare.flush()
    assert Kept.read(spare.path) is None


async def test_a_disk_that_fails_is_the_stores_error(tmp_path: Path) -> None:
    spare = Spare(tmp_path / "nowhere" / "store.spare")
    with pytest.raises(StoreError, match=r"store\.spare: cannot be written: No such file"):
        await spare.replace(Kept())
    full = Spare(Path("/dev/full"))
    full.note(OURS, "k", 10)
    with pytest.raises(StoreError, match="No space left"):
        await full.flush()
