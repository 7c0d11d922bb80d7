"""Who is visited next on one bus: commands, then by priority what is due, and the unreachable within their share.

When tasks fall due is in `timetable`, what a meter is due for in `needs`. Every fourth visit goes to whoever has waited
past his deadline the longest, so that nobody starves; all others go strictly by priority. Among commands that never
end it is one visit behind every IN_A_ROW of them, and these do not stop it at once.

    REACHABLE ──failed──► DEGRADED: rests 30 s, 60 s, … ──failed DEAD_AFTER times──► UNREACHABLE: probed within a share
        ▲                    │ answered                                                 │ answered
        └────────────────────┴──────────────── and reads all it owes ───────────────────┘
"""

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from dcu.model import Outcome, Priority, Reach, Task, Visit
from dcu.plan.failing import DEAD_AFTER, NO_MORE, Failing, More
from dcu.plan.needs import NOTHING, Due, Need, need_of
from dcu.plan.overtaking import Commands, Running, presses, rest_of
from dcu.plan.timetable import Timetable

#: The most of a bus's time that failed probes of unreachable meters may take, unless the configuration says otherwise.
DEAD_SHARE = 0.1

#: Seconds a visit is taken to last before any has been made, and how much each one moves that estimate.
FIRST_PACE = 1.0
PACE_WEIGHT = 0.125

#: One of so many visits belongs to whoever has waited past his deadline the longest.
AGED_TURN = 4

#: How a visit ends in which the meter has answered.
ANSWERED = {Outcome.OK, Outcome.PARTLY, Outcome.YIELDED}


@dataclass(frozen=True, slots=True)
class PlanCounts:
    """For health: waiting commands, meters due, degraded and unreachable, and intervals that passed unread."""

    urgent: int
    due: int
    degraded: int
    unreachable: int
    missed: int


@dataclass(slots=True, eq=False)
class _Pile:
    """Meters of one group that answer and are due for the same, in the order of their turn."""

    group: str
    due: Due
    meters: dict[str, None] = field(default_factory=dict)


class BusPlan:
    """The plan of one bus. `now` is always monotonic seconds; `wall`, in UTC seconds, only sets the boundaries.

    `meters` has each meter's group, `timetables` each group's tasks ("": those of meters in no group). Everything is
    due `stagger` seconds after its boundary, so that the buses behind one gateway take turns.
    """

    def __init__(
        self,
        meters: Mapping[str, str],
        timetables: Mapping[str, Sequence[Task]],
        *,
        now: float,
        wall: float,
        dead_share: float = DEAD_SHARE,
        stagger: float = 0.0,
    ) -> None:
        tasks = dict.fromkeys(task for timetable in timetables.values() for task in timetable)
        self._timetable = Timetable(tasks, now, wall, stagger)
        self._tasks = {group: frozenset(timetable) for group, timetable in timetables.items()}
        self._bounded = any(task.window for task in tasks)
        self._dead_share = dead_share
        self._group = dict(meters)
        self._piles: list[_Pile] = []
        self._pile_of: dict[str, _Pile] = {}
        self._failing: dict[str, Failing] = {}
        self._more: dict[str, More] = {}
        self._urgent = Commands()
        self._running: Running | None = None
        self._cuts: dict[str, int] = {}
        self._turn = 0
        self._probe_after = now
        self._missed = 0
        self._pace = FIRST_PACE
        for meter in meters:
            self._pile(meter, NOTHING)

    def __len__(self) -> int:
        return len(self._group)

    def __contains__(self, meter: str) -> bool:
        return meter in self._group

    def __iter__(self) -> Iterator[str]:
        return iter(self._group)

    def add(self, meter: str, group: str, now: float) -> None:
        """Take in a meter while others are being read: it is due for everything that may be read now.

        One of a group that the configuration does not know any more is read as those in no group.
        """
        self._group[meter] = group if group in self._tasks else ""
        tasks = self._tasks[self._group[meter]]
        wave = {ring.task.stream: need_of(ring) for ring in self._timetable.running(now) if ring.task in tasks}
        self._pile(meter, NOTHING.plus(wave, now) if wave else NOTHING)

    def remove(self, meter: str) -> None:
        """Forget a meter; commands for it that wait already are still given out."""
        del self._group[meter]
        self._leave(meter)
        for known in (self._failing, self._more, self._cuts):
            known.pop(meter, None)

    def presume_unreachable(self, meter: str, now: float) -> None:
        """Take a meter for unreachable that was so before a restart: retrying it anew would cost the others."""
        self._fail(meter, NO_MORE, now, DEAD_AFTER)

    def urgent(self, visit: Visit, now: float, deadline: float = math.inf) -> None:
        """Queue a visit that carries a command: it goes before everything but the commands that wait already.

        After `deadline` (monotonic s) it is of no use. Raises what `Commands.put` raises, and ValueError for a visit
        without a command (see `again`).
        """
        if visit.command is None:
            raise ValueError(f"the visit to {visit.meter} carries no command")
        self._urgent.put(visit, now, deadline)

    def yields(self, now: float) -> bool:
        """Whether the visit under way ought to stop between two frames, for what cannot wait for its end."""
        running = self._running
        if running is None or not running.stops(self._cuts.get(running.visit.meter, 0), now):
            return False
        rest = rest_of(self._pace, now - running.started)
        return self._urgent.cannot_wait(now, rest, self._pace) or presses(
            self._unheard(now), running.visit.priority, now, rest
        )

    def _unheard(self, now: float) -> list[Need]:
        """Return what fell due for some meter of the bus since the visit under way began."""
        rings = self._timetable.unheard(now)
        return [need_of(ring) for ring in rings if any(ring.task in self._tasks[pile.group] for pile in self._piles)]

    def again(self, meter: str, streams: Sequence[str], now: float, priority: Priority = Priority.BACKFILL) -> None:
        """Make `streams` of a meter due once more, by itself behind what is scheduled: more rows are waiting there."""
        if not streams or meter not in self._group:  # removed since they were found
            return
        failing = self._failing.get(meter)
        if failing is not None:
            failing.more = failing.more.plus(streams, now, priority)
        else:
            self._more[meter] = self._more.get(meter, NO_MORE).plus(streams, now, priority)

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
        if self._bounded:
            self._expire(now)
        if scheduled and (self._urgent.endless or not self._urgent):
            self._running = self._take_due(now, fair=bool(self._urgent))
        if self._running is not None:
            self._urgent.give_way()
        elif self._urgent:
            self._running = Running(self._urgent.take(), now)
        return None if self._running is None else self._running.visit

    def next_wake(self, now: float) -> float | None:
        """Return the monotonic time, not before `now`, at which there may be a visit to make; None: never."""
        if self._urgent or self._more or any(pile.due for pile in self._piles):
            return now
        times = [self._ready(failing) for failing in self._failing.values() if failing.owes]
        ring = self._timetable.next_ring()
        if ring is not None:
            times.append(ring)
        return max(now, min(times)) if times else None

    def coming(self, meter: str, now: float) -> float | None:
        """Return in how many seconds `meter` is likely visited next, None when nothing is known to bring us there.

        A guess, of use where a wrong one costs little: those who go before it, each at the pace of the latest visits.
        """
        if self._urgent.concern(meter):
            return 0.0
        before = self._before(meter)
        if before is not None:
            failing = self._failing.get(meter)
            rest = 0.0 if failing is None else failing.rest_until - now
            return max(0.0, rest, (before + len(self._urgent)) * self._pace)
        ring = self._timetable.next_ring()
        # what rings is due for all of them at once, and who was visited first is first again
        idle = next((pile.meters for pile in self._piles if pile.group == self._group[meter] and not pile.due), {})
        turn = list(idle).index(meter) if meter in idle else len(idle)
        return None if ring is None else max(0.0, ring - now) + turn * self._pace

    def finished(self, visit: Visit, outcome: Outcome, now: float, got: Collection[str] | None = None) -> None:
        """Say how a visit ended, and which of its streams it `got` (None: all when the meter answered, otherwise none).

        The rest is due again: at its old age when the meter answered, otherwise behind what is scheduled.
        """
        running, self._running = self._running, None
        if running is None or running.visit is not visit:
            raise RuntimeError(f"{visit.meter} is not being visited")
        if outcome is Outcome.UNASKED:
            return
        self._pace += (now - running.started - self._pace) * PACE_WEIGHT
        if visit.meter not in self._group:  # removed meanwhile
            return
        if got is None:
            got = visit.streams if outcome in {Outcome.OK, Outcome.PARTLY} else ()
        if visit.command is None:
            self._count_cut(visit.meter, outcome)
        if outcome is Outcome.LINE or outcome in ANSWERED:
            self._rest(running, outcome, got)
        else:
            self._fail(visit.meter, running.more.without(got), now, 1, got)
        # whatever it failed by, also where that was the line: a gateway may hang up over a station that is not there
        if running.probe and outcome not in ANSWERED:
            self._probe_after = now + (now - running.started) * (1 / self._dead_share - 1)

    def reach(self, meter: str) -> Reach:
        failing = self._failing.get(meter)
        if failing is None:
            return Reach.REACHABLE
        return Reach.UNREACHABLE if failing.dead else Reach.DEGRADED

    def failures(self, meter: str) -> int:
        """Return how often in a row a meter has failed."""
        failing = self._failing.get(meter)
        return 0 if failing is None else failing.failures

    def counts(self) -> PlanCounts:
        """Return the figures for health."""
        due = {meter for pile in self._piles if pile.due for meter in pile.meters} | self._more.keys()
        owing = sum(failing.owes for failing in self._failing.values())
        dead = sum(failing.dead for failing in self._failing.values())
        degraded = len(self._failing) - dead
        return PlanCounts(len(self._urgent), len(due) + owing, degraded, dead, self._missed)

    def _ring(self, now: float) -> None:
        rings = self._timetable.ring(now)
        if not rings:
            return
        waves = {
            group: {ring.task.stream: need_of(ring) for ring in rings if ring.task in tasks}
            for group, tasks in self._tasks.items()
        }

        def plus(group: str, due: Due) -> tuple[Due, int]:
            wave = waves[group]
            return (due.plus(wave, now), due.repeated(wave)) if wave else (due, 0)

        self._change(plus)

    def _expire(self, now: float) -> None:
        def without(_: str, due: Due) -> tuple[Due, int]:
            gone = due.expired(now)
            return (due.without(gone), len(gone)) if gone else (due, 0)

        self._change(without)

    def _change(self, change: Callable[[str, Due], tuple[Due, int]]) -> None:
        """Change what each meter is due for; `change` also says how many intervals of each are lost by it.

        Who was due for the same goes on sharing it: a boundary costs as much as there are different dues, not meters.
        """
        for pile in self._piles:
            pile.due, missed = change(pile.group, pile.due)
            self._missed += missed * len(pile.meters)
        changed: dict[tuple[str, int], tuple[Due, Due, int]] = {}
        for meter, failing in self._failing.items():
            key = self._group[meter], id(failing.due)
            if key not in changed:
                changed[key] = (failing.due, *change(key[0], failing.due))
            _, failing.due, missed = changed[key]
            self._missed += missed

    def _take_due(self, now: float, *, fair: bool = False) -> Running | None:
        """Take everything one meter is due for: the association costs more than a further stream."""
        meter = self._choose(now, fair=fair)
        if meter is None:
            return None
        failing = self._failing.get(meter)
        if failing is not None:
            due, more, failing.more = failing.due, failing.more, NO_MORE
        else:
            due, more = self._pile_of[meter].due, self._more.pop(meter, NO_MORE)
        streams = tuple(dict.fromkeys((*due.needs, *more.streams)))
        priority = min(due.priority, more.priority) if more.streams else due.priority
        visit = Visit(meter, streams, priority=priority, more=bool(more.streams))
        return Running(visit, now, failing is not None and failing.dead, more, fair)

    def _choose(self, now: float, *, fair: bool) -> str | None:
        """Return the meter whose turn it is: by priority, then deadline; each AGED_TURN-th time by deadline alone.

        A `fair` turn belongs to who is late and to nobody else.
        """
        offers = [(*pile.due.rank, next(iter(pile.meters))) for pile in self._piles if pile.due]
        if self._more:
            meter, more = min(self._more.items(), key=lambda each: each[1].priority)
            offers.append((*more.rank, meter))
        offers += [(*each.rank(), meter) for meter, each in self._failing.items() if self._may(each, now)]
        late = [offer for offer in offers if offer[1] < now]
        if fair or not offers:
            return min(late, key=itemgetter(1))[2] if late else None
        self._turn += 1
        aged = late and self._turn % AGED_TURN == 0
        return min(late, key=itemgetter(1))[2] if aged else min(offers, key=itemgetter(0, 1))[2]

    def _before(self, meter: str) -> int | None:
        """Return how many meters go before one that is due, None for one that is not; what is being read is not due."""
        reading = self._running is not None and self._running.visit.meter == meter
        pile, failing = self._pile_of.get(meter), self._failing.get(meter)
        due = [each for each in self._piles if each.due]
        if pile is not None and pile.due and not reading:
            return sum(len(each.meters) for each in due if each.due.rank < pile.due.rank) + list(pile.meters).index(
                meter
            )
        waiting = sum(len(each.meters) for each in due) - (pile in due)
        if meter in self._more:
            return waiting + list(self._more).index(meter)
        owes = failing is not None and (failing.more.streams or (failing.due and not reading))
        return waiting if owes else None

    def _may(self, failing: Failing, now: float) -> bool:
        """Whether a meter that failed is to be visited now."""
        return failing.rest_until <= now and (self._probe_after <= now or not failing.dead) and failing.owes

    def _ready(self, failing: Failing) -> float:
        """Return when a meter that failed may be visited."""
        return max(failing.rest_until, self._probe_after) if failing.dead else failing.rest_until

    def _count_cut(self, meter: str, outcome: Outcome) -> None:
        if outcome is Outcome.YIELDED:
            self._cuts[meter] = self._cuts.get(meter, 0) + 1
        else:
            self._cuts.pop(meter, None)

    def _rest(self, running: Running, outcome: Outcome, got: Collection[str]) -> None:
        """Put what a visit did not get back to what is owed; a meter that answered is reachable again."""
        visit = running.visit
        failing = self._failing.get(visit.meter)
        if failing is not None and outcome is Outcome.LINE:
            failing.more = running.more.plus(failing.more.streams, running.more.since, failing.more.priority)
            return
        left = running.more.without(got)
        if failing is not None:
            del self._failing[visit.meter]
            self._pile(visit.meter, failing.due.without(got))
            left = left.plus(failing.more.streams, failing.more.since, failing.more.priority)
        elif visit.command is None:
            self._pile(visit.meter, self._leave(visit.meter).without(got))
        if left.streams:
            waiting = self._more.get(visit.meter, NO_MORE)
            self._more[visit.meter] = left.plus(waiting.streams, left.since, waiting.priority)

    def _fail(self, meter: str, more: More, now: float, times: int, got: Collection[str] = ()) -> None:
        failing = self._failing.get(meter)
        if failing is None:
            failing = self._failing[meter] = Failing(self._leave(meter), self._more.pop(meter, NO_MORE))
        failing.due = failing.due.without(got) if got else failing.due
        failing.more = failing.more.plus(more.streams, now)
        for _ in range(times):
            failing.failed(now)

    def _pile(self, meter: str, due: Due) -> None:
        """Put a meter behind those of its group that are due for the same."""
        group = self._group[meter]
        pile = next((pile for pile in self._piles if pile.group == group and pile.due == due), None)
        if pile is None:
            pile = _Pile(group, due)
            self._piles.append(pile)
        pile.meters[meter] = None
        self._pile_of[meter] = pile

    def _leave(self, meter: str) -> Due:
        """Take a meter from its pile; return what it is due for."""
        pile = self._pile_of.pop(meter, None)
        if pile is None:
            return NOTHING
        del pile.meters[meter]
        if not pile.meters:
            self._piles.remove(pile)
        return pile.due
