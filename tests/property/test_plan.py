"""The plan of a bus, whatever arrives: urgent first, nobody starves, nothing twice, the dead within their share."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast
from unittest.mock import Mock

from hypothesis import given, settings
from hypothesis import strategies as st

from dcu.config import BusConfig
from dcu.config.settings import DiscoverSettings
from dcu.health import BusHealth
from dcu.model import Command, Outcome, Priority, Task, Visit
from dcu.plan import BusPlan
from dcu.plan.failing import DEAD_AFTER
from dcu.plan.needs import LAG
from dcu.plan.overtaking import IN_A_ROW
from dcu.plan.planner import DEAD_SHARE
from dcu.plan.timetable import Timetable
from dcu.polling.discovery import MARGIN, Discovery

if TYPE_CHECKING:
    from dcu.clock import Clock

#: 2026-11-21T10:00:00Z
WALL = 1_795_255_200.0

TASKS = st.lists(
    st.builds(
        Task,
        stream=st.sampled_from(["instant", "load0", "load1", "event.fraud", "billing"]),
        every=st.sampled_from([60.0, 300.0, 900.0, 3600.0]),
        offset=st.integers(0, 59).map(float),
        priority=st.sampled_from([Priority.EVENT, Priority.BILLING, Priority.SCHEDULED]),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda task: task.stream,
)


@dataclass
class Made:
    """One visit as it went."""

    visit: Visit
    start: float
    end: float
    outcome: Outcome
    probe: bool


@dataclass
class Bus:
    """A bus in simulated time, on which some meters are always silent."""

    plan: BusPlan
    silent: frozenset[str] = frozenset()
    cost: float = 1.0
    silence: float = 6.0
    now: float = 0.0
    made: list[Made] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    def outcome(self, meter: str) -> tuple[Outcome, float]:
        return (Outcome.SILENT, self.silence) if meter in self.silent else (Outcome.OK, self.cost)

    def step(self) -> Made | None:
        """Make a visit, or sleep until the plan wants to be woken."""
        visit = self.plan.next_visit(self.now)
        if visit is None:
            wake = self.plan.next_wake(self.now)
            assert wake is not None
            assert wake > self.now, "asked to wake for a visit that is not there"
            self.now = wake
            return None
        outcome, cost = self.outcome(visit.meter)
        probe = self.failures[visit.meter] >= DEAD_AFTER and visit.command is None
        made = Made(visit, self.now, self.now + cost, outcome, probe)
        self.now += cost
        self.plan.finished(visit, outcome, self.now)
        self.failures[visit.meter] = 0 if outcome is Outcome.OK else self.failures[visit.meter] + 1
        self.made.append(made)
        return made

    def run(self, until: float) -> list[Made]:
        while self.now < until:
            self.step()
        return self.made


def bus_of(meters: int, tasks: list[Task], silent: int = 0, cost: float = 1.0) -> Bus:
    names = [f"M{number}" for number in range(meters)]
    return Bus(BusPlan(dict.fromkeys(names, ""), {"": tasks}, now=0.0, wall=WALL), frozenset(names[:silent]), cost)


@given(TASKS, st.integers(1, 12), st.integers(0, 6), st.lists(st.integers(0, 11), max_size=60), st.data())
@settings(max_examples=60, deadline=None)
def test_urgent_visits_come_next_in_their_order(
    tasks: list[Task], meters: int, silent: int, arrivals: list[int], data: st.DataObject
) -> None:
    """In their order, each before everything else, but for one meter that is late behind IN_A_ROW of them."""
    bus = bus_of(meters, tasks, min(silent, meters))
    waiting: list[Visit] = []
    row = 0
    for number, meter in enumerate(arrivals):
        visit = Visit(f"M{meter % meters}", command=Command(str(number), "meter.read"), priority=Priority.COMMAND)
        bus.plan.urgent(visit, bus.now)
        waiting.append(visit)
        for _ in range(data.draw(st.integers(0, 3))):
            made = bus.step()
            if waiting:
                assert made is not None
                if made.visit.command is None:
                    assert row >= IN_A_ROW
                    row = 0
                else:
                    assert made.visit is waiting.pop(0)
                    row += 1
            elif made is not None:
                row = 0


@given(TASKS, st.integers(1, 15), st.integers(0, 5), st.sampled_from([0.1, 1.0, 8.0, 40.0]))
@settings(max_examples=60, deadline=None)
def test_nobody_starves(tasks: list[Task], meters: int, silent: int, cost: float) -> None:
    """A meter that answers waits at most its lag, and then one visit of each other meter and the probes between."""
    bus = bus_of(meters, tasks, min(silent, meters - 1), cost)
    bus.run(3 * 3600.0)
    longest = max(cost, bus.silence)
    # Silent meters not yet known to be unreachable come up to DEAD_AFTER times, then within their share.
    rounds = (meters + DEAD_AFTER * len(bus.silent) + 2) * longest / (1 - DEAD_SHARE)
    patience = LAG[Priority.SCHEDULED] + max(task.every for task in tasks) + rounds
    for meter in (name for name in (f"M{number}" for number in range(meters)) if name not in bus.silent):
        visits = [made.start for made in bus.made if made.visit.meter == meter]
        gaps = [later - earlier for earlier, later in zip([0.0, *visits], [*visits, bus.now], strict=True)]
        assert max(gaps) <= patience


@given(TASKS, st.lists(st.tuples(st.floats(0, 5000), st.integers(-4000, 4000)), max_size=40))
@settings(max_examples=200, deadline=None)
def test_no_task_runs_twice_for_one_interval(tasks: list[Task], steps: list[tuple[float, int]]) -> None:
    """Also when the wall clock is set forward, or back by less than an interval in all."""
    table = Timetable(tasks, 0.0, WALL)
    now, ahead, latest = 0.0, WALL, WALL
    shortest = min(task.every for task in tasks)
    intervals: dict[str, list[int]] = {task.stream: [] for task in tasks}
    for pause, jump in steps:
        now += pause
        for task in (ring.task for ring in table.ring(now)):
            intervals[task.stream].append(math.floor((now + ahead - task.offset) / task.every))
        latest = max(latest, now + ahead)
        ahead = max(ahead + jump, latest - shortest - now)
        table.align(now, now + ahead)
    for run in intervals.values():
        assert run == sorted(set(run))


@given(st.integers(10_000, 9_000_000), st.integers(0, 9_999), st.floats(0, 1e7), st.floats(WALL, 2 * WALL))
@settings(deadline=None)
def test_rounding_rings_no_interval_twice(every: int, offset: int, now: float, wall: float) -> None:
    """Durations are whole milliseconds, which binary fractions only come near."""
    task = Task("load0", every / 1000, offset / 1000)
    table = Timetable([task], now, wall)
    table.ring(now)
    for _ in range(50):
        due = table.next_ring()
        assert due is not None
        assert [ring.task for ring in table.ring(due)] == [task]
        following = table.next_ring()
        assert following is not None
        assert abs(following - due - task.every) < 1e-3


@given(st.integers(1, 8), st.integers(1, 200))
@settings(max_examples=40, deadline=None)
def test_each_interval_is_run_once_on_an_idle_bus(meters: int, intervals: int) -> None:
    bus = bus_of(meters, [Task("load0", 900.0)], cost=0.5)
    bus.run(intervals * 900.0 - 1.0)
    counts = Counter(made.visit.meter for made in bus.made)
    assert set(counts.values()) == {intervals}
    assert len(counts) == meters


@given(
    TASKS, st.integers(1, 20), st.integers(1, 20), st.sampled_from([0.2, 1.0, 5.0]), st.sampled_from([1.0, 6.0, 30.0])
)
@settings(max_examples=60, deadline=None)
def test_the_unreachable_never_exceed_their_share(
    tasks: list[Task], meters: int, silent: int, cost: float, silence: float
) -> None:
    bus = bus_of(meters, tasks, min(silent, meters), cost)
    bus.silence = silence
    bus.run(4 * 3600.0)
    probes = [made for made in bus.made if made.probe]
    for first in range(len(probes)):
        for last in (first, len(probes) - 1):
            spent = sum(made.end - made.start for made in probes[first : last + 1])
            window = probes[last].end - probes[first].start
            assert spent <= DEAD_SHARE * window + silence + 1e-6
    retries = Counter(made.visit.meter for made in bus.made if made.outcome is Outcome.SILENT and not made.probe)
    assert all(count == DEAD_AFTER for count in retries.values())


@dataclass
class Searched(Bus):
    """A bus on which new meters are looked for whenever the daemon would, each address as dear as it can be."""

    search: Discovery | None = None
    asked: int = 0

    def step(self) -> Made | None:
        wake = self.plan.next_wake(self.now)
        assert wake is not None
        if self.search is None or wake <= self.now or not self.search.wants(self.now, wake):
            return super().step()
        self.asked += 1
        self.now += self.search.bus.timeout + MARGIN
        self.search._rest_until = self.now + self.search._left.popleft() % 40
        return None


@given(
    TASKS, st.integers(1, 12), st.integers(0, 3), st.sampled_from([0.1, 1.0, 8.0]), st.sampled_from([0.5, 2.0, 20.0])
)
@settings(max_examples=60, deadline=None)
def test_the_search_for_new_meters_moves_no_visit(
    tasks: list[Task], meters: int, silent: int, cost: float, timeout: float
) -> None:
    """It has what no priority wants: the visits are the same, and at the same seconds, as without it."""
    alone, beside = (
        Searched(each.plan, each.silent, cost)
        for each in (bus_of(meters, tasks, min(silent, meters)) for _ in range(2))
    )
    beside.search = searching(lambda: beside.now, timeout)
    made = [[(each.visit, each.start) for each in bus.run(3 * 3600.0)] for bus in (alone, beside)]
    assert made[0] == made[1][: len(made[0])]
    assert beside.asked or cost == 8.0 or timeout == 20.0


def searching(now: Callable[[], float], timeout: float) -> Discovery:
    """Return a search of 250 addresses that nobody has."""
    line, clock = BusConfig("line", "/dev/x", timeout=timeout), SimpleNamespace(monotonic=now)
    nobody, wanted = Mock(), DiscoverSettings((range(1, 251),), "reader")
    found = Discovery(line, wanted, nobody, nobody, nobody, cast("Clock", clock), BusHealth(), nobody, nobody)
    found.start()
    return found


@given(
    TASKS,
    st.integers(1, 6),
    st.lists(
        st.tuples(
            st.sampled_from(["urgent", "again", "align", "visit", "wait"]),
            st.integers(0, 5),
            st.sampled_from(list(Outcome)),
            st.floats(0, 1e5),
        ),
        max_size=60,
    ),
)
@settings(max_examples=100, deadline=None)
def test_any_history_leaves_a_plan_that_goes_on(
    tasks: list[Task], meters: int, history: list[tuple[str, int, Outcome, float]]
) -> None:
    plan = BusPlan({f"M{number}": "" for number in range(meters)}, {"": tasks}, now=0.0, wall=WALL)
    now = 0.0
    for what, number, outcome, amount in history:
        meter = f"M{number % meters}"
        if what == "urgent":
            plan.urgent(Visit(meter, command=Command("c", "meter.read"), priority=Priority.COMMAND), now)
        elif what == "again":
            plan.again(meter, ["load0"], now)
        elif what == "align":
            plan.align(now, WALL + now + (amount - 5e4) * 100)
        elif what == "visit":
            visit = plan.next_visit(now)
            now += amount / 1e3
            if visit is not None:
                plan.finished(visit, outcome, now)
        else:
            now += amount
        wake = plan.next_wake(now)
        assert wake is not None
        assert wake >= now
    bus = Bus(plan, now=now)
    bus.run(now + 2 * 3600.0 + 900.0)  # two of the longest intervals, and the longest rest
    seen = {(made.visit.meter, stream) for made in bus.made for stream in made.visit.streams}
    assert {(f"M{number}", task.stream) for number in range(meters) for task in tasks} <= seen
