"""A meter that has failed since its last success: what it still owes, how long it rests, and when it is unreachable.

Whose turn it is, and the share of the unreachable, is in `planner`.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from dcu.model import Priority
from dcu.plan.needs import LAG, Due

#: A meter that failed this often in a row is unreachable: retrying has ended, from now on it is probed (tenders: 3).
DEAD_AFTER = 3

#: Seconds a meter rests after its first failure; doubles with each further one, up to the cap.
FIRST_REST = 30.0
REST_CAP = 900.0


@dataclass(frozen=True, slots=True)
class More:
    """Streams of which further rows are waiting since `since`, the most urgent of them with this `priority`."""

    streams: tuple[str, ...]
    since: float
    priority: Priority = Priority.BACKFILL

    @property
    def rank(self) -> tuple[Priority, float]:
        """Return what decides over the order: priority, then deadline."""
        return self.priority, self.since + LAG[self.priority]

    def plus(self, streams: Iterable[str], now: float, priority: Priority = Priority.BACKFILL) -> "More":
        """Add streams; who waits already keeps its age."""
        together = tuple(dict.fromkeys((*self.streams, *streams)))
        return More(together, *((self.since, min(self.priority, priority)) if self.streams else (now, priority)))

    def without(self, streams: Collection[str]) -> "More":
        return replace(self, streams=tuple(stream for stream in self.streams if stream not in streams))


NO_MORE = More((), 0.0)


@dataclass(slots=True)
class Failing:
    """A meter that has not answered since its last success; it is left alone until `rest_until`."""

    due: Due
    more: More
    failures: int = 0
    failed_at: float = 0.0
    rest_until: float = 0.0

    @property
    def owes(self) -> bool:
        return bool(self.due or self.more.streams)

    @property
    def dead(self) -> bool:
        return self.failures >= DEAD_AFTER

    def failed(self, now: float) -> None:
        self.failures += 1
        self.failed_at = now
        # the exponent is bounded: 2 ** 1024 is no float
        self.rest_until = now + min(REST_CAP, FIRST_REST * 2.0 ** min(self.failures - 1, 16))

    def rank(self) -> tuple[Priority, float]:
        """Return priority and deadline: a retry goes behind what is scheduled, until more has fallen due."""
        if self.due.rung > self.failed_at and not self.dead:
            return self.due.rank
        return Priority.BACKFILL, self.failed_at + LAG[Priority.BACKFILL]
