"""Meters' clocks over simulated days: measured, kept within tolerance, never moved across a boundary or unasked."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from dcu.archive import IDENTITY
from dcu.clock import DAY
from dcu.config.settings import ClockSettings
from dcu.errors import Breach, MeterTimeoutError
from dcu.model import Command, Keys, Priority, Task, Visit
from dcu.polling.clocks import RETRY, SET_CLOCK, Clocks
from dcu.polling.poll import Poll
from dcu.store import Adjustment
from sim.fleet import FleetPlan
from sim.server import MANAGEMENT, READER
from sim.truth import expected_times
from sim.virtual import VirtualClock
from tests.lines import COMPANION, Box, run_for, settle, virtually

#: Meters that let us in as management, which may set their clocks.
PLAN = FleetPlan(meters=2, buses=1, hls=256)
LOAD = Task("load0", every=900.0, offset=60.0, backfill=3600.0)
SETTING = ClockSettings(set=True)


class Field:
    """One line whose meters have clocks as they are in the field; `moved` lists (meter, from, to) of each move."""

    def __init__(self, clock: VirtualClock, settings: ClockSettings = SETTING, plan: FleetPlan = PLAN) -> None:
        self.box = Box(clock, plan)
        self.clock = clock
        self.box.clock_settings = settings
        self.moved: list[tuple[str, int, int]] = []
        for meter in self.box.meters:
            meter.set_clock = self._noting(meter.id, meter.set_clock)  # type: ignore[assignment,method-assign]

    def _noting(self, name: str, move: Callable[[int, int], None]) -> Callable[[int, int], None]:
        def moving(at: int, target: int) -> None:
            self.moved.append((name, at, target))
            move(at, target)

        return moving

    def wrong(self, number: int, offset: float, drift: float = 0.0, **plate: Any) -> None:
        """Let the clock of a meter be off by `offset` s now, and gain `drift` s a day."""
        meter = self.box.meters[number]
        meter.plate = replace(meter.plate, clock_drift=drift, **plate)
        meter.clock_shift = 0.0
        meter.clock_shift = self.clock.now() + offset - meter.clock_at(self.clock.now())

    def offset(self, number: int) -> float:
        return self.box.meters[number].clock_at(self.clock.now()) - self.clock.now()

    def events(self, name: str) -> list[dict[str, object]]:
        return [{"meter": meter, **detail} for event, meter, detail in self.box.reports if event == name]


def in_the_field(
    work: Callable[[Field], Coroutine[Any, Any, None]], settings: ClockSettings = SETTING, plan: FleetPlan = PLAN
) -> None:
    async def run(clock: VirtualClock) -> None:
        await work(Field(clock, settings, plan))

    virtually(run)


@pytest.mark.no_cover  # a thousand visits, each like the others
def test_drifting_clocks_stay_within_tolerance_and_no_row_is_lost_or_doubled() -> None:
    async def work(field: Field) -> None:
        field.wrong(0, 28.0, drift=9.0)
        field.wrong(1, -25.0, drift=-12.0, shifts=False)
        poll = field.box.poll(LOAD)
        worst = 0.0
        flow = asyncio.create_task(run_for(poll, 4.0 * DAY))
        for _ in range(4 * 96):
            await asyncio.sleep(900.0)
            worst = max(worst, abs(field.offset(0)), abs(field.offset(1)))
        await flow
        assert worst <= 30.0 + 2.0
        assert {name for name, _, _ in field.moved} == {"M0001", "M0002"}
        assert all(at // 900 == target // 900 for _, at, target in field.moved)
        assert {each["method"] for each in field.events("clock adjusted")} == {"shift", "set"}
        assert len(field.events("clock adjusted")) == len(field.moved) < 8
        for meter in field.box.meters:
            ats = [each.at for each in field.box.store.captures if each.meter == meter.id]
            assert ats == sorted(set(ats))
            assert ats == list(expected_times(meter, COMPANION.streams["load0"].name, ats[0], ats[-1]))
            # a point a day, as if the clock had never been moved: the crystal shows
            points = field.box.store.shown[meter.id]
            assert len(points) == 4

    in_the_field(work)


def test_a_move_that_would_cross_a_boundary_waits_for_its_moment() -> None:
    async def work(field: Field) -> None:
        field.wrong(0, -300.0)  # read a minute after each quarter: the boundary always lies between
        field.wrong(1, 300.0)
        await run_for(field.box.poll(LOAD), 3600.0)
        assert sorted(name for name, _, _ in field.moved) == ["M0001", "M0002"]
        assert all(at // 900 == target // 900 for _, at, target in field.moved)
        assert max(abs(field.offset(0)), abs(field.offset(1))) <= 1.5

    in_the_field(work)


@pytest.mark.parametrize("offset", [2400.0, -2400.0])
def test_more_than_a_period_is_brought_back_in_steps(offset: float) -> None:
    async def work(field: Field) -> None:
        field.wrong(0, offset)
        await run_for(field.box.poll(LOAD), 3 * 3600.0)
        assert 2 <= len(field.moved) <= 5
        assert all(at // 900 == target // 900 for _, at, target in field.moved)
        assert abs(field.offset(0)) <= 1.5

    in_the_field(work)


def test_a_meter_forty_years_off_is_told_and_never_set_silently() -> None:
    async def work(field: Field) -> None:
        field.wrong(0, -40 * 365.25 * DAY)
        await run_for(field.box.poll(Task("instant", every=900.0)), 2.5 * DAY)
        assert field.moved == []
        asked = field.events("clock off too far")
        assert (len(asked), asked[0]["meter"]) == (3, "M0001")
        assert "off by -126230" in str(asked[0]["reason"])

    in_the_field(work)


def test_without_set_clocks_are_measured_only() -> None:
    async def work(field: Field) -> None:
        field.wrong(0, 120.0)
        await run_for(field.box.poll(LOAD), 3600.0)
        assert field.moved == []
        ((_, offset),) = field.box.store.shown["M0001"]
        assert offset == pytest.approx(120.0, abs=1.0)

    in_the_field(work, ClockSettings())


def test_nothing_is_measured_against_a_clock_that_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(field: Field) -> None:
        field.wrong(0, 120.0)
        poll = field.box.poll(LOAD)
        monkeypatch.setattr(VirtualClock, "trusted", lambda _: False)
        poll.submit(set_clock("M0001"))
        await run_for(poll, 600.0)
        assert (field.moved, field.box.store.shown) == ([], {})
        ((_, found, error),) = field.box.answers
        assert (found, error) == (None, "this unit's own clock is not trusted")

    in_the_field(work)


def set_clock(meter: str) -> Visit:
    return Visit(meter, command=Command("c1", SET_CLOCK, (meter,)), priority=Priority.COMMAND)


@pytest.mark.parametrize(("offset", "method"), [(-40 * 365.25 * DAY, "set"), (-700.0, "shift"), (-5.0, "shift")])
def test_a_command_sets_a_clock_deliberately(offset: float, method: str) -> None:
    async def work(field: Field) -> None:
        field.wrong(0, offset)
        poll = field.box.poll()
        poll.submit(set_clock("M0001"))
        await poll.step()
        ((_, found, error),) = field.box.answers
        assert error is None
        assert found is not None
        assert found["before"] == pytest.approx(offset, abs=1.0)
        assert abs(found["after"]) <= 1.5
        assert abs(field.offset(0)) <= 1.5
        (event,) = field.events("clock adjusted")
        assert (event["method"], event["before"]) == (method, found["before"])
        assert (900 in found["crossed"]) is (abs(offset) > 600)

    in_the_field(work, ClockSettings())


def test_a_clock_that_is_right_is_left_alone_by_a_command_too() -> None:
    async def work(field: Field) -> None:
        field.wrong(0, 0.2)
        poll = field.box.poll()
        poll.submit(set_clock("M0001"))
        await poll.step()
        assert field.moved == []
        assert field.box.answers[0][2] is None

    in_the_field(work)


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_clock_that_jumped_since_it_was_noted_and_is_moved_is_told_as_it_is(
    monkeypatch: pytest.MonkeyPatch, *, interrupted: bool
) -> None:
    """The points are moved with the clock: one from before the jump would be told as an offset that never was."""

    async def work(field: Field) -> None:
        poll = field.box.poll(LOAD)
        await run_for(poll, 900.0)
        field.wrong(0, -124.0)
        ((noted, _),) = await field.box.store.points("M0001")
        if interrupted:
            monkeypatch.setattr(Clocks, "_perform", silent)
        poll.submit(set_clock("M0001"))
        await poll.step()
        monkeypatch.undo()
        await run_for(poll, 1800.0)
        ((at, offset),) = await field.box.store.points("M0001")
        assert at > noted
        assert abs(offset) <= 2.0

    perform = Clocks._perform

    async def silent(*args: Any) -> str:
        await perform(*args)
        raise MeterTimeoutError("no answer")

    in_the_field(work, ClockSettings())


def test_a_clock_that_is_moved_before_it_was_ever_noted_is_known_from_then_on() -> None:
    async def work(field: Field) -> None:
        field.wrong(0, -124.0)
        poll = field.box.poll()
        poll.submit(set_clock("M0001"))
        await poll.step()
        ((_, offset),) = field.box.store.shown["M0001"]
        assert abs(offset) <= 2.0

    in_the_field(work, ClockSettings())


def test_the_client_for_other_commands_does_not_take_this_one() -> None:
    async def work(field: Field) -> None:
        field.wrong(0, 100.0)
        field.box.companion = replace(COMPANION, clients={"other": READER}, tasks={"meter.*": "other"})
        poll = field.box.poll()
        poll.submit(set_clock("M0001"))
        await poll.step()
        ((_, found, error),) = field.box.answers
        assert (error, found and abs(found["after"]) <= 1.5) == (None, True)

    in_the_field(work)


def readers(field: Field) -> Poll:
    """Return the flow of meters that let us in as readers, and as management with other keys."""
    poll = field.box.poll(LOAD)
    keys = {m.id: replace(m.plate.keys, password=m.plate.keys.password) for m in field.box.meters}
    poll.sessions._keys = keys
    return poll


READERS = FleetPlan(meters=2, buses=1, hls=0)
BY_MANAGEMENT = ClockSettings(set=True, access=MANAGEMENT.name)


def test_another_access_moves_the_clock_where_the_meters_own_may_not() -> None:
    async def work(field: Field) -> None:
        field.wrong(0, 100.0)
        poll = readers(field)
        assert poll.archive.meter("M0001").access == READER.name
        await run_for(poll, 3600.0)
        assert [name for name, _, _ in field.moved] == ["M0001"]
        assert poll.health.refused == poll.health.silent == 0

    in_the_field(work, BY_MANAGEMENT, READERS)


def test_no_clock_is_moved_of_another_meter_that_has_the_same_keys() -> None:
    async def work(field: Field) -> None:
        field.wrong(0, 100.0)
        poll = readers(field)
        await poll.step()
        await poll.handover.settled()
        field.box.store.shapes["M0001"][IDENTITY]["title"] = "00" * 8
        poll.submit(set_clock("M0001"))
        await run_for(poll, 3 * RETRY - 60.0)
        assert field.moved == []
        ((_, answer, reason),) = field.box.answers
        assert answer is None
        assert reason == f"system title {field.box.meters[0].title.hex()} is not that of M0001"
        # the command twice, then once an hour
        assert [name for name, _, _ in field.box.reports] == ["security breach"] * 5
        assert poll.health.security == {Breach.TITLE: 5}
        assert len([each for each in field.box.store.captures if each.meter == "M0001"]) >= 12

    in_the_field(work, BY_MANAGEMENT, READERS)


def test_a_meter_that_refuses_is_told_once_a_day_and_read_as_before() -> None:
    async def work(field: Field) -> None:
        field.wrong(0, 100.0)
        poll = field.box.poll(LOAD)
        await run_for(poll, 1.5 * DAY)
        assert field.moved == []
        asked = field.events("clock off too far")
        assert len(asked) == 2
        assert "refuses to have its clock set" in str(asked[0]["reason"])
        assert len([each for each in field.box.store.captures if each.meter == "M0001"]) >= 100
        assert field.box.store.moves["M0001"].open is False

    in_the_field(work, SETTING, READERS)


def test_an_access_without_keys_is_never_tried() -> None:
    async def work(field: Field) -> None:
        field.wrong(0, 100.0)
        poll = readers(field)
        poll.sessions._keys = {meter: Keys(keys.password) for meter, keys in field.box.fleet.keys.items()}
        await run_for(poll, 3600.0)
        assert field.moved == []
        assert [each["reason"] for each in field.events("clock off too far")] == ["no keys for the access management"]

    in_the_field(work, BY_MANAGEMENT, READERS)


@pytest.mark.parametrize("carried_out", [True, False])
def test_what_a_crash_cut_off_is_concluded_from_the_clock_and_not_repeated(carried_out: bool) -> None:
    async def work(field: Field) -> None:
        field.wrong(0, 10.0 if carried_out else 70.0)
        field.box.store.moves["M0001"] = Adjustment(int(field.clock.now()) - 60, 70.0, -60, "shift")
        field.box.store.shown["M0001"] = [(int(field.clock.now()) - 3600, 70.0)]
        poll = field.box.poll(LOAD)
        await poll.clocks.load({"M0001", "M0002"}.__contains__)
        await run_for(poll, 600.0)
        first = field.events("clock adjusted")[0]
        if carried_out:
            assert field.moved == []
            assert (first["interrupted"], first["before"]) == (True, 70.0)
            assert field.box.store.shown["M0001"][0][1] == 10.0
        else:
            assert "interrupted" not in first
            assert len(field.moved) == 1
        assert field.box.store.moves["M0001"].open is False

    in_the_field(work)


def test_a_meter_that_falls_silent_while_its_clock_is_moved_is_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def work(field: Field) -> None:
        field.wrong(0, 100.0)
        poll = field.box.poll(LOAD)
        perform = Clocks._perform

        async def silent(*args: Any) -> str:
            await perform(*args)
            raise MeterTimeoutError("silent for 2.0 s")

        monkeypatch.setattr(Clocks, "_perform", silent)
        await run_for(poll, 600.0)
        monkeypatch.undo()
        assert len(field.moved) == 1
        assert poll.plan.counts().unreachable == 0
        await run_for(poll, RETRY + 1000.0)
        assert len(field.moved) == 1  # it had been carried out
        (event,) = field.events("clock adjusted")
        assert event["interrupted"] is True

    in_the_field(work)


def test_a_clock_that_somebody_else_moved_begins_a_history_of_its_own() -> None:
    async def work(field: Field) -> None:
        field.wrong(0, 25.0)
        poll = field.box.poll(LOAD)
        flow = asyncio.create_task(run_for(poll, 2.2 * DAY))
        await asyncio.sleep(1.1 * DAY)
        assert len(field.box.store.shown["M0001"]) == 2
        field.wrong(0, -25.0)
        await flow
        ((_, offset),) = field.box.store.shown["M0001"]
        assert offset == pytest.approx(-25.0, abs=1.0)

    in_the_field(work)


def test_a_meter_that_goes_is_forgotten() -> None:
    async def work(field: Field) -> None:
        field.wrong(0, -300.0)
        poll = field.box.poll(LOAD)
        await settle(poll)
        await poll.let_go("M0001")
        assert poll.clocks.due(field.clock.monotonic() + DAY) == []

    in_the_field(work)
