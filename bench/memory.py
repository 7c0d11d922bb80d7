"""Resident memory of the daemon while it polls 1024 meters, once every meter was visited and all buffers are warm.

The meters, the broker and the head-end run in other processes and are not counted. A MB here is 10^6 octets.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.box import METERS, first_octet, on_box
from bench.figures import Figure
from sim.stage import Stage

#: Everything a utility asks for; `instant` is due so often that the lines are never idle.
TIMETABLE = {
    "instant": (60, 0),
    "load0": (900, 7200),
    "load1": (900, 7200),
    "daily": (86_400, 604_800),
    "billing": (86_400, 5_356_800),
    "event.standard": (900, 604_800),
    "event.fraud": (300, 604_800),
    "event.disconnector": (900, 604_800),
}

#: Visits before the figure is taken: every meter twice; a quick answer sees a part of them.
WARM = 2 * METERS
QUICK_SECONDS = 36.0

#: The longest wait for them.
PATIENCE = 600.0

#: Seconds between two looks.
LOOK = 1.0


@dataclass(frozen=True, slots=True)
class Resident:
    """Memory of a process in MB: resident, its peak, shared pages counted by share, and what no file backs."""

    rss: float
    peak: float
    pss: float
    anonymous: float


def resident(pid: int) -> Resident:
    """Read it from /proc."""
    text = Path(f"/proc/{pid}/status").read_text() + Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = (re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE) for name in ("VmRSS", "VmHWM", "Pss", "RssAnon"))
    return Resident(*(int(match[1]) * 1024 / 1e6 for match in found if match))


def run(quick: bool) -> Sequence[Figure]:  # noqa: FBT001 - the one question every benchmark is asked
    found, visits = on_box(TIMETABLE, lambda stage, byte_code: _poll(stage, byte_code, quick=quick))
    print(f"after {visits} visits: {found.rss:.1f} MB resident (VmRSS), peak {found.peak:.1f}, PSS {found.pss:.1f},")
    print(f"  of it {found.anonymous:.1f} anonymous, the rest are pages of files, shared where others use them too")
    return [Figure("memory", "rss_mb", found.rss)]


async def _poll(stage: Stage, byte_code: Path, *, quick: bool) -> tuple[Resident, int]:
    await first_octet(stage, byte_code)
    loop = asyncio.get_running_loop()
    end = loop.time() + (QUICK_SECONDS if quick else PATIENCE)
    while (visits := _visits(await stage.daemon.status())) < WARM and loop.time() < end:  # noqa: ASYNC110 - it is another process
        await asyncio.sleep(LOOK)
    return resident(stage.daemon.pid), visits


def _visits(status: dict[str, Any]) -> int:
    return sum(bus["visits"] for bus in status["buses"].values())
