"""How much of a line's time the timetable needs: a day of visits, each at what such visits took, or will take.

Who is visited when is in `planner`. The octets of what was not measured yet are those of HDLC with four-octet addresses
(IEC 62056-46) and of services as `dcu.conversation.session` asks them.
"""

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

from dcu.clock import DAY
from dcu.model import Access, Authentication, Task

YEAR = 365.2425 * DAY

#: Bits on the line per octet at 8N1.
BITS_PER_OCTET = 10

#: What a meter takes to begin its answer, in seconds, until it was measured; and what it takes behind a network.
TURNAROUND, ROUND_TRIP = 0.02, 0.1

#: Octets of an information field; what is longer costs a frame and a turn of the line more.
FIELD = 2030


@dataclass(frozen=True, slots=True)
class Airtime:
    """What a part of a conversation costs on any line: octets both ways, and turns of the line."""

    octets: float = 0.0
    turns: float = 0.0

    def __add__(self, other: "Airtime") -> "Airtime":
        return Airtime(self.octets + other.octets, self.turns + other.turns)

    def __mul__(self, times: float) -> "Airtime":
        return Airtime(self.octets * times, self.turns * times)

    def seconds(self, baud: int | None, turnaround: float = TURNAROUND) -> float:
        """Return the line time at `baud`; None: octets take no time beside the turns."""
        return (self.octets * BITS_PER_OCTET / baud if baud else 0.0) + self.turns * turnaround


#: SNRM, AARQ and their answers; pass 3 and 4 of a high-level authentication; RLRQ or DISC at the end.
ASSOCIATION, PASSES, FAREWELL = Airtime(200, 2), Airtime(130, 1), Airtime(24, 1)

#: Head of a request and its answer; what ciphering adds to each exchange; and to the association.
EXCHANGE, CIPHERING, CIPHERED_ASSOCIATION = Airtime(40, 1), Airtime(38), Airtime(85)

#: One register and the clock, question and answer; the head of a profile with its range of times.
REGISTER, CLOCK, PROFILE = 16, 25, 64

#: A row: its head with the capture time, and each further value.
ROW, VALUE = 16, 4.5


@dataclass(frozen=True, slots=True)
class Size:
    """What one ring of a task brings from one meter: `registers`, or `rows` of a profile with `values` each."""

    registers: float = 0.0
    rows: float = 0.0
    values: float = 0.0

    @property
    def octets(self) -> float:
        return self.registers * REGISTER + (PROFILE + self.rows * (ROW + self.values * VALUE) if self.values else 0.0)


#: Visits of one kind after which their mean is believed, and over how many it is taken.
ENOUGH, MEAN_OF = 32, 128

#: The part of a forecast that has to rest on visits that were made for it to be called measured.
PROVEN = 0.9

#: Kinds of visits that are told apart on one line: sets of streams, which hardly ever are more than a dozen.
MAX_KINDS = 64

#: Visits are alike that open the meter by the same access, follow the same profile, and are for the same streams.
Kind = tuple[str, str, frozenset[str]]


@dataclass(slots=True)
class Mean:
    """What one visit of a kind takes on the average: seconds of the bus, octets both ways."""

    visits: int = 0
    seconds: float = 0.0
    octets: float = 0.0

    def count(self, seconds: float, octets: float) -> None:
        self.visits += 1
        weight = 1 / min(self.visits, MEAN_OF)
        self.seconds += (seconds - self.seconds) * weight
        self.octets += (octets - self.octets) * weight


@dataclass(slots=True)
class Measured:
    """What the visits of one line, or of several that are alike, took since the start."""

    means: dict[Kind, Mean] = field(default_factory=dict)

    def count(self, kind: Kind, seconds: float, octets: float) -> None:
        """Count a visit that brought all it was made for; of more than MAX_KINDS kinds the last to come are not."""
        if kind in self.means or len(self.means) < MAX_KINDS:
            self.means.setdefault(kind, Mean()).count(seconds, octets)

    def mean(self, kind: Kind) -> Mean | None:
        """Return what a visit of this kind takes, None until there were ENOUGH."""
        found = self.means.get(kind)
        return found if found is not None and found.visits >= ENOUGH else None


@dataclass(frozen=True, slots=True)
class Line:
    """What visits cost before they were measured: at `baud` (None: octets take no time), turns of so many seconds."""

    baud: int | None
    turnaround: float = TURNAROUND
    measured: Measured = field(default_factory=Measured)


@dataclass(frozen=True, slots=True)
class Group:
    """Meters of one bus that are used alike: how many, through which access, and what each of their tasks brings."""

    meters: int
    access: Access
    sizes: Mapping[Task, Size]
    profile: str = ""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the timetable asks of one line: its `share` (1.0: all of its time), visits and octets a day.

    `sweeps` says per stream how many seconds it takes to ask every meter once for what is due together with it, and
    `late` names the streams whose sweep is longer than the time until it is due again. `measured` is the part (of 1) of
    that time which rests on visits that were made, not on what they ought to take.
    """

    share: float
    visits: float
    octets: float
    sweeps: Mapping[str, float]
    late: tuple[str, ...]
    measured: float = 0.0

    @property
    def fits(self) -> bool:
        return self.share <= 1.0 and not self.late

    @property
    def basis(self) -> str:
        """Whether most of it is "measured" or "estimated"."""
        return "measured" if self.measured >= PROVEN else "estimated"


def associated(access: Access) -> Airtime:
    """Return what it costs to open and to close an association of this kind."""
    cost = ASSOCIATION + FAREWELL
    if access.authentication > Authentication.LLS:
        cost += PASSES
    return cost + CIPHERED_ASSOCIATION if access.ciphered else cost


def visit(access: Access, sizes: Iterable[Size]) -> Airtime:
    """Return what one visit costs that asks for the clock and all of `sizes`, an association included."""
    octets = CLOCK + sum(size.octets for size in sizes)
    frames = octets // FIELD
    asked = EXCHANGE + Airtime(octets + 30 * frames, frames)
    return associated(access) + asked + (CIPHERING if access.ciphered else Airtime())


T = TypeVar("T")

#: Work whose worker may do something else after each piece of it.
Pieces = Generator[None, None, T]

#: Times at which something falls due that are played through in one piece: some 0.1 ms where meters are used in a few
#: ways.
WAVES = 16

#: A group by its number, and what some of its meters are due for.
Due = tuple[int, frozenset[Task]]


#: What falls due together, by the second of the day.
_Rings = Mapping[float, frozenset[Task]]


@dataclass(frozen=True, slots=True)
class _Cost:
    seconds: float
    octets: float
    measured: bool


def whole(pieces: Pieces[T]) -> T:
    """Return what comes of `pieces`, one after the other."""
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            found: T = end.value
            return found


def forecast(groups: Sequence[Group], line: Line) -> Forecast:
    """Return what `foresee` does, at a stretch."""
    return whole(foresee(groups, line))


def foresee(groups: Sequence[Group], line: Line) -> Pieces[Forecast]:
    """Return what `groups` need of `line`.

    A meter is read at once of everything that fell due before its turn came, as the planner does. Where a day has not
    room for all, only what is due at the same second shares a visit, so that the share says how much there is too much.
    A failed visit is not foreseen.
    """
    known: dict[Due, _Cost] = {}

    def cost(due: Due) -> _Cost:
        if due not in known:
            known[due] = _cost(groups[due[0]], due[1], line)
        return known[due]

    rings = yield from _all_rings(groups)
    made = yield from _day(groups, rings, cost)
    if made is None:
        made = yield from _apart(groups, rings)
    for number, group in enumerate(groups):
        for task in group.sizes:
            if interval(task) > DAY:
                made[number, frozenset((task,))] += group.meters * DAY / interval(task)
    total = sum(cost(due).seconds * times for due, times in made.items())
    proven = sum(cost(due).seconds * times for due, times in made.items() if cost(due).measured)
    sweeps, late = _sweeps(groups, made, cost)
    octets = sum(cost(due).octets * times for due, times in made.items())
    return Forecast(total / DAY, sum(made.values()), octets, sweeps, late, proven / total if total else 0.0)


def interval(task: Task) -> float:
    """Return the seconds between two rings of `task`, on the average where months differ."""
    if task.at is None:
        return task.every
    return DAY if task.day is None else YEAR / 12


def _cost(group: Group, tasks: Iterable[Task], line: Line) -> _Cost:
    mean = line.measured.mean((group.access.name, group.profile, frozenset(task.stream for task in tasks)))
    if mean is not None:
        return _Cost(mean.seconds, mean.octets, measured=True)
    expected = visit(group.access, (group.sizes[task] for task in tasks))
    return _Cost(expected.seconds(line.baud, line.turnaround), expected.octets, measured=False)


def _all_rings(groups: Iterable[Group]) -> Pieces[list[_Rings]]:
    """Return for each group what falls due when; groups with the same timetable share it."""
    known: dict[frozenset[Task], _Rings] = {}
    for group in groups:
        if (tasks := frozenset(group.sizes)) not in known:
            known[tasks] = yield from _rings(group.sizes)
    return [known[frozenset(group.sizes)] for group in groups]


def _rings(tasks: Iterable[Task]) -> Pieces[_Rings]:
    """Return what falls due at each second of a day; where the day's zone lies is left aside. A piece is a task."""
    daily = [task for task in tasks if interval(task) <= DAY]
    # a bit for each of them: what falls due every minute falls due together with the same, and shares one set
    together: dict[float, int] = {}
    for number, task in enumerate(daily):
        every = interval(task)
        first = (task.offset if task.at is None else task.at + task.offset) % every
        for count in range(int(DAY // every)):
            second = count * every + first
            together[second] = together.get(second, 0) | 1 << number
        yield
    sets = {
        mask: frozenset(task for number, task in enumerate(daily) if mask >> number & 1)
        for mask in {*together.values()}
    }
    return {second: sets[mask] for second, mask in together.items()}


def _day(
    groups: Sequence[Group], rings: Sequence[_Rings], cost: Callable[[Due], _Cost]
) -> Pieces[defaultdict[Due, float] | None]:
    """Return how many visits of each kind a day takes, None when something falls due again before it was read."""
    made: defaultdict[Due, float] = defaultdict(float)
    waiting: dict[Due, float] = {}
    free = 0.0
    for number, (at, end) in enumerate(pairwise([*sorted(set().union(*rings)), float(DAY)])):
        if number % WAVES == 0:
            yield
        due = _joined(waiting, [each.get(at, frozenset()) for each in rings], groups)
        if due is None:
            return None
        waiting, free = due, max(free, at)
        for each in sorted(waiting, key=lambda due: min(task.priority for task in due[1])):
            seconds = cost(each).seconds
            visited = min(waiting[each], max(0.0, end - free) / seconds)
            made[each] += visited
            waiting[each] -= visited
            free += visited * seconds
    for each, left in waiting.items():
        made[each] += left
    return made


def _joined(
    waiting: Mapping[Due, float], wave: Sequence[frozenset[Task]], groups: Sequence[Group]
) -> dict[Due, float] | None:
    """Return who waits for what after `wave`, which holds what fell due for each group; None: it waited already."""
    idle = [float(group.meters) for group in groups]
    joined: defaultdict[Due, float] = defaultdict(float)
    for (number, tasks), count in waiting.items():
        if count > 1e-6:  # what is left of a meter is none
            if tasks & wave[number]:
                return None
            joined[number, tasks | wave[number]] += count
            idle[number] -= count
    for number, tasks in enumerate(wave):
        if tasks and idle[number] > 0:
            joined[number, tasks] += idle[number]
    return dict(joined)


def _apart(groups: Sequence[Group], rings: Sequence[_Rings]) -> Pieces[defaultdict[Due, float]]:
    """Return the visits of a day in which only those share one that fall due at the same second. A piece is a group."""
    made: defaultdict[Due, float] = defaultdict(float)
    for number, each in enumerate(rings):
        for together in each.values():
            made[number, together] += groups[number].meters
        yield
    return made


def _sweeps(
    groups: Sequence[Group], made: Iterable[Due], cost: Callable[[Due], _Cost]
) -> tuple[dict[str, float], tuple[str, ...]]:
    """Return what it takes to ask all meters once for each stream, and which of them are asked again before that."""
    dearest: dict[tuple[str, int], float] = {}
    every: dict[str, float] = {}
    for number, tasks in made:
        seconds = cost((number, tasks)).seconds * groups[number].meters
        for task in tasks:
            dearest[task.stream, number] = max(dearest.get((task.stream, number), 0.0), seconds)
            every[task.stream] = min(every.get(task.stream, YEAR), interval(task))
    sweeps: defaultdict[str, float] = defaultdict(float)
    for (stream, _), seconds in dearest.items():
        sweeps[stream] += seconds
    return dict(sweeps), tuple(stream for stream, seconds in sweeps.items() if seconds > every[stream])
