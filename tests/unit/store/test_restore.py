"""The two files of the store against each other: whichever is gone or older, nothing goes back and no key is lost."""

import shutil
from pathlib import Path

import pytest

from dcu.errors import StoreError
from dcu.model import LEAP, Dropped, Meter
from dcu.store import Store
from dcu.store.generations import Sealed
from dcu.store.integrity import LOST, TORN
from dcu.store.spare import SEQUENCE_STEP
from tests.captures import SetClock, capture

METER = Meter("M7", "rs485-1", 7, "reader", "idis")

SECRETS = Sealed("M1", 1, "pending", 12.5, {"encryption": b"\x01\x02", "password": b"\x03"})


async def work(path: Path, clock: SetClock) -> tuple[range, int]:
    """Use the store; return the last counters given and the last sequence number."""
    async with Store.open(path, clock) as store:
        await store.readings.record([capture(at) for at in range(6)], {})
        for _ in range(3):
            block = await store.outbox.next_block("load0", 2)
        assert block is not None
        await store.counters.reserve("k", 5)
        await store.generations.begin(SECRETS)
        await store.lines.add([METER], "command")
        return await store.counters.reserve("k", 5), block.seq


def spare(path: Path) -> Path:
    return path.with_suffix(".spare")


@pytest.mark.parametrize("remains", ["nothing", "empty"])
async def test_a_database_that_is_gone_costs_no_counter_key_or_line(path: Path, clock: SetClock, remains: str) -> None:
    given, seq = await work(path, clock)
    path.unlink()
    if remains == "empty":
        path.touch()
    clock.time -= 10 * 86_400  # and the clock went back
    async with Store.open(path, clock) as store:
        assert store.database.mishap is not None
        assert (store.database.mishap.event, store.database.mishap.leapt) == (LOST, ("load0",))
        assert (await store.counters.reserve("k", 5)).start >= given.stop
        assert await store.generations.all() == [SECRETS]
        assert [line.meter for line in await store.lines.added()] == [METER]
        assert (await store.outbox.streams())["load0"] > seq
    async with Store.open(path, clock) as store:
        assert store.database.mishap is None  # told once


async def leaps(store: Store) -> list[tuple[int, Dropped | None]]:
    """Hand out everything; return the blocks that have no rows, with their numbers."""
    found = []
    while (block := await store.outbox.next_block("load0", 5)) is not None:
        if not block.items:
            found.append((block.seq, block.dropped))
    return found


async def test_what_was_leapt_over_is_told_once_before_all_else(path: Path, clock: SetClock) -> None:
    _, seq = await work(path, clock)
    path.unlink()
    async with Store.open(path, clock) as store:
        assert await store.outbox.next_block("load0", 5) is None  # a leap is told when there is something behind it
        await store.readings.record([capture(7)], {})
    async with Store.open(path, clock) as store:
        begins = (await store.outbox.streams())["load0"]
        word = await store.outbox.next_block("load0", 5)
        assert word is not None
        # numbers are noted ahead, so it begins where they were noted last: with the first of those that were given
        assert (word.seq, word.items, word.dropped) == (begins, (), Dropped(LEAP, 0, 0, 0, (seq - 2, begins - 1)))
        assert [block.dropped for block in await store.outbox.unacknowledged("load0")] == [word.dropped]
        assert await leaps(store) == []
        await store.outbox.acknowledge("load0", word.seq)
        assert await store.outbox.block("load0", word.seq) == word


async def test_a_power_cut_before_it_was_told_forgets_no_leap(path: Path, clock: SetClock) -> None:
    """The spare knows the numbers of the new database already, and the database is gone once more."""
    _, seq = await work(path, clock)
    for _ in range(3):
        path.unlink()
        clock.time += 100
        async with Store.open(path, clock) as store:
            await store.readings.record([capture(7)], {})
            begins = (await store.outbox.streams())["load0"]
    async with Store.open(path, clock) as store:
        assert await leaps(store) == [(begins, Dropped(LEAP, 0, 0, 0, (seq - 2, begins - 1)))]


async def test_a_leap_that_was_told_is_not_told_with_the_next_one(path: Path, clock: SetClock) -> None:
    """The spare is written anew once a day, and numbers that were given since the word are no leap."""
    await work(path, clock)
    path.unlink()
    async with Store.open(path, clock) as store:
        await store.readings.record([capture(at) for at in range(SEQUENCE_STEP)], {})
        [(word, _)] = await leaps(store)
    path.unlink()
    clock.time += 100
    async with Store.open(path, clock) as store:
        await store.readings.record([capture(7)], {})
        [(begins, dropped)] = await leaps(store)
    assert dropped == Dropped(LEAP, 0, 0, 0, (word, begins - 1))


async def test_an_older_copy_tells_what_it_leaps_over(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        await store.readings.record([capture(at) for at in range(3 * SEQUENCE_STEP)], {})
        first = await store.outbox.next_block("load0", 1)
    assert first is not None
    copy = shutil.copy(path, path.with_name("copy"))
    async with Store.open(path, clock) as store:
        for _ in range(SEQUENCE_STEP + 1):
            block = await store.outbox.next_block("load0", 1)
    assert block is not None
    shutil.copy(copy, path)
    async with Store.open(path, clock) as store:
        word = await store.outbox.next_block("load0", 1)
        assert word is not None
        assert word.dropped == Dropped(LEAP, 0, 0, 0, (first.seq + 1, word.seq - 1))
        assert word.seq > block.seq


async def test_an_older_copy_put_back_costs_no_counter_key_or_line(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        await store.readings.record([capture(at) for at in range(3 * SEQUENCE_STEP)], {})
        await store.generations.begin(Sealed("M1", 1, "pending", 1.0, {"password": b"old"}))
        await store.generations.begin(Sealed("M9", 1, "pending", 1.0, {"password": b"gone"}))
        await store.lines.add([Meter("M8", "rs485-1", 8, "reader", "idis")], "command")
    copy = shutil.copy(path, path.with_name("copy"))
    async with Store.open(path, clock) as store:
        await store.generations.move("M1", 1, "current")
        await store.generations.drop("M9", 1)
        await store.lines.drop("M8")
        for _ in range(SEQUENCE_STEP + 1):
            block = await store.outbox.next_block("load0", 1)
        given = await store.counters.reserve("k", 5)
        after = await store.generations.all()
    assert block is not None
    shutil.copy(copy, path)
    async with Store.open(path, clock) as store:
        assert store.database.mishap is not None
        assert store.database.mishap.event == TORN
        assert (await store.outbox.streams())["load0"] > block.seq
        assert (await store.counters.reserve("k", 5)).start >= given.stop
        assert await store.generations.all() == after
        assert await store.lines.added() == []


async def test_without_a_mishap_no_number_is_skipped(path: Path, clock: SetClock) -> None:
    _, seq = await work(path, clock)
    for _ in range(3):
        async with Store.open(path, clock) as store:
            assert store.database.mishap is None
            assert await store.outbox.streams() == {"load0": seq + 1}


async def test_a_spare_that_is_gone_is_made_anew_from_the_database(path: Path, clock: SetClock) -> None:
    given, _ = await work(path, clock)
    for moment in ("closed", "open"):
        spare(path).unlink()
        async with Store.open(path, clock) as store:
            assert store.database.mishap is None
            assert await store.generations.all() == [SECRETS]
            if moment == "open":
                spare(path).unlink()
                given = await store.counters.reserve("k", 5)
    path.unlink()
    async with Store.open(path, clock) as store:
        assert (await store.counters.reserve("k", 5)).start >= given.stop
        assert await store.generations.all() == [SECRETS]


async def test_a_damaged_spare_takes_nothing_from_the_database(path: Path, clock: SetClock) -> None:
    given, _ = await work(path, clock)
    lines = spare(path).read_bytes().splitlines()
    spare(path).write_bytes(b"\n".join(b"?" + line for line in lines) + b"\n?\n")
    async with Store.open(path, clock) as store:
        assert await store.generations.all() == [SECRETS]
        assert [line.meter for line in await store.lines.added()] == [METER]
        assert (await store.counters.reserve("k", 5)).start >= given.stop


async def test_a_believed_counter_stays_believed(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        await store.readings.record([], {}, {"m": 900})
        await store.database.renew_spare()
        await store.counters.believe("m", 5)
    async with Store.open(path, clock) as store:
        assert await store.counters.last() == {"m": 5}
    path.unlink()
    async with Store.open(path, clock) as store:
        assert await store.counters.last() == {"m": 5}


async def test_what_cannot_be_noted_is_not_given(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        given = await store.counters.reserve("k", 5)
        whole = spare(path).read_bytes()
        spare(path).unlink()
        spare(path).mkdir()
        with pytest.raises(StoreError, match="Is a directory"):
            await store.counters.reserve("k", 5)
        spare(path).rmdir()
        spare(path).write_bytes(whole)
        assert (await store.counters.reserve("k", 5)).start == given.stop


async def test_a_database_put_back_without_its_spare_goes_on_at_the_clock(path: Path, clock: SetClock) -> None:
    given, seq = await work(path, clock)
    spare(path).unlink()
    clock.time += 86_400
    async with Store.open(path, clock) as store:
        assert store.database.mishap is not None
        assert (store.database.mishap.event, store.database.mishap.leapt) == (TORN, ("load0",))
        assert (await store.outbox.streams())["load0"] == int(clock.time * 1000) > seq
        assert (await store.counters.reserve("k", 5)).start == int(clock.time) > given.stop


async def test_a_database_put_back_twice_without_its_spare_repeats_nothing(path: Path, clock: SetClock) -> None:
    await work(path, clock)
    backup = path.read_bytes()
    numbers: list[tuple[range, int]] = []
    for _ in range(2):
        path.write_bytes(backup)
        spare(path).unlink()
        clock.time += 86_400
        async with Store.open(path, clock) as store:
            given = [await store.counters.reserve("k", 50) for _ in range(20)]
            numbers.append((range(given[0].start, given[-1].stop), (await store.outbox.streams())["load0"]))
            await store.readings.record([capture(9)], {})
            assert await store.outbox.next_block("load0", 9)
    (first, before), (second, after) = numbers
    assert first.stop <= second.start
    assert before + 1 < after


async def test_numbers_begun_before_the_clock_was_set_follow_it_once(
    path: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, clock.time = clock.time, 600.0
    monkeypatch.setattr(SetClock, "trusted", lambda _: False)
    async with Store.open(path, clock) as store:
        await store.readings.record([capture(1)], {})
        assert (await store.outbox.streams())["load0"] == 600_000
        clock.time = now
        monkeypatch.setattr(SetClock, "trusted", lambda _: True)
        block = await store.outbox.next_block("load0", 1)
        assert block is not None
        assert block.seq == int(now * 1000)
        assert store.database.mishap is not None
        assert (store.database.mishap.event, store.database.mishap.leapt) == (TORN, ("load0",))
    clock.time += 86_400
    async with Store.open(path, clock) as store:
        assert store.database.mishap is None
        assert (await store.outbox.streams())["load0"] == block.seq + 1
