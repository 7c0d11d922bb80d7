"""What the configured timetable will need of each bus: from meters, their profiles and tasks to `dcu.plan.airtime`.

What visits took is counted by the bus flows, and handed in.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Mapping
from types import MappingProxyType
from typing import Final

from dcu.config import BusConfig, Config
from dcu.model import INSTANT, Meter, Task
from dcu.plan import airtime
from dcu.plan.airtime import (
    ROUND_TRIP,
    TURNAROUND,
    Forecast,
    Group,
    Line,
    Measured,
    Pieces,
    Size,
    interval,
    whole,
)
from dcu.profiles import CompanionProfile

#: Values of a row whose columns the profile leaves to the meter, and of an event.
VALUES, EVENT_VALUES = 6, 2

#: Rows that are not evenly spaced are few: the events of a quiet network.
EVENT_ROWS = 0.1

#: A share of the line's time beyond which nothing is left for retries, commands and what was missed.
FULL = 0.8

#: Before the first visit.
NOT_MEASURED: Final[Mapping[str, Measured]] = MappingProxyType({})

#: Access, profile and group of a meter.
Use = tuple[str, str, str]


def forecasts(
    config: Config,
    meters: Collection[Meter],
    profile: Callable[[str], CompanionProfile],
    measured: Mapping[str, Measured] = NOT_MEASURED,
) -> dict[str, Forecast]:
    """Return what `foresee` does, at a stretch."""
    return whole(foresee(config, meters, profile, measured))


def foresee(
    config: Config,
    meters: Collection[Meter],
    profile: Callable[[str], CompanionProfile],
    measured: Mapping[str, Measured] = NOT_MEASURED,
) -> Pieces[dict[str, Forecast]]:
    """Return the forecast of each bus by its name; `profile` gives the profile of a name.

    `meters` are looked at in the first piece only. `measured` says, by bus, what visits took there; buses may share it.
    """
    alike: defaultdict[str, Counter[Use]] = defaultdict(Counter)
    for meter in meters:
        alike[meter.bus][meter.access, meter.profile, meter.group] += 1
    # there may be a thousand gateways with one meter each
    known: dict[Hashable, Forecast] = {}
    found = {}
    for bus in config.buses:
        line, uses = _line(bus, measured.get(bus.name, Measured())), alike[bus.name]
        key = line.baud, id(line.measured) if line.measured.means else 0, frozenset(uses.items())
        if key not in known:
            known[key] = yield from airtime.foresee(_groups(config, uses, profile), line)
        found[bus.name] = known[key]
        yield
    return found


def fits(found: Forecast) -> bool:
    """Whether all of the timetable has room, and some is left for what is not foreseen."""
    return found.share <= FULL and not found.late


def warnings(found: Mapping[str, Forecast]) -> list[str]:
    """Say what will not fit, a line each."""
    lines = []
    for bus, each in found.items():
        if each.share > FULL:
            lines.append(
                f"bus {bus}: the timetable needs {each.share:.0%} of its time, more than {FULL:.0%} is too much"
            )
        lines += [
            f"bus {bus}: asking every meter for {stream} takes {each.sweeps[stream]:.0f} s, longer than it may"
            for stream in each.late
        ]
    return lines


def _line(bus: BusConfig, measured: Measured) -> Line:
    # behind a gateway the way there and back goes before everything else
    return Line(None, ROUND_TRIP, measured) if bus.on_network else Line(bus.baud, TURNAROUND, measured)


def _groups(config: Config, uses: Mapping[Use, int], profile: Callable[[str], CompanionProfile]) -> list[Group]:
    return [
        Group(count, config.access[access], _sizes(config, profile(name), group), name)
        for (access, name, group), count in uses.items()
    ]


def _sizes(config: Config, profile: CompanionProfile, group: str) -> dict[Task, Size]:
    # as the archive has it: whoever is in no group, or in one that is not there, is read as everybody
    tasks = config.groups.get(group, config.timetable)
    return {task: _size(task, profile) for task in tasks}


def _size(task: Task, profile: CompanionProfile) -> Size:
    """Return what one ring of `task` brings: no more than a visit of what meters of this kind do not have."""
    stream = profile.streams.get(task.stream)
    if task.objects:
        return Size(registers=len(task.objects))
    if stream is None:
        return Size(registers=len(profile.registers) if task.stream == INSTANT else 0)
    if task.stream.startswith("event"):
        return Size(rows=EVENT_ROWS, values=EVENT_VALUES)
    rows = interval(task) / stream.period if stream.period else EVENT_ROWS
    return Size(rows=rows, values=len(stream.columns) or VALUES)
