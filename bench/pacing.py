"""Whether a line in virtual time is paced as one in the world is: the same sweep in both, visit by visit.

The sweeps are those of `bench.collecting`; how near the two have to be is the judgement of whoever asks.
"""

from dataclasses import dataclass
from pathlib import Path

from bench.collecting import Collecting, Setup, play, play_for_real
from sim.fleet import FleetPlan

#: A minute after an hour: all is due once, and nothing more for the next fourteen minutes.
ORIGIN = 1_790_000_000.0 // 3600 * 3600 + 60

TASKS = {"instant": {"every": "1h"}, "load0": {"every": "1h", "backfill": "1h"}}


@dataclass(frozen=True, slots=True)
class Pace:
    """How one line was swept: the seconds that each visit took, octets (in, out), and seconds accounted to the line.

    The latter are those of the octets, and a turnaround for each request; they depend on no clock.
    """

    visits: tuple[float, ...]
    octets: tuple[int, int]
    line: float

    @property
    def taken(self) -> float:
        return sum(self.visits)


def paces(folder: Path, meters: int) -> tuple[Pace, Pace]:
    """Sweep one line of `meters` new meters in virtual time and on a pty, with the same truth; return both paces."""
    setup = Setup(FleetPlan(meters=meters, buses=1, hls=0), TASKS)
    virtual = play(setup, folder / "virtual", swept, origin=ORIGIN)
    return virtual, play_for_real(setup, folder / "real", swept, origin=ORIGIN)


async def swept(site: Collecting) -> Pace:
    """Let the one line of `site` make its visits until nothing is due."""
    (bus,), (poll,) = site.fleet.wires, site.polls.values()
    visits: list[float] = []
    while not visits or poll.plan.counts().due:
        made, start = poll.health.visits, site.clock.monotonic()
        await poll.step()
        if poll.health.visits > made:
            visits.append(site.clock.monotonic() - start)
    counters = bus.counters
    line = counters.busy + counters.requests * site.fleet.plan.turnaround
    return Pace(tuple(visits), (counters.octets_in, counters.octets_out), line)
