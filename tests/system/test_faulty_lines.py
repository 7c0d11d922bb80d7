"""What goes wrong on real lines costs time, never a reading: noise, losses, strangers' answers, dead meters."""

from dataclasses import replace

import pytest

from dcu.dlms.hdlc_link import ANSWER_REPEATS
from dcu.plan.failing import DEAD_AFTER
from sim.faults import Faults
from sim.fleet import FleetPlan
from sim.stage import Setting, Stage, Timetable
from tests.system.playing import Play, answer_timeout, assert_even, finish, pass_time

#: Long intervals: what is read in a test is read for the backfill, and retried until it is there.
TIMETABLE: Timetable = {"instant": (3600, 0), "load0": (3600, 7200), "event.fraud": (3600, 5 * 86_400)}

#: How much faster than the world: a meter that failed rests for half a minute and more.
SPEED = 15.0

#: Later than all the time-outs of a question: the answer comes when another meter is being asked.
LATE_BY = answer_timeout(SPEED) * (1 + ANSWER_REPEATS) + 1.0


@pytest.mark.parametrize(
    "faults",
    [
        Faults(byte_errors=0.0003),
        Faults(frame_loss=0.03),
        Faults(misaddressed=0.1),
        Faults(late=0.1, late_by=LATE_BY),
        Faults(chatter=0.2),
        Faults(byte_errors=0.0001, frame_loss=0.02, misaddressed=0.03, late=0.02, late_by=LATE_BY, chatter=0.05),
    ],
    ids=["noise", "loss", "another meter's address", "late answers", "chatter", "all together"],
)
def test_a_faulty_line_delays_readings_and_falsifies_none(play: Play, faults: Faults) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.daemon.start()
        await stage.settled(100)
        await finish(stage)
        counters = stage.fleet.wires[0].counters
        chances = {"garbled": faults.byte_errors, "lost": faults.frame_loss, "late": faults.late}
        chances |= {"misaddressed": faults.misaddressed, "chatter": faults.chatter}
        assert any(chance and getattr(counters, fault) for fault, chance in chances.items())

    play(scenario, Setting(FleetPlan(meters=6, buses=1, faults=faults), TIMETABLE), speed=SPEED)


def test_a_meter_that_always_answers_for_another_never_yields_a_value(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        await stage.daemon.start()
        while not (await stage.daemon.status())["buses"]["rs485-1"]["silent"] > 3:
            await pass_time(stage)
        assert stage.delivered() == 0

    faults = Faults(misaddressed=1.0)
    play(scenario, Setting(FleetPlan(meters=3, buses=1, faults=faults), TIMETABLE), speed=SPEED)


def test_dead_meters_cost_the_living_no_more_than_their_time_outs(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        dead = {"M0002", "M0005"}
        living = [meter.id for meter in stage.fleet.meters if meter.id not in dead]
        stage.fleet.silence(*dead)
        await stage.daemon.start()
        await stage.head.until(lambda: set(living) <= {key[0] for key in stage.head.tally.captures}, patience=60)
        # the last readings are here before their visit has said goodbye
        while (bus := (await stage.daemon.status())["buses"]["rs485-1"])["ok"] < len(living):
            await pass_time(stage, 0.1)
        assert bus["silent"] <= len(dead) * DEAD_AFTER
        stage.fleet.silence()
        await finish(stage)

    play(scenario, Setting(FleetPlan(meters=8, buses=1), TIMETABLE), speed=SPEED)


def test_a_line_on_which_nobody_answers_leaves_the_others_alone_and_says_so(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        broken = stage.fleet.wires[0]
        broken.faults = replace(broken.faults, silent=frozenset(meter.id for meter in broken.meters))
        await stage.daemon.start()
        others = {meter.id for meter in stage.fleet.wires[1].meters}
        await stage.head.until(lambda: others <= {key[0] for key in stage.head.tally.captures}, patience=60)
        while not (bus := (await stage.daemon.status())["buses"]["rs485-1"])["silent"]:
            await pass_time(stage, 0.1)
        assert bus["ok"] == 0
        assert "silent" in bus["error"]
        broken.silence()
        end = await stage.settled()
        assert_even(stage, end)

    play(scenario, Setting(FleetPlan(meters=4, buses=2), TIMETABLE), speed=SPEED)
