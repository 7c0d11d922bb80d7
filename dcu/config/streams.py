"""Whether what is said of streams fits: a list of one's own bears a name of its own, all others speak of one there is.

What a stream may be called at all is in `dcu.forms.streams`, which ones a meter has in its companion profile.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping

from dcu.config.meters import one_of
from dcu.config.settings import DEFAULT_STREAM, RETENTION, SACRIFICE
from dcu.forms.shape import Place, clipped, suggestion
from dcu.forms.streams import unfit
from dcu.forms.tree import Listing, Scalar, Section
from dcu.model import CLOCK, DCU_EVENTS, IDENTITY, PUSH, Task


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


def judge_mentions(root: Place, groups: Iterable[tuple[Task, Place]], profiles: Mapping[str, frozenset[str]]) -> None:
    """Report in the whole file at `root` who speaks of a stream that there is none of, but for the timetable.

    Nothing would come of it, and nobody be told: a channel does not carry what a misspelt name was meant to be.
    """
    lists = {name for name, _ in _words(root.key("timetable"))} | {task.stream for task, _ in groups}
    streams = {DCU_EVENTS, PUSH}.union(*profiles.values(), lists) - {CLOCK, IDENTITY}
    # what is kept or let go of may be named by its kind
    kinds = streams | {stream.partition(".")[0] for stream in streams}
    uplink, store = root.key("uplink"), root.key("store")
    _judge_words(uplink.key("streams"), streams | {DEFAULT_STREAM, "result"})
    for _, channel in _words(uplink.key("channels")):
        _judge_words(channel.key("carries"), streams)
    _judge_words(store.key("retention"), kinds | RETENTION.keys())
    _judge_words(store.key("sacrifice"), kinds | {*SACRIFICE})


def _judge_words(place: Place, names: Collection[str]) -> None:
    for word, inner in _words(place):
        if word not in names:
            inner.report(f"no stream {clipped(word)!r}: expected {one_of(names)}{suggestion(word, names)}")


def _words(place: Place) -> Iterator[tuple[str, Place]]:
    """Yield the keys of a section, or the entries of a list, each with its place, as they are written."""
    if isinstance(place.node, Section):
        for name, value in place.node.entries:
            yield name.text, place.inner(clipped(name.text), value, name.line)
    if isinstance(place.node, Listing):
        for number, item in enumerate(place.node.items):
            yield item.text if isinstance(item, Scalar) else "", place.inner(f"[{number}]", item, item.line)
