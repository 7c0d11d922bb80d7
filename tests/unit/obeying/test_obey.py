"""The command journal's flow, against a journal in memory and buses that only take note."""

import asyncio
import json
from typing import Any

import pytest

from dcu.clock import DAY, ClockState
from dcu.errors import CommandRejected, StoreError
from dcu.health import Health
from dcu.model import Command, CommandRecord, CommandState, Priority, Role, Visit
from dcu.obeying.admission import GARBAGE, MANY_BOUND, REFUSALS, UNDERWAY_BOUND
from dcu.obeying.obey import Obey
from tests.journal import MemoryJournal


class SetClock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.time = 1_800_000_000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def trusted(self) -> bool:
        return True

    def state(self) -> ClockState:
        return ClockState.SYNCHRONISED


class Bench:
    """An Obey with everything it touches in reach."""

    def __init__(self) -> None:
        self.journal = MemoryJournal()
        self.clock = SetClock()
        self.visits: list[Visit] = []
        self.health = Health()
        self.obey = self.again(self.visits)

    def again(self, visits: list[Visit], *allow: Role) -> Obey:
        """Return the flow as a restart makes it: with this journal, and visits of its own."""
        knows = {"M1", "M2"}.__contains__
        return Obey(self.journal, visits.append, knows, self.own, self.clock, self.health, allow or (Role.VIEWER,))

    async def own(self, command: Command) -> dict[str, Any]:
        return {"dcu": "D1"} if command.name == "dcu.status" else {"now": self.clock.now()}

    async def receive(self, **envelope: Any) -> CommandRecord:
        return await self.obey.receive(json.dumps(envelope).encode())


@pytest.fixture
async def bench() -> Bench:
    return Bench()


READ = {"id": "c1", "name": "meter.read", "targets": {"meters": ["M1"]}}


async def test_a_ping_is_journalled_through_every_state_and_answered(bench: Bench) -> None:
    record = await bench.receive(id="p1", name="dcu.ping")
    assert record.state is CommandState.DONE
    assert record.result == {"now": bench.clock.time}
    assert [state.value for _, state in bench.journal.changes] == ["accepted", "running", "done"]
    assert list(bench.health.command_latency) == [0.0]


async def test_status_gives_what_the_daemon_says_of_itself(bench: Bench) -> None:
    assert (await bench.receive(id="s1", name="dcu.status")).result == {"dcu": "D1"}


async def test_a_read_becomes_one_urgent_visit_and_its_answer_the_result(bench: Bench) -> None:
    assert (await bench.receive(**READ)).state is CommandState.RUNNING
    (visit,) = bench.visits
    assert (visit.meter, visit.priority) == ("M1", Priority.COMMAND)
    await bench.obey.answered(visit, {"values": [1]}, None)
    record = bench.journal.records["c1"]
    assert (record.state, record.result) == (CommandState.DONE, {"M1": {"values": [1]}})


async def test_a_repeated_id_gets_the_recorded_answer_and_touches_no_meter(bench: Bench) -> None:
    await bench.receive(**READ)
    await bench.obey.answered(bench.visits[0], {"values": [1]}, None)
    again = await bench.receive(**READ)
    assert again.result == {"M1": {"values": [1]}}
    assert len(bench.visits) == 1


async def test_a_repeat_while_it_runs_starts_nothing_twice(bench: Bench) -> None:
    await bench.receive(**READ)
    assert (await bench.receive(**READ)).state is CommandState.RUNNING
    assert len(bench.visits) == 1


async def test_a_meter_that_does_not_answer_fails_the_command_with_its_reason(bench: Bench) -> None:
    await bench.receive(**READ)
    await bench.obey.answered(bench.visits[0], None, "silent for 2.0 s")
    record = bench.journal.records["c1"]
    assert (record.state, record.error) == (CommandState.FAILED, "M1: silent for 2.0 s")


async def test_a_command_past_its_time_expires_and_a_late_answer_changes_nothing(bench: Bench) -> None:
    await bench.receive(**READ, expires=int(bench.clock.time) + 5)
    bench.clock.time += 6
    await bench.obey.step()
    assert bench.journal.records["c1"].state is CommandState.EXPIRED
    await bench.obey.answered(bench.visits[0], {"values": [1]}, None)
    assert bench.journal.records["c1"].state is CommandState.EXPIRED


async def test_a_command_that_comes_too_late_is_never_started(bench: Bench) -> None:
    record = await bench.receive(**READ, expires=int(bench.clock.time) - 1)
    assert record.state is CommandState.EXPIRED
    assert bench.visits == []


async def test_an_unknown_meter_is_rejected_by_name(bench: Bench) -> None:
    record = await bench.receive(id="c2", name="meter.read", targets={"meters": ["M9"]})
    assert record.state is CommandState.REJECTED
    assert record.error is not None
    assert "M9" in record.error


async def test_garbage_is_rejected_under_one_id_however_often_it_comes(bench: Bench) -> None:
    first = await bench.obey.receive(b"\xff not json")
    second = await bench.obey.receive(b"\xff not json")
    assert first.state is second.state is CommandState.REJECTED
    assert len(bench.journal.records) == 1


async def test_garbage_fills_the_journal_only_up_to_its_bound(bench: Bench) -> None:
    for number in range(GARBAGE + 50):
        assert (await bench.obey.receive(b"garbage %d" % number)).state is CommandState.REJECTED
    assert len(bench.journal.records) == GARBAGE
    named = await bench.obey.receive(b'{"id": "known", "name": "nothing"}')
    assert bench.journal.records["known"] == named


async def test_refused_commands_fill_the_journal_with_so_many_a_day_and_without_what_they_say(bench: Bench) -> None:
    args = {"columns": ["id"], "rows": [["x" * 1000]]}
    for number in range(REFUSALS + 50):
        record = await bench.receive(id=f"r{number}", name="archive.import", args=args)
        assert record.state is CommandState.REJECTED
    assert len(bench.journal.records) == REFUSALS
    assert all(not record.command.args for record in bench.journal.records.values())
    bench.clock.time += DAY / REFUSALS * 3
    for number in range(50):
        await bench.receive(id=f"later{number}", name="archive.import", args=args)
    assert len(bench.journal.records) == REFUSALS + 3
    assert (await bench.receive(**READ)).state is CommandState.RUNNING, "what may be asked is taken all the same"


async def test_of_commands_to_many_meters_few_are_under_way(bench: Bench) -> None:
    """Each knows which of 1024 meters have not answered."""
    bench.obey.among = lambda _: ["M1", "M2"]
    everybody = {"name": "meter.read", "targets": {"all": True}}
    for number in range(MANY_BOUND):
        assert (await bench.receive(id=f"f{number}", **everybody)).state is CommandState.RUNNING
    assert (
        await bench.receive(id="last", **everybody)
    ).error == f"{MANY_BOUND} commands to many meters are under way already"
    assert (await bench.receive(**READ)).state is CommandState.RUNNING


async def test_a_flood_is_rejected_at_the_bound(bench: Bench) -> None:
    for number in range(UNDERWAY_BOUND):
        await bench.receive(id=f"f{number}", name="meter.read", targets={"meters": ["M1"]})
    record = await bench.receive(id="last", name="meter.read", targets={"meters": ["M1"]})
    assert record.state is CommandState.REJECTED
    assert len(bench.visits) == UNDERWAY_BOUND


async def test_after_a_restart_what_was_running_is_taken_up_or_expires(bench: Bench) -> None:
    await bench.receive(**READ)
    await bench.receive(**{**READ, "id": "c2"}, expires=int(bench.clock.time) + 5)
    bench.clock.time += 10
    visits: list[Visit] = []
    after = Obey(bench.journal, visits.append, {"M1"}.__contains__, bench.own, bench.clock, Health())
    await after.resume()
    assert [visit.command.id for visit in visits if visit.command] == ["c1"]
    assert bench.journal.records["c2"].state is CommandState.EXPIRED


async def test_after_a_restart_a_command_for_a_meter_that_was_removed_fails_with_its_reason(bench: Bench) -> None:
    await bench.receive(**READ)
    after = Obey(bench.journal, bench.visits.append, {"M2"}.__contains__, bench.own, bench.clock, Health())
    await after.resume()
    record = bench.journal.records["c1"]
    assert (record.state, record.error) == (CommandState.FAILED, "no such meter any more: M1")


async def test_a_rejection_is_one_commit_that_a_restart_need_not_take_up(bench: Bench) -> None:
    await bench.receive(id="c2", name="meter.read", targets={"meters": ["M9"]})
    assert bench.journal.changes == [("c2", CommandState.REJECTED)]


async def test_at_the_local_door_the_box_describes_itself_without_the_journal(bench: Bench) -> None:
    bench.journal.failure = RuntimeError("the disk is full")
    answers = [record async for record in bench.obey.ask(b'{"id": "s1", "name": "dcu.status"}')]
    assert [(record.state, record.result) for record in answers] == [(CommandState.DONE, {"dcu": "D1"})]
    assert bench.journal.records == {}


async def test_the_local_door_tells_the_end_of_a_command(bench: Bench) -> None:
    answers = bench.obey.ask(json.dumps(READ).encode())
    assert (await anext(answers)).state is CommandState.RUNNING
    await bench.obey.answered(bench.visits[0], {"values": [1]}, None)
    assert (await anext(answers)).state is CommandState.DONE
    assert [record async for record in answers] == []


async def test_an_end_that_could_not_be_kept_is_kept_when_the_visit_is_made_again(bench: Bench) -> None:
    await bench.receive(**READ)
    bench.journal.failure = StoreError("disk full")
    with pytest.raises(StoreError):
        await bench.obey.answered(bench.visits[0], {"values": [1]}, None)
    bench.journal.failure = None
    await bench.obey.answered(bench.visits[0], {"values": [2]}, None)
    record = bench.journal.records["c1"]
    assert (record.state, record.result) == (CommandState.DONE, {"M1": {"values": [2]}})


async def test_when_answer_and_expiry_meet_the_first_counts_and_nobody_stumbles(bench: Bench) -> None:
    await bench.receive(**READ, expires=int(bench.clock.time) + 5)
    bench.clock.time += 6
    await asyncio.gather(bench.obey.answered(bench.visits[0], {"values": [1]}, None), bench.obey.step())
    assert [state.value for _, state in bench.journal.changes] == ["accepted", "running", "done"]


async def test_a_flow_that_starts_again_leaves_alone_what_is_under_way(bench: Bench) -> None:
    answers = bench.obey.ask(json.dumps(READ).encode())
    await anext(answers)
    await bench.obey.resume()
    assert len(bench.visits) == 1
    await bench.obey.answered(bench.visits[0], {"values": [1]}, None)
    assert (await anext(answers)).state is CommandState.DONE


async def test_a_command_that_could_not_be_started_is_started_when_it_comes_again(bench: Bench) -> None:
    bench.journal.failure = StoreError("disk full")
    with pytest.raises(StoreError):
        await bench.receive(**READ)
    assert bench.visits == []
    bench.journal.failure = None
    assert (await bench.receive(**READ)).state is CommandState.RUNNING
    assert len(bench.visits) == 1


async def test_a_command_cut_off_by_its_uplink_is_started_when_it_comes_again(bench: Bench) -> None:
    receiving = asyncio.create_task(bench.receive(**READ))
    await asyncio.sleep(0)
    receiving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receiving
    assert bench.visits == []
    assert (await bench.receive(**READ)).state is CommandState.RUNNING
    assert len(bench.visits) == 1


async def test_a_command_that_no_bus_has_room_for_fails_with_the_reason(bench: Bench) -> None:
    def full(visit: Visit) -> None:
        raise CommandRejected("too many commands wait for this bus")

    obey = Obey(bench.journal, full, {"M1"}.__contains__, bench.own, bench.clock, Health())
    await obey.receive(json.dumps(READ).encode())
    record = bench.journal.records["c1"]
    assert (record.state, record.error) == (CommandState.FAILED, "M1: too many commands wait for this bus")


async def test_the_flow_takes_up_the_journal_and_ends_what_expires(bench: Bench) -> None:
    expiring = {**READ, "expires": int(bench.clock.time) + 5}
    await bench.receive(**expiring)
    visits: list[Visit] = []
    after = Obey(bench.journal, visits.append, {"M1"}.__contains__, bench.own, bench.clock, Health())
    flow = asyncio.create_task(after.run())
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(visits) == 1
    bench.clock.time += 6
    await after.step()
    assert bench.journal.records["c1"].state is CommandState.EXPIRED
    flow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flow


DAYS = {"object": "0-0:11.0.0.255", "class": 11, "attribute": 2, "value": []}
SET = {"id": "s1", "name": "meter.set", "targets": {"meters": ["M1"]}, "args": DAYS}
ACT = {"object": "0-0:13.0.0.255", "class": 20, "method": 1}
EXECUTE = {"id": "x1", "name": "meter.execute", "targets": {"meters": ["M1"]}, "args": ACT}
UNKNOWN = "not known whether it was carried out: read before you repeat"


@pytest.mark.parametrize("door", ["mqtt", "local"])
async def test_a_role_that_is_not_allowed_is_refused_at_either_door(bench: Bench, door: str) -> None:
    for envelope, role in ((SET, "engineer"), (EXECUTE, "operator")):
        record = await bench.obey.receive(json.dumps(envelope).encode(), door=door)
        assert record.state is CommandState.REJECTED
        assert record.error == f"{envelope['name']} is for the role {role}, which dcu.allow does not name"
    assert bench.visits == []


async def test_a_role_that_is_allowed_is_served(bench: Bench) -> None:
    obey = bench.again(bench.visits, Role.ENGINEER)
    assert (await obey.receive(json.dumps(SET).encode())).state is CommandState.RUNNING
    assert (await obey.receive(json.dumps(EXECUTE).encode())).state is CommandState.REJECTED
    assert (await obey.receive(json.dumps(READ).encode())).state is CommandState.REJECTED
    ((visit),) = bench.visits
    assert not visit.doubtful


async def test_a_value_of_another_shape_is_rejected_with_the_field(bench: Bench) -> None:
    obey = bench.again(bench.visits, Role.ENGINEER)
    wrong = {**SET, "args": DAYS | {"value": [{"index": 1, "date": "x", "day": 2}]}}
    record = await obey.receive(json.dumps(wrong).encode())
    assert (record.state, bench.visits) == (CommandState.REJECTED, [])
    assert record.error is not None
    assert record.error.startswith("days[0].date (expected a date such as 2026-12-31")


async def test_after_a_restart_what_was_running_and_changes_a_meter_is_not_done_again(bench: Bench) -> None:
    before = bench.again(bench.visits, Role.ENGINEER, Role.OPERATOR)
    for envelope in (SET, EXECUTE):
        await before.receive(json.dumps(envelope).encode())
    visits: list[Visit] = []
    await bench.again(visits, Role.ENGINEER, Role.OPERATOR).resume()
    # what a SET left can be read, what a method did cannot
    ((visit),) = visits
    assert (visit.command is not None and visit.command.id, visit.doubtful) == ("s1", True)
    ended = bench.journal.records["x1"]
    assert (ended.state, ended.error) == (CommandState.FAILED, UNKNOWN)


async def test_what_changes_a_meter_and_was_only_accepted_is_started_after_a_restart(bench: Bench) -> None:
    before = bench.again(bench.visits, Role.OPERATOR)
    bench.journal.failure = StoreError("disk full")
    with pytest.raises(StoreError):
        await before.receive(json.dumps(EXECUTE).encode())
    bench.journal.failure = None
    assert bench.journal.records["x1"].state is CommandState.ACCEPTED
    await bench.again(bench.visits, Role.OPERATOR).resume()
    ((visit),) = bench.visits
    assert not visit.doubtful


async def test_a_repeat_of_what_nobody_works_on_any_more_only_looks(bench: Bench) -> None:
    await bench.again(bench.visits, Role.ENGINEER).receive(json.dumps(SET).encode())
    visits: list[Visit] = []
    await bench.again(visits, Role.ENGINEER).receive(json.dumps(SET).encode())
    assert [visit.doubtful for visit in visits] == [True]


async def test_a_role_taken_away_meanwhile_does_not_start_again(bench: Bench) -> None:
    await bench.again(bench.visits, Role.ENGINEER).receive(json.dumps(SET).encode())
    visits: list[Visit] = []
    await bench.again(visits).resume()
    record = bench.journal.records["s1"]
    assert (record.state, visits) == (CommandState.FAILED, [])
    assert record.error == "meter.set is for the role engineer, which dcu.allow does not name"
