"""From kill -9 of the daemon to the next capture it stored, with a week of 1024 meters kept and not delivered.

The box is that of `memory` and `start`; its broker is gone, so that the backlog stays. The next capture is found by
looking into the database from outside, as it is committed.
"""

import asyncio
import sqlite3
import statistics
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from bench.box import METERS, first_octet, on_box
from bench.figures import Figure
from bench.memory import resident
from bench.store import COLUMNS
from dcu.clock import SystemClock
from dcu.model import Capture
from dcu.store import Store
from sim.stage import Stage

TIMETABLE = {"instant": (10, 0)}

#: What waits: days of quarter-hourly rows of a stream that is not read meanwhile.
STREAM, DAYS, ROWS = "load0", 7, 96

#: Meters whose day shares a commit.
COMPANY = 16

LOOK = 0.005
PATIENCE = 60.0


def run(quick: bool) -> Sequence[Figure]:  # noqa: FBT001 - the one question every benchmark is asked
    rounds = 3 if quick else 9
    times = on_box(TIMETABLE, lambda stage, byte_code: _recoveries(stage, byte_code, rounds))
    print(f"{rounds} kills: {min(times):.3f} to {max(times):.3f} s, median taken")
    return [Figure("recovery", "seconds", statistics.median(times))]


async def _recoveries(stage: Stage, byte_code: Path, rounds: int) -> list[float]:
    path = next(stage.directory.rglob("store.db"))
    await stage.broker.stop()
    await _fill(path)
    loop = asyncio.get_running_loop()
    times = []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        print(f"{path.stat().st_size / 1e6:.1f} MB, {_held(database, STREAM)} captures wait in the store")
        await first_octet(stage, byte_code)
        for _ in range(rounds):
            await _next(database, _held(database, "instant"))
            await stage.daemon.kill()
            before, start = _held(database, "instant"), loop.time()
            await stage.daemon.spawn(PYTHONDONTWRITEBYTECODE="", PYTHONPYCACHEPREFIX=str(byte_code))
            await _next(database, before)
            times.append(loop.time() - start)
        print(f"{resident(stage.daemon.pid).rss:.1f} MB resident after the last")
    await stage.daemon.stop()
    return times


async def _fill(path: Path) -> None:
    async with Store.open(path, SystemClock()) as store:
        now = int(SystemClock().now()) // 900 * 900
        for day in range(DAYS, 0, -1):
            for first in range(0, METERS, COMPANY):
                visits = (_day(meter, now - day * 86_400) for meter in range(first, first + COMPANY))
                await asyncio.gather(*(store.record(visit, {}) for visit in visits))


def _day(meter: int, begin: int) -> list[Capture]:
    """Return a day's rows of a meter: eight registers that count, each at a pace of its own."""
    return [
        Capture(
            f"M{meter + 1:04}",
            STREAM,
            begin + 900 * row,
            0,
            tuple(_value(meter, begin // 900 + row, column) for column in range(8)),
            COLUMNS,
            begin + 86_500.0,
            -0.375,
            trusted=True,
        )
        for row in range(ROWS)
    ]


def _value(meter: int, number: int, column: int) -> int:
    return 10**6 * column + meter * 997 + number * (column * 37 + meter % 53) + number * number * 7919 % (61 + column)


def _held(database: sqlite3.Connection, stream: str) -> int:
    """Return the last position of a stream."""
    [(tail,)] = database.execute("SELECT coalesce(max(tail), 0) FROM tails WHERE name = ?", (stream,)).fetchall()
    return int(tail)


async def _next(database: sqlite3.Connection, before: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while _held(database, "instant") <= before:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(LOOK)
