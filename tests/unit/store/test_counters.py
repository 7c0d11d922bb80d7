"""Invocation counters: never the same one twice, and an end that is said."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from dcu.errors import MeterError, OperatorError
from dcu.store import Store
from dcu.store.counters import COUNTER_BOUND
from tests.captures import SetClock


async def test_ranges_of_a_key_never_meet(store: Store, clock: SetClock) -> None:
    ranges = await asyncio.gather(*(store.counters.reserve("M1", 10) for _ in range(5)))
    taken = [counter for given in ranges for counter in given]
    assert sorted(taken) == list(range(int(clock.time), int(clock.time) + 50))


async def test_keys_count_apart_and_over_a_restart(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        first = await store.counters.reserve("M1", 3)
    clock.time -= 1000  # a clock that went back changes nothing for a known key
    async with Store.open(path, clock) as store:
        assert await store.counters.reserve("M1", 3) == range(first.stop, first.stop + 3)
        assert (await store.counters.reserve("M2", 1)).start == int(clock.time)


async def test_files_put_back_twice_from_one_backup_repeat_no_counter(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        await store.counters.reserve("k", 50)
    backup = {suffix: path.with_suffix(suffix).read_bytes() for suffix in (".db", ".spare")}
    given: list[range] = []
    for _ in range(2):
        for suffix, octets in backup.items():
            path.with_suffix(suffix).write_bytes(octets)
        clock.time += 86_400
        async with Store.open(path, clock) as store:
            given += [await store.counters.reserve("k", 50) for _ in range(20)]
    assert all(one.stop <= other.start for one, other in pairwise(given))


async def test_a_clock_decades_ahead_does_not_use_the_counters_up(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        first = await store.counters.reserve("k", 5)
    clock.time += 20 * 365 * 86_400
    async with Store.open(path, clock) as store:
        assert (await store.counters.reserve("k", 5)).start == first.stop


async def test_the_last_counter_is_given_and_none_after_it(store: Store, clock: SetClock) -> None:
    clock.time = COUNTER_BOUND - 4
    with pytest.raises(MeterError, match="no 5 invocation counters left"):
        await store.counters.reserve("M1", 5)
    assert (await store.counters.reserve("M1", 4))[-1] == COUNTER_BOUND - 1
    with pytest.raises(MeterError, match="replace it"):
        await store.counters.reserve("M1", 1)


async def test_an_unset_clock_begins_no_key_but_goes_on_with_a_known_one(
    store: Store, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await store.counters.reserve("known", 3)
    monkeypatch.setattr(SetClock, "trusted", lambda _: False)
    assert (await store.counters.reserve("known", 3)).start == first.stop
    with pytest.raises(OperatorError, match="never set"):
        await store.counters.reserve("new", 3)


async def test_counters_go_above_what_somebody_else_used(store: Store, clock: SetClock) -> None:
    first = await store.counters.reserve("M1", 3)
    jumped = await store.counters.reserve("M1", 3, above=first.stop + 100)
    assert jumped.start == first.stop + 101
    assert (await store.counters.reserve("M1", 3, above=5)).start == jumped.stop
    assert (await store.counters.reserve("new", 3, above=int(clock.time) + 9)).start == int(clock.time) + 10


async def test_what_was_heard_is_kept_with_the_readings_and_never_goes_back(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        await store.readings.record([], {("M1", "load0"): 900}, {"a": 7, "b": 1})
        await store.readings.record([], {}, {"a": 5, "b": 2})
        given = await store.counters.reserve("ours", 4)
    async with Store.open(path, clock) as store:
        assert await store.counters.last() == {"a": 7, "b": 2, "ours": given[-1]}


async def test_one_that_is_believed_goes_back_and_others_do_not(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        await store.readings.record([], {}, {"a": 700, "b": 800})
        await store.counters.believe("a", 6)
        await store.counters.believe("new", 9)
    async with Store.open(path, clock) as store:
        assert await store.counters.last() == {"a": 6, "b": 800, "new": 9}
