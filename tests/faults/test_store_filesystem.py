"""A real small file system that is full or read-only: refused with a clear word, nothing half-written, then it goes on.

A file system of which files are open for writing can only become read-only by giving up after an error, as ext4 does
(errors=remount-ro): that is asked of a real one. It stays so until it is mounted anew; where it becomes writable again
by itself, as others do, SQLite's own switch plays the moment.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from dcu.errors import ShelteredError, StoreError
from dcu.health import Health
from dcu.keeping.shelter import NAME, Shelter, Sheltered
from dcu.store import Store, make_place
from tests.captures import SetClock, capture

#: Rows that memory holds here.
HELD = 20


def mount(*words: str) -> bool:
    return subprocess.run(["mount", *words], capture_output=True, check=False).returncode == 0


@contextmanager
def mounted(place: Path, size: str) -> Iterator[Path]:
    place.mkdir()
    if not mount("-t", "tmpfs", "-o", f"size={size}", "none", str(place)):
        pytest.skip("no right to mount: run as root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A megabyte."""
    with mounted(tmp_path / "disk", "1m") as place:
        yield place


@pytest.fixture
def larger_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk", "40m") as place:
        yield place


def fill_up(ballast: Path) -> None:
    """Leave no octet of the disk."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(512)):
            pass


async def fill(store: Store) -> int:
    """Record until it is refused; return how many captures were kept."""
    for start in range(0, 1_000_000, 50):
        rows = [capture(at, values=(f"{at * 7919:x}" * 30,)) for at in range(start, start + 50)]
        try:
            await store.readings.record(rows, {("M1", "load0"): start + 49})
        except StoreError:
            return start
    raise AssertionError("the disk was never full")


async def test_a_full_disk_refuses_and_goes_on_when_there_is_room(disk: Path) -> None:
    path, ballast, more = disk / "store.db", disk / "ballast", disk / "more"
    ballast.write_bytes(bytes(100_000))
    more.write_bytes(bytes(500_000))
    async with Store.open(path, SetClock()) as store:
        given = await store.counters.reserve("k", 5)
        kept = await fill(store)
        ballast.unlink()
        await store.readings.record([capture(kept)], {("M1", "load0"): kept})
        assert (await store.counters.reserve("k", 5)).start >= given.stop
        assert await store.outbox.pending() == {"load0": kept + 1}
        more.unlink()
    async with Store.open(path, SetClock()) as store:
        assert store.database.mishap is None
        assert await store.readings.watermarks() == {("M1", "load0"): kept}


async def test_on_a_full_disk_no_counter_is_given_that_the_spare_does_not_know(disk: Path) -> None:
    path, ballast = disk / "store.db", disk / "ballast"
    async with Store.open(path, SetClock()) as store:
        given = await store.counters.reserve("k", 5)
        fill_up(ballast)
        taken = [given]
        for _ in range(200):
            try:
                taken.append(await store.counters.reserve("k", 5))
            except StoreError:
                break
        ballast.unlink()
    path.unlink()
    async with Store.open(path, SetClock()) as store:
        assert (await store.counters.reserve("k", 5)).start >= taken[-1].stop


async def test_on_a_disk_that_others_filled_it_opens_and_collects(larger_disk: Path) -> None:
    """The room that was held makes it so: without it there is not even a log."""
    path = larger_disk / "store.db"
    make_place(path)
    async with Store.open(path, SetClock()) as store:
        await store.readings.record([capture(1)], {})
    fill_up(larger_disk / "ballast")
    with pytest.raises(StoreError):
        async with Store.open(path, SetClock()):
            pass
    make_place(path)
    async with Store.open(path, SetClock()) as store:
        assert store.database.mishap is None
        for at in range(2, 300):
            await store.readings.record([capture(at)], {("M1", "load0"): at})
        assert await store.outbox.pending() == {"load0": 299}


async def test_a_read_only_file_system_is_said_and_left_alone_until_it_can_be_written(disk: Path) -> None:
    path = disk / "store.db"
    async with Store.open(path, SetClock()) as store:
        await store.readings.record([capture(1)], {})
    content = path.read_bytes()
    assert mount("-o", "remount,ro", str(disk))
    with pytest.raises(StoreError, match="cannot open the store"):
        async with Store.open(path, SetClock()):
            pass
    assert mount("-o", "remount,rw", str(disk))
    assert path.read_bytes() == content
    async with Store.open(path, SetClock()) as store:
        assert store.database.mishap is None
        assert await store.outbox.pending() == {"load0": 1}


@pytest.fixture
def card(tmp_path: Path) -> Iterator[Path]:
    """A card of 24 MB with ext4 on it, mounted."""
    image, place = tmp_path / "card.img", tmp_path / "card"
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("no right to make a file system: run as root")
    image.touch()
    os.truncate(image, 24_000_000)
    place.mkdir()
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    if not mount("-o", "loop", str(image), str(place)):
        pytest.skip("no right to mount a file: run as root, with loop devices")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def mend(card: Path) -> None:
    """Do what an operator does with a card that has given up: unmount, check, mount.

    It is a copy of it that is mounted: whoever has copied our mounts meanwhile holds the old one as it is.
    """
    subprocess.run(["umount", "-l", str(card)], check=True)
    image = shutil.copy(card.with_suffix(".img"), card.with_suffix(".copy"))
    found = subprocess.run(["e2fsck", "-p", str(image)], capture_output=True, check=False)
    assert found.returncode in {0, 1}, found.stdout  # 1: errors were corrected
    assert mount("-o", "loop", str(image), str(card))


async def test_a_card_that_gives_up_takes_nothing_that_was_stored_and_memory_takes_what_comes(
    card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dcu.keeping.shelter.SHELTERED_ROWS", HELD)
    path, clock, waiting, told = card / "store.db", SetClock(), Sheltered(), list[str]()

    async def report(name: str, *, meter: str = "", **detail: object) -> None:
        told.append(name)

    health = Health()
    async with Store.open(path, clock) as store:
        await store.readings.record([capture(at) for at in range(300)], {("M1", "load0"): 299})
        given = await store.counters.reserve("k", 5)
        assert not mount("-o", "remount,ro", str(card))  # the kernel refuses: files are open
        assert mount("-o", "remount,abort", str(card))
        shelter = Shelter(store.readings, clock, health, waiting)
        for at in range(HELD):
            with pytest.raises(ShelteredError):
                await shelter.record([capture(at, stream="instant"), capture(300 + at)], {("M1", "load0"): 300 + at})
        with pytest.raises(StoreError, match="cannot") as full:
            await shelter.record([capture(9999, stream="instant")], {})
        assert not isinstance(full.value, ShelteredError)
        assert f"{HELD} rows wait in memory" in health.store_errors[NAME]
        with pytest.raises(StoreError):
            await store.counters.reserve("k", 5)
        assert await store.readings.captures("M1", "load0", 0, 999, 999) == [capture(at) for at in range(300)]
    mend(card)
    async with Store.open(path, clock) as store:
        shelter = Shelter(store.readings, clock, health, waiting)
        shelter.report = report
        await shelter.record([capture(300)], {("M1", "load0"): 300})
        assert await store.outbox.pending() == {"load0": 301, "instant": HELD}
        assert (await store.counters.reserve("k", 5)).start >= given.stop
    assert (health.store_errors, told) == ({}, ["store failing"])


async def test_while_it_is_read_only_what_cannot_be_asked_again_waits(tmp_path: Path) -> None:
    async def query_only(store: Store, switch: str) -> None:
        await store.database._writer._database.execute(f"PRAGMA query_only = {switch}")

    async with Store.open(tmp_path / "store.db", SetClock()) as store:
        health = Health()
        shelter = Shelter(store.readings, SetClock(), health)
        await query_only(store, "ON")
        for at in (1, 2):
            with pytest.raises(ShelteredError, match="readonly"):
                await shelter.record([capture(at, stream="instant"), capture(at)], {("M1", "load0"): at})
        assert "2 rows wait" in health.store_errors[NAME]
        assert await store.readings.watermarks() == {}
        await query_only(store, "OFF")
        await shelter.record([capture(2)], {("M1", "load0"): 2})
        assert await store.outbox.pending() == {"instant": 2, "load0": 1}
        assert health.store_errors == {}
