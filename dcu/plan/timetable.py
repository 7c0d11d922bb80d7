"""When the tasks of a timetable fall due: wall-clock boundaries, waited for on monotonic time.

Which intervals a task has is in `intervals`; which meters a due task concerns, and in what order they are visited, in
`planner`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from dcu.model import Task
from dcu.plan.intervals import begin, interval

#: A wall clock that moved less than this against monotonic time was disciplined, not set.
TOLERANCE = 0.5


@dataclass(frozen=True, slots=True)
class Ring:
    """A task that fell due at `since` and may start until `expires`, in monotonic seconds."""

    task: Task
    since: float
    expires: float = math.inf


@dataclass(slots=True)
class _Alarm:
    """The next interval of a task to ring for, when that is in monotonic seconds, and the one that rang last."""

    task: Task
    interval: int
    due: float
    rung: int | None = None

    def ring(self, now: float, shift: float) -> Ring:
        """Ring for the interval that runs at `now`, and wait for the one after it."""
        # rounding may put "now" a hair before the boundary it rings for, which must not ring again
        number = max(self.interval, interval(self.task, now + shift))
        boundary = begin(self.task, number) - shift
        since = max(self.due, boundary)
        self.rung = number
        self.set(number + 1, shift)
        return Ring(self.task, since, boundary + self.task.window if self.task.window else math.inf)

    def set(self, number: int, shift: float) -> None:
        self.interval = number
        self.due = begin(self.task, number) - shift

    def follow(self, wall: float, shift: float) -> None:
        """Wait for the boundary that follows in the new time.

        Set by less than an interval, each interval still rings, and none twice. Set by more, the labels are others and
        the task goes on at its pace: at the boundary that is nearest to when it would have rung.
        """
        current = interval(self.task, wall)
        if self.rung is None:  # what is due at the start is due at the start
            self.interval = current
        elif abs(current - self.rung) <= 1:
            self.set(self.rung + 1, shift)
        else:
            due = self.due + shift
            number = interval(self.task, due)
            nearer = due - begin(self.task, number) <= begin(self.task, number + 1) - due
            self.set(number if nearer else number + 1, shift)


class Timetable:
    """Rings each task once per interval. At first every task is due: nothing is known of the interval that runs.

    Only one whose window is over waits for the next. Everything is `delay` seconds later than its boundary.
    """

    def __init__(self, tasks: Iterable[Task], now: float, wall: float, delay: float = 0.0) -> None:
        self._delay = delay
        self._shift = wall - delay - now
        self._alarms = [self._first(task, now, wall) for task in tasks]

    def _first(self, task: Task, now: float, wall: float) -> _Alarm:
        number = interval(task, wall)
        alarm = _Alarm(task, number, now + self._delay)
        if task.window and wall - begin(task, number) > task.window:
            alarm.set(number + 1, self._shift)
            alarm.rung = number
        return alarm

    def ring(self, now: float) -> list[Ring]:
        """Return the tasks that fell due up to `now`; one whose boundary passed several times rings once."""
        return [alarm.ring(now, self._shift) for alarm in self._alarms if alarm.due <= now]

    def unheard(self, now: float) -> list[Ring]:
        """Return what `ring` will return, when it is asked."""
        return [replace(alarm).ring(now, self._shift) for alarm in self._alarms if alarm.due <= now]

    def running(self, now: float) -> list[Ring]:
        """Return what may be read at `now` by whoever was not there when it rang.

        Without what is about to ring for the first time, and what had to start in a window that is over.
        """
        rings = [Ring(each.task, now, self._expires(each)) for each in self._alarms if each.rung is not None]
        return [ring for ring in rings if now <= ring.expires]

    def _expires(self, alarm: _Alarm) -> float:
        if alarm.rung is None or not alarm.task.window:
            return math.inf
        return begin(alarm.task, alarm.rung) - self._shift + alarm.task.window

    def next_ring(self) -> float | None:
        """Return the monotonic time of the next boundary, None without tasks."""
        return min((alarm.due for alarm in self._alarms), default=None)

    def align(self, now: float, wall: float) -> None:
        """Follow a wall clock that was set: its labels change, and as little else as can be."""
        shift = wall - self._delay - now
        if abs(shift - self._shift) < TOLERANCE:
            return
        self._shift = shift
        for alarm in self._alarms:
            alarm.follow(wall - self._delay, shift)
