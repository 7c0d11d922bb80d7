"""Group commit: who waits together is committed together, fails together, and nobody else suffers."""

import asyncio
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from dcu.errors import StoreError
from dcu.store import Store
from dcu.store import writer as room
from tests.captures import SetClock, capture


class Commits:
    """Counts the transactions of a store, and can hold the next one up."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._real = store.database._writer._transaction
        monkeypatch.setattr(store.database._writer, "_transaction", self._counted)

    async def _counted(self, batch: list[Any]) -> list[Any]:
        self.batches.append(len(batch))
        await self.gate.wait()
        return await self._real(batch)


@pytest.fixture
def commits(store: Store, monkeypatch: pytest.MonkeyPatch) -> Commits:
    return Commits(store, monkeypatch)


async def turn() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_an_idle_store_commits_at_once_and_the_next_batch_gathers(store: Store, commits: Commits) -> None:
    commits.gate.clear()
    tasks = [asyncio.create_task(store.readings.record([capture(0)], {}))]
    await turn()
    assert commits.batches == [1]
    tasks += [asyncio.create_task(store.readings.record([capture(at)], {})) for at in range(1, 8)]
    await turn()
    commits.gate.set()
    await asyncio.gather(*tasks)
    assert commits.batches == [1, 7]


async def test_rows_of_a_batch_are_bounded(store: Store, commits: Commits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "BATCH_ROWS", 10)
    await asyncio.gather(*(store.readings.record([capture(at)] * 5, {}) for at in range(5)))
    assert commits.batches == [2, 2, 1]


async def test_beyond_the_bound_of_waiting_parts_callers_wait(
    path: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "WAITING_BOUND", 3)
    async with Store.open(path, clock) as store:
        held = Commits(store, monkeypatch)
        held.gate.clear()
        tasks = [asyncio.create_task(store.readings.record([capture(at)], {})) for at in range(10)]
        await turn()
        assert len(store.database._writer._waiting) <= 3
        held.gate.set()
        await asyncio.gather(*tasks)
        assert await store.outbox.pending() == {"load0": 10}
        assert max(held.batches) <= 3


async def test_a_caller_that_goes_before_the_transaction_withdraws_its_part(store: Store, commits: Commits) -> None:
    commits.gate.clear()
    first = asyncio.create_task(store.readings.record([capture(0)], {}))
    await turn()
    leaving = asyncio.create_task(store.readings.record([capture(1)], {}))
    staying = asyncio.create_task(store.readings.record([capture(2)], {}))
    await turn()
    leaving.cancel()
    await turn()
    commits.gate.set()
    await asyncio.gather(first, staying)
    assert leaving.cancelled()
    assert [c.at for c in await store.readings.captures("M1", "load0", 0, 9, 9)] == [0, 2]


async def test_a_caller_that_goes_during_the_transaction_disturbs_nobody(store: Store, commits: Commits) -> None:
    commits.gate.clear()
    leaving = asyncio.create_task(store.readings.record([capture(0)], {("M1", "load0"): 0}))
    staying = asyncio.create_task(store.readings.record([capture(1, "M2")], {}))
    await turn()
    leaving.cancel()
    commits.gate.set()
    await staying
    assert await store.readings.watermarks() == {("M1", "load0"): 0}
    assert await store.outbox.pending() == {"load0": 2}


async def test_when_all_have_gone_nothing_is_begun(store: Store, commits: Commits) -> None:
    leaving = asyncio.create_task(store.readings.record([capture(0)], {}))
    await asyncio.sleep(0)
    leaving.cancel()
    await turn()
    assert commits.batches == []
    await store.readings.record([capture(1)], {})


async def test_a_failed_batch_fails_for_all_of_it_and_leaves_nothing(store: Store) -> None:
    async def full(database: Any) -> None:
        await database.execute("INSERT INTO meters (name) VALUES ('M7')")
        await database.execute("INSERT INTO nowhere VALUES (1)")

    answers = await asyncio.gather(
        store.readings.record([capture(1)], {}), store.database.write(full), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [StoreError, StoreError]
    assert "no such table: nowhere" in str(answers[0])
    assert await store.database.read("SELECT name FROM meters") == []
    await store.readings.record([capture(2)], {})
    assert await store.outbox.pending() == {"load0": 1}


async def test_a_mistake_of_our_own_ends_the_writer_and_is_heard(path: Path, clock: SetClock) -> None:
    async def mistaken(_: Any) -> None:
        raise ZeroDivisionError

    async def work() -> None:
        async with Store.open(path, clock) as store:
            with pytest.raises(StoreError, match="the writer ended"):
                await store.database.write(mistaken)
            with pytest.raises(StoreError, match="closed"):
                await store.readings.record([capture(1)], {})

    with pytest.raises(ZeroDivisionError):
        await work()
    async with Store.open(path, clock) as store:
        assert await store.outbox.pending() == {}


async def test_the_log_is_copied_when_it_is_long_and_then_used_again(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "CHECKPOINT_OCTETS", 100_000)
    many, log = random.Random(1), path.with_name(path.name + "-wal")
    for at in range(300):
        await store.readings.record([capture(at, values=tuple(many.randbytes(40)))], {})
    assert path.stat().st_size > 50_000
    assert log.stat().st_size < 200_000


async def test_large_rows_make_no_longer_log(store: Store, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "CHECKPOINT_OCTETS", 100_000)
    many, longest = random.Random(1), 0
    for at in range(60):
        await store.readings.record([capture(60 * at + row, values=(many.randbytes(1500),)) for row in range(5)], {})
        longest = max(longest, store.database.logged())
    assert 100_000 < longest < 160_000
    assert path.stat().st_size > 300_000


async def test_while_somebody_reads_the_log_grows_and_after_that_it_is_cut(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "CHECKPOINT_OCTETS", 100_000)
    many = random.Random(1)

    async def fill(begin: int) -> None:
        for at in range(begin, begin + 30):
            await store.readings.record(
                [capture(60 * at + row, values=(many.randbytes(1500),)) for row in range(5)], {}
            )

    with closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM streams").fetchall()
        await fill(0)
        assert store.database.logged() > 250_000
    await fill(30)
    assert store.database.logged() < 160_000


async def test_what_is_patient_is_committed_in_company(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock, patience=60.0) as store:
        patient = [asyncio.create_task(store.readings.record([capture(at)], {}, patient=True)) for at in range(3)]
        done, _ = await asyncio.wait(patient, timeout=0.05)
        assert not done
        await store.readings.record([capture(9)], {})
        await asyncio.gather(*patient)
        assert [each.at for each in await store.readings.captures("M1", "load0", 0, 9, 9)] == [0, 1, 2, 9]
        assert await store.database.read("SELECT count(*) FROM segments") == [(1,)]


async def test_patience_ends(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock, patience=0.05) as store:
        await store.readings.record([capture(1)], {}, patient=True)
        assert await store.outbox.pending() == {"load0": 1}


async def test_enough_company_is_not_waited_for(path: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "COMPANY_ROWS", 10)
    async with Store.open(path, clock, patience=60.0) as store:
        await asyncio.gather(*(store.readings.record([capture(at)] * 5, {}, patient=True) for at in range(2)))
        assert await store.outbox.pending() == {"load0": 10}


async def test_at_the_end_nobody_is_patient(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock, patience=60.0) as store:
        waiting = asyncio.create_task(store.readings.record([capture(1)], {}, patient=True))
        await turn()
        assert not waiting.done()
    assert (await waiting).accounts == {}
