"""A command from the head-end while a slow line is busy for minutes: it is at its meter within 5 s."""

import asyncio

from dcu.dlms.hdlc import ServerAddress
from sim.fleet import FleetPlan
from sim.stage import Setting, Stage
from tests.system.playing import Play

#: A day of quarter hours takes half a minute at this rate.
SLOW = 1200
DAY = 86_400
PLAN = FleetPlan(meters=2, buses=1, baud=SLOW, hls=0)

#: Seconds from the head-end to the meter's line.
BOUND = 5.0


class Overheard:
    """Notes when frames begin to pass on the line of a stage."""

    def __init__(self, stage: Stage) -> None:
        line = stage.fleet.wires[0].line
        self.sent: list[tuple[float, bytes]] = []
        self.busy = asyncio.Event()
        self._line = line
        self._take = line.receive_data
        line.receive_data = self.receive_data  # type: ignore[method-assign] # overheard, and passed on

    def receive_data(self, data: bytes, now: float) -> None:
        self.sent.append((now, data))
        if self._line.counters.octets_out > 2000:
            self.busy.set()
        self._take(data, now)

    def first(self, address: int, since: float) -> float:
        """Return when the first frame to `address` passed after `since`."""
        octets = ServerAddress(1, address, 4).to_bytes()
        return next(at for at, data in self.sent if at >= since and data[3:7] == octets)


def test_a_command_overtakes_a_day_of_rows_on_a_slow_line(play: Play) -> None:
    async def scenario(stage: Stage) -> None:
        overheard = Overheard(stage)
        await stage.daemon.start()
        await asyncio.wait_for(overheard.busy.wait(), 60.0)
        began = asyncio.get_running_loop().time()
        last = PLAN.meters - 1
        answer = await stage.head.command("meter.read", stage.fleet.meters[last].id)
        assert answer["state"] == "done"
        assert overheard.first(stage.fleet.archive[last].address, began) - began <= BOUND
        bus = (await stage.daemon.status())["buses"]["rs485-1"]
        assert (bus["yielded"], bus["silent"]) == (1, 0)
        # that nothing is lost by it is shown in faster time: tests/faults/test_overtaking.py
        assert await stage.daemon.stop() == 0

    play(scenario, Setting(PLAN, {"load0": (DAY, DAY)}))
