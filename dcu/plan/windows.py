"""Which captures of a stream ought to be here by now: those of the last interval of its task whose time is up.

Pure arithmetic of wall time (UTC seconds). Whether they are here is in the store's ledger.
"""

from dcu.model import Task
from dcu.plan.intervals import begin, interval


def closed(task: Task, period: int, now: float) -> tuple[int, int]:
    """Return (after, until): captures later than the one and up to the other are due to be here at `now`.

    They are those of one interval of `task`, of one `period` (s) where that is longer. An interval's time is up when
    its deadline has passed; without one, when the next begins.
    """
    number = interval(task, now) - 1 if task.deadline is None else interval(task, now - task.deadline)
    after, until = (int(begin(task, each) - task.offset) for each in (number - 1, number))
    return min(after, until - period), until


def round_of(task: Task, now: float) -> tuple[float, float]:
    """Return (start, end) of the last interval of `task` whose time is up at `now`: moments read in it are its own."""
    if task.deadline is None:
        number = interval(task, now) - 1
        return begin(task, number), begin(task, number + 1)
    number = interval(task, now - task.deadline)
    return begin(task, number), min(begin(task, number) + task.deadline, begin(task, number + 1))
