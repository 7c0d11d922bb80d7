"""What goes: the oldest, delivered first; what was not delivered is named under a number, and missing in the ledger."""

from dataclasses import replace
from pathlib import Path

import pytest

from dcu.clock import DAY
from dcu.errors import StoreError
from dcu.model import Capture, Dropped, Reason
from dcu.plan.ledger import Asked, Gap
from dcu.store import Store
from dcu.store import retention as room
from dcu.store.outbox import Block
from dcu.store.retention import Shed, kept_for, order
from tests.captures import SetClock, capture

NOW = 1_800_000_000


def read(at: float, meter: str = "M1", stream: str = "load0") -> Capture:
    """Return a capture that was read a second after its time."""
    return replace(capture(int(at), meter, stream), read_at=at + 1.0)


async def deliver(store: Store, stream: str = "load0") -> None:
    while (block := await store.outbox.next_block(stream, 1000)) is not None:
        await store.outbox.acknowledge(stream, block.seq)


async def times(store: Store, meter: str = "M1", stream: str = "load0") -> list[int]:
    return [each.at for each in await store.readings.captures(meter, stream, 0, 1 << 40, 1000)]


async def test_a_row_that_is_too_old_goes_and_a_younger_one_stays(store: Store) -> None:
    for days in (91, 89):
        await store.readings.record([read(NOW - days * DAY)], {})
    await deliver(store)
    assert await store.retention.expire("load0", NOW - 90 * DAY) == Shed(1)
    assert await times(store) == [NOW - 89 * DAY]
    assert await store.retention.expire("load0", NOW - 90 * DAY) == Shed()


async def test_what_a_clock_stamped_that_ran_ahead_goes_with_its_neighbours(store: Store) -> None:
    for at in (NOW - 99 * DAY, NOW + 9999 * DAY, NOW - 98 * DAY, NOW):
        await store.readings.record([read(at)], {})
    await deliver(store)
    assert await store.retention.expire("load0", NOW - 90 * DAY) == Shed(3)
    assert await times(store) == [NOW]


async def test_what_a_clock_stamped_that_was_behind_does_not_take_older_neighbours_along(store: Store) -> None:
    for at in (NOW - 99 * DAY, NOW - 2 * DAY, NOW - 400 * DAY, NOW):
        await store.readings.record([read(at)], {})
    await deliver(store)
    assert await store.retention.expire("load0", NOW - 90 * DAY) == Shed(1)
    assert await store.retention.expire("load0", NOW - 90 * DAY) == Shed()
    assert len(await times(store)) == 3


async def test_what_was_not_delivered_is_never_too_old(store: Store) -> None:
    for at in (NOW - 99 * DAY, NOW - 98 * DAY):
        await store.readings.record([read(at)], {})
    assert await store.outbox.next_block("load0", 1)
    assert await store.retention.expire("load0", float(NOW)) == Shed()
    assert len(await times(store)) == 2


async def test_what_is_under_way_stays(store: Store) -> None:
    for at in range(4):
        await store.readings.record([read(at)], {})
    first, second = await store.outbox.next_block("load0", 2), await store.outbox.next_block("load0", 2)
    assert first
    assert second
    await store.outbox.acknowledge("load0", second.seq)
    assert await store.retention.shed("load0", "storage", unsent=True) == Shed(2)
    assert await store.retention.shed("load0", "storage", unsent=True) == Shed()
    assert await store.outbox.block("load0", first.seq) == first
    await store.outbox.acknowledge("load0", first.seq)
    assert await store.retention.shed("load0", "storage") == Shed(2)


async def poisoned(store: Store, days: int) -> Block:
    """Deliver a row for each of some days, but the one of the second."""
    waits = None
    for day in range(days):
        await store.readings.record([read(day * DAY)], {})
        block = await store.outbox.next_block("load0", 1)
        assert block
        if day == 1:
            waits = block
        else:
            await store.outbox.acknowledge("load0", block.seq)
    assert waits
    return waits


async def test_one_block_that_is_never_acknowledged_holds_up_nothing_else(store: Store) -> None:
    waits = await poisoned(store, 9)
    assert await store.retention.expire("load0", 5.0 * DAY) == Shed(4)
    assert await times(store) == [DAY, *(day * DAY for day in range(5, 9))]
    await store.readings.record([read(9 * DAY)], {})
    assert await store.retention.shed("load0", "storage", unsent=True) == Shed(4)
    assert await times(store) == [DAY, 9 * DAY], "what is fresh goes after what was delivered"
    assert await store.outbox.unacknowledged("load0") == [waits]


async def test_what_waits_is_found_by_its_day_when_all_around_it_has_gone(store: Store) -> None:
    waits = await poisoned(store, 9)
    await store.retention.shed("load0", "storage")
    assert await times(store) == [DAY]
    await store.outbox.acknowledge("load0", waits.seq)
    await store.readings.record([read(9 * DAY)], {})
    await deliver(store)
    assert await store.retention.shed("load0", "storage") == Shed(2)
    assert await store.database.read("SELECT day FROM days") == []


async def test_what_was_not_delivered_goes_only_when_it_must_and_is_named(store: Store) -> None:
    for at in range(6):
        await store.readings.record([read(900 * at), read(900 * at, "M2")], {})
    sent = await store.outbox.next_block("load0", 3)
    assert sent
    assert await store.retention.shed("load0", "storage") == Shed()
    assert await store.retention.shed("load0", "storage", unsent=True) == Shed(7, 7)
    assert await store.outbox.pending() == {"load0": 3 + 2}
    assert await store.retention.shed("load0", "storage", unsent=True) == Shed(2, 2)
    assert await store.outbox.pending() == {"load0": 3}
    word = await store.outbox.next_block("load0", 1000)
    assert word
    assert (word.seq, word.items) == (sent.seq + 1, ())
    assert word.dropped == Dropped("storage", 900, 4500, 9)
    assert await store.outbox.unacknowledged("load0") == [sent, word]
    assert await store.outbox.next_block("load0", 1000) is None
    await store.readings.record([read(9000)], {})
    following = await store.outbox.next_block("load0", 1000)
    assert following
    assert (following.seq, following.items) == (sent.seq + 2, (read(9000),))
    for block in (sent, word, following):
        await store.outbox.acknowledge("load0", block.seq)
    assert await store.retention.shed("load0", "storage") == Shed(5)
    assert await times(store) == await times(store, "M2") == []


async def test_what_went_is_explained_after_a_restart_too(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        for at in range(3):
            await store.readings.record([read(at)], {})
        numbers = await store.outbox.streams()
        assert await store.retention.shed("load0", "storage", unsent=True) == Shed(3, 3)
    async with Store.open(path, clock) as store:
        await store.readings.record([read(7)], {})
        word, rows = await store.outbox.next_block("load0", 10), await store.outbox.next_block("load0", 10)
        assert word
        assert rows
        assert (word.seq, word.dropped) == (numbers["load0"], Dropped("storage", 0, 2, 3))
        assert (rows.seq, rows.items) == (word.seq + 1, (read(7),))
        assert await times(store) == [7]


async def test_the_ledger_has_what_was_not_delivered_as_dropped(store: Store) -> None:
    asked = {("M1", "load0"): [Asked(900, 3600, 900, since=900)]}
    await store.readings.record([read(at) for at in range(900, 4500, 900)], {}, asked=asked)
    await store.retention.shed("load0", "storage", unsent=True)
    more = {("M1", "load0"): [Asked(4500, 4500, 900)]}
    recorded = await store.readings.record([read(4500)], {}, asked=more)
    account = recorded.accounts["M1", "load0"]
    assert account.gaps == (Gap(900, 3600, Reason.DROPPED),)
    assert account.watermark == 4500  # what went is not asked for again


async def test_delivered_captures_that_go_are_no_gap(store: Store) -> None:
    asked = {("M1", "load0"): [Asked(900, 900, 900, since=900)]}
    await store.readings.record([read(900)], {}, asked=asked)
    await deliver(store)
    assert await store.retention.expire("load0", float(NOW)) == Shed(1)
    assert await store.database.read("SELECT * FROM gaps") == []


async def test_no_slice_is_long(store: Store) -> None:
    for at in range(room.SLICE + 3):
        await store.readings.record([read(at)], {})
    assert await store.retention.shed("load0", "storage", unsent=True) == Shed(room.UNSENT_SLICE, room.UNSENT_SLICE)
    await deliver(store)
    assert await store.retention.shed("load0", "storage") == Shed(room.SLICE - 1)


async def test_chains_of_days_that_went_go_too(store: Store) -> None:
    for day in range(5):
        await store.readings.record([read(day * DAY)], {})
    await deliver(store)
    await store.retention.expire("load0", 3 * DAY)
    assert await store.database.read("SELECT day FROM days") == [(3,)]
    assert await times(store) == [3 * DAY, 4 * DAY]


async def test_room_that_went_is_used_again(store: Store) -> None:
    for at in range(50):
        await store.readings.record([read(at * 900 + row) for row in range(100)], {})
    await deliver(store)
    before = await store.retention.used()
    while (await store.retention.shed("load0", "storage")).captures:
        pass
    assert await store.retention.used() < before / 2
    assert await store.retention.holdings() == []


async def test_a_full_store_takes_events_and_nothing_else(store: Store) -> None:
    store.readings.refuses = True
    with pytest.raises(StoreError, match="the store is full"):
        await store.readings.record([read(1)], {})
    await store.readings.record([read(1, stream="event.fraud")], {})
    await store.readings.record([], {("M1", "load0"): 1})


def test_what_goes_first_is_said_by_name_or_by_its_beginning() -> None:
    sacrifice = ("instant", "load1", "load0", "daily", "event", "billing")
    streams = ["billing", "event.fraud", "load0", "voltage", "instant"]
    assert sorted(streams, key=lambda name: order(name, sacrifice)) == [
        "voltage",
        "instant",
        "load0",
        "event.fraud",
        "billing",
    ]


def test_how_long_is_said_by_name_or_by_its_beginning() -> None:
    retention = {"event": 2.0, "event.fraud": 3.0, "load0": 4.0}
    assert [kept_for(name, retention, 1.0) for name in ("event.dcu", "event.fraud", "load0", "x")] == [2, 3, 4, 1]
