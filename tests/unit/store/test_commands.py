"""The command journal: one entry per id for ever, states that end, and what is published of them."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from dcu.errors import DcuError
from dcu.model import Command, CommandRecord, CommandState
from dcu.store import Store
from tests.captures import SetClock

ARGS: dict[str, object] = {"hex": "zz", "from": None}
READ = Command("c1", "meter.read", ("M1", "M2"), ARGS, 5.5, 9.0, "local", 6.25, device={"serial": "35020044"})
PING = Command("c2", "dcu.ping")


async def published(store: Store) -> list[CommandState]:
    block = await store.outbox.next_block("result", 100)
    return [item.state for item in block.items if isinstance(item, CommandRecord)] if block else []


async def test_a_command_comes_back_as_it_was_after_a_restart(path: Path, clock: SetClock) -> None:
    async with Store.open(path, clock) as store:
        record, new = await store.commands.accept(READ)
        assert (record, new) == (CommandRecord(READ, CommandState.ACCEPTED, changed=clock.time), True)
    async with Store.open(path, clock) as store:
        assert await store.commands.unfinished() == [record]


async def test_a_repeat_gets_the_recorded_answer_whatever_it_asks(store: Store) -> None:
    await store.commands.accept(READ)
    done = await store.commands.change("c1", CommandState.DONE, {"values": [1, b"\x01"]})
    assert await store.commands.accept(Command("c1", "dcu.ping", door="local")) == (done_as_stored(done), False)


def done_as_stored(record: CommandRecord) -> CommandRecord:
    assert record.result == {"values": [1, {"hex": "01"}]}
    return record


async def test_two_at_once_with_one_id_are_one_command(store: Store) -> None:
    answers = await asyncio.gather(*(store.commands.accept(READ) for _ in range(5)))
    assert sorted(new for _, new in answers) == [False] * 4 + [True]


async def test_states_end(store: Store) -> None:
    await store.commands.accept(READ)
    await store.commands.change("c1", CommandState.RUNNING)
    failed = await store.commands.change("c1", CommandState.FAILED, error="the meter is silent")
    assert (failed.state, failed.error) == (CommandState.FAILED, "the meter is silent")
    # who comes too late hears how it ended, and nothing is told twice
    assert await store.commands.change("c1", CommandState.RUNNING) == failed
    with pytest.raises(DcuError, match="'c9' was never accepted"):
        await store.commands.change("c9", CommandState.DONE)
    assert await store.commands.accept(READ) == (failed, False)


async def test_a_state_behind_the_end_is_not_published(store: Store) -> None:
    await store.commands.accept(PING)
    await store.commands.change("c2", CommandState.EXPIRED)
    await store.commands.change("c2", CommandState.DONE)
    assert await published(store) == [CommandState.ACCEPTED, CommandState.EXPIRED]


async def test_unfinished_are_those_to_resume_oldest_first(store: Store) -> None:
    for name in ("c3", "c1", "c2"):
        await store.commands.accept(Command(name, "dcu.ping"))
    await store.commands.change("c1", CommandState.DONE)
    await store.commands.change("c3", CommandState.RUNNING)
    assert [record.command.id for record in await store.commands.unfinished()] == ["c3", "c2"]


async def test_each_change_through_mqtt_is_published_and_a_repeat_once_more(store: Store) -> None:
    await store.commands.accept(PING)
    await store.commands.change("c2", CommandState.RUNNING)
    await store.commands.change("c2", CommandState.DONE)
    await store.commands.accept(PING)
    done = CommandState.DONE
    assert await published(store) == [CommandState.ACCEPTED, CommandState.RUNNING, done, done]


async def test_what_came_through_the_local_door_is_not_published(store: Store) -> None:
    await store.commands.accept(READ)
    await store.commands.change("c1", CommandState.DONE)
    assert await published(store) == []


async def test_the_time_of_a_change_is_kept(store: Store, clock: SetClock) -> None:
    await store.commands.accept(PING)
    clock.time += 2.5
    assert (await store.commands.change("c2", CommandState.RUNNING)).changed == clock.time


@pytest.mark.parametrize(
    ("column", "text", "wrong"),
    [
        ("body", '"door"', "#door"),
        ("body", '"door"', '"dnor"'),
        ("body", '{"id"', 'z"id"'),
        ("body", '"meters"', '"mdters"'),
        ("answer", '"result"', '"qesult"'),
        ("state", "running", "sunning"),
    ],
)
async def test_an_entry_that_cannot_be_read_is_one_that_failed(
    path: Path, clock: SetClock, column: str, text: str, wrong: str
) -> None:
    """It is told and audited, no start dies of it, and nothing is carried out under its name."""
    sent = replace(READ, door="mqtt")
    async with Store.open(path, clock) as store:
        await store.commands.accept(sent)
        await store.commands.change("c1", CommandState.RUNNING)
        await store.commands.accept(PING)
        change = f"UPDATE commands SET {column} = replace({column}, ?, ?) WHERE id = 'c1'"
        await store.database.write(lambda database: database.execute(change, (text, wrong)))
    for _ in range(2):
        async with Store.open(path, clock) as store:
            assert [record.command.id for record in await store.commands.unfinished()] == ["c2"]
            record, new = await store.commands.accept(sent)
            assert not new
            assert record.state is CommandState.FAILED
            assert record.error == "its entry in the journal is damaged"
            assert (await store.audit.newest())[0] == 1
            assert (await store.commands.change("c1", CommandState.DONE)).state is CommandState.FAILED
            assert CommandState.FAILED in await published(store)
            assert not store.database.broken.is_set()


async def test_a_change_to_an_entry_that_cannot_be_read_ends_nothing_but_that(path: Path, store: Store) -> None:
    await store.commands.accept(READ)
    await store.commands.accept(PING)
    await store.database.write(lambda database: database.execute("UPDATE commands SET body = '{' WHERE id = 'c1'"))
    assert (await store.commands.change("c1", CommandState.DONE)).state is CommandState.FAILED
    assert not store.database.closed
    assert (await store.commands.change("c2", CommandState.DONE)).state is CommandState.DONE
    await store.database.write(lambda database: database.execute("UPDATE commands SET body = '{' WHERE id = 'c2'"))
    assert await published(store) == [CommandState.FAILED]
