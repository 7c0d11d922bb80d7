"""What the line is used for: a sweep against its own line time, and the line time of one visit.

The sweep runs the daemon's own flows (plan, session, visit) over 1024 simulated meters on three lines in virtual time:
the lines pace every octet as on a pty, only the waiting is skipped. That this pacing equals real pacing is shown in the
same run by one visit through a real pty in real time.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from bench.figures import Figure
from dcu.archive import Archive, Kept
from dcu.bus import SerialPort
from dcu.clock import Clock, SystemClock
from dcu.clocks import Clocks
from dcu.config import BusConfig
from dcu.config.settings import ClockSettings
from dcu.events import EventSieve
from dcu.health import BusHealth, Progress
from dcu.held import Held
from dcu.invocations import Invocations
from dcu.model import INSTANT, Capture, Task, Visit
from dcu.opening import SessionMaker
from dcu.plan import BusPlan
from dcu.plan.ledger import Account, Asked
from dcu.poll import Poll
from dcu.profiles import CompanionProfile, load_profile
from dcu.session import Session
from dcu.store import Adjustment, Recorded
from dcu.visit import Findings
from sim.bus import MemoryBus, PtyBus
from sim.fleet import PROFILE, Fleet, FleetPlan, make_line
from sim.line import LineCounters
from sim.virtual import VirtualClock, VirtualLoop

TITLE = b"DCU00001"
BAUD = 9600
TURNAROUND = 0.02
ORIGIN = 1_790_000_100.0

#: The unit of the visit figures: the line time, in seconds, of the reference visit over an open association.
REFERENCE = 0.468

#: Rows of load profile 0 that wait for each visit.
ROWS = 4

T = TypeVar("T")


class Forgetful:
    """Keeps nothing of the meters' clocks."""

    async def clock_shows(self, meter: str, at: int, offset: float, *, anew: bool = False) -> None:
        """Forget it."""

    async def clock_points(self, meter: str) -> list[tuple[int, float]]:
        return []

    async def clock_newest(self) -> dict[str, tuple[int, float]]:
        return {}

    async def adjust_begins(self, meter: str, adjustment: Adjustment) -> None:
        """Forget it."""

    async def adjust_ends(self, meter: str, moved: float) -> None:
        """Forget it."""

    async def adjustments(self) -> dict[str, Adjustment]:
        return {}


class Memory:
    """A store in memory: this benchmark asks what the line costs, not what the disk does."""

    def __init__(self) -> None:
        self.captures = 0
        self._descriptors: dict[str, dict[str, Any]] = {}
        self._next = 1

    async def record(
        self,
        captures: Sequence[Capture],
        watermarks: Mapping[tuple[str, str], int],
        heard: Mapping[str, int] | None = None,
        asked: Mapping[tuple[str, str], Sequence[Asked]] | None = None,
    ) -> Recorded:
        self.captures += len(captures)
        return Recorded({key: Account(0, each[0].period, each[0].end) for key, each in (asked or {}).items()})

    async def before(self, meter: str, stream: str, end: int, limit: int) -> list[Capture]:
        return []

    async def put_descriptor(self, meter: str, name: str, data: Any) -> None:
        self._descriptors.setdefault(meter, {})[name] = data

    async def descriptors(self, meter: str) -> Mapping[str, Any]:
        return self._descriptors.get(meter, {})

    async def renounce(self, meter: str, streams: Iterable[str]) -> None:
        """Nothing is expected here."""

    async def forgo(self, meter: str) -> None:
        """Nothing is pending here."""

    async def reserve_counters(self, key: str, count: int, above: int = -1) -> range:
        self._next = max(self._next, above + 1) + count
        return range(self._next - count, self._next)

    async def counters(self) -> Mapping[str, int]:
        return {}

    async def believe_counter(self, key: str, counter: int) -> None:
        """No meter's counter goes back here."""


def line_time(counters: LineCounters) -> float:
    """Return what the conversation costs on any line: 10 bits per octet, and one turnaround per round trip."""
    return 10 * (counters.octets_in + counters.octets_out) / BAUD + counters.requests * TURNAROUND


def in_virtual_time(work: Callable[[Clock], Coroutine[Any, Any, T]]) -> T:
    loop = VirtualLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(work(VirtualClock(loop, ORIGIN)))


def run(quick: bool) -> Sequence[Figure]:  # noqa: FBT001 - the one question every benchmark is asked
    meters = 256 if quick else 1024
    ratio = in_virtual_time(lambda clock: _sweep(clock, meters))
    visits = in_virtual_time(_visits)
    _compare_pacing()
    return [
        Figure("wire", "line_ratio", ratio),
        *(Figure("wire", name, seconds / REFERENCE) for name, seconds in visits.items()),
    ]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a line's flow is told to do."""

    tasks: tuple[Task, ...]
    profile: CompanionProfile
    keep_open: float = 0.0


class _Line:
    """One line of a fleet with the daemon's flow on it."""

    def __init__(self, bus: MemoryBus, fleet: Fleet, store: Memory, clock: Clock, wanted: _Wanted) -> None:
        settings = BusConfig(bus.name, "memory", BAUD, keep_open=wanted.keep_open)
        meters = {meter.id for meter in bus.meters}
        archive = [meter for meter in fleet.archive if meter.id in meters]
        profiles = {PROFILE: wanted.profile}
        sessions = SessionMaker(settings, fleet.access, fleet.keys, TITLE, Invocations(store))
        self.bus = bus
        self._store = store
        known = Archive(archive, profiles, {}, store, Kept())
        self.poll = Poll(
            name=bus.name,
            port=bus.port,
            plan=BusPlan(
                {meter.id: "" for meter in archive},
                {"": wanted.tasks},
                now=clock.monotonic(),
                wall=clock.now(),
            ),
            archive=known,
            events=EventSieve(store, known.profile, ()),
            sessions=sessions,
            held=Held(sessions, settings.keep_open, clock),
            store=store,
            clock=clock,
            health=BusHealth(),
            progress=Progress(0.0),
            answer=_no_command,
            report=_no_event,
            clocks=Clocks(ClockSettings(), known, sessions, Forgetful(), clock, _no_event),
        )

    async def sweep(self) -> float:
        """Visit every meter once; return the seconds it took."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        self._owe()
        while self.poll.plan.counts().due or not self.poll.health.visits:
            await self.poll.step()
        return loop.time() - start

    async def visit(self) -> tuple[int, float]:
        """Make the next visit, wherever in time it is; return its captures and its line time."""
        self._owe()
        visits, captures, before = self.poll.health.visits, self._store.captures, line_time(self.bus.counters)
        while self.poll.health.visits == visits:
            await self.poll.step()
        assert self.poll.health.ok == self.poll.health.visits
        return self._store.captures - captures, line_time(self.bus.counters) - before

    def _owe(self) -> None:
        """Put the watermarks back: ROWS rows of each meter wait."""
        since = int(self.poll.clock.now()) - ROWS * 900
        self.poll.archive.stored(
            Findings(watermarks={(meter.id, "load0"): since for meter in self.bus.meters}), Recorded({})
        )


async def _no_command(visit: Visit, found: dict[str, Any] | None, error: str | None) -> None:
    raise AssertionError((visit, found, error))


async def _no_event(name: str, *, meter: str = "", **detail: object) -> None:
    raise AssertionError((name, meter, detail))


async def _sweep(clock: Clock, count: int) -> float:
    fleet = Fleet(FleetPlan(meters=count, buses=3, baud=BAUD, turnaround=TURNAROUND), clock)
    store = Memory()
    wanted = _Wanted((Task(INSTANT, 86_400), Task("load0", 86_400)), load_profile(PROFILE))
    await _teach(fleet, store, clock, wanted.profile)
    lines = [
        _Line(MemoryBus(pty.name, make_line(fleet.plan, pty.meters, number), clock), fleet, store, clock, wanted)
        for number, pty in enumerate(fleet.wires)
    ]
    taken = await asyncio.gather(*(line.sweep() for line in lines))
    own = [line_time(line.bus.counters) for line in lines]
    for line, wall, least in zip(lines, taken, own, strict=True):
        health = line.poll.health
        print(
            f"{line.bus.name}: {health.ok} of {health.visits} visits good, {wall:.1f} s for {least:.1f} s on the line"
        )
        assert health.ok == health.visits == len(line.bus.meters)
    print(f"{store.captures} captures from {count} meters: registers and four rows each, with association")
    return max(wall / least for wall, least in zip(taken, own, strict=True))


async def _teach(fleet: Fleet, store: Memory, clock: Clock, profile: CompanionProfile) -> None:
    """Let one meter of each kind tell its shapes, and give them to its like: learning is not part of a daily sweep."""
    told: dict[int, Mapping[str, Any]] = {}
    for meter in fleet.meters:
        phases = meter.plate.phases
        if phases not in told:
            line = make_line(fleet.plan, (meter,), 0)
            archive, session = await _meet(MemoryBus("teacher", line, clock), fleet, meter.id, store, profile)
            await archive.shapes(session, meter.id, [INSTANT, "load0"])
            told[phases] = await store.descriptors(meter.id)
        for name, data in told[phases].items():
            await store.put_descriptor(meter.id, name, data)


async def _meet(
    bus: MemoryBus | PtyBus, fleet: Fleet, meter: str, store: Memory, profile: CompanionProfile
) -> tuple[Archive, Session]:
    """Return an open session with `meter`."""
    archive = Archive(fleet.archive, {PROFILE: profile}, {}, store, Kept())
    settings = BusConfig(bus.name, "memory", BAUD)
    port = bus.port if isinstance(bus, MemoryBus) else SerialPort(bus.path, BAUD)
    await port.open()
    sessions = SessionMaker(settings, fleet.access, fleet.keys, TITLE, Invocations(store))
    session = await sessions.make(port, archive.meter(meter))
    await session.open()
    return archive, session


async def _visits(clock: Clock) -> dict[str, float]:
    """Return the line times of the reference visits, as the daemon's own flow makes them: clock, nine registers, four
    rows of load profile 0, under LLS. A meter that writes every row out, and one that sends null-data for what repeats.
    """
    plain, compressed = [await _reference(clock, compressed=compressed) for compressed in (False, True)]
    for name, visits in (("whole rows", plain), ("null-data in rows", compressed)):
        print(f"{name}: " + ", ".join(f"{visit} {seconds:.3f} s" for visit, seconds in visits.items()))
    return plain


async def _reference(clock: Clock, *, compressed: bool) -> dict[str, float]:
    plan = FleetPlan(meters=1, buses=1, baud=BAUD, turnaround=TURNAROUND, hls=0)
    fleet = Fleet(plan, clock)
    meter = fleet.meters[0]
    meter.plate = replace(meter.plate, compressed=compressed)
    companion = load_profile(PROFILE)
    profile = replace(companion, registers=companion.registers[:9])
    store = Memory()
    await _teach(fleet, store, clock, profile)

    def line(keep_open: float, *tasks: Task) -> _Line:
        bus = MemoryBus("line", make_line(plan, fleet.meters, 0), clock)
        return _Line(bus, fleet, store, clock, _Wanted(tasks, profile, keep_open))

    both = Task(INSTANT, 120), Task("load0", 60)
    anew, kept = line(0.0, Task(INSTANT, 60), Task("load0", 60)), line(90.0, *both)
    await anew.visit()  # the first one of the day asks besides who the meter is
    _, reconnect = await anew.visit()
    await kept.visit()
    # every other minute the registers are due too
    open_visits = dict([await kept.visit(), await kept.visit()])
    return {"visit_reconnect": reconnect, "visit_open": open_visits[1 + ROWS], "rows_open": open_visits[ROWS]}


def _compare_pacing() -> None:
    """Show that a visit lasts as long in virtual time as through a pty in real time."""
    virtual = in_virtual_time(lambda clock: _one_visit(clock, MemoryBus))
    real = asyncio.run(_one_visit(SystemClock(), PtyBus))
    print(f"pacing: the same visit took {virtual:.3f} s in virtual time and {real:.3f} s through a real pty")


async def _one_visit(clock: Clock, kind: type[MemoryBus] | type[PtyBus]) -> float:
    fleet = Fleet(FleetPlan(meters=1, buses=1, baud=BAUD, turnaround=TURNAROUND, hls=0), clock)
    bus = kind("line", make_line(fleet.plan, fleet.meters, 0), clock)
    if isinstance(bus, PtyBus):
        async with bus:
            return await _timed_visit(bus, fleet)
    return await _timed_visit(bus, fleet)


async def _timed_visit(bus: MemoryBus | PtyBus, fleet: Fleet) -> float:
    loop = asyncio.get_running_loop()
    start = loop.time()
    archive, session = await _meet(bus, fleet, fleet.meters[0].id, Memory(), load_profile(PROFILE))
    await archive.shapes(session, fleet.meters[0].id, [INSTANT, "load0"])
    await session.close()
    return loop.time() - start
