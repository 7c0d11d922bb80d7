"""Counters of both sides: ours jump above a meter's and never below, the meters' are never forgotten."""

import asyncio

import pytest

from dcu.conversation.invocations import (
    COUNTER_BLOCK,
    COUNTER_RESERVE,
    JUMPS_IN,
    MAX_JUMP,
    MAX_JUMPS,
    Invocations,
    counter_name,
)
from dcu.errors import MeterError, SecurityError, StoreError
from dcu.model import Keys
from sim.virtual import VirtualClock
from tests.lines import TITLE, MemoryStore, virtually

KEYS = Keys(encryption_key=b"k" * 16)
METER = b"MTR00001"


async def test_a_ledger_gives_each_counter_once() -> None:
    store = MemoryStore()
    ledger = await Invocations(store).prepare(KEYS, TITLE, {})
    taken = [ledger.take() for _ in range(COUNTER_BLOCK)]
    assert taken == list(store.reserved[0])
    with pytest.raises(MeterError, match="used up"):
        ledger.take()


async def test_more_are_reserved_before_they_run_short() -> None:
    store = MemoryStore()
    counters = Invocations(store)
    ledger = await counters.prepare(KEYS, TITLE, {})
    for _ in range(COUNTER_BLOCK - COUNTER_RESERVE + 1):
        ledger.take()
    again = await counters.prepare(KEYS, TITLE, {})
    assert again.take() == store.reserved[1].start


async def test_what_was_heard_is_known_to_the_next_visit_and_after_a_restart() -> None:
    store = MemoryStore()
    counters = Invocations(store)
    news: dict[str, int] = {}
    ledger = await counters.prepare(KEYS, TITLE, news)
    assert ledger.get(METER, -1) == -1
    ledger[METER] = 7
    ledger[METER] = 9
    assert news == {counter_name(KEYS, METER): 9}
    assert (await counters.prepare(KEYS, TITLE, {})).get(METER, -1) == 9
    await store.record([], {}, news)
    assert (await Invocations(store).prepare(KEYS, TITLE, {})).get(METER, -1) == 9


async def test_another_meter_or_key_has_counters_of_its_own() -> None:
    counters = Invocations(MemoryStore())
    ledger = await counters.prepare(KEYS, TITLE, {})
    ledger.get(METER, -1)
    ledger[METER] = 7
    assert ledger.get(b"MTR00002", -1) == -1
    other = await counters.prepare(Keys(encryption_key=b"l" * 16), TITLE, {})
    assert other.get(METER, -1) == -1


async def test_ours_goes_above_the_meters_and_never_below() -> None:
    store = MemoryStore()
    counters = Invocations(store)
    await counters.prepare(KEYS, TITLE, {})
    assert await counters.jump(KEYS, TITLE, 5000)
    ledger = await counters.prepare(KEYS, TITLE, {})
    assert ledger.take() == store.reserved[1].start == 5001
    assert not await counters.jump(KEYS, TITLE, 4000)
    assert ledger.take() == 5002


async def test_a_jump_is_committed_before_it_is_used() -> None:
    store = MemoryStore()
    counters = Invocations(store)
    ledger = await counters.prepare(KEYS, TITLE, {})
    store.failure = StoreError("disk full")
    with pytest.raises(StoreError):
        await counters.jump(KEYS, TITLE, 5000)
    assert ledger.take() == 1


async def test_no_forged_number_uses_up_the_key() -> None:
    counters = Invocations(MemoryStore())
    await counters.prepare(KEYS, TITLE, {})
    with pytest.raises(SecurityError, match="not believed"):
        await counters.jump(KEYS, TITLE, MAX_JUMP + 2)
    assert await counters.jump(KEYS, TITLE, MAX_JUMP)
    with pytest.raises(SecurityError, match="not believed"):
        await counters.jump(KEYS, TITLE, MAX_JUMP + 5000)


async def jumps(counters: Invocations, store: MemoryStore, distance: int) -> int:
    """Return how often ours follows a meter that always says so many more, and opens each time."""
    for done in range(1000):
        ours = (await counters.prepare(KEYS, TITLE, {})).take()
        try:
            assert await counters.jump(KEYS, TITLE, ours + distance)
        except SecurityError:
            assert store.reserved[-1].start <= ours
            return done
        counters.agreed(KEYS, TITLE)
    raise AssertionError("it is followed for ever")


async def test_no_number_of_forged_numbers_uses_up_the_key_over_restarts() -> None:
    store = MemoryStore()
    done = [await jumps(Invocations(store), store, MAX_JUMP // 4 + 1) for _ in range(4)]
    assert done == [3, 0, 0, 0]
    assert store.reserved[-1].start < MAX_JUMP
    # what is left is still followed
    assert await jumps(Invocations(store), store, 5000) == MAX_JUMPS


def test_a_meter_whose_counter_is_ahead_again_and_again_is_followed_so_often_a_day() -> None:
    async def work(clock: VirtualClock) -> None:
        store = MemoryStore()
        counters = Invocations(store)
        assert await jumps(counters, store, 5000) == MAX_JUMPS
        await asyncio.sleep(JUMPS_IN - 1.0)
        assert await jumps(counters, store, 5000) == 0
        await asyncio.sleep(2.0)
        assert await jumps(counters, store, 5000) == MAX_JUMPS

    virtually(work)


async def test_what_ours_was_moved_by_is_kept_before_it_moves() -> None:
    class Full(MemoryStore):
        full = True

        async def reserve(self, key: str, count: int, above: int = -1) -> range:
            if self.full and above >= 0:
                raise StoreError("disk full")
            return await super().reserve(key, count, above)

    store = Full()
    counters = Invocations(store)
    await counters.prepare(KEYS, TITLE, {})
    with pytest.raises(StoreError):
        await counters.jump(KEYS, TITLE, MAX_JUMP)
    store.full = False
    assert await jumps(Invocations(store), store, 5000) == 0


async def test_a_lower_counter_is_believed_for_one_meter_and_kept_before_it_counts() -> None:
    store = MemoryStore()
    counters = Invocations(store)
    news: dict[str, int] = {}
    ledger = await counters.prepare(KEYS, TITLE, news)
    ledger.get(METER, -1)
    ledger[METER] = 900
    store.failure = StoreError("disk full")
    with pytest.raises(StoreError):
        await counters.believe(KEYS, METER, 3, news)
    assert ledger.get(METER, -1) == 900
    store.failure = None
    assert await counters.believe(KEYS, METER, 3, news) == 900
    assert news == {}  # what was heard before must not come after it
    assert ledger.get(METER, -1) == 3
    assert (await Invocations(store).prepare(KEYS, TITLE, {})).get(METER, -1) == 3
    assert await counters.believe(KEYS, b"MTR00002", 5, news) == -1
