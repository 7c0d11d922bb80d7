"""From exec to the first octet of a request on a line, with 1024 meters configured: a start, and starts again.

The store holds next to nothing; how long a large backlog delays a start is asked by another benchmark.
"""

import statistics
from collections.abc import Sequence
from pathlib import Path

from bench.box import first_octet, on_box
from bench.figures import Figure
from dcu.conversation.session import QUIET
from sim.stage import Stage

TIMETABLE = {"instant": (300, 0), "load0": (900, 86_400)}


def run(quick: bool) -> Sequence[Figure]:  # noqa: FBT001 - the one question every benchmark is asked
    rounds = 7 if quick else 21
    times = on_box(TIMETABLE, lambda stage, byte_code: _starts(stage, byte_code, rounds))
    print(f"{rounds} starts: {min(times):.3f} to {max(times):.3f} s, median taken; byte code was compiled before")
    print(f"of it, {QUIET} s the daemon only listens: the line has to be silent before a first request")
    return [Figure("start", "seconds", statistics.median(times))]


async def _starts(stage: Stage, byte_code: Path, rounds: int) -> list[float]:
    times = []
    for _ in range(rounds):
        times.append(await first_octet(stage, byte_code))
        await stage.daemon.stop()
    return times
