"""What the line is used for: a sweep against its own line time, and the line time of one visit.

The sweep is made by the daemon's own flows (plan, session, visit, store) over 1024 simulated meters on three lines in
virtual time: the lines pace every octet as on a pty, only the waiting is skipped. That this pacing equals real pacing
is a figure of the same run: one line is swept in both for a minute.
"""

import asyncio
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench.collecting import Collecting, Setup, play
from bench.figures import Figure
from bench.pacing import ORIGIN, TASKS, paces
from dcu.archive import Archive
from dcu.conversation.visit import Findings
from dcu.obis import format_obis
from dcu.profiles import load_profile
from dcu.store import Recorded
from sim.fleet import PROFILE, FleetPlan
from sim.line import LineCounters
from sim.site import Task

BAUD = 9600
TURNAROUND = 0.02

#: The unit of the visit figures: the line time, in seconds, of the reference visit over an open association.
REFERENCE = 0.468

#: Rows of load profile 0 that wait for each reference visit, and the registers it asks for beside the clock.
ROWS, REGISTERS = 4, 9
PERIOD = 900

#: What a visit brought is committed within this many seconds, and only then known as read.
SETTLED = 5.0

#: How the meters of the reference visits send their rows; the figures are those of the first.
METERS = {"whole rows": False, "null-data in rows": True}

#: Meters on the line that is swept in virtual and in real time: a minute of it, and less for a quick answer.
PACED, PACED_QUICK = 42, 8


def run(quick: bool) -> Sequence[Figure]:  # noqa: FBT001 - the one question every benchmark is asked
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        setup = Setup(_plan(256 if quick else 1024, 3), TASKS)
        ratio = play(setup, path / "sweep", _swept, origin=ORIGIN)
        visits, _ = [_visits(path / name, compressed=compressed) for name, compressed in METERS.items()]
        pacing = _pacing(path, PACED_QUICK if quick else PACED)
    return [
        Figure("wire", "line_ratio", ratio),
        *(Figure("wire", name, seconds / REFERENCE) for name, seconds in visits.items()),
        Figure("wire", "pacing", pacing),
    ]


def line_time(counters: LineCounters) -> float:
    """Return what the conversation costs on any line: 10 bits per octet, and one turnaround per round trip."""
    return 10 * (counters.octets_in + counters.octets_out) / BAUD + counters.requests * TURNAROUND


def _plan(meters: int, buses: int, hls: int = 64) -> FleetPlan:
    return FleetPlan(meters=meters, buses=buses, baud=BAUD, turnaround=TURNAROUND, hls=hls)


async def _swept(site: Collecting) -> float:
    """Return by how much a sweep takes longer than it has to, on the slowest line."""
    await site.sweep()  # the first of the day learns what the meters hold and who they are
    before = {bus.name: line_time(bus.counters) for bus in site.fleet.buses}
    visits = {name: poll.health.visits for name, poll in site.polls.items()}
    await asyncio.sleep(3600 - site.clock.now() % 3600)
    taken = await site.sweep()
    ratios = []
    for bus in site.fleet.buses:
        least = line_time(bus.counters) - before[bus.name]
        health = site.polls[bus.name].health
        made = health.visits - visits[bus.name]
        print(f"{bus.name}: {made} visits in {taken[bus.name]:.1f} s, of which {least:.1f} s on the line")
        assert health.ok == health.visits
        ratios.append(taken[bus.name] / least)
    return max(ratios)


def _visits(folder: Path, *, compressed: bool) -> dict[str, float]:
    """Return the line times of the reference visits as the daemon's flow makes them, to one meter under LLS.

    Its rows are written out, or `compressed`: null-data for what repeats.
    """
    registers = [format_obis(each.name) for each in load_profile(PROFILE).registers[:REGISTERS]]

    def setup(every: str, keep_open: str) -> Setup:
        tasks: dict[str, Task] = {"list": {"every": every, "objects": registers}, "load0": {"every": "1m"}}
        return Setup(_plan(1, 1, hls=0), tasks, {"keep_open": keep_open})

    async def visits(site: Collecting) -> list[float]:
        meter = site.fleet.meters[0]
        meter.plate = replace(meter.plate, compressed=compressed)
        await _visit(site)  # the first one of the day asks besides who the meter is
        return [await _visit(site), await _visit(site)]

    reconnect = max(play(setup("1m", "0s"), folder / "anew", visits, origin=ORIGIN))
    # every other minute the registers are due too
    open_rows, open_both = sorted(play(setup("2m", "90s"), folder / "kept", visits, origin=ORIGIN))
    found = {"visit_reconnect": reconnect, "visit_open": open_both, "rows_open": open_rows}
    print(f"{folder.name}: " + ", ".join(f"{visit} {seconds:.3f} s" for visit, seconds in found.items()))
    return found


async def _visit(site: Collecting) -> float:
    """Let the next visit be made, wherever in time it is, with ROWS rows waiting; return its line time."""
    (bus,), (poll,) = site.fleet.wires, site.polls.values()
    await asyncio.sleep(SETTLED)
    _owe(poll.archive, bus.meters[0].id, int(site.clock.now()) - ROWS * PERIOD)
    visits, before = poll.health.visits, line_time(bus.counters)
    while poll.health.visits == visits:
        await poll.step()
    assert poll.health.ok == poll.health.visits
    return line_time(bus.counters) - before


def _owe(archive: Archive, meter: str, since: int) -> None:
    """Let the flow believe that the rows after `since` are not read yet."""
    archive.stored(Findings(watermarks={(meter, "load0"): since}), Recorded({}), 0.0)


def _pacing(folder: Path, meters: int) -> float:
    """Return how much longer the middle one of the same visits takes through a pty than in virtual time."""
    virtual, real = paces(folder / "pacing", meters)
    print(
        f"pacing: {meters} new meters took {virtual.taken:.2f} s in virtual time and {real.taken:.2f} s on a pty;"
        f" octets {virtual.octets} and {real.octets}, {virtual.line:.2f} and {real.line:.2f} s of line time"
    )
    assert (len(real.visits), real.octets) == (len(virtual.visits), virtual.octets)
    return statistics.median(b / a for a, b in zip(virtual.visits, real.visits, strict=True))
