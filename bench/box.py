"""The box that `memory` and `start` look at: `dcu run` as a process, 1024 meters on three paced ptys, a real broker.

What is measured on it is in those two; how it is built is in `sim.stage`.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from sim.fleet import FleetPlan
from sim.stage import Setting, Stage, Timetable, set_stage

METERS = 1024

#: At 9600 Bd a sweep takes most of an hour; the daemon's side of a visit is the same at this rate, only sooner over.
BAUD = 115_200
TURNAROUND = 0.002

#: How closely the arrival of the first octet is observed, in seconds.
LOOK = 0.001

#: Seconds for the first octet to appear.
PATIENCE = 20.0

T = TypeVar("T")


def on_box(timetable: Timetable, work: Callable[[Stage, Path], Coroutine[Any, Any, T]]) -> T:
    """Return what `work(stage, byte_code)` finds on a box whose daemon has run once, so that its code is compiled."""
    return asyncio.run(_on_box(timetable, work))


async def _on_box(timetable: Timetable, work: Callable[[Stage, Path], Coroutine[Any, Any, T]]) -> T:
    async with _compiled(timetable) as (stage, byte_code):
        return await work(stage, byte_code)


@asynccontextmanager
async def _compiled(timetable: Timetable) -> AsyncIterator[tuple[Stage, Path]]:
    plan = FleetPlan(meters=METERS, buses=3, baud=BAUD, turnaround=TURNAROUND)
    with tempfile.TemporaryDirectory() as folder:
        byte_code = Path(folder) / "byte-code"
        async with set_stage(Setting(plan, timetable), Path(folder) / "site") as stage:
            print(f"{METERS} meters, one of four ciphered, on 3 ptys at {BAUD} Bd; broker: {stage.broker.kind}")
            await first_octet(stage, byte_code)
            await stage.daemon.stop()
            yield stage, byte_code


async def first_octet(stage: Stage, byte_code: Path) -> float:
    """Start the daemon; return the seconds until the first octet of a request was on a line, as the meters see it.

    It runs as an installed package does, from byte code on the disk, whatever this environment asks of Python.
    Raises TimeoutError when none comes.
    """
    loop = asyncio.get_running_loop()
    before, start = _heard(stage), loop.time()
    await stage.daemon.spawn(PYTHONDONTWRITEBYTECODE="", PYTHONPYCACHEPREFIX=str(byte_code))
    async with asyncio.timeout(PATIENCE):
        while _heard(stage) == before:  # noqa: ASYNC110 - the line tells nobody
            await asyncio.sleep(LOOK)
    return loop.time() - start


def _heard(stage: Stage) -> int:
    return sum(bus.counters.octets_in for bus in stage.fleet.buses)
