"""What meters are due for, as values that many meters share: a boundary concerns a thousand of them alike.

Who is due for what, and who goes first, is in `planner`.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from dcu.model import Priority
from dcu.plan.timetable import Ring

#: Seconds by which a due stream may be overtaken by more urgent ones before it has its turn. A sweep of 341 meters
#: takes some 200 s.
LAG = {
    Priority.COMMAND: 0.0,
    Priority.EVENT: 0.0,
    Priority.BILLING: 60.0,
    Priority.SCHEDULED: 120.0,
    Priority.BACKFILL: 900.0,
    Priority.DISCOVERY: 3600.0,
}


@dataclass(frozen=True, slots=True)
class Need:
    """A stream that is due: since when, how urgent, by when it ought to be visited, until when it may. Monotonic s."""

    since: float
    priority: Priority
    deadline: float
    expires: float = math.inf

    def renewed(self, newer: "Need") -> "Need":
        """Return this need after it fell due once more: it keeps its age, or short intervals would push it back."""
        return Need(
            min(self.since, newer.since),
            min(self.priority, newer.priority),
            min(self.deadline, newer.deadline),
            max(self.expires, newer.expires),
        )


def need_of(ring: Ring) -> Need:
    """Return what a ring of the timetable asks for."""
    lag = LAG[ring.task.priority] if ring.task.deadline is None else ring.task.deadline
    return Need(ring.since, ring.task.priority, ring.since + lag, ring.expires)


@dataclass(frozen=True, slots=True)
class Due:
    """All that some meters are due for, by stream; `rung` is when something fell due last.

    `priority`, `deadline` and `expires` are those of its most urgent, most pressing and shortest-lived need.
    """

    needs: Mapping[str, Need]
    rung: float = -math.inf
    priority: Priority = field(init=False, compare=False)
    deadline: float = field(init=False, compare=False)
    expires: float = field(init=False, compare=False)

    def __post_init__(self) -> None:
        needs = self.needs.values()
        _fix(self, "priority", min((need.priority for need in needs), default=Priority.DISCOVERY))
        _fix(self, "deadline", min((need.deadline for need in needs), default=math.inf))
        _fix(self, "expires", min((need.expires for need in needs), default=math.inf))

    @property
    def rank(self) -> tuple[Priority, float]:
        """Return what decides over the order: priority, then deadline."""
        return self.priority, self.deadline

    def __bool__(self) -> bool:
        return bool(self.needs)

    def plus(self, wave: Mapping[str, Need], now: float) -> "Due":
        """Return this and what fell due `now`."""
        renewed = {stream: self.needs[stream].renewed(need) for stream, need in wave.items() if stream in self.needs}
        return Due({**self.needs, **wave, **renewed}, now)

    def repeated(self, wave: Iterable[str]) -> int:
        """Return how many streams of `wave` are still waiting from an interval before."""
        return sum(stream in self.needs for stream in wave)

    def without(self, streams: Collection[str]) -> "Due":
        left = {stream: need for stream, need in self.needs.items() if stream not in streams}
        return Due(left, self.rung) if left else NOTHING

    def expired(self, now: float) -> list[str]:
        """Return the streams that may not be started any more."""
        return [stream for stream, need in self.needs.items() if need.expires < now]


def _fix(due: Due, name: str, value: object) -> None:
    object.__setattr__(due, name, value)  # a frozen dataclass says so itself where it derives a field


NOTHING = Due({})
