"""Commands to many meters: who is asked when, what is told in portions, and how such a command ends."""

import json
from typing import Any

import pytest

from dcu.errors import CommandRejected
from dcu.health import Health
from dcu.messages.envelope import answer
from dcu.model import Command, CommandRecord, CommandState, Visit
from dcu.obeying import underway
from dcu.obeying.obey import Obey
from dcu.obeying.underway import FAN, PROGRESS_PERIOD
from tests.captures import SetClock
from tests.journal import MemoryJournal

MANY = {"id": "c1", "name": "meter.read", "targets": {"all": True}}


class Bench:
    """An Obey whose meters are `meters`; buses take note of what they are to ask."""

    def __init__(self, count: int) -> None:
        self.meters = [f"M{number:02}" for number in range(count)]
        self.journal = MemoryJournal()
        self.clock = SetClock()
        self.visits: list[Visit] = []
        self.begin()

    def begin(self) -> None:
        self.obey = Obey(self.journal, self.submit, self.meters.__contains__, self.own, self.clock, Health())
        self.obey.among = self.among

    def among(self, targets: str) -> list[str]:
        return self.meters if targets == "all" else [self.meters[0]] if targets == "group north" else []

    def submit(self, visit: Visit) -> None:
        self.visits.append(visit)

    async def own(self, _: Command) -> dict[str, Any]:
        return {}

    async def receive(self, **envelope: Any) -> CommandRecord:
        return await self.obey.receive(json.dumps(envelope).encode())

    async def answer(self, *visits: Visit, error: str | None = None) -> None:
        for visit in visits:
            await self.obey.answered(visit, None if error else {"of": visit.meter}, error)

    @property
    def record(self) -> CommandRecord:
        return self.journal.records["c1"]

    @property
    def states(self) -> list[str]:
        return [state.value for _, state in self.journal.changes]


async def test_some_are_asked_at_a_time_and_each_answer_asks_the_next() -> None:
    bench = Bench(FAN + 2)
    assert (await bench.receive(**MANY)).state is CommandState.RUNNING
    assert [visit.meter for visit in bench.visits] == bench.meters[:FAN]
    await bench.answer(bench.visits[0])
    assert [visit.meter for visit in bench.visits[FAN:]] == [bench.meters[FAN]]
    for visit in bench.visits[1:]:
        await bench.answer(visit)
    await bench.answer(bench.visits[-1])
    assert bench.record.state is CommandState.DONE
    assert bench.record.progress == {"of": FAN + 2, "answered": FAN + 2, "failed": 0}
    assert bench.record.result == {meter: {"of": meter} for meter in bench.meters}
    assert answer(bench.record)["meters"] == ()


async def test_answers_are_told_in_portions_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(underway, "PORTION", 3)
    bench, told = Bench(7), list[CommandRecord]()
    await bench.receive(**MANY)
    for number in range(7):
        await bench.answer(bench.visits[number], error="silent" if number == 1 else None)
        told += [bench.record] if bench.record.progress and bench.record not in told else []
    assert [each.progress for each in told] == [
        {"of": 7, "answered": 2, "failed": 1},
        {"of": 7, "answered": 5, "failed": 1},
        {"of": 7, "answered": 6, "failed": 1},
    ]
    assert [list(each.result or ()) for each in told] == [["M00", "M02"], ["M03", "M04", "M05"], ["M06"]]
    assert [(each.state.value, each.error) for each in told] == [
        ("running", "M01: silent"),
        ("running", None),
        ("failed", None),
    ]


async def test_what_has_come_is_told_after_a_while() -> None:
    bench = Bench(2)
    await bench.receive(**MANY)
    await bench.answer(bench.visits[0])
    await bench.obey.step()
    assert bench.record.progress is None
    bench.clock.time += PROGRESS_PERIOD
    await bench.obey.step()
    assert (bench.record.state, bench.record.result) == (CommandState.RUNNING, {"M00": {"of": "M00"}})
    bench.clock.time += PROGRESS_PERIOD
    await bench.obey.step()
    assert bench.states == ["accepted", "running", "running"], "there is no news"


async def test_large_answers_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(underway, "PORTION_OCTETS", 5)
    bench = Bench(2)
    await bench.receive(**MANY)
    await bench.answer(bench.visits[0])
    assert bench.record.progress == {"of": 2, "answered": 1, "failed": 0}


async def test_a_group_is_those_meters_and_none_is_no_fault() -> None:
    bench = Bench(3)
    await bench.receive(id="c2", name="meter.get", targets={"group": "south"}, args=GET)
    assert bench.journal.records["c2"].state is CommandState.DONE
    assert bench.journal.records["c2"].progress == {"of": 0, "answered": 0, "failed": 0}
    await bench.receive(**MANY | {"targets": {"group": "north"}})
    assert [visit.meter for visit in bench.visits] == ["M00"]


GET = {"object": "1-0:1.8.0.255", "class": 3, "attribute": 2}


async def test_a_bus_that_takes_no_more_fails_those_meters_only() -> None:
    bench = Bench(2000)

    def full(visit: Visit) -> None:
        raise CommandRejected(f"too many commands wait for {visit.meter}")

    bench.submit = full  # type: ignore[method-assign]
    bench.begin()
    await bench.receive(**MANY)
    assert bench.record.state is CommandState.FAILED
    assert bench.record.progress == {"of": 2000, "answered": 0, "failed": 2000}


async def test_one_that_expires_asks_nobody_more() -> None:
    bench = Bench(FAN + 5)
    await bench.receive(**MANY, expires=int(bench.clock.time) + 5)
    await bench.answer(bench.visits[0])
    bench.clock.time += 6
    await bench.obey.step()
    assert bench.record.state is CommandState.EXPIRED
    assert bench.record.progress == {"of": FAN + 5, "answered": 1, "failed": 0}
    await bench.answer(*bench.visits[1:])
    assert len(bench.visits) == FAN + 1


async def test_a_restart_asks_all_again_and_a_meter_that_goes_is_not_asked() -> None:
    bench = Bench(FAN + 2)
    await bench.receive(**MANY)
    await bench.answer(bench.visits[0])
    bench.visits.clear()
    bench.begin()
    await bench.obey.resume()
    assert [visit.meter for visit in bench.visits] == bench.meters[:FAN]
    await bench.obey.gone(bench.meters[-1], "deleted")
    await bench.answer(*bench.visits)
    await bench.answer(*bench.visits[FAN:])
    assert bench.record.state is CommandState.FAILED
    assert bench.record.progress == {"of": FAN + 2, "answered": FAN + 1, "failed": 1}
    assert bench.meters[-1] not in {visit.meter for visit in bench.visits}


async def test_the_local_door_takes_one_meter_at_a_time() -> None:
    bench = Bench(2)
    record = await bench.obey.receive(json.dumps(MANY).encode(), door="local")
    assert (record.state, record.error) == (CommandState.REJECTED, "commands to many meters come by MQTT")
