"""A day of a meter is found whatever was recorded before and after it, and in whichever order days came."""

import asyncio

import pytest
from aiosqlite import Connection

from dcu.clock import DAY
from dcu.store import Store
from tests.captures import capture


async def test_days_are_found_in_whichever_order_they_came(store: Store) -> None:
    order = [5, 3, 5, 4, 6, 3, 4]
    rows = [capture(day * DAY + 60 * number) for number, day in enumerate(order)]
    for row in rows:
        await store.readings.record([row, capture(row.at, "M2")], {})
    for day in (3, 4, 5, 6):
        held = [row for row, of in zip(rows, order, strict=True) if of == day]
        assert await store.readings.captures("M1", "load0", day * DAY, day * DAY + DAY - 1, 10) == held
    assert await store.readings.captures("M1", "load0", 0, 9 * DAY, 3) == [rows[0], rows[2], rows[4]]


async def test_a_time_of_a_day_is_cut_out_of_it(store: Store) -> None:
    await store.readings.record([capture(DAY + at) for at in range(10)], {})
    found = await store.readings.captures("M1", "load0", DAY + 3, DAY + 5, 10)
    assert [each.at - DAY for each in found] == [3, 4, 5]


async def test_a_day_is_found_in_as_many_steps_however_much_is_stored(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def steps(day: int) -> int:
        reads = 0
        real = store.database.read

        async def counted(*args: object) -> list[object]:
            nonlocal reads
            reads += 1
            return await real(*args)  # type: ignore[arg-type]

        with monkeypatch.context() as patched:
            patched.setattr(store.database, "read", counted)
            assert len(await store.readings.captures("M1", "load0", day * DAY, day * DAY + DAY - 1, 100)) == 3
        return reads

    for day in range(1, 40):
        for at in range(3):
            await store.readings.record([capture(day * DAY + at), capture(day * DAY + at, "M2")], {})
    await steps(2)  # names and columns are learned
    assert await steps(2) == await steps(20) == await steps(38)


async def test_the_chain_of_an_undone_transaction_is_forgotten(store: Store) -> None:
    await store.readings.record([capture(DAY)], {})

    async def broken(database: Connection) -> None:
        await database.execute("INSERT INTO nowhere VALUES (1)")

    refused = store.readings.record([capture(DAY + 1)], {}), store.database.write(broken)
    await asyncio.gather(*refused, return_exceptions=True)
    await store.readings.record([capture(DAY + 2)], {})
    assert [each.at for each in await store.readings.captures("M1", "load0", 0, 2 * DAY, 10)] == [DAY, DAY + 2]
