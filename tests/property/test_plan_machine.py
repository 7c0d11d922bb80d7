"""The plan of a bus as a machine: whatever arrives, in whatever order, its promises hold.

Urgent goes first; the more urgent goes before the less, but each AGED_TURN-th time; no task runs twice for one
interval; the dead keep to their share; a group's timetable holds for the group alone; nobody starves.
"""

from collections.abc import Sequence
from datetime import tzinfo
from zoneinfo import ZoneInfo

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dcu.model import LAST_DAY, Command, Outcome, Priority, Reach, Task, Visit
from dcu.plan import ANSWERED, BusPlan
from dcu.plan.intervals import interval
from dcu.plan.overtaking import MOST_CUTS, PATIENCE
from dcu.plan.planner import AGED_TURN

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
METERS = st.integers(0, 7).map("M{}".format)


class Machine(RuleBasedStateMachine):
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
        self.waiting: list[Visit] = []
        self.silent: set[str] = set()
        self.asked_again: set[tuple[str, str]] = set()
        self.labels: dict[tuple[str, str], int] = {}
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
            self.labels.clear()
        self.plan.align(self.now, self.now + self.ahead)

    @rule(name=METERS)
    def a_command_arrives(self, name: str) -> None:
        visit = Visit(self.meter(name), command=Command("c", "meter.read"), priority=Priority.COMMAND)
        self.plan.urgent(visit, self.now)
        self.waiting.append(visit)

    @rule(name=METERS, silent=st.booleans())
    def a_meter_falls_silent_or_talks(self, name: str, *, silent: bool) -> None:
        (self.silent.add if silent else self.silent.discard)(self.meter(name))

    @rule(name=METERS)
    def more_rows_are_waiting(self, name: str) -> None:
        meter = self.meter(name)
        stream = next(iter(self.tasks[self.group[meter]]))
        self.plan.again(meter, [stream], self.now)
        self.asked_again.add((meter, stream))

    @rule(name=METERS)
    @precondition(lambda self: len(self.group) > 1)
    def a_meter_leaves_and_another_comes(self, name: str) -> None:
        meter = self.meter(name)
        self.plan.remove(meter)
        self.plan.add(meter, self.group[meter], self.now)
        self.asked_again = {pair for pair in self.asked_again if pair[0] != meter}
        self.labels = {pair: label for pair, label in self.labels.items() if pair[0] != meter}

    @rule(trusted=st.booleans(), how=st.sampled_from(["whole", "line", "half", "cut"]))
    def a_visit_is_made(self, how: str, *, trusted: bool) -> None:
        visit = self.plan.next_visit(self.now, scheduled=trusted)
        if self.waiting:
            assert visit is self.waiting.pop(0)
        if visit is None:
            return
        assert trusted or visit.command is not None
        probe = visit.command is None and self.plan.reach(visit.meter) is Reach.UNREACHABLE
        if visit.command is None:
            self.check_what_is_read(visit)
            self.check_priority(visit)
        if probe:
            assert self.now >= self.probe_after
        self.end(visit, how, probe=probe)

    def check_what_is_read(self, visit: Visit) -> None:
        tasks = self.tasks[self.group[visit.meter]]
        assert set(visit.streams) <= set(tasks)
        assert visit.streams
        for stream in visit.streams:
            label = interval(tasks[stream], self.now + self.ahead - self.stagger)
            pair = visit.meter, stream
            if pair not in self.asked_again:
                assert self.labels.get(pair) != label, "read twice for one interval"

    def check_priority(self, visit: Visit) -> None:
        best = min((pile.due.priority for pile in self.plan._piles if pile.due), default=Priority.DISCOVERY)
        assert visit.priority <= best or self.plan._turn % AGED_TURN == 0 or visit.meter in self.plan._failing

    def end(self, visit: Visit, how: str, *, probe: bool) -> None:
        silent = visit.meter in self.silent and how != "line"
        began, self.now = self.now, self.now + (SILENCE if silent else COST)
        got: Sequence[str] | None = visit.streams[: len(visit.streams) // 2] if how in {"half", "cut"} else None
        outcome = Outcome.SILENT if silent else Outcome.OK
        if how == "line":
            outcome, got = Outcome.LINE, None
        elif how == "cut" and not silent and visit.command is None:
            outcome = Outcome.YIELDED
        elif not silent:
            got = None
        self.plan.finished(visit, outcome, self.now, got)
        assert (self.plan.reach(visit.meter) is Reach.REACHABLE) >= (outcome in ANSWERED)
        if probe and outcome is Outcome.SILENT:
            self.probe_after = self.now + (self.now - began) * (1 / SHARE - 1) - 1e-6
        done = got if got is not None else (visit.streams if outcome is Outcome.OK else ())
        for stream in done:
            task = self.tasks[self.group[visit.meter]][stream]
            self.labels[visit.meter, stream] = interval(task, began + self.ahead - self.stagger)
            self.asked_again.discard((visit.meter, stream))

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
    for _ in range(5):
        state.a_visit_is_made(how="whole", trusted=True)
        state.now += 3.0
    assert state.labels.keys() == {("M0", "billing"), ("M1", "billing")}
    state.teardown()
