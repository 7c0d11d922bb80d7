"""From kill -9 of the daemon to the next capture it stored, with a week of 1024 meters kept and not delivered.

The box is that of `memory` and `start`; its broker is gone, so that the backlog stays. The next capture is found by
looking into the database from outside, as it is committed. What the backlog costs a start, and memory before and while
it leaves, is told too.
"""

import asyncio
import sqlite3
import statistics
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
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

#: Captures that come before memory is looked at, and seconds for which the backlog leaves.
SETTLED = 256
LEAVING, QUICK_LEAVING = 60.0, 5.0


def run(quick: bool) -> Sequence[Figure]:  # noqa: FBT001 - the one question every benchmark is asked
    rounds, leaving = (3, QUICK_LEAVING) if quick else (9, LEAVING)
    times, start, grown = on_box(TIMETABLE, lambda stage, byte_code: _recoveries(stage, byte_code, rounds, leaving))
    print(f"{rounds} kills: {min(times):.3f} to {max(times):.3f} s, median taken")
    found = {"seconds": statistics.median(times), "start_seconds": start, "grown_mb": grown}
    return [Figure("recovery", metric, value) for metric, value in found.items()]


async def _recoveries(
    stage: Stage, byte_code: Path, rounds: int, leaving: float
) -> tuple[Sequence[float], float, float]:
    """Return the seconds of each recovery, of a start with the week, and the MB by which memory was larger with it."""
    path = next(stage.directory.rglob("store.db"))
    await stage.broker.stop()
    with _outside(path) as database:
        _, without = await _started(stage, byte_code, database)
    await stage.daemon.stop()
    await _fill(path)
    with _outside(path) as database:
        print(f"{path.stat().st_size / 1e6:.1f} MB, {_held(database, STREAM)} captures wait in the store")
        start, rss = await _started(stage, byte_code, database)
        times = [await _recovery(stage, byte_code, database) for _ in range(rounds)]
    await stage.broker.start()
    held = [rss, *await _leaves(stage, leaving)]
    print(f"while {leaving:.0f} s of it leave: at most {max(held):.1f} MB resident")
    await stage.daemon.stop()
    return times, start, max(held) - without


def _outside(path: Path) -> AbstractContextManager[sqlite3.Connection]:
    """Look into the database; not while this process has a store open on it, whose locks would go with ours."""
    return closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True))


async def _started(stage: Stage, byte_code: Path, database: sqlite3.Connection) -> tuple[float, float]:
    """Return the seconds of a start, and the resident MB once it is at work."""
    before = _held(database, "instant")
    seconds = await first_octet(stage, byte_code)
    await _next(database, before + SETTLED)
    rss = resident(stage.daemon.pid).rss
    print(f"with {_held(database, STREAM)} captures held: {seconds:.3f} s to the first octet, {rss:.1f} MB resident")
    return seconds, rss


async def _recovery(stage: Stage, byte_code: Path, database: sqlite3.Connection) -> float:
    loop = asyncio.get_running_loop()
    await _next(database, _held(database, "instant"))
    await stage.daemon.kill()
    before, start = _held(database, "instant"), loop.time()
    await stage.daemon.spawn(PYTHONDONTWRITEBYTECODE="", PYTHONPYCACHEPREFIX=str(byte_code))
    await _next(database, before)
    return loop.time() - start


async def _leaves(stage: Stage, seconds: float) -> list[float]:
    """Return the resident MB, second by second, while the backlog goes to the broker."""
    found = []
    for _ in range(int(seconds)):
        await asyncio.sleep(1)
        found.append(resident(stage.daemon.pid).rss)
    left = (await stage.daemon.status())["store"]["streams"][STREAM]["pending"]
    print(f"{left} captures of the backlog are left")
    return found


async def _fill(path: Path) -> None:
    async with Store.open(path, SystemClock()) as store:
        now = int(SystemClock().now()) // 900 * 900
        for day in range(DAYS, 0, -1):
            for first in range(0, METERS, COMPANY):
                visits = (_day(meter, now - day * 86_400) for meter in range(first, first + COMPANY))
                await asyncio.gather(*(store.readings.record(visit, {}) for visit in visits))


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
