"""What is held of a day is found, whatever of it went in between, and what is around it stays as it is."""

import pytest
from aiosqlite import Connection

from dcu.clock import DAY
from dcu.store import Store, bridging
from dcu.store import retention as room
from tests.captures import capture


async def times(store: Store, meter: str = "M1") -> list[int]:
    return [each.at for each in await store.readings.captures(meter, "load0", 0, 9 * DAY, 1000)]


async def fill(store: Store, *ats: int) -> None:
    for at in ats:
        await store.readings.record([capture(at), capture(at, "M2")], {})


async def send(store: Store, rows: int) -> int:
    """Let the next rows be under way; return the number of their block."""
    block = await store.outbox.next_block("load0", rows)
    assert block
    return block.seq


async def held(store: Store, *ats: int) -> list[int]:
    """Return by day those of the times that were recorded whose segments are in the table."""
    places = {place & 0xFFFFFFFF for (place,) in await store.database.read("SELECT place FROM segments")}
    found = [at for number, at in enumerate(ats) if 2 * number + 1 in places]
    return sorted(found, key=lambda at: at // DAY)


@pytest.mark.parametrize("later", [0, 1, 40])
async def test_what_is_under_way_is_found_when_what_was_unsent_behind_it_went(store: Store, later: int) -> None:
    await fill(store, *range(3 + room.UNSENT_SLICE + later))
    await send(store, 2 * 3)
    await store.retention.shed("load0", "storage", unsent=True)
    rest = [*range(3), *range(3 + room.UNSENT_SLICE, 3 + room.UNSENT_SLICE + later)]
    assert (await times(store), await times(store, "M2")) == (rest, rest)
    await fill(store, 5000)
    assert (await times(store), await times(store, "M2")) == ([*rest, 5000], [*rest, 5000])


@pytest.mark.parametrize("days", [[0], [0, 1], [1, 0]])
async def test_what_waits_long_is_found_when_all_around_it_went(
    store: Store, days: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bridging, "PIECE", 1)
    monkeypatch.setattr(room, "SLICE", 5)
    rows = [day * DAY + at for at in range(20) for day in days]
    await fill(store, *rows)
    for number in range(18):
        seq = await send(store, 2)
        if number not in {6, 7, 13}:
            await store.outbox.acknowledge("load0", seq)
    while await store.retention.shed("load0", "storage") != room.Shed():
        rest = await held(store, *rows)
        assert {rows[number] for number in (6, 7, 13)} <= set(rest)
        assert await times(store) == await times(store, "M2") == rest
    await fill(store, 7000)
    assert await times(store) == await held(store, *rows, 7000)


async def test_a_damaged_segment_ends_nothing_but_its_own(store: Store) -> None:
    await fill(store, *range(9))
    await send(store, 4)

    async def damage(database: Connection) -> None:
        await database.execute("UPDATE segments SET content = x'00' WHERE oldest IN (1, 3)")

    await store.database.write(damage)
    await store.retention.shed("load0", "storage", unsent=True)
    assert await times(store) == [6, 7, 8]


async def test_where_nothing_older_is_held_nothing_is_looked_into(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(store, *range(9))
    monkeypatch.setattr(bridging, "sound", None)
    await store.retention.shed("load0", "storage", unsent=True)
    assert await times(store) == list(range(room.UNSENT_SLICE, 9))
