"""Numbers and places: stable, dense, and void when their transaction was undone."""

from typing import Any

import pytest
from aiosqlite import Connection

from dcu.errors import StoreError
from dcu.store import Store
from dcu.store import numbers as room
from tests.captures import capture


def test_places_of_a_stream_are_in_order_and_apart_from_the_next_streams() -> None:
    assert room.place_of(1, 1) < room.place_of(1, 2) < room.place_of(2, 1)
    assert room.place_of(1, (1 << room.POSITION_BITS) - 1) < room.place_of(2, 0)


async def test_a_text_keeps_its_number_when_it_is_no_longer_remembered(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "CACHE_BOUND", 2)

    async def ask(database: Any) -> list[int]:
        return [await store.database.meters.number(database, name) for name in ("A", "B", "C", "A", "B", "C")]

    assert await store.database.write(ask) == [1, 2, 3, 1, 2, 3]
    assert len(store.database.meters._known) <= 2


async def test_places_of_an_undone_transaction_are_taken_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.readings.record([capture(1)], {})
    append = store.database.tails.append

    async def failing(database: Connection, stream: int, rows: int = 1) -> int:
        await append(database, stream, rows)
        raise StoreError("in the middle")

    with monkeypatch.context() as patched:
        patched.setattr(store.database.tails, "append", failing)
        with pytest.raises(StoreError, match="in the middle"):
            await store.readings.record([capture(2, "M2", "new")], {})
    await store.readings.record([capture(3, "M3", "other")], {})
    await store.readings.record([capture(4)], {})
    assert await store.outbox.pending() == {"load0": 2, "other": 1}
    assert await store.readings.latest("M3", "other") == capture(3, "M3", "other")
