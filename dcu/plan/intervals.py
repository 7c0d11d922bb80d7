"""The intervals of a task: which one a moment of wall time lies in, and when each begins.

Wall time is UTC seconds throughout; a zone matters only to tasks at a time of day. Nothing here waits.
"""

import math
from datetime import UTC, date, datetime, time, timedelta

from dcu.clock import seconds, utc
from dcu.model import LAST_DAY, Task

#: A wall clock beyond these is wrong in any case, and a date has to be made of it.
FIRST, LAST = 0.0, seconds(datetime(9000, 1, 1, tzinfo=UTC))

MONTHS = 12


def interval(task: Task, wall: float) -> int:
    """Return the number of the interval of `task` that holds `wall`; it grows by one per interval."""
    if task.at is None:
        return math.floor((wall - task.offset) / task.every)
    wall = min(max(FIRST, wall), LAST)
    local = utc(wall - task.offset).astimezone(task.zone)
    number = local.toordinal() if task.day is None else local.year * MONTHS + local.month - 1
    return number if begin(task, number) <= wall else number - 1


def begin(task: Task, number: int) -> float:
    """Return when interval `number` begins.

    A time of day that the clocks of `zone` leave out is counted from midnight as if they had not been changed: half
    past two is then shown as half past three. Of one that they show twice it is the first (RFC 5545, 3.3.5).
    """
    if task.at is None:
        return number * task.every + task.offset
    # the sum of a date and a time without zone, which then means what the wall of that place showed first (fold 0)
    shown = datetime.combine(_day(task, number), time()) + timedelta(seconds=task.at)
    return seconds(shown.replace(tzinfo=task.zone)) + task.offset


def describe_due(task: Task) -> str:
    """Return when a task falls due, in words."""
    if task.at is None:
        return f"every {task.every:g} s, offset {task.offset:g} s"
    days = {None: "each day", LAST_DAY: "on the last day of each month"}
    day = days.get(task.day, f"on day {task.day} of each month")
    return f"{day} at {timedelta(seconds=task.at)} {task.zone}, offset {task.offset:g} s"


def _day(task: Task, number: int) -> date:
    """Return the day on which interval `number` of a task at a time of day begins."""
    if task.day is None:
        return date.fromordinal(number)
    if task.day == LAST_DAY:
        return date(*_month(number + 1), 1) - timedelta(days=1)
    return date(*_month(number), task.day)


def _month(number: int) -> tuple[int, int]:
    return number // MONTHS, number % MONTHS + 1
