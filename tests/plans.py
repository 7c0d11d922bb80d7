"""Plans of a bus for tests: a few meters, one timetable, and visits that take no time to make; forecasts ready made."""

from typing import TypeVar

from dcu.model import Command, Outcome, Priority, Task, Visit
from dcu.plan import BusPlan
from dcu.plan.airtime import Pieces

T = TypeVar("T")

LOAD = Task("load0", 900.0)
EVENTS = Task("event.fraud", 900.0, priority=Priority.EVENT)


def plan_of(*meters: str, tasks: tuple[Task, ...] = (LOAD,)) -> BusPlan:
    return BusPlan(dict.fromkeys(meters, ""), {"": tasks}, now=0.0, wall=0.0)


def command(meter: str, name: str = "c") -> Visit:
    return Visit(meter, command=Command(name, "meter.read"), priority=Priority.COMMAND)


def visit(plan: BusPlan, now: float, outcome: Outcome = Outcome.OK, cost: float = 1.0) -> str | None:
    """Make the next visit; return its meter."""
    chosen = plan.next_visit(now)
    if chosen is not None:
        plan.finished(chosen, outcome, now + cost)
    return chosen.meter if chosen else None


def in_pieces(found: T) -> Pieces[T]:
    """Return `found` as work of one piece."""
    yield
    return found
