"""The meters that take part: every room learns of one that comes or goes, and events keep their names."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from dcu.enrolling.roll import EventNames, Roll
from dcu.errors import CommandRejected
from dcu.model import Capture
from sim.virtual import VirtualClock
from tests.captures import capture
from tests.lines import COMPANION, LOAD, Box, read_command, run_for, settle, virtually


class Rooms:
    """A roll over one line with its flow. `ended` lists the meters whose commands were ended, and why."""

    def __init__(self, clock: VirtualClock) -> None:
        self.box = Box(clock)
        self.poll = self.box.poll(LOAD)
        self.keys = dict(self.box.fleet.keys)
        self.poll.sessions._keys = self.keys
        self.names = EventNames({})
        self.about: dict[str, object] = {}
        self.ended: list[tuple[str, str]] = []
        self.forgotten: list[str] = []
        self.roll = Roll(
            archive=self.poll.archive,
            polls={"line": self.poll},
            keys=self.keys,
            access={},
            names=self.names,
            about=self.about,
            end=self._end,
            forget=self.forgotten.append,
        )
        for number in (0, 1):
            self.poll.archive._meters[self.box.meters[number].id] = replace(self.box.entry(number), bus="line")

    async def _end(self, meter: str, reason: str) -> None:
        self.ended.append((meter, reason))


def test_who_is_let_go_is_read_no_more_and_who_is_taken_in_is_read_at_once() -> None:
    async def work(clock: VirtualClock) -> None:
        rooms = Rooms(clock)
        second = rooms.poll.archive.meter("M0002")
        keys = rooms.keys["M0002"]
        await rooms.roll.let_go("M0002", "gone")
        assert (rooms.ended, rooms.about["meters"]) == ([("M0002", "gone")], 1)
        assert ("M0002" in rooms.poll.archive, "M0002" in rooms.keys) == (False, False)
        await settle(rooms.poll)
        assert {each.meter for each in rooms.box.store.captures} == {"M0001"}
        rooms.roll.take_in(second, keys, None)
        assert rooms.about["meters"] == 2
        await settle(rooms.poll)
        assert {each.meter for each in rooms.box.store.captures} == {"M0001", "M0002"}

    virtually(work)


def test_the_visit_under_way_is_waited_for() -> None:
    async def work(clock: VirtualClock) -> None:
        rooms = Rooms(clock)
        async with asyncio.TaskGroup() as group:
            flow = group.create_task(run_for(rooms.poll, 30.0))
            await asyncio.sleep(0.05)
            meter = rooms.poll._visiting
            assert meter is not None
            await rooms.roll.let_go(meter, "gone")
            assert rooms.poll.health.visits == 1
            await flow
        assert rooms.poll.health.refused == 0
        assert {each.meter for each in rooms.box.store.captures} == {"M0001", "M0002"}

    virtually(work)


def test_a_command_that_waits_for_one_who_goes_leaves_the_line_alone() -> None:
    async def work(clock: VirtualClock) -> None:
        rooms = Rooms(clock)
        rooms.roll.submit(read_command("M0001"))
        await rooms.roll.let_go("M0001", "gone")
        await rooms.poll.step()
        assert (rooms.poll.health.visits, rooms.box.answers) == (0, [])

    virtually(work)


def test_a_command_behind_the_end_of_its_meter_is_refused() -> None:
    async def work(clock: VirtualClock) -> None:
        rooms = Rooms(clock)
        await rooms.roll.let_go("M0001", "gone")
        with pytest.raises(CommandRejected, match="no such meter any more"):
            rooms.roll.submit(read_command("M0001"))

    virtually(work)


def test_another_device_under_the_same_name_is_read_from_then_on() -> None:
    async def work(clock: VirtualClock) -> None:
        rooms = Rooms(clock)
        await settle(rooms.poll)
        before = len(rooms.box.store.captures)
        meter, keys = rooms.poll.archive.meter("M0001"), rooms.keys["M0001"]
        await asyncio.sleep(2000.0)
        since = int(clock.now())
        await rooms.roll.let_go("M0001", "another")
        await rooms.roll.let_go("M0002", "gone")
        rooms.roll.begin_anew("M0001", since)
        # as the store has it after `replace`
        rooms.box.store.accounts.clear()
        rooms.box.store.watermarks["M0001", "load0"] = since
        rooms.roll.take_in(meter, keys, replace(COMPANION, name="other"))
        assert rooms.roll.knows_profile("other")
        assert rooms.forgotten == ["M0001"]
        await run_for(rooms.poll, 1800.0)
        fresh = [each.at for each in rooms.box.store.captures[before:]]
        assert fresh
        assert min(fresh) > since

    virtually(work)


def test_events_are_named_by_the_profile_of_their_meter() -> None:
    names = EventNames({"M0001": COMPANION})

    def event(code: Any, meter: str = "M0001", stream: str = "event.fraud") -> Capture:
        return capture(1, meter, stream, values=(None, code))

    unknown = {"event": None, "severity": None}
    assert names(event(44)) == {"event": "meter cover removed", "severity": "alarm"}
    assert names(event(45)) == {"event": "meter cover closed", "severity": "info", "restores": "meter cover removed"}
    assert names(event(12345)) == unknown
    assert names(event("text")) == unknown
    assert names(event(44, meter="M9")) == unknown
    assert names(event(44, stream="load0")) == unknown
    names.learn("M9", COMPANION)
    assert names(event(44, meter="M9")) != unknown
