"""The audit chain: every command that is over is in it, and whatever is changed, cut out or put in is noticed."""

import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from dcu.model import Command, CommandState
from dcu.store import Store
from dcu.store import audit as module
from dcu.store.audit import ARGUMENTS_BOUND, BEGINNING, METERS_BOUND, Verdict
from tests.captures import SetClock

SCHEMA_6 = Path(__file__).parents[2] / "databases" / "schema6.db"


async def command(store: Store, name: str, state: CommandState = CommandState.DONE, door: str = "mqtt") -> None:
    await store.commands.accept(Command(name, "meter.read", ("M1",), {"profile": "load0"}, door=door))
    await store.commands.change(name, CommandState.RUNNING)
    await store.commands.change(name, state, error=None if state is CommandState.DONE else "the meter is silent")


async def test_each_command_that_is_over_is_entered_once(store: Store, clock: SetClock) -> None:
    await command(store, "a", door="local")
    await command(store, "b", CommandState.FAILED)
    await store.commands.accept(Command("c", "meter.set", ("M9",)), rejected="no such meter: M9")
    await store.commands.accept(Command("c", "meter.set", ("M9",)), rejected="no such meter: M9")
    await store.commands.accept(Command("d", "dcu.ping"))
    found = await store.audit.entries(1, 100)
    assert [(each.entry, each.who, each.command, each.outcome) for each in found] == [
        (1, "local", "a", "done"),
        (2, "mqtt", "b", "failed: the meter is silent"),
        (3, "mqtt", "c", "rejected: no such meter: M9"),
    ]
    assert found[0].what == '{"name":"meter.read","meters":["M1"],"args":{"profile":"load0"}}'
    assert found[0].at == clock.time
    assert found[0].before == BEGINNING
    assert store.audit.head == (3, found[2].hash)


async def test_it_goes_on_after_a_restart(path: Path, clock: SetClock) -> None:
    for name in "abc":
        async with Store.open(path, clock) as store:
            await command(store, name)
            verdict = await store.audit.verify()
    assert (verdict.first, verdict.last, verdict.problem) == (1, 3, None)
    async with Store.open(path, clock) as store:
        assert await store.audit.newest() == (3, verdict.head) == store.audit.head


async def test_long_arguments_and_many_meters_are_kept_short(store: Store) -> None:
    many = tuple(f"M{number}" for number in range(METERS_BOUND + 1))
    await store.commands.accept(Command("a", "x", many, {"rows": "r" * ARGUMENTS_BOUND}), rejected="e" * 5000)
    [entry] = await store.audit.entries(1, 1)
    assert entry.what.startswith(f'{{"name":"x","meters":{METERS_BOUND + 1},"args":"sha256:')
    assert len(entry.what) + len(entry.outcome) < 500


@pytest.mark.parametrize(
    ("tampering", "problem"),
    [
        ("UPDATE audit SET outcome = 'failed' WHERE entry = 3", "entry 3 was changed"),
        ("UPDATE audit SET at = at + 1 WHERE entry = 1", "entry 1 was changed"),
        ("UPDATE audit SET before = zeroblob(32) WHERE entry = 4", "entry 4 was changed"),
        ("DELETE FROM audit WHERE entry = 3", "entry 4 does not follow entry 2"),
        ("UPDATE audit SET entry = 30 WHERE entry = 5", "entry 30 was changed"),
        ("UPDATE audit SET hash = zeroblob(32) WHERE entry = 5", "entry 5 was changed"),
    ],
)
async def test_whatever_is_changed_is_noticed(path: Path, clock: SetClock, tampering: str, problem: str) -> None:
    async with Store.open(path, clock) as store:
        for name in "abcde":
            await command(store, name)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(tampering)
    async with Store.open(path, clock) as store:
        assert (await store.audit.verify()).problem == problem


async def test_the_hash_is_over_what_is_told(store: Store, clock: SetClock) -> None:
    clock.time = 1_800_000_000.123456
    await store.commands.accept(Command("a", "dcu.ping"), rejected="Zähler")
    [entry] = await store.audit.entries(1, 1)
    what = r"{\"name\":\"dcu.ping\",\"meters\":[],\"args\":{}}"
    told = rf'[1,"2027-01-15T08:00:00.123Z","mqtt","a","{what}","rejected: Z\u00e4hler"]'
    assert entry.hash == sha256(bytes(32) + told.encode()).digest()
    assert not entry.by_seconds


async def test_a_chain_that_was_hashed_over_numbers_goes_on(path: Path, clock: SetClock) -> None:
    path.write_bytes(SCHEMA_6.read_bytes())
    async with Store.open(path, clock) as store:
        old = (await store.audit.verify()).last
        await command(store, "z")
        assert await store.audit.verify() == Verdict(1, old + 1, store.audit.head[1] if store.audit.head else b"")
        assert [each.by_seconds for each in await store.audit.entries(1, 9)] == [True] * old + [False]
        await store.database.write(lambda database: database.execute("UPDATE audit SET at = at + 1 WHERE entry = 1"))
        assert (await store.audit.verify()).problem == "entry 1 was changed"


async def test_a_seam_between_two_parts_is_looked_at(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PART", 2)
    for name in "abcde":
        await command(store, name)
    assert (await store.audit.verify()).last == 5
    await store.database.write(lambda database: database.execute("DELETE FROM audit WHERE entry = 3"))
    assert (await store.audit.verify()).problem == "entry 4 does not follow entry 2"


async def test_the_oldest_go_and_the_rest_still_holds(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AUDIT_BOUND", 3)
    for name in "abcde":
        await command(store, name)
    verdict = await store.audit.verify()
    assert (verdict.first, verdict.last, verdict.problem) == (3, 5, None)


async def test_an_entry_is_kept_with_its_command_or_not_at_all(store: Store) -> None:
    await store.database.write(lambda database: database.execute("DROP TABLE audit"))
    await store.commands.accept(Command("a", "meter.read"))
    with pytest.raises(Exception, match="no such table"):
        await store.commands.change("a", CommandState.DONE)
    assert [record.state for record in await store.commands.unfinished()] == [CommandState.ACCEPTED]
