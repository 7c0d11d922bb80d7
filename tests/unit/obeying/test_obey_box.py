"""Commands that the box itself carries out: through the same journal, one after the other."""

import asyncio
import json
from collections.abc import Collection, Mapping
from typing import Any

import pytest

from dcu.errors import CommandRejected, StoreError
from dcu.health import Health
from dcu.model import Command, CommandRecord, CommandState, Role
from dcu.obeying.obey import Obey
from tests.captures import SetClock
from tests.journal import MemoryJournal

ALLOW = (Role.VIEWER, Role.INSTALLER)


class Bench:
    """An Obey whose box deletes and lists; `done` are the commands it carried out, `failure` is raised instead."""

    def __init__(self) -> None:
        self.journal = MemoryJournal()
        self.clock = SetClock()
        self.done: list[str] = []
        self.failure: Exception | None = None
        self.obey = self.again()

    def again(self, allow: Collection[Role] = ALLOW) -> Obey:
        return Obey(self.journal, lambda _: None, {"M1"}.__contains__, self._own, self.clock, Health(), allow)

    async def _own(self, command: Command) -> Mapping[str, Any]:
        if command.name == "archive.list":
            return {"meters": []}
        self.done.append(command.id)
        if self.failure is not None:
            raise self.failure
        return {"deleted": command.args["ids"]}

    async def receive(self, **envelope: Any) -> CommandRecord:
        return await self.obey.receive(json.dumps(envelope).encode())


@pytest.fixture
async def bench() -> Bench:
    return Bench()


DELETE: dict[str, Any] = {"id": "d1", "name": "archive.delete", "args": {"ids": ["M1"]}}


async def test_what_the_box_changes_waits_for_its_turn_and_is_done_once(bench: Bench) -> None:
    assert (await bench.receive(**DELETE)).state is CommandState.RUNNING
    assert (await bench.receive(**DELETE)).state is CommandState.RUNNING
    assert bench.done == []
    await bench.obey.work()
    record = bench.journal.records["d1"]
    assert (record.state, record.result, record.error) == (CommandState.DONE, {"deleted": ["M1"]}, None)
    assert (await bench.receive(**DELETE)).state is CommandState.DONE
    assert bench.done == ["d1"]


async def test_why_the_box_does_not_do_it_is_the_answer(bench: Bench) -> None:
    bench.failure = CommandRejected("no such meter: M1")
    await bench.receive(**DELETE)
    await bench.obey.work()
    record = bench.journal.records["d1"]
    assert (record.state, record.error) == (CommandState.FAILED, "no such meter: M1")


async def test_nobody_without_the_role_changes_the_archive(bench: Bench) -> None:
    bench.obey = bench.again((Role.VIEWER,))
    record = await bench.receive(**DELETE)
    assert record.state is CommandState.REJECTED
    assert "archive.delete is for the role installer" in str(record.error)


async def test_at_the_local_door_a_question_is_answered_at_once_and_a_change_is_journalled(bench: Bench) -> None:
    (listed,) = [record async for record in bench.obey.ask(b'{"id": "l1", "name": "archive.list"}')]
    assert (listed.state, listed.result) == (CommandState.DONE, {"meters": []})
    assert bench.journal.records == {}
    answers = bench.obey.ask(json.dumps(DELETE).encode())
    assert (await anext(answers)).state is CommandState.RUNNING
    await bench.obey.work()
    assert (await anext(answers)).state is CommandState.DONE
    assert "d1" in bench.journal.records


async def test_a_store_that_fails_ends_the_flow_and_the_work_is_taken_up_again(bench: Bench) -> None:
    bench.failure = StoreError("disk full")
    await bench.receive(**DELETE)
    with pytest.raises(ExceptionGroup):
        await bench.obey.run()
    bench.failure = None
    flow = asyncio.create_task(bench.obey.run())
    for _ in range(20):
        await asyncio.sleep(0)
    assert bench.journal.records["d1"].state is CommandState.DONE
    assert bench.done == ["d1", "d1"]
    flow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flow


async def test_after_a_restart_the_box_does_what_it_may_not_have_done(bench: Bench) -> None:
    await bench.receive(**DELETE)
    after = bench.again()
    await after.resume()
    await after.work()
    assert bench.journal.records["d1"].state is CommandState.DONE


async def test_commands_for_a_meter_that_has_gone_end_with_the_reason(bench: Bench) -> None:
    await bench.receive(id="r1", name="meter.read", targets={"meters": ["M1"]})
    await bench.obey.gone("M1", "the meter was deleted from the archive")
    record = bench.journal.records["r1"]
    assert (record.state, record.error) == (CommandState.FAILED, "M1: the meter was deleted from the archive")


async def test_a_bug_in_one_command_of_the_box_fails_that_command(bench: Bench) -> None:
    bench.failure = ValueError("7")
    await bench.receive(**DELETE)
    await bench.obey.work()
    record = bench.journal.records["d1"]
    assert (record.state, record.error) == (
        CommandState.FAILED,
        "our own mistake: ValueError('7')",
    )
    bench.failure = None
    await bench.receive(**DELETE | {"id": "d2"})
    await bench.obey.work()
    assert bench.journal.records["d2"].state is CommandState.DONE


async def test_what_expires_before_its_turn_is_not_done(bench: Bench) -> None:
    await bench.receive(**DELETE, expires=int(bench.clock.time) + 5)
    await bench.receive(**DELETE | {"id": "d2"}, expires=int(bench.clock.time) + 5)
    bench.clock.time += 6
    await bench.obey.work()
    await bench.obey.step()
    await bench.obey.work()
    assert bench.done == []
    assert {record.state for record in bench.journal.records.values()} == {CommandState.EXPIRED}


async def test_who_waits_for_what_the_store_cuts_off_hears_of_that(bench: Bench) -> None:
    answers = bench.obey.ask(json.dumps(DELETE).encode())
    assert (await anext(answers)).state is CommandState.RUNNING
    bench.journal.failure = StoreError("disk full")
    with pytest.raises(StoreError):
        await bench.obey.work()
    with pytest.raises(StoreError, match="disk full"):
        await anext(answers)
