"""The timetable and what groups of meters change in it: which keys a task has, and what a task becomes of them.

When a task falls due is not known here, nor which streams there are.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import tzinfo
from typing import Any

from dcu.clock import DAY
from dcu.forms import words
from dcu.forms.shape import Place, Shape, is_empty, items, named
from dcu.model import LAST_DAY, Order, Priority, Task

#: Streams of one timetable.
MAX_TASKS = 32

#: Attributes of one list.
MAX_OBJECTS = 64

#: What tasks are sorted by when a bus is busy, unless the configuration says otherwise: by the first part of the name.
PRIORITIES = {"event": Priority.EVENT, "alarm": Priority.EVENT, "daily": Priority.BILLING, "billing": Priority.BILLING}

#: `every` of a stream that is not read.
NEVER = 0.0

#: Every month has these.
_DAYS = {"last": LAST_DAY} | {str(day): day for day in range(1, 29)}

_every = words.duration("10s", "31d")


def _pace(place: Place) -> float:
    return NEVER if words.text(place) == "never" else _every(place)


TASK: Shape[dict[str, Any]] = Shape(
    dict,
    {},
    {
        "every": _pace,
        "at": words.time_of_day,
        "day": words.choice(
            {"last": LAST_DAY} | {str(day): day for day in range(1, 29)}, "a day from 1 to 28, or last"
        ),
        "offset": words.duration("0s", "31d"),
        "window": words.duration("1s", "31d"),
        "priority": words.choice({priority.name.lower(): priority for priority in Priority if priority > 0}),
        "deadline": words.duration("0s", "31d"),
        "backfill": words.duration("0s", "400d"),
        "order": words.choice({order.value: order for order in Order}),
        "sla": words.share(0, 100),
        "objects": items(words.attribute, MAX_OBJECTS),
    },
)


def task(stream: str, place: Place) -> Task:
    values = TASK.read(place)
    timed = values.keys() & {"at", "day"}
    if "every" in values and timed:
        place.key(min(timed)).report("expected without 'every', which has no time of day")
    # one that is there and wrong was told already
    if all(is_empty(place.key(key).node) for key in ("every", "at", "day")):
        place.report("expected the key 'every', 'at' or 'day'")
    if values.get("offset", 0.0) >= (values.get("every") or DAY):
        place.key("offset").fault("less than every" if "every" in values else "less than a day")
    if timed:
        values = {"at": 0.0} | values
    if "objects" in values:
        values["objects"] = tuple(found for found, _ in values["objects"])
    priority = PRIORITIES.get(stream.partition(".")[0], Priority.SCHEDULED)
    return Task(stream, **({"priority": priority} | values))


timetable = named(task, MAX_TASKS)

GROUP: Shape[dict[str, Any]] = Shape(dict, {}, {"timetable": timetable})


def group(name: str, place: Place) -> tuple[str, list[tuple[Task, Place]]]:
    """Return the name of a group and what it changes in the timetable, each task with its place."""
    return words.named(name, place), GROUP(place).get("timetable", [])


def merged(tasks: Iterable[Task], changes: Iterable[Task], zone: tzinfo) -> tuple[Task, ...]:
    """Return `tasks` with `changes` in place of those of the same stream, without those that are never due."""
    found = {task.stream: task for task in (*tasks, *changes)}
    return tuple(replace(task, zone=zone) for task in found.values() if task.every != NEVER or task.at is not None)
