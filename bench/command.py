"""From a command's publication at the broker to its question at the meter, while the line is full of profile reads.

Three ptys at 9600 Bd with ciphered meters that hold ten days the daemon has not read yet; the head-end asks for daily
values, which nobody else does, of one meter of each line at a time. What is timed includes the association with the
meter: the moment the meter gives.
"""

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bench.figures import Figure, percentile
from dcu.obis import parse_obis
from sim.fleet import FleetPlan
from sim.meter import SimMeter
from sim.stage import Setting, Stage, set_stage

TIMETABLE = {"load0": (900, 864_000), "load1": (900, 864_000)}
DAILY = parse_obis("1-0:99.2.0.255")
DAY = 86_400

#: Meters in all, and commands to each line; for a quick answer, so many as 50 s have room for.
METERS, COMMANDS = 1024, 80
METERS_QUICK, COMMANDS_QUICK = 96, 9

#: Seconds until the lines are certainly full, and the longest pause between two commands to one.
WARM = 5.0
PAUSE = 1.0


class Noting(Counter[bytes]):
    """Counts as the meter does, and sets `asked` when daily values are given."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()

    def __setitem__(self, name: bytes, count: int) -> None:
        super().__setitem__(name, count)
        if name == DAILY:
            self.asked.set()


def run(quick: bool) -> Sequence[Figure]:  # noqa: FBT001 - the one question every benchmark is asked
    with tempfile.TemporaryDirectory() as folder:
        sizes = (METERS_QUICK, COMMANDS_QUICK) if quick else (METERS, COMMANDS)
        times = asyncio.run(_play(Path(folder), *sizes))
    shown = ", ".join(f"{name} {percentile(times, share):.2f}" for name, share in (("median", 0.5), ("p99", 0.99)))
    print(f"{len(times)} commands to {sizes[0]} meters: {shown} s, slowest {max(times):.2f} s")
    return [Figure("command", "p99_s", percentile(times, 0.99))]


async def _play(folder: Path, meters: int, commands: int) -> list[float]:
    plan = FleetPlan(meters=meters, buses=3, baud=9600, turnaround=0.02, hls=256)
    async with set_stage(Setting(plan, TIMETABLE), folder) as stage:
        await stage.daemon.start()
        await asyncio.sleep(WARM)
        lines = [
            asyncio.create_task(_line(stage, bus.meters, commands, random.Random(seed)))
            for seed, bus in enumerate(stage.fleet.buses)
        ]
        times = [each for line in lines for each in await line]
        status = await stage.daemon.status()
        print(", ".join(f"{name} busy {bus['use'] * 100:.0f} %" for name, bus in status["buses"].items()))
        return times


async def _line(stage: Stage, meters: Sequence[SimMeter], commands: int, dice: random.Random) -> list[float]:
    """Return the seconds of each of `commands` to some of `meters`, one after the other with pauses."""
    times = []
    for meter in dice.choices(meters, k=commands):
        await asyncio.sleep(dice.uniform(0, PAUSE))
        times.append(await _command(stage, meter))
    return times


async def _command(stage: Stage, meter: SimMeter) -> float:
    """Return the seconds until `meter` was asked."""
    noting = meter.served = Noting()
    loop = asyncio.get_running_loop()
    now = int(stage.setting.clock.now())
    began = loop.time()
    asking = asyncio.create_task(
        stage.head.command("meter.read", meter.id, {"profile": "daily", "from": now - 3 * DAY, "to": now})
    )
    await noting.asked.wait()
    taken = loop.time() - began
    result = await asking
    assert result["state"] == "done", result
    return taken
