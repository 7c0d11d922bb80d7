"""Of the captures that reachable meters made, those stored within a period: 1 % of frames lost, 2 % of meters dead.

A day of 1024 meters (three lines at 9600 Bd, and some behind a gateway) in virtual time, through the daemon's own
flows into a real store; then every capture is compared with the meter's truth, and so is what the daemon itself says of
what is missing and of who can be reached. The dead may take no more of a line than their budget.
"""

import sqlite3
import tempfile
import zlib
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path

from bench.bookkeeping import contradictions
from bench.collecting import Collecting, play, setup_of
from bench.figures import Figure
from dcu.cli.logs import set_up_logs
from dcu.plan.planner import DEAD_SHARE
from dcu.polling.poll import Poll
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
        share, dead = play(setup_of(plan, TIMETABLE), Path(folder), lambda site: _collect(site, hours), origin=ORIGIN)
    return [Figure("success", "share", share), Figure("success", "dead_budget", dead)]


async def _collect(site: Collecting, hours: int) -> tuple[float, float]:
    """Return the share of the captures stored in time, and how much of their budget the dead took on a line at most."""
    dead = {meter.id for meter in site.fleet.meters[::ONE_DEAD_OF]}
    site.fleet.silence(*dead)
    await site.collect(hours * 3600)
    took = {name: _taken(poll, dead) / (hours * 3600 * DEAD_SHARE) for name, poll in site.polls.items()}
    for name, poll in site.polls.items():
        health = poll.health
        print(
            f"{name}: {health.visits} visits, {health.ok} good, {health.silent} silent; busy"
            f" {health.busy / hours / 36:.1f} % of the time, of their budget the dead took {100 * took[name]:.0f} %"
        )
    uneven = [line for line in await site.account(TIMETABLE, dead) if line.wrong or line.missing]
    assert not uneven, uneven
    false = await contradictions(site, "load0", dead, {})
    assert not false, false
    print("nothing is wrong, nothing of a reachable meter missing; ledger and list of meters agree with the truth")
    in_time, made = _in_time(site, dead)
    print(f"{in_time} of {made} captures of {len(site.fleet.meters) - len(dead)} reachable meters were stored in time")
    return in_time / made, max(took.values())


def _taken(poll: Poll, meters: Collection[str]) -> float:
    """Return the seconds that visits to `meters` took of a line."""
    return sum(poll.airtimes.seconds.get(meter, 0.0) for meter in meters)


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
