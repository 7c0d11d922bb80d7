"""A command from the head-end while a slow line is busy for long: it is at its meter within 5 s of line time."""

import asyncio

from sim.fleet import FleetPlan
from sim.line import BITS_PER_OCTET
from sim.stage import Setting, Stage
from tests.system.overhearing import Overheard, overtaking
from tests.system.playing import Play

#: Days of quarter hours take half a minute at this rate. On the slowest lines it is shown in faster time:
#: tests/faults/test_overtaking.py.
SLOW = 4800
DAYS = 4 * 86_400
PLAN = FleetPlan(meters=2, buses=1, baud=SLOW, hls=0)

#: Seconds to the meter's line; how many octets pass in them does not depend on the machine.
BOUND = 5.0
OCTETS = BOUND * SLOW / BITS_PER_OCTET


def test_a_command_overtakes_days_of_rows_on_a_slow_line(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        overheard = Overheard(stage.fleet.wires[0].line)
        await stage.daemon.start()
        await asyncio.wait_for(overheard.busy.wait(), 60.0)
        found = await overtaking(stage, overheard, stage.fleet.archive[-1])
        assert found.answer["state"] == "done"
        assert found.octets <= OCTETS
        bus = (await stage.daemon.status())["buses"]["rs485-1"]
        assert (bus["yielded"], bus["silent"]) == (1, 0)
        # that nothing is lost by it is shown there, too
        assert await stage.daemon.stop() == 0

    play(scenario, Setting(PLAN, {"load0": (900, DAYS)}))
