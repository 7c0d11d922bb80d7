"""What the line is used for: a sweep against its own line time, and the line time of one visit.

The sweep runs the daemon's own flows (plan, session, visit) over 1024 simulated meters on three lines in virtual time:
the lines pace every octet as on a pty, only the waiting is skipped. That this pacing equals real pacing is shown in the
same run by one visit through a real pty in real time.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from bench.figures import Figure
from dcu.archive import Archive
from dcu.bus import SerialPort
from dcu.clock import Clock, SystemClock
from dcu.config import BusConfig
from dcu.dlms.services import Get
from dcu.health import BusHealth, Progress
from dcu.held import Held
from dcu.invocations import Invocations
from dcu.model import INSTANT, Attribute, Capture, Task, Visit
from dcu.opening import SessionMaker
from dcu.plan import BusPlan
from dcu.poll import Poll
from dcu.profiles import load_profile
from dcu.session import Session
from dcu.visit import Range, Reading
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

T = TypeVar("T")


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
    ) -> None:
        self.captures += len(captures)

    async def put_descriptor(self, meter: str, name: str, data: Any) -> None:
        self._descriptors.setdefault(meter, {})[name] = data

    async def descriptors(self, meter: str) -> Mapping[str, Any]:
        return self._descriptors.get(meter, {})

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


class _Line:
    """One line of a fleet with the daemon's flow on it."""

    def __init__(self, bus: MemoryBus, fleet: Fleet, store: Memory, clock: Clock) -> None:
        settings = BusConfig(bus.name, "memory", BAUD)
        hour = int(clock.now()) - 3600
        watermarks = {(meter.id, "load0"): hour for meter in bus.meters}
        archive = [meter for meter in fleet.archive if meter.bus == bus.name]
        profiles = {PROFILE: load_profile(PROFILE)}
        sessions = SessionMaker(settings, fleet.access, fleet.keys, TITLE, Invocations(store))
        self.bus = bus
        self.poll = Poll(
            name=bus.name,
            port=bus.port,
            plan=BusPlan(
                [meter.id for meter in archive],
                [Task(INSTANT, 86_400), Task("load0", 86_400)],
                now=clock.monotonic(),
                wall=clock.now(),
            ),
            archive=Archive(archive, profiles, {}, store, watermarks),
            sessions=sessions,
            held=Held(sessions, settings.keep_open, clock),
            store=store,
            clock=clock,
            health=BusHealth(),
            progress=Progress(0.0),
            answer=_no_command,
            report=_no_event,
        )

    async def sweep(self) -> float:
        """Visit every meter once; return the seconds it took."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        while self.poll.plan.counts().due or not self.poll.health.visits:
            await self.poll.step()
        return loop.time() - start


async def _no_command(visit: Visit, found: dict[str, Any] | None, error: str | None) -> None:
    raise AssertionError((visit, found, error))


async def _no_event(name: str, *, meter: str = "", **detail: object) -> None:
    raise AssertionError((name, meter, detail))


async def _sweep(clock: Clock, count: int) -> float:
    fleet = Fleet(FleetPlan(meters=count, buses=3, baud=BAUD, turnaround=TURNAROUND), clock)
    store = Memory()
    await _teach(fleet, store, clock)
    lines = [
        _Line(MemoryBus(pty.name, make_line(fleet.plan, pty.meters, number), clock), fleet, store, clock)
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


async def _teach(fleet: Fleet, store: Memory, clock: Clock) -> None:
    """Let one meter of each kind tell its shapes, and give them to its like: learning is not part of a daily sweep."""
    told: dict[int, Mapping[str, Any]] = {}
    for meter in fleet.meters:
        phases = meter.plate.phases
        if phases not in told:
            line = make_line(fleet.plan, (meter,), 0)
            archive, session = await _meet(MemoryBus("teacher", line, clock), fleet, meter.id, store)
            await archive.shapes(session, meter.id, [INSTANT, "load0"])
            told[phases] = await store.descriptors(meter.id)
        for name, data in told[phases].items():
            await store.put_descriptor(meter.id, name, data)


async def _meet(bus: MemoryBus | PtyBus, fleet: Fleet, meter: str, store: Memory) -> tuple[Archive, Session]:
    """Return an open session with `meter`."""
    archive = Archive(fleet.archive, {PROFILE: load_profile(PROFILE)}, {}, store, {})
    settings = BusConfig(bus.name, "memory", BAUD)
    port = bus.port if isinstance(bus, MemoryBus) else SerialPort(bus.path, BAUD)
    await port.open()
    sessions = SessionMaker(settings, fleet.access, fleet.keys, TITLE, Invocations(store))
    session = await sessions.make(port, archive.meter(meter))
    await session.open()
    return archive, session


async def _visits(clock: Clock) -> dict[str, float]:
    """Return the line times of the reference visits: clock, nine registers, four rows of load profile 0, under LLS."""
    fleet = Fleet(FleetPlan(meters=1, buses=1, baud=BAUD, turnaround=TURNAROUND, hls=0), clock)
    meter = fleet.meters[0]
    store = Memory()
    await _teach(fleet, store, clock)
    bus = MemoryBus("line", make_line(fleet.plan, fleet.meters, 0), clock)
    archive, session = await _meet(bus, fleet, meter.id, store)
    shapes = await archive.shapes(session, meter.id, ["load0"])
    now = int(clock.now())
    rows = Reading(
        archive.meter(meter.id), archive.profile(meter.id), shapes, {"load0": Range(now - 3599, now, more=False)}
    )
    clock_and_rows = rows.questions()
    registers = [Get(Attribute(3, name)) for name in list(meter.registers)[:9]]
    await session.close()
    associated = await _cost(bus, session.open())
    both = await _cost(bus, session.get([*registers, *clock_and_rows]))
    alone = await _cost(bus, session.get(clock_and_rows[1:]))
    parted = await _cost(bus, session.close())
    print(f"line time in s: association {associated:.3f}, all {both:.3f}, rows {alone:.3f}, release {parted:.3f}")
    return {"visit_reconnect": associated + both + parted, "visit_open": both, "rows_open": alone}


async def _cost(bus: MemoryBus | PtyBus, work: Coroutine[Any, Any, Any]) -> float:
    before = line_time(bus.counters)
    await work
    return line_time(bus.counters) - before


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
    archive, session = await _meet(bus, fleet, fleet.meters[0].id, Memory())
    await archive.shapes(session, fleet.meters[0].id, [INSTANT, "load0"])
    await session.close()
    return loop.time() - start
