"""What waits for a line while it is in use, and whether the visit under way ought to stop for it between two frames.

Who goes next when it is free is in `planner`. A command stops a visit when it has waited for PATIENCE seconds, or at
once when the visit is likely to last until the command expires; what is due on schedule, only when its own deadline
lies within that time, and only what is less urgent.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from dcu.errors import CommandRejected
from dcu.model import Priority, Visit
from dcu.plan.failing import NO_MORE, More
from dcu.plan.needs import Need

#: Commands that may wait for one bus: one for each of 1024 meters, and as many again.
MAX_URGENT = 2048

#: Seconds a command waits for the running visit to end by itself: of the 5 s that it may take to its meter's line, a
#: visit that stops takes up to 3, for a frame that has begun and for the goodbye.
PATIENCE = 1.5

#: Commands made one right behind the other before a meter that is late has a turn: a head-end that asks without end
#: takes no more than that share of a line.
IN_A_ROW = 8

#: Seconds of such a turn before a command may stop it.
FAIR_SECONDS = 3.0

#: A meter's visit is stopped so often in a row; then it is finished, or a flood of commands would starve it.
MOST_CUTS = 3


@dataclass(frozen=True, slots=True)
class Running:
    """The visit that is under way; `fair`: it was made in spite of the commands that wait."""

    visit: Visit
    started: float
    probe: bool = False
    more: More = NO_MORE
    fair: bool = False

    def stops(self, cuts: int, now: float) -> bool:
        """Whether it may be stopped `now`, when its meter's visits were so in the last `cuts` turns."""
        had_its_turn = not self.fair or now - self.started >= FAIR_SECONDS
        return self.visit.command is None and had_its_turn and cuts < MOST_CUTS


class _Waiting(NamedTuple):
    visit: Visit
    since: float
    deadline: float


@dataclass(slots=True)
class Commands:
    """The visits that carry commands, in the order of arrival; times are monotonic seconds."""

    _queue: deque[_Waiting] = field(default_factory=deque)
    _row: int = 0

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, visit: Visit, now: float, deadline: float) -> None:
        """Queue a visit that is no use after `deadline`; CommandRejected when MAX_URGENT of them wait."""
        if len(self._queue) >= MAX_URGENT:
            raise CommandRejected("too many commands wait for this bus")
        self._queue.append(_Waiting(visit, now, deadline))

    def take(self) -> Visit:
        self._row += 1
        return self._queue.popleft().visit

    @property
    def endless(self) -> bool:
        """Whether IN_A_ROW were taken, none gave way, and more wait."""
        return bool(self._queue) and self._row >= IN_A_ROW

    def give_way(self) -> None:
        """A visit without a command is made."""
        self._row = 0

    def concern(self, meter: str) -> bool:
        return any(each.visit.meter == meter for each in self._queue)

    def cannot_wait(self, now: float, rest: float, pace: float) -> bool:
        """Whether one is to go before the end of a visit that lasts for `rest` s, each before it taking `pace` s."""
        if not self._queue:
            return False
        turns = (now + rest + number * pace >= each.deadline for number, each in enumerate(self._queue))
        return now - self._queue[0].since >= PATIENCE or any(turns)


def rest_of(pace: float, elapsed: float) -> float:
    """Return for how many seconds a visit is likely to go on, of which `elapsed` are over and that usually take `pace`.

    One that has outrun its time is taken to do so for as long again.
    """
    return abs(pace - elapsed)


def presses(needs: Iterable[Need], priority: Priority, now: float, rest: float) -> bool:
    """Whether a need above `priority` can be met now, and not in `rest` s; what is late already stops nothing."""
    return any(need.priority < priority and now < need.deadline < now + rest for need in needs)
