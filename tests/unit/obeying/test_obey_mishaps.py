"""What goes wrong over one command: slow commits, a cut, a bug of ours. That command ends, and no other is touched."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dcu.errors import DcuError, StoreError
from dcu.health import Health
from dcu.model import Command, CommandRecord, CommandState, Role, Visit
from dcu.obeying.obey import LOOK_EVERY, Obey
from dcu.obeying.underway import PROGRESS_PERIOD
from sim.virtual import VirtualClock
from tests.journal import MemoryJournal
from tests.lines import virtually

READ = {"id": "c1", "name": "meter.read", "targets": {"meters": ["M1"]}}
ACT = {"object": "0-0:13.0.0.255", "class": 20, "method": 1}
EXECUTE = {"id": "x1", "name": "meter.execute", "targets": {"meters": ["M1"]}, "args": ACT}


class Bench:
    """An Obey in virtual time for the meters M1 and M2; `visits` is what their bus is to do."""

    def __init__(self, clock: VirtualClock, delay: float = 0.0) -> None:
        self.clock = clock
        self.journal = MemoryJournal()
        self.journal.delay = delay
        self.visits: list[Visit] = []
        self.obey = self.again()

    def again(self) -> Obey:
        """Return the flow as a restart makes it."""
        knows = {"M1", "M2"}.__contains__
        obey = Obey(self.journal, self.submit, knows, self.own, self.clock, Health(), tuple(Role))
        obey.among = lambda _: ["M1", "M2"]
        return obey

    def submit(self, visit: Visit) -> None:
        self.visits.append(visit)

    async def own(self, _: Command) -> Mapping[str, Any]:
        return {}

    async def receive(self, **envelope: Any) -> CommandRecord:
        return await self.obey.receive(json.dumps(envelope).encode())

    def state(self, name: str) -> CommandState:
        return self.journal.records[name].state


async def ended(flow: "asyncio.Task[None]") -> None:
    """End a flow that has to be running still."""
    assert not flow.done()
    flow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flow


@pytest.mark.parametrize("phase", range(0, 50, 7))
def test_an_end_that_meets_the_telling_of_a_portion_is_told_behind_it(phase: int) -> None:
    async def work(clock: VirtualClock) -> None:
        bench = Bench(clock, delay=0.05)
        flow = asyncio.create_task(bench.obey.run())
        await bench.receive(id="g1", name="meter.read", targets={"all": True})
        await bench.obey.answered(bench.visits[0], {"v": 1}, None)
        told = PROGRESS_PERIOD * 2 + phase * 0.02
        await asyncio.sleep(told)
        await bench.obey.answered(bench.visits[1], {"v": 2}, None)
        await asyncio.sleep(3.0)
        assert bench.state("g1") is CommandState.DONE
        await ended(flow)

    virtually(work)


def test_a_repeat_that_is_answered_while_a_restart_takes_up_others_is_not_begun_again() -> None:
    async def work(clock: VirtualClock) -> None:
        bench = Bench(clock, delay=0.05)
        for name in ("c1", "c2", "c3"):
            await bench.journal.accept(Command(name, "meter.read", ("M1",), received=clock.now()))
        await bench.journal.accept(Command("p", "dcu.ping", received=clock.now()))
        flow = asyncio.create_task(bench.obey.run())
        await asyncio.sleep(0.0)
        assert (await bench.receive(id="p", name="dcu.ping")).state is CommandState.DONE
        await asyncio.sleep(3.0)
        assert [state for name, state in bench.journal.changes if name == "p"].count(CommandState.DONE) == 1
        assert [visit.command.id for visit in bench.visits if visit.command] == ["c1", "c2", "c3"]
        await ended(flow)

    virtually(work)


@pytest.mark.parametrize("value", [float("nan"), {"deep": [float("inf")]}, "\ud800"])
def test_an_answer_that_json_cannot_hold_fails_that_meter_and_not_the_others(value: object) -> None:
    async def work(clock: VirtualClock) -> None:
        bench = Bench(clock)
        await bench.receive(id="g1", name="meter.read", targets={"all": True})
        await bench.obey.answered(bench.visits[0], {"v": value}, None)
        await bench.obey.answered(bench.visits[1], {"v": 2}, None)
        record = bench.journal.records["g1"]
        assert (record.state, record.result) == (CommandState.FAILED, {"M2": {"v": 2}})
        assert record.error == "M1: the result cannot be written as JSON"

    virtually(work)


def test_a_bus_that_stumbles_over_a_visit_fails_the_command_it_is_for() -> None:
    async def work(clock: VirtualClock) -> None:
        bench = Bench(clock)

        def stumble(visit: Visit) -> None:
            raise KeyError(visit.meter)

        bench.submit = stumble  # type: ignore[method-assign]
        bench.obey = bench.again()
        record = await bench.receive(**READ)
        assert (record.state, record.error) == (CommandState.FAILED, "our own mistake: KeyError('M1')")
        # the same that a start finds
        await bench.journal.accept(Command("c2", "meter.read", ("M1",), received=clock.now()))
        await bench.obey.resume()
        assert bench.state("c2") is CommandState.FAILED

    virtually(work)


def test_a_bug_over_an_answer_fails_the_command_and_the_look_round_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(clock: VirtualClock) -> None:
        bench = Bench(clock)
        await bench.receive(**READ)
        await bench.receive(**READ | {"id": "c2"}, expires=int(clock.now()) + 5)
        monkeypatch.setattr("dcu.obeying.underway.Underway.complaint", lambda _: 1 // 0)
        await bench.obey.answered(bench.visits[0], {"v": 1}, None)
        monkeypatch.undo()
        assert bench.state("c1") is CommandState.FAILED
        await asyncio.sleep(6.0)
        await bench.obey.step()
        assert bench.state("c2") is CommandState.EXPIRED

    virtually(work)


def test_a_bug_in_looking_at_an_envelope_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(clock: VirtualClock) -> None:
        bench = Bench(clock)
        monkeypatch.setattr("dcu.conversation.objects.check", lambda _: 1 // 0)
        record = await bench.receive(**EXECUTE)
        assert record.state is CommandState.REJECTED
        monkeypatch.setattr("dcu.obeying.admission.parse_command", lambda *_, **__: 1 // 0)
        record = await bench.receive(**READ)
        assert (record.state, str(record.error)[:15]) == (CommandState.REJECTED, "our own mistake")
        assert bench.visits == []

    virtually(work)


def test_a_record_that_cannot_be_written_is_told_without_its_result() -> None:
    async def work(clock: VirtualClock) -> None:
        bench = Bench(clock)
        await bench.receive(**READ)
        held = bench.journal.records["c1"]
        # as an earlier version has kept it
        bench.journal.records["c1"] = CommandRecord(held.command, CommandState.DONE, {"v": float("nan")})
        bench.obey = bench.again()
        (line,) = [line async for line in bench.obey.lines(json.dumps(READ).encode())]
        assert (json.loads(line)["result"], json.loads(line)["state"]) == (None, "done")

    virtually(work)


def test_who_waits_for_a_command_that_is_cut_off_hears_of_it() -> None:
    async def work(clock: VirtualClock) -> None:
        bench = Bench(clock, delay=0.05)
        bringing = asyncio.create_task(bench.receive(**READ))
        await asyncio.sleep(0.03)
        waits = bench.obey.ask(json.dumps(READ).encode())
        assert (await anext(waits)).state is CommandState.ACCEPTED
        bringing.cancel()
        with pytest.raises(DcuError, match="cut off"):
            await anext(waits)

    virtually(work)


def test_what_nobody_works_on_is_taken_up_or_expires_within_a_minute() -> None:
    async def work(clock: VirtualClock) -> None:
        bench = Bench(clock, delay=0.05)
        flow = asyncio.create_task(bench.obey.run())
        for name, more in (("c1", {}), ("c2", {"expires": int(clock.now()) + 30})):
            bringing = asyncio.create_task(bench.receive(**READ | {"id": name} | more))
            await asyncio.sleep(0.075)
            bringing.cancel()
        await asyncio.sleep(LOOK_EVERY + 5.0)
        assert bench.state("c1") is CommandState.RUNNING
        assert bench.state("c2") is CommandState.EXPIRED
        assert [visit.command.id for visit in bench.visits if visit.command] == ["c1"]
        await ended(flow)

    virtually(work)


def test_what_changes_something_and_was_not_begun_for_long_is_never_begun() -> None:
    async def work(clock: VirtualClock) -> None:
        bench = Bench(clock)
        for name, age in (("x1", 60), ("x2", 86_400)):
            args = dict(ACT)
            await bench.journal.accept(Command(name, "meter.execute", ("M1",), args, received=clock.now() - age))
        await bench.obey.resume()
        assert [visit.command.id for visit in bench.visits if visit.command] == ["x1"]
        record = bench.journal.records["x2"]
        assert (record.state, record.error) == (CommandState.FAILED, "not begun within 900 s")

    virtually(work)


def test_what_was_sent_does_not_expire_and_is_not_sent_again() -> None:
    async def work(clock: VirtualClock) -> None:
        bench = Bench(clock)
        await bench.receive(**EXECUTE, expires=int(clock.now()) + 5)
        ((visit),) = bench.visits
        assert bench.obey.open(visit)
        assert bench.obey.sending(visit)
        assert (bench.obey.sending(visit), bench.obey.open(visit)) == (False, False)
        assert bench.obey.open(replace(visit, doubtful=True))
        await asyncio.sleep(10.0)
        await bench.obey.step()
        assert bench.state("x1") is CommandState.RUNNING
        await bench.obey.gone("M1", "deleted")
        error = "M1: not known whether it was carried out: read before you repeat (deleted)"
        assert bench.journal.records["x1"].error == error

    virtually(work)


def test_what_expires_before_it_is_sent_is_not_sent_while_its_end_is_told_or_after_that() -> None:
    async def work(clock: VirtualClock) -> None:
        bench = Bench(clock, delay=0.05)
        await bench.receive(**EXECUTE, expires=int(clock.now()) + 5)
        ((visit),) = bench.visits
        await asyncio.sleep(5.0)
        assert not bench.obey.sending(visit)
        ending = asyncio.create_task(bench.obey.step())
        await asyncio.sleep(0.01)
        assert not bench.obey.open(visit)
        await ending
        assert not bench.obey.open(visit)
        await bench.obey.answered(visit, None, "its time was over before it was sent")
        assert bench.state("x1") is CommandState.EXPIRED

    virtually(work)


def test_a_meter_that_fails_after_the_time_is_over_is_an_expiry() -> None:
    async def work(clock: VirtualClock) -> None:
        bench = Bench(clock)
        await bench.receive(**EXECUTE, expires=int(clock.now()) + 5)
        await asyncio.sleep(5.5)
        await bench.obey.answered(bench.visits[0], None, "its time was over before it was sent")
        assert bench.state("x1") is CommandState.EXPIRED

    virtually(work)


def test_what_may_have_been_sent_before_a_restart_does_not_expire_with_it() -> None:
    async def work(clock: VirtualClock) -> None:
        bench = Bench(clock)
        days = {"object": "0-0:11.0.0.255", "class": 11, "attribute": 2, "value": []}
        target = {"targets": {"meters": ["M1"]}, "expires": int(clock.now()) + 5}
        await bench.receive(id="s1", name="meter.set", args=days, **target)
        await bench.receive(**EXECUTE, expires=int(clock.now()) + 5)
        await asyncio.sleep(60.0)
        bench.visits.clear()
        bench.obey = bench.again()
        await bench.obey.resume()
        ((visit),) = bench.visits
        assert (visit.doubtful, bench.obey.open(visit), bench.obey.sending(visit)) == (True, True, False)
        assert str(bench.journal.records["x1"].error).startswith("not known whether it was carried out")

    virtually(work)


def test_ends_by_a_meter_that_goes_and_that_are_not_kept_are_found_by_the_next_start_of_the_flow() -> None:
    async def work(clock: VirtualClock) -> None:
        bench = Bench(clock)
        await bench.receive(**READ)
        await bench.receive(**READ | {"id": "c2"})
        bench.journal.failure = StoreError("disk full")
        with pytest.raises(StoreError):
            await bench.obey.gone("M1", "deleted")
        bench.journal.failure = None
        await bench.obey.resume()
        assert [visit.command.id for visit in bench.visits[2:] if visit.command] == ["c1", "c2"]

    virtually(work)


def test_of_two_ends_that_meet_the_second_is_kept_when_the_first_cannot_be() -> None:
    async def work(clock: VirtualClock) -> None:
        bench = Bench(clock, delay=0.05)
        await bench.receive(**READ, expires=int(clock.now()) + 5)
        await asyncio.sleep(6.0)
        bench.journal.failure = StoreError("disk full")
        expiring = asyncio.create_task(bench.obey.step())
        await asyncio.sleep(0.01)
        telling = asyncio.create_task(bench.obey.answered(bench.visits[0], {"v": 1}, None))
        with pytest.raises(StoreError):
            await expiring
        bench.journal.failure = None
        await telling
        assert bench.state("c1") is CommandState.DONE

    virtually(work)
