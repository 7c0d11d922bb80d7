"""The whole road: simulated meters on paced ptys → the daemon as a process → mosquitto → a head-end that checks."""

import json
import random
import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from datetime import datetime
from typing import Any

from dcu.model import Column
from dcu.obis import parse_obis
from sim.fleet import FleetPlan
from sim.stage import Setting, Stage, Timetable
from sim.truth import expected_values
from tests.system.overhearing import Overheard, overtaking
from tests.system.playing import FAST, Play, finish, pass_time

TIMETABLE: Timetable = {
    "instant": (10, 0),
    "load0": (900, 7200),
    "load1": (900, 3600),
    "daily": (86_400, 2 * 86_400),
    "event.fraud": (300, 5 * 86_400),
}

#: One daemon is killed so often, each time at another moment of its work.
KILLS = 10


def test_twelve_meters_arrive_capture_by_capture_as_the_meters_held_them(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.daemon.start()
        await finish(stage)
        assert [state["state"] for state in stage.head.tally.states] == ["online", "stopped"]
        everybody = {meter.id for meter in stage.fleet.meters}
        for stream in ("instant", "load0", "load1", "daily"):
            assert {key[0] for key in stage.head.tally.captures if key[1] == stream} == everybody
        assert {meter.plate.phases for meter in stage.fleet.meters} == {1, 3}
        assert {access.access for access in stage.fleet.archive} == {"reader", "management"}

    play(scenario, Setting(FleetPlan(meters=12, buses=3, baud=FAST, tcp_meters=2), TIMETABLE))


def test_an_outage_of_the_broker_costs_no_reading(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.daemon.start()
        await stage.settled()
        await stage.broker.stop()
        # what it had sent already may still be on its way to the head-end
        await stage.head.until(lambda: not stage.head.connected)
        before = stage.delivered()
        while not (await stage.daemon.status())["store"]["streams"]["instant"]["pending"] > 8:
            await pass_time(stage)
        assert stage.delivered() == before
        await stage.broker.start()
        await finish(stage)
        assert stage.delivered() > before + 8

    play(scenario, Setting(FleetPlan(meters=4, buses=2), TIMETABLE), speed=4)


def told(states: list[dict[str, Any]]) -> set[str]:
    return {state["state"] for state in states}


def test_a_daemon_killed_ten_times_loses_doubles_and_mistakes_nothing(play: Play) -> None:
    dice = random.Random(7)

    async def scenario(stage: Stage) -> None:
        states = stage.head.tally.states
        for number in range(KILLS):
            known = len(states)
            await stage.daemon.spawn()
            if number % 2:  # not in its start, however long that takes here
                await stage.head.until(lambda since=known: "online" in told(states[since:]))  # type: ignore[misc]
            await pass_time(stage, dice.uniform(0.0, 1.5))
            await stage.daemon.kill()
        await stage.daemon.start()
        await finish(stage)
        assert "offline" in told(states)
        assert len({state["boot"] for state in states}) > KILLS // 2

    play(scenario, Setting(FleetPlan(meters=8, buses=2), TIMETABLE), speed=4)


def test_the_last_will_tells_that_a_daemon_was_killed(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.daemon.start()
        await stage.head.until(lambda: stage.head.tally.state == "online")
        await stage.daemon.kill()
        await stage.head.until(lambda: stage.head.tally.state == "offline")
        assert stage.head.tally.states[-1]["boot"] == stage.head.tally.states[0]["boot"]

    play(scenario, Setting(FleetPlan(meters=1, buses=1, baud=FAST), TIMETABLE))


def test_a_command_overtakes_the_sweep_and_is_answered_with_the_meters_truth(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        overheard = Overheard(stage.fleet.wires[0].line)
        await stage.daemon.start()
        await stage.head.until(lambda: stage.head.tally.state == "online")
        last = stage.fleet.archive[-1]
        found = await overtaking(stage, overheard, last)
        # the visit under way, and one that began while the journal was written; the seconds are those of
        # `python -m bench command` (R7), for here they are the machine's
        assert found.visits <= 2
        assert (await stage.daemon.status())["buses"]["rs485-1"]["due"] > 0
        answer = found.answer
        assert answer["state"] == "done"
        states = [message["state"] for message in stage.head.tally.results[answer["id"]]]
        assert states == ["accepted", "running", "done"]
        reading = answer["result"][last.id]
        assert_true(stage, last.id, reading)

    play(scenario, Setting(FleetPlan(meters=10, buses=1), TIMETABLE))


def assert_true(stage: Stage, meter: str, reading: dict[str, Any]) -> None:
    """The values of an on-demand answer are those the meter held at the second it names."""
    columns = [Column(each["class"], parse_obis(each["object"]), each["attribute"]) for each in reading["columns"]]
    (capture,) = reading["captures"]
    at = int(datetime.fromisoformat(capture["at"]).timestamp())
    assert tuple(capture["values"]) == expected_values(stage.fleet.meter(meter), columns, at)
    assert "1-0:1.8.0.255" in {each["object"] for each in reading["columns"]}


def test_dcuctl_asks_the_running_daemon(play: Play) -> None:
    async def ctl(stage: Stage, *words: str) -> tuple[int | None, str, str]:
        command = (sys.executable, "-m", "dcu.cli.dcuctl", "--socket", str(stage.directory / "dcu.sock"), *words)
        process = await create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
        out, err = await process.communicate()
        return process.returncode, out.decode(), err.decode()

    async def scenario(stage: Stage) -> None:
        code, _, err = await ctl(stage, "ping")
        assert code == 3
        assert "cannot reach the daemon" in err
        await stage.daemon.start()
        assert (await ctl(stage, "ping"))[0] == 0
        code, out, _ = await ctl(stage, "status", "--json")
        assert (code, json.loads(out)["dcu"]) == (0, "DCU-0001")
        assert "rs485-1" in (await ctl(stage, "status"))[1]
        code, out, _ = await ctl(stage, "read", "M0001", "--json")
        assert code == 0
        assert_true(stage, "M0001", json.loads(out))
        assert "1-0:1.8.0.255" in (await ctl(stage, "read", "M0002"))[1]
        times = ("--from", "2026-11-20T00:00:00Z", "--to", "2026-11-20T02:00:00Z")
        code, out, _ = await ctl(stage, "read", "M0001", "--profile", "load0", *times, "--json")
        assert (code, len(json.loads(out)["captures"])) == (0, 9)
        code, _, err = await ctl(stage, "read", "M9999")
        assert (code, "no such meter: M9999" in err) == (1, True)

    play(scenario, Setting(FleetPlan(meters=2, buses=1, baud=FAST), TIMETABLE))
