"""Who is visited next on one bus: commands, then what is due by deadline, and the unreachable within their share.

When tasks fall due is in `timetable`. Ordering by deadline is what keeps anybody from starving: a stream is due with
a deadline of its priority's `LAG` later, and whatever falls due after that deadline waits behind it.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from dcu.errors import CommandRejected
from dcu.model import Outcome, Priority, Task, Visit
from dcu.plan.timetable import Timetable

#: Seconds by which a due stream may be overtaken by more urgent ones. A sweep of 341 meters takes some 200 s.
LAG = {Priority.EVENT: 0.0, Priority.BILLING: 60.0, Priority.SCHEDULED: 120.0, Priority.BACKFILL: 900.0}

#: A meter that failed this often in a row is unreachable: retrying has ended, from now on it is probed (tenders: 3).
DEAD_AFTER = 3

#: Seconds a meter rests after its first failure; doubles with each further one, up to the cap.
FIRST_REST = 30.0
REST_CAP = 900.0

#: The most of a bus's time that failed probes of unreachable meters may take.
DEAD_SHARE = 0.1

#: Seconds a visit is taken to last before any has been made, and how much each one moves that estimate.
FIRST_PACE = 1.0
PACE_WEIGHT = 0.125

#: Commands that may wait for one bus: one for each of 1024 meters, and as many again.
MAX_URGENT = 2048


@dataclass(frozen=True, slots=True)
class _Need:
    """A stream that a meter is due for, since when (monotonic s), and how urgent it is."""

    since: float
    priority: Priority

    @property
    def deadline(self) -> float:
        return self.since + LAG[self.priority]


@dataclass(slots=True)
class _State:
    """What is known of one meter. `failures` in a row; it is left alone until `rest_until` (monotonic s)."""

    needs: dict[str, _Need] = field(default_factory=dict)
    failures: int = 0
    rest_until: float = -math.inf
    deadline: float = math.inf

    @property
    def dead(self) -> bool:
        return self.failures >= DEAD_AFTER

    def owe(self, stream: str, need: _Need) -> bool:
        """Add a need; one that waits already keeps its age, so that short intervals cannot push it back for ever."""
        old = self.needs.get(stream)
        if old is not None:
            need = _Need(min(old.since, need.since), min(old.priority, need.priority))
        self.needs[stream] = need
        self.deadline = min(each.deadline for each in self.needs.values())
        return old is None

    def failed(self, now: float) -> None:
        self.failures += 1
        # The exponent is bounded: 2 ** 1024 is no float.
        self.rest_until = now + min(REST_CAP, FIRST_REST * 2.0 ** min(self.failures - 1, 16))

    def answered(self) -> None:
        self.failures, self.rest_until = 0, -math.inf


@dataclass(frozen=True, slots=True)
class PlanCounts:
    """For health: waiting commands, meters due (the one being visited too) and unreachable, intervals passed unread."""

    urgent: int
    due: int
    unreachable: int
    missed: int


@dataclass(frozen=True, slots=True)
class _Running:
    """The visit that is under way."""

    visit: Visit
    started: float
    needs: dict[str, _Need]
    probe: bool


class BusPlan:
    """The plan of one bus. `now` is always monotonic seconds; `wall`, in UTC seconds, only sets the boundaries."""

    def __init__(self, meters: Sequence[str], tasks: Sequence[Task], *, now: float, wall: float) -> None:
        self._meters = {meter: _State() for meter in meters}
        self._timetable = Timetable(tasks, now, wall)
        self._urgent: deque[Visit] = deque()
        self._running: _Running | None = None
        self._probe_after = now
        self._missed = 0
        self._pace = FIRST_PACE

    def urgent(self, visit: Visit) -> None:
        """Queue a visit that carries a command: it goes before everything but the commands that wait already.

        Raises CommandRejected when `MAX_URGENT` of them wait, ValueError for a visit without a command (see `again`).
        """
        if visit.command is None:
            raise ValueError(f"the visit to {visit.meter} carries no command")
        if len(self._urgent) >= MAX_URGENT:
            raise CommandRejected("too many commands wait for this bus")
        self._urgent.append(visit)

    def again(self, meter: str, streams: Sequence[str], now: float) -> None:
        """Make `streams` of a meter due once more, behind what is scheduled: more rows are waiting there."""
        for stream in streams:
            self._meters[meter].owe(stream, _Need(now, Priority.BACKFILL))

    def align(self, now: float, wall: float) -> None:
        """Follow the wall clock when it was set; cheap enough to be called before every visit."""
        self._timetable.align(now, wall)

    def next_visit(self, now: float, *, scheduled: bool = True) -> Visit | None:
        """Return the visit to make now, or None. It has to be reported as `finished` before the next is asked for.

        Without `scheduled` only commands are served: what falls due waits.
        """
        if self._running is not None:
            raise RuntimeError(f"{self._running.visit.meter} is still being visited")
        self._ring(now)
        running = self._take_urgent(now) or (self._take_due(now) if scheduled else None)
        self._running = running
        return None if running is None else running.visit

    def next_wake(self, now: float) -> float | None:
        """Return the monotonic time, not before `now`, at which there may be a visit to make; None: never."""
        if self._urgent:
            return now
        times = [self._ready(state) for state in self._meters.values() if state.needs]
        ring = self._timetable.next_ring()
        if ring is not None:
            times.append(ring)
        return max(now, min(times)) if times else None

    def coming(self, meter: str, now: float) -> float | None:
        """Return in how many seconds `meter` is likely visited next, None when nothing is known to bring us there.

        A guess, of use where a wrong one costs little: those who go before it, each at the pace of the latest visits.
        """
        if any(visit.meter == meter for visit in self._urgent):
            return 0.0
        state = self._meters[meter]
        if state.needs:
            before = sum(1 for each in self._meters.values() if each.needs and each.deadline < state.deadline)
            return max(0.0, state.rest_until - now, (before + len(self._urgent)) * self._pace)
        ring = self._timetable.next_ring()
        # what rings is due for all of them at once, and they are visited in the order they have here
        return None if ring is None else max(0.0, ring - now) + list(self._meters).index(meter) * self._pace

    def finished(self, visit: Visit, outcome: Outcome, now: float) -> None:
        """Say how a visit ended. What it did not get is due again, behind what is scheduled."""
        running, self._running = self._running, None
        if running is None or running.visit is not visit:
            raise RuntimeError(f"{visit.meter} is not being visited")
        self._pace += (now - running.started - self._pace) * PACE_WEIGHT
        state = self._meters[visit.meter]
        if outcome in {Outcome.OK, Outcome.PARTLY}:
            state.answered()
            return
        if outcome is not Outcome.LINE:
            state.failed(now)
        if running.probe and outcome is not Outcome.LINE:
            self._probe_after = now + (now - running.started) * (1 / DEAD_SHARE - 1)
        for stream in running.needs:
            state.owe(stream, _Need(now, Priority.BACKFILL))

    def counts(self) -> PlanCounts:
        """Return the figures for health."""
        states = self._meters.values()
        due = sum(1 for state in states if state.needs) + bool(self._running and self._running.needs)
        return PlanCounts(len(self._urgent), due, sum(state.dead for state in states), self._missed)

    def _ring(self, now: float) -> None:
        for task in self._timetable.ring(now):
            need = _Need(now, task.priority)
            for state in self._meters.values():
                self._missed += not state.owe(task.stream, need)

    def _take_urgent(self, now: float) -> _Running | None:
        return _Running(self._urgent.popleft(), now, {}, probe=False) if self._urgent else None

    def _take_due(self, now: float) -> _Running | None:
        """Take everything one meter is due for: the association costs more than a further stream."""
        ready = [item for item in self._meters.items() if item[1].needs and self._ready(item[1]) <= now]
        if not ready:
            return None
        meter, state = min(ready, key=lambda item: item[1].deadline)
        needs, state.needs = state.needs, {}
        priority = min(need.priority for need in needs.values())
        return _Running(Visit(meter, tuple(needs), priority=priority), now, needs, probe=state.dead)

    def _ready(self, state: _State) -> float:
        """Return when a meter that is due may be visited."""
        return max(state.rest_until, self._probe_after) if state.dead else state.rest_until
