"""How much of a line's time the timetable needs: predicted octets and turns of the line, added up over the meters.

What visits really took is counted by the bus flow; who is visited when is in `planner`. The octets are those of HDLC
with four-octet addresses (IEC 62056-46) and of services as `dcu.conversation.session` asks them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dcu.model import Access, Authentication, Task

DAY = 86_400
YEAR = 365.2425 * DAY

#: Bits on the line per octet at 8N1.
BITS_PER_OCTET = 10

#: What a meter takes to begin its answer, in seconds, until it was measured.
TURNAROUND = 0.02

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

    def seconds(self, baud: int, turnaround: float = TURNAROUND) -> float:
        """Return the line time at `baud`."""
        return self.octets * BITS_PER_OCTET / baud + self.turns * turnaround


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


@dataclass(frozen=True, slots=True)
class Group:
    """Meters of one bus that are used alike: how many, through which access, and what each of their tasks brings."""

    meters: int
    access: Access
    sizes: Mapping[Task, Size]


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the timetable asks of one line: its `share` (1.0: all of its time), visits and octets a day.

    `sweeps` says per stream how many seconds it takes to ask every meter once for what is due together with it, and
    `late` names the streams whose sweep is longer than the time until it is due again.
    """

    share: float
    visits: float
    octets: float
    sweeps: Mapping[str, float]
    late: tuple[str, ...]

    @property
    def fits(self) -> bool:
        return self.share <= 1.0 and not self.late


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


def forecast(groups: Sequence[Group], baud: int, turnaround: float = TURNAROUND) -> Forecast:
    """Return what `groups` need of a line at `baud`.

    Tasks that fall due at the same second share a visit; others are counted as visits of their own, so that the
    prediction is rather too high than too low. A failed visit is not foreseen.
    """
    total, visits = Airtime(), 0.0
    sweeps: defaultdict[str, float] = defaultdict(float)
    for group in groups:
        for tasks, times in _visits(group.sizes).items():
            cost = visit(group.access, (group.sizes[task] for task in tasks)) * group.meters
            total, visits = total + cost * times, visits + group.meters * times
            for task in tasks:
                sweeps[task.stream] = max(sweeps[task.stream], cost.seconds(baud, turnaround))
    every = {task.stream: interval(task) for group in groups for task in group.sizes}
    late = tuple(stream for stream, seconds in sweeps.items() if seconds > every[stream])
    return Forecast(total.seconds(baud, turnaround) / DAY, visits, total.octets, dict(sweeps), late)


def interval(task: Task) -> float:
    """Return the seconds between two rings of `task`, on the average where months differ."""
    if task.at is None:
        return task.every
    return DAY if task.day is None else YEAR / 12


def _visits(tasks: Iterable[Task]) -> dict[tuple[Task, ...], float]:
    """Return how often a day each set of tasks falls due together; where the day's zone lies is left aside."""
    instants: defaultdict[float, list[Task]] = defaultdict(list)
    often: defaultdict[tuple[Task, ...], float] = defaultdict(float)
    for task in tasks:
        if interval(task) > DAY:
            often[task,] += DAY / interval(task)
            continue
        first = (task.offset if task.at is None else task.at + task.offset) % interval(task)
        for number in range(int(DAY // interval(task))):
            instants[number * interval(task) + first].append(task)
    for together in instants.values():
        often[tuple(together)] += 1
    return often
