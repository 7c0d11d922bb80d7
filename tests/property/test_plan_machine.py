"""The plan of a bus as a machine: whatever arrives, in whatever order, its promises hold.

Urgent goes first, but for one late meter between IN_A_ROW commands; the more urgent goes before the less, but each
AGED_TURN-th time; no task runs twice for one interval; the dead keep to their share; a group's timetable holds for the
group alone; nobody starves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from zoneinfo import ZoneInfo

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dcu.model import LAST_DAY, Command, Outcome, Priority, Reach, Task, Visit
from dcu.plan import ANSWERED, BusPlan
from dcu.plan.failing import DEAD_AFTER, FIRST_REST, REST_CAP
from dcu.plan.intervals import interval
from dcu.plan.overtaking import FAIR_SECONDS, IN_A_ROW, MOST_CUTS, PATIENCE
from dcu.plan.planner import AGED_TURN
from dcu.plan.timetable import Ring, Timetable

#: 2027-03-27T20:00:00Z: the clocks of Zurich go forward five hours later.
WALL = 1_806_177_600.0
ZURICH: tzinfo = ZoneInfo("Europe/Zurich")
SHARE = 0.1
COST, SILENCE = 1.0, 6.0

TASKS = st.builds(
    Task,
    stream=st.sampled_from(["instant", "load0", "daily", "event.fraud"]),
    every=st.sampled_from([60.0, 300.0, 900.0]),
    offset=st.integers(0, 50).map(float),
    priority=st.sampled_from([Priority.EVENT, Priority.BILLING, Priority.SCHEDULED, Priority.BACKFILL]),
    window=st.sampled_from([0.0, 0.0, 40.0]),
    deadline=st.sampled_from([None, 0.0, 30.0]),
)
NIGHTLY = st.builds(
    Task,
    stream=st.just("billing"),
    at=st.sampled_from([0.0, 2.5 * 3600, 86_399.0]),
    day=st.sampled_from([None, 1, 28, LAST_DAY]),
    zone=st.just(ZURICH),
    priority=st.just(Priority.BILLING),
)
TIMETABLES = st.lists(TASKS | NIGHTLY, min_size=1, max_size=4, unique_by=lambda task: task.stream)
HOWS = st.sampled_from(["whole", "whole", "whole", "line", "half", "cut"])
METERS = st.integers(0, 7).map("M{}".format)


@dataclass(frozen=True)
class Want:
    """What a meter is due for, as the test reckons."""

    priority: Priority
    expires: float


@dataclass
class Failed:
    """A meter that has failed since its last success; `news`: something fell due since."""

    times: int = 0
    at: float = 0.0
    news: bool = False
    rests_until: float = 0.0


class Machine(RuleBasedStateMachine):
    due: dict[str, dict[str, Want]]

    @initialize(everybody=TIMETABLES, shops=TIMETABLES, count=st.integers(1, 8), stagger=st.sampled_from([0.0, 5.0]))
    def begin(self, everybody: list[Task], shops: list[Task], count: int, stagger: float) -> None:
        self.tasks = {"": {task.stream: task for task in everybody}, "shops": {task.stream: task for task in shops}}
        self.group = {f"M{number}": "shops" if number % 3 == 0 else "" for number in range(count)}
        self.now, self.ahead = 0.0, WALL
        self.plan = BusPlan(
            self.group,
            {group: list(tasks.values()) for group, tasks in self.tasks.items()},
            now=self.now,
            wall=WALL,
            dead_share=SHARE,
            stagger=stagger,
        )
        self.stagger = stagger
        self.bell = Timetable(dict.fromkeys([*everybody, *shops]), 0.0, WALL, stagger)
        self.due = {meter: {} for meter in self.group}
        self.owed: dict[str, set[str]] = {}
        self.failed: dict[str, Failed] = {}
        self.turn = self.row = 0
        self.waiting: list[Visit] = []
        self.silent: set[str] = set()
        self.refusing: set[str] = set()
        self.rung: dict[Task, int] = {}
        self.probe_after = 0.0

    def meter(self, name: str) -> str:
        return name if name in self.group else "M0"

    @rule(seconds=st.one_of(st.floats(0.0, 30.0), st.floats(0.0, 4000.0)))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(seconds=st.integers(-86_400, 86_400) | st.sampled_from([-2, -86_400, 86_400, 3600, 40 * 31_557_600]))
    def the_clock_is_set(self, seconds: int) -> None:
        self.ahead += seconds
        if seconds < 0:  # what comes again under the same label is another interval
            self.rung.clear()
        self.plan.align(self.now, self.now + self.ahead)
        self.bell.align(self.now, self.now + self.ahead)

    @rule(name=METERS)
    def a_command_arrives(self, name: str) -> None:
        visit = Visit(self.meter(name), command=Command("c", "meter.read"), priority=Priority.COMMAND)
        self.plan.urgent(visit, self.now)
        self.waiting.append(visit)

    @rule(name=METERS, count=st.integers(IN_A_ROW, 3 * IN_A_ROW))
    def commands_arrive_in_plenty(self, name: str, count: int) -> None:
        for _ in range(count):
            self.a_command_arrives(name=name)

    @rule(name=METERS, silent=st.booleans())
    def a_meter_falls_silent_or_talks(self, name: str, *, silent: bool) -> None:
        (self.silent.add if silent else self.silent.discard)(self.meter(name))
        if not silent:
            self.refusing.discard(self.meter(name))

    @rule(name=METERS)
    def more_rows_are_waiting(self, name: str) -> None:
        meter = self.meter(name)
        stream = next(iter(self.tasks[self.group[meter]]))
        self.plan.again(meter, [stream], self.now)
        self.owed.setdefault(meter, set()).add(stream)

    @rule(name=METERS)
    @precondition(lambda self: len(self.group) > 1)
    def a_meter_leaves_and_another_comes(self, name: str) -> None:
        meter = self.meter(name)
        self.plan.remove(meter)
        self.plan.add(meter, self.group[meter], self.now)
        self.owed.pop(meter, None)
        self.failed.pop(meter, None)
        self.due[meter] = {}
        for ring in self.bell.running(self.now):
            self.falls_due(meter, ring)

    def falls_due(self, meter: str, ring: Ring) -> None:
        if self.tasks[self.group[meter]].get(ring.task.stream) == ring.task:
            before = self.due[meter].get(ring.task.stream, Want(ring.task.priority, ring.expires))
            self.due[meter][ring.task.stream] = Want(before.priority, max(before.expires, ring.expires))
            if meter in self.failed and self.now > self.failed[meter].at:
                self.failed[meter].news = True

    def the_bell_rings(self) -> None:
        """Follow the timetable by ourselves: who is due for what, of those whose window is open."""
        for ring in self.bell.ring(self.now):
            label = interval(ring.task, self.now + self.ahead - self.stagger)
            assert self.rung.get(ring.task) != label, "twice for one interval"
            self.rung[ring.task] = label
            for meter in self.group:
                self.falls_due(meter, ring)
        for wants in self.due.values():
            for stream in [stream for stream, want in wants.items() if want.expires < self.now]:
                del wants[stream]

    @rule(name=METERS, refusing=st.booleans())
    def a_meter_has_been_away_for_long(self, name: str, *, refusing: bool) -> None:
        """As after a restart, and what was known of it then still holds; one that refuses costs the line as much."""
        meter = self.meter(name)
        if meter in self.failed:
            return
        self.plan.presume_unreachable(meter, self.now)
        rest = FIRST_REST * 2 ** (DEAD_AFTER - 1)
        self.failed[meter] = Failed(DEAD_AFTER, self.now, rests_until=self.now + rest)
        (self.refusing if refusing else self.silent).add(meter)

    @rule(trusted=st.booleans(), how=HOWS)
    def a_visit_is_made(self, how: str, *, trusted: bool) -> None:
        self.the_bell_rings()
        visit = self.plan.next_visit(self.now, scheduled=trusted)
        fair = bool(self.waiting) and visit is not None and visit.command is None
        assert not fair or self.row >= IN_A_ROW
        if self.waiting and not fair:
            assert visit is self.waiting.pop(0)
        self.row = self.row + 1 if visit is not None and visit.command is not None else 0 if visit else self.row
        if visit is None:
            assert not trusted or not any(self.offers().values()), "somebody is due, and nobody is visited"
            return
        assert trusted or visit.command is not None
        probe = visit.command is None and visit.meter in self.failed and self.failed[visit.meter].times >= DEAD_AFTER
        if visit.command is None:
            self.check_what_is_read(visit)
            self.check_priority(visit, fair=fair)
        if probe:
            assert self.now >= self.probe_after
        self.end(visit, how, probe=probe)

    @rule(hows=st.lists(HOWS, min_size=1, max_size=30))
    def the_bus_goes_on(self, hows: list[str]) -> None:
        """As it does by itself: visit after visit, and a rest until there is one to make."""
        for how in hows:
            self.a_visit_is_made(how=how, trusted=True)
            self.now = max(self.now, self.plan.next_wake(self.now) or self.now)

    def check_what_is_read(self, visit: Visit) -> None:
        """Everything that is due of the meter, or was asked for again, and nothing besides."""
        assert visit.streams
        assert set(visit.streams) == self.due[visit.meter].keys() | self.owed.get(visit.meter, set())

    def offers(self) -> dict[str, Priority | None]:
        """Return with which priority each meter that may be visited now is due; None: for nothing."""
        return {meter: self.offer(meter) for meter in self.group if self.may(meter)}

    def may(self, meter: str) -> bool:
        failed = self.failed.get(meter)
        if failed is None:
            return True
        return failed.rests_until <= self.now and (failed.times < DEAD_AFTER or self.now >= self.probe_after)

    def offer(self, meter: str) -> Priority | None:
        wants = [want.priority for want in self.due[meter].values()]
        failed = self.failed.get(meter)
        if failed is not None and (failed.times >= DEAD_AFTER or not failed.news):
            wants = [Priority.BACKFILL] * len(wants)
        return min(wants, default=Priority.BACKFILL if self.owed.get(meter) else None)

    def check_priority(self, visit: Visit, *, fair: bool) -> None:
        """By strict priority, but for each AGED_TURN-th visit, of our own count, and what comes between commands."""
        offers = self.offers()
        assert offers.get(visit.meter) is not None
        if not fair:
            self.turn += 1
            best = min(offer for offer in offers.values() if offer is not None)
            assert offers[visit.meter] == best or self.turn % AGED_TURN == 0

    def end(self, visit: Visit, how: str, *, probe: bool) -> None:
        silent = visit.meter in self.silent and how != "line"
        refused = visit.meter in self.refusing and not silent and how != "line"
        began, self.now = self.now, self.now + (SILENCE if silent else COST)
        got: Sequence[str] | None = visit.streams[: len(visit.streams) // 2] if how in {"half", "cut"} else None
        outcome = Outcome.SILENT if silent else Outcome.OK
        if how == "line":
            outcome, got = Outcome.LINE, None
        elif refused:
            outcome, got = Outcome.REFUSED, ()
        elif how == "cut" and not silent and visit.command is None:
            outcome = Outcome.YIELDED
        elif not silent:
            got = None
        self.plan.finished(visit, outcome, self.now, got)
        assert (self.plan.reach(visit.meter) is Reach.REACHABLE) >= (outcome in ANSWERED)
        # whatever it fails by: the line's time is gone
        if probe and outcome not in ANSWERED:
            self.probe_after = self.now + (self.now - began) * (1 / SHARE - 1) - 1e-6
        done = got if got is not None else (visit.streams if outcome is Outcome.OK else ())
        self.follow(visit.meter, outcome, done)

    def follow(self, meter: str, outcome: Outcome, got: Sequence[str]) -> None:
        """Take from what a meter is due for what was read, and note how it stands."""
        if outcome is not Outcome.LINE and outcome not in ANSWERED:
            failed = self.failed.setdefault(meter, Failed())
            failed.times, failed.news, failed.at = failed.times + 1, False, self.now
            failed.rests_until = self.now + min(REST_CAP, FIRST_REST * 2 ** (failed.times - 1))
        elif outcome in ANSWERED:
            self.failed.pop(meter, None)
        for stream in got:
            self.due[meter].pop(stream, None)
            self.owed.get(meter, set()).discard(stream)

    @invariant()
    def it_can_say_when_it_goes_on(self) -> None:
        if not hasattr(self, "plan"):
            return
        wake = self.plan.next_wake(self.now)
        assert wake is not None
        assert wake >= self.now
        for meter in self.group:
            coming = self.plan.coming(meter, self.now)
            assert coming is None or coming >= 0
        counts = self.plan.counts()
        assert counts.urgent == len(self.waiting)
        assert counts.due <= len(self.group)

    def teardown(self) -> None:
        """All talk again: soon everybody has been read of everything that has no window."""
        if not hasattr(self, "plan"):
            return
        self.silent.clear()
        self.refusing.clear()
        until, seen = self.now + 2 * 900.0 + 3600.0, set()
        while self.now < until:
            visit = self.plan.next_visit(self.now)
            if visit is None:
                self.now = max(self.now, self.plan.next_wake(self.now) or until)
                continue
            self.now += COST
            self.plan.finished(visit, Outcome.OK, self.now)
            seen |= {(visit.meter, stream) for stream in visit.streams}
        expected = {
            (meter, task.stream)
            for meter, group in self.group.items()
            for task in self.tasks[group].values()
            if task.at is None and not task.window
        }
        assert expected <= seen


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


def test_a_cut_is_asked_for_after_patience_and_not_for_ever() -> None:
    plan = BusPlan({"A": ""}, {"": [Task("load0", 900.0)]}, now=0.0, wall=WALL)
    cuts, now = 0, 0.0
    for _ in range(10 * MOST_CUTS):
        visit = plan.next_visit(now)
        assert visit is not None
        plan.urgent(Visit("A", command=Command("c", "meter.read"), priority=Priority.COMMAND), now)
        now += PATIENCE
        if not plan.yields(now):
            break
        cuts += 1
        plan.finished(visit, Outcome.YIELDED, now)
        command = plan.next_visit(now)
        assert command is not None
        plan.finished(command, Outcome.OK, now)
    assert cuts == MOST_CUTS


def test_who_comes_before_the_first_ring_of_a_staggered_bus_is_read_once() -> None:
    """What the machine has found: a meter that was added within the stagger was due at once, and again by the ring."""
    nightly = Task("billing", at=0.0, zone=ZURICH, priority=Priority.BILLING)
    state = Machine()
    state.begin(everybody=[nightly], shops=[nightly], count=2, stagger=5.0)
    state.a_meter_leaves_and_another_comes(name="M0")
    state.the_bus_goes_on(hows=["whole"] * 3)
    assert state.turn == 2
    state.teardown()


def test_commands_without_end_starve_nobody() -> None:
    """A head-end asks, and asks again as soon as it is answered: every meter is read in each of its periods."""
    period, meters = 900.0, 20
    plan = BusPlan({f"M{n}": "" for n in range(meters)}, {"": [Task("load0", period)]}, now=0.0, wall=WALL)
    now, read, row, longest = 0.0, list[str](), 0, 0
    while now < 4 * period:
        plan.urgent(Visit("M0", command=Command("c", "meter.read"), priority=Priority.COMMAND), now)
        visit = plan.next_visit(now)
        assert visit is not None
        now += PATIENCE
        row = row + 1 if visit.command is not None else 0
        longest = max(longest, row)
        if visit.command is None:
            read.append(visit.meter)
            assert not plan.yields(now), "a turn of its own is not taken away at once"
            assert plan.yields(now + FAIR_SECONDS), "nor lasts it for long"
            plan.finished(visit, Outcome.OK, now)
            continue
        plan.finished(visit, Outcome.OK, now)
    assert all(read.count(f"M{n}") >= 3 for n in range(meters))
    assert longest > IN_A_ROW, "who is not late yet waits for the commands"
