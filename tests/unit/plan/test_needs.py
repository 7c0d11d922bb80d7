"""What meters are due for: a need keeps its age, and what is shared says the most urgent of it."""

import math

from dcu.model import Priority, Task
from dcu.plan.needs import LAG, NOTHING, Due, Need, need_of
from dcu.plan.timetable import Ring

OLD = Need(10.0, Priority.SCHEDULED, 130.0, 500.0)
NEW = Need(900.0, Priority.EVENT, 900.0, 1500.0)


def test_a_need_that_waits_keeps_its_age_and_takes_the_newer_window() -> None:
    assert OLD.renewed(NEW) == Need(10.0, Priority.EVENT, 130.0, 1500.0)


def test_a_deadline_comes_from_the_task_or_from_its_priority() -> None:
    assert need_of(Ring(Task("load0", 900.0), 7.0)).deadline == 7.0 + LAG[Priority.SCHEDULED]
    assert need_of(Ring(Task("load0", 900.0, deadline=3.0), 7.0)).deadline == 10.0


def test_what_is_due_says_the_most_urgent_the_most_pressing_and_the_shortest_lived() -> None:
    due = Due({"load0": OLD}).plus({"event.fraud": NEW}, 900.0)
    assert (due.priority, due.deadline, due.expires, due.rung) == (Priority.EVENT, 130.0, 500.0, 900.0)
    assert due.repeated(["load0", "load1"]) == 1
    assert due.expired(500.0) == []
    assert due.expired(501.0) == ["load0"]


def test_nothing_is_left_when_all_is_got() -> None:
    due = Due({"load0": OLD}, 10.0)
    assert due.without(["load1"]) == due
    assert due.without(["load0"]) is NOTHING
    assert (bool(NOTHING), NOTHING.deadline) == (False, math.inf)
