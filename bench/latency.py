"""How late the daemon's event loop is: 96 meters on three ptys, all of them ciphered, load profiles and registers.

The lines are never idle. The figure is the 99th percentile at 9600 Bd; what faster lines make of it is printed too.
"""

import asyncio
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.figures import Figure, percentile
from sim.fleet import FleetPlan
from sim.process import DaemonProcess
from sim.stage import Setting, set_stage

TIMETABLE = {"instant": (10, 0), "load0": (900, 864_000), "load1": (900, 864_000)}

#: Lines at the usual rate, and as fast as any.
BAUDS = (9600, 115_200)

#: The first seconds belong to the start.
WARM = 5.0


def run(quick: bool) -> Sequence[Figure]:  # noqa: FBT001 - the one question every benchmark is asked
    figures = []
    for baud in BAUDS:
        lags = asyncio.run(_lags(baud, 15.0 if quick else 60.0))
        middle, usual, worst = (percentile(lags, share) * 1000 for share in (0.5, 0.99, 1.0))
        print(f"{baud} Bd: {len(lags)} looks, median {middle:.2f} ms, p99 {usual:.2f} ms, worst {worst:.1f} ms")
        figures.append(usual)
    return [Figure("latency", "p99_ms", figures[0])]


async def _lags(baud: int, seconds: float) -> list[float]:
    plan = FleetPlan(meters=96, buses=3, baud=baud, turnaround=0.02, hls=256)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        async with set_stage(Setting(plan, TIMETABLE), path) as stage:
            found = path / "lags.json"
            probe = ("-m", "bench.probe", str(found), "dcu")
            async with DaemonProcess(stage.config, path / "dcu.sock", path / "dcu.log", program=probe) as daemon:
                await asyncio.sleep(WARM + seconds)
                status = await daemon.status()
            visits = sum(bus["visits"] for bus in status["buses"].values())
            print(f"{baud} Bd: {visits} visits, {sum(bus['captures'] for bus in status['buses'].values())} captures")
            lags: list[float] = json.loads(found.read_text())
            return lags[round(len(lags) * WARM / (WARM + seconds)) :]
