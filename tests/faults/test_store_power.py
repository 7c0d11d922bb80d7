"""The store's process killed at random moments, and its power cut: what was promised is there, nothing contradicts it.

`python -m bench faults` does the same for hundreds of rounds. That the witness and the disk can tell is tested, too.
"""

import random
import shutil
from pathlib import Path

from bench.faults import aside_rounds, cut_rounds, kill_rounds
from bench.power import SECTOR, Disk
from bench.promises import RANGE, STREAM, Witness, capture
from dcu.clock import SystemClock
from dcu.store import Store

KILLS, CUTS = 10, 24


def test_killed_at_random_moments_it_keeps_every_promise() -> None:
    assert kill_rounds(KILLS, random.Random(20)) == []


def test_at_whatever_moment_the_power_goes_it_keeps_every_promise() -> None:
    assert cut_rounds(CUTS, random.Random(21)) == []


def test_at_whatever_moment_the_power_goes_while_a_damaged_file_is_set_aside_it_keeps_every_promise() -> None:
    assert aside_rounds(CUTS, random.Random(22)) == []


def left(disk: Disk, directory: Path, rounds: int = 60) -> set[tuple[tuple[str, bytes], ...]]:
    """Return all that was found to be left of a disk after cuts."""
    dice, found = random.Random(5), set()
    for number in range(rounds):
        into = directory / str(number)
        into.mkdir()
        disk.cut(into, dice)
        found.add(tuple(sorted((file.name, file.read_bytes()) for file in into.iterdir())))
        shutil.rmtree(into)
    return found


def test_the_disk_keeps_what_was_synchronised_and_any_part_of_what_was_not(tmp_path: Path) -> None:
    disk, old, new = Disk(), b"o" * SECTOR * 2, b"n" * SECTOR * 2
    disk.follow(("create", "file"))
    disk.follow(("write", "file", 0, old))
    assert left(disk, tmp_path) >= {(), (("file", b""),), (("file", old),)}
    disk.follow(("sync", "file"))
    assert left(disk, tmp_path) == {(("file", old),)}
    disk.follow(("write", "file", 0, new))
    halves = {old, new, old[:SECTOR] + new[:SECTOR], new[:SECTOR] + old[:SECTOR]}
    assert left(disk, tmp_path) == {(("file", half),) for half in halves}


def test_names_follow_in_their_order(tmp_path: Path) -> None:
    disk = Disk()
    for entry in (
        ("create", "a"),
        ("write", "a", 0, b"1"),
        ("sync", "a"),
        ("create", "part"),
        ("write", "part", 0, b"2"),
        ("sync", "part"),
        ("rename", "part", "a"),
    ):
        disk.follow(entry)
    assert left(disk, tmp_path) == {(("a", b"1"), ("part", b"2")), (("a", b"2"),)}
    disk.follow(("sync", ""))
    assert left(disk, tmp_path) == {(("a", b"2"),)}


async def test_the_witness_notices_what_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    async with Store.open(path, SystemClock()) as store:
        given = await store.counters.reserve("key", RANGE)
        await store.readings.record([capture(at, "M1") for at in (1, 2)], {("M1", STREAM): 3})
        block = await store.outbox.next_block(STREAM, 7)
    assert block is not None
    witness = Witness()
    witness.take("stored", "M1", 4)
    witness.take("counters", given.stop, given.stop + RANGE)
    witness.take("key", 1)
    witness.take("block", block.seq, [["M1", 1, 0]])
    witness.take("block", block.seq - 2, [["M1", 1, 1_000_010]])
    await witness.question(path)
    said = " ".join(witness.faults)
    for words in ("known up to 3", "not those that were stored", "given twice", "key 1", "two contents", "not told of"):
        assert words in said, words
