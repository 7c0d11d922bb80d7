"""Of the captures that reachable meters made, those stored within a period: 1 % of frames lost, 2 % of meters dead.

A day of 1024 meters (three lines at 9600 Bd, and some behind a gateway) in virtual time, through the daemon's own
flows into a real store; then every capture is compared with the meter's truth.
"""

import sqlite3
import tempfile
import zlib
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from bench.figures import Figure
from dcu.cli.logs import set_up_logs
from sim.collecting import Collecting, play, setup_of
from sim.faults import Faults
from sim.fleet import FleetPlan

PERIOD = 900
ORIGIN = 1_790_000_100.0
TIMETABLE = {"load0": (PERIOD, 2 * PERIOD), "event.fraud": (PERIOD, 86_400)}

#: Of this many meters one says nothing for good: 2 %.
ONE_DEAD_OF = 50


def run(quick: bool) -> Sequence[Figure]:  # noqa: FBT001 - the one question every benchmark is asked
    meters, hours = (256, 3) if quick else (1024, 24)
    set_up_logs("error")
    plan = FleetPlan(meters=meters, buses=3, tcp_meters=meters // 8, faults=Faults(frame_loss=0.01))
    with tempfile.TemporaryDirectory() as folder:
        share = play(setup_of(plan, TIMETABLE), Path(folder), lambda site: _collect(site, hours), origin=ORIGIN)
    return [Figure("success", "share", share)]


async def _collect(site: Collecting, hours: int) -> float:
    dead = {meter.id for meter in site.fleet.meters[::ONE_DEAD_OF]}
    site.fleet.silence(*dead)
    await site.collect(hours * 3600)
    for name, poll in site.polls.items():
        health = poll.health
        print(
            f"{name}: {health.visits} visits, {health.ok} good, {health.silent} silent; busy"
            f" {health.busy / hours / 36:.1f} % of the time, for nothing {health.wasted / hours / 36:.1f} %"
        )
    wrong = [line for line in await site.account(TIMETABLE) if line.wrong]
    assert not wrong, wrong
    in_time, made = _in_time(site, dead)
    print(f"{in_time} of {made} captures of {len(site.fleet.meters) - len(dead)} reachable meters were stored in time")
    return in_time / made


def _in_time(site: Collecting, dead: set[str]) -> tuple[int, int]:
    """Return how many captures were stored within their period, and how many were made since the start."""
    first = -(-int(site.began) // PERIOD) * PERIOD
    last = (int(site.clock.now()) // PERIOD - 1) * PERIOD
    with closing(sqlite3.connect(site.path)) as database:
        database.create_function(
            "sqlar_uncompress", 2, lambda text, n: text if len(text) == n else zlib.decompress(text)
        )
        query = "SELECT count(*) FROM readings WHERE stream = 'load0' AND at BETWEEN ? AND ? AND read_at <= at + ?"
        [(in_time,)] = database.execute(query, (first, last, PERIOD)).fetchall()
    return in_time, (len(site.fleet.meters) - len(dead)) * ((last - first) // PERIOD + 1)
