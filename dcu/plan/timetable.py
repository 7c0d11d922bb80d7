"""When the tasks of a timetable fall due: wall-clock boundaries, waited for on monotonic time.

Which meters a due task concerns, and in what order they are visited, is in `planner`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from dcu.model import Task

#: A wall clock that moved less than this against monotonic time was disciplined, not set.
TOLERANCE = 0.5


def interval(task: Task, wall: float) -> int:
    """Return the number of the interval of `task` that holds `wall` (UTC seconds); it grows by one per interval."""
    return math.floor((wall - task.offset) / task.every)


@dataclass(slots=True)
class _Alarm:
    """The next interval of a task to ring for, and when that is in monotonic seconds."""

    task: Task
    interval: int
    due: float

    def set(self, number: int, shift: float) -> None:
        self.interval = number
        self.due = number * self.task.every + self.task.offset - shift


class Timetable:
    """Rings each task once per interval. At first every task is due: nothing is known of the interval that runs."""

    def __init__(self, tasks: Iterable[Task], now: float, wall: float) -> None:
        self._shift = wall - now
        self._alarms = [_Alarm(task, interval(task, wall), now) for task in tasks]

    def ring(self, now: float) -> list[Task]:
        """Return the tasks that fell due up to `now`; one whose boundary passed several times rings once."""
        due = [alarm for alarm in self._alarms if alarm.due <= now]
        for alarm in due:
            # Rounding may put "now" a hair before the boundary it rings for, which must not ring again.
            alarm.set(max(alarm.interval, interval(alarm.task, now + self._shift)) + 1, self._shift)
        return [alarm.task for alarm in due]

    def next_ring(self) -> float | None:
        """Return the monotonic time of the next boundary, None without tasks."""
        return min((alarm.due for alarm in self._alarms), default=None)

    def align(self, now: float, wall: float) -> None:
        """Follow a wall clock that was set.

        Set forward, the boundaries it jumped over ring once. Set back by up to one interval, the interval that has
        been read is not read again; set back further, the old numbers were wrong and do not hold a task up.
        """
        shift = wall - now
        if abs(shift - self._shift) < TOLERANCE:
            return
        self._shift = shift
        for alarm in self._alarms:
            alarm.set(min(alarm.interval, interval(alarm.task, wall) + 2), shift)
