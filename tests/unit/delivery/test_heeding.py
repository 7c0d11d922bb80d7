"""Words of the head-end: kept together, none of what was never sent, and no more at once than one message has."""

import pytest

from dcu.delivery.awaiting import Awaiting
from dcu.delivery.heeding import Heeding
from dcu.errors import StoreError
from dcu.messages.acknowledgement import MAX_STREAMS
from tests.outbox import FIRST_SEQ, MemoryOutbox, capture


def make(store: MemoryOutbox) -> Heeding:
    awaiting = Awaiting(600.0)

    def released(words: dict[str, int]) -> None:
        for stream, seq in words.items():
            awaiting.acknowledge(stream, seq)

    return Heeding(store=store, awaiting=awaiting, released=released)  # type: ignore[arg-type]


async def sent(streams: int) -> MemoryOutbox:
    store = MemoryOutbox()
    for number in range(streams):
        store.add(capture(stream=f"s{number}"))
        assert await store.next_block(f"s{number}", 1)
    return store


async def test_all_that_came_is_kept_in_one_go_and_once() -> None:
    store = await sent(3)
    heeding = make(store)
    heeding.hear({"s0": FIRST_SEQ - 1, "s1": FIRST_SEQ})
    heeding.hear({"s0": FIRST_SEQ, "s1": FIRST_SEQ - 1})
    await heeding.step()
    assert store.words == [{"s0": FIRST_SEQ, "s1": FIRST_SEQ}]
    heeding.hear({"s0": FIRST_SEQ, "s1": 0})
    await heeding.step()
    assert len(store.words) == 1
    assert await store.owed("s2") == [FIRST_SEQ]


async def test_a_word_of_what_was_never_sent_is_left_alone_and_the_others_count() -> None:
    store = await sent(2)
    heeding = make(store)
    heeding.hear({"s0": FIRST_SEQ + 1, "s1": FIRST_SEQ, "unknown": 0})
    await heeding.step()
    assert store.words == [{"s1": FIRST_SEQ}]
    assert await store.owed("s0") == [FIRST_SEQ]


async def test_what_is_heard_is_bounded() -> None:
    store = await sent(1)
    heeding = make(store)
    for number in range(2 * MAX_STREAMS):
        heeding.hear({f"x{number}": 1})
    assert len(heeding._heard) == MAX_STREAMS
    await heeding.step()
    heeding.hear({"s0": FIRST_SEQ})
    await heeding.step()
    assert store.words == [{"s0": FIRST_SEQ}]


async def test_a_store_that_cannot_keep_it_ends_the_flow() -> None:
    store = await sent(1)
    heeding = make(store)
    store.failure = StoreError("disk full")
    heeding.hear({"s0": FIRST_SEQ})
    with pytest.raises(StoreError):
        await heeding.run()
