"""Whether what is said of streams fits: a list of one's own bears a name of its own, all others speak of one there is.

What a stream may be called at all is in `dcu.forms.streams`, which ones a meter has in its companion profile.
"""

from collections.abc import Collection, Iterable, Mapping

from dcu.config.meters import one_of
from dcu.forms.shape import Place, suggestion
from dcu.forms.streams import unfit
from dcu.model import CLOCK, IDENTITY, Task


def judge_tasks(
    timetable: Iterable[tuple[Task, Place]],
    groups: Iterable[tuple[Task, Place]],
    profiles: Mapping[str, frozenset[str]],
) -> None:
    """Report tasks of the `timetable`, and of `groups`, that are neither known to any of the profiles nor a list."""
    streams = frozenset({CLOCK, IDENTITY}).union(*profiles.values())
    entries = list(timetable)
    lists = {task.stream for task, _ in entries if task.objects}
    for task, place in [*entries, *groups]:
        if task.objects:
            _judge_list(task.stream, streams, place)
        elif task.stream not in streams | lists:
            place.report(f"expected 'objects', or {one_of(streams)}{suggestion(task.stream, streams)}")


def _judge_list(name: str, streams: Collection[str], place: Place) -> None:
    if name in streams:
        place.key("objects").report("expected another name for a list of one's own: this one has its meaning")
    elif name.startswith("event."):
        place.report("expected another name for a list of one's own: what begins so is an event")
    elif why := unfit(name):
        place.report(why)
