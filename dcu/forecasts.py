"""What the configured timetable will need of each bus: from meters, their profiles and tasks to `dcu.plan.airtime`.

It knows nothing of what happened; measured figures are the bus flows'.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping

from dcu.config import Config
from dcu.model import INSTANT, Meter, Task
from dcu.plan.airtime import Forecast, Group, Size, forecast, interval
from dcu.profiles import CompanionProfile

#: Values of a row whose columns the profile leaves to the meter, and of an event.
VALUES, EVENT_VALUES = 6, 2

#: Rows that are not evenly spaced are few: the events of a quiet network.
EVENT_ROWS = 0.1

#: A share of the line's time beyond which nothing is left for retries, commands and what was missed.
FULL = 0.8


def forecasts(
    config: Config, meters: Collection[Meter], profile: Callable[[str], CompanionProfile]
) -> dict[str, Forecast]:
    """Return the forecast of each line by its name; `profile` gives the profile of a name."""
    return {
        bus.name: forecast(_groups(config, [each for each in meters if each.bus == bus.name], profile), bus.baud)
        for bus in config.buses
        if not bus.on_network
    }


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


def _groups(config: Config, meters: Iterable[Meter], profile: Callable[[str], CompanionProfile]) -> list[Group]:
    alike = Counter((meter.access, meter.profile, meter.group) for meter in meters)
    return [
        Group(count, config.access[access], _sizes(config, profile(name), group))
        for (access, name, group), count in alike.items()
    ]


def _sizes(config: Config, profile: CompanionProfile, group: str) -> dict[Task, Size]:
    tasks = config.groups[group] if group else config.timetable
    return {task: size for task in tasks if (size := _size(task, profile)) is not None}


def _size(task: Task, profile: CompanionProfile) -> Size | None:
    """Return what one ring of `task` brings, None for what meters of this kind do not have."""
    stream = profile.streams.get(task.stream)
    if task.objects:
        return Size(registers=len(task.objects))
    if stream is None:
        return Size(registers=len(profile.registers)) if task.stream == INSTANT else None
    if task.stream.startswith("event"):
        return Size(rows=EVENT_ROWS, values=EVENT_VALUES)
    rows = interval(task) / stream.period if stream.period else EVENT_ROWS
    return Size(rows=rows, values=len(stream.columns) or VALUES)
