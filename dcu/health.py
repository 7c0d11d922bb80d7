"""Running state as plain data: counters, last-success times and proofs of progress. Flows write, status reads.

Nothing here acts; `daemon.py` decides what the numbers mean for the watchdog and the LED.
"""

from array import array
from collections import deque
from dataclasses import dataclass, field
from heapq import nlargest
from operator import itemgetter

from dcu.errors import Breach
from dcu.model import Outcome

#: A flow that has not finished a step for this long is stuck: longer than any bounded wait inside a step.
STEP_BOUND = 90.0


#: Seconds in which readings of a moment are counted together, and for how many of such they are kept.
SLOT = 5
SLOTS = 25 * 3600 // SLOT

#: How many of the newest command latencies (s) are kept.
KEPT = 20


@dataclass(slots=True)
class Progress:
    """When a flow last finished a step (monotonic seconds), and how long it may take for one."""

    last: float
    bound: float = STEP_BOUND

    def mark(self, now: float) -> None:
        self.last = now

    def stuck(self, now: float) -> bool:
        return now - self.last > self.bound


@dataclass(slots=True)
class BusHealth:
    """What one bus did since the start. Octets as counted at the port, `busy` in seconds of conversation.

    `wasted` is the part of `busy` in visits that brought nothing. `resumed` counts the visits that went on over an
    association held open, `stale` those of them that had to associate after all, `changed` the serial numbers and
    firmware versions that were others than before. `pushes` counts what meters told unasked, `strangers` what others
    did. Of the search for new meters `probing` addresses are left; `probes` were asked, `found` answered with
    news. `security` counts the failed security checks by what failed (`dcu.errors.Breach`).
    """

    visits: int = 0
    ok: int = 0
    partly: int = 0
    yielded: int = 0
    silent: int = 0
    refused: int = 0
    line: int = 0
    octets_sent: int = 0
    octets_received: int = 0
    busy: float = 0.0
    wasted: float = 0.0
    captures: int = 0
    bad_rows: int = 0
    resumed: int = 0
    stale: int = 0
    changed: int = 0
    pushes: int = 0
    strangers: int = 0
    probing: int = 0
    probes: int = 0
    found: int = 0
    security: dict[str, int] = field(default_factory=dict)
    last_success: float | None = None
    error: str | None = None

    def count(self, outcome: Outcome, busy: float, *, good: bool) -> None:
        """Count a visit that took `busy` seconds; one that was no `good` wasted them."""
        self.visits += 1
        self.busy += busy
        self.wasted += 0.0 if good else busy
        setattr(self, outcome.value, getattr(self, outcome.value) + 1)

    def count_breach(self, breach: Breach) -> None:
        """Count a failed security check."""
        self.security[breach] = self.security.get(breach, 0) + 1


@dataclass(slots=True)
class Moments:
    """How many readings of a moment, of which no meter has a record, came when: by stream, for a day and an hour.

    Kept in slots of SLOT seconds of the DCU's clock; where that is set back behind them, they begin anew.
    """

    _slots: dict[str, "array[int]"] = field(default_factory=dict)
    _latest: dict[str, int] = field(default_factory=dict)

    def count(self, stream: str, at: float) -> None:
        """Count one that was read `at` (UTC seconds)."""
        number = int(at // SLOT)
        latest = self._latest.get(stream, number)
        if stream not in self._slots or number <= latest - SLOTS:
            self._slots[stream], latest = array("H", bytes(2 * SLOTS)), number
        slots = self._slots[stream]
        for passed in range(max(latest, number - SLOTS) + 1, number + 1):
            slots[passed % SLOTS] = 0
        self._latest[stream] = max(latest, number)
        slots[number % SLOTS] += 1

    def read(self, stream: str, start: float, end: float) -> int:
        """Return how many came from `start` on, before `end` (UTC seconds), as far as they are kept."""
        latest = self._latest.get(stream)
        if latest is None:
            return 0
        first, last = max(int(start // SLOT), latest - SLOTS + 1), min(int(end // SLOT), latest + 1)
        return sum(self._slots[stream][number % SLOTS] for number in range(first, last))


@dataclass(frozen=True, slots=True)
class Success:
    """How much of a stream is here of what is expected of all meters; shares and `target` are fractions of 1.

    `expected`, `read` and `share` are of the last period that is over, which ended at `until` (UTC seconds); `day` is
    the share of the 24 hours before that.
    """

    target: float
    expected: int
    read: int
    share: float
    day: float
    until: int


@dataclass(frozen=True, slots=True)
class Storage:
    """How full the store is and what it costs: octets in use, those there can be, and those free on the disk.

    `share` is of 1. What grows and is written a day, and what follows from it, is None while nobody can say.
    """

    octets: int
    capacity: int
    budget: int
    disk_free: int
    share: float
    octets_per_day: int | None
    days_until_full: float | None
    written_per_day: int | None
    wear_years: float | None


@dataclass(slots=True)
class Airtimes:
    """What each meter's visits cost since the start: seconds, how many there were, and how many of them failed."""

    seconds: dict[str, float] = field(default_factory=dict)
    visits: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)

    def count(self, meter: str, seconds: float, *, good: bool) -> None:
        self.seconds[meter] = self.seconds.get(meter, 0.0) + seconds
        self.visits[meter] = self.visits.get(meter, 0) + 1
        if not good:
            self.failed[meter] = self.failed.get(meter, 0) + 1

    def costliest(self, most: int) -> list[dict[str, str | float]]:
        """Return the `most` meters that cost most, the costliest first, JSON-able."""
        first = nlargest(most, self.seconds.items(), key=itemgetter(1))
        return [
            {
                "meter": meter,
                "seconds": round(seconds, 1),
                "visits": self.visits[meter],
                "failed": self.failed.get(meter, 0),
            }
            for meter, seconds in first
        ]


@dataclass(slots=True)
class Health:
    """Everything `dcu.status` shows that is counted rather than stored. `archive` names lines that take no part."""

    started: float = 0.0
    buses: dict[str, BusHealth] = field(default_factory=dict)
    progress: dict[str, Progress] = field(default_factory=dict)
    store_errors: dict[str, str] = field(default_factory=dict)
    archive: list[str] = field(default_factory=list)
    success: dict[str, Success] = field(default_factory=dict)
    storage: Storage | None = None
    moments: Moments = field(default_factory=Moments)
    command_latency: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))

    def watch(self, flow: str, now: float, *, waits: float = 0.0) -> Progress:
        """Register `flow`, which may wait `waits` seconds within one step, and return its proof of progress."""
        self.progress[flow] = Progress(now, STEP_BOUND + waits)
        return self.progress[flow]

    def stuck(self, now: float) -> list[str]:
        return [flow for flow, progress in self.progress.items() if progress.stuck(now)]

    def bus(self, name: str) -> BusHealth:
        """Register bus `name` and return its counters."""
        return self.buses.setdefault(name, BusHealth())
