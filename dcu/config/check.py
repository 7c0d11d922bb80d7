"""Whether the sections agree: names used once and known where they are used, framings that a port can have.

The form of each section has been judged before, in `dcu.forms`; a faulty entry is missing here and is not blamed twice.
What a line of the archive has to agree with is in `meters`, what is said of streams in `streams`.
"""

import os
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from dcu.config.keys import KeyFile
from dcu.config.meters import Known
from dcu.config.needed import needed_keys
from dcu.config.settings import BusConfig
from dcu.config.streams import judge_mentions, judge_tasks
from dcu.forms.shape import Place, is_empty
from dcu.forms.tree import Listing, Node, Scalar, Section
from dcu.model import Access, Framing, Meter, Task

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parts:
    """The sound entries of the sections that have to agree, each with its place; `root` is the whole file."""

    root: Place
    buses: list[tuple[BusConfig, Place]] = field(default_factory=list)
    access: list[tuple[Access, Place]] = field(default_factory=list)
    keys: KeyFile | None = None
    new_keys: KeyFile | None = None
    meters: list[tuple[Meter, Place]] = field(default_factory=list)
    timetable: list[tuple[Task, Place]] = field(default_factory=list)
    groups: list[tuple[tuple[str, list[tuple[Task, Place]]], Place]] = field(default_factory=list)


def check(parts: Parts, profiles: Mapping[str, frozenset[str]]) -> None:
    """Report every disagreement; `profiles` are the streams of each companion profile."""
    _unique(parts.buses, "name", lambda bus: bus.name)
    # /dev/serial/by-id/… is a link to what may be named elsewhere as it is
    _unique(parts.buses, "port", lambda bus: bus.port if bus.on_network else os.path.realpath(bus.port))
    known = Known(
        buses={bus.name: bus for bus, _ in parts.buses},
        access={access.name: access for access, _ in parts.access},
        bus_names=_written(parts.root.key("buses").node, "name"),
        access_names=_sections(parts.root.key("access").node),
        profiles=profiles,
        keys=parts.keys,
        new_keys=parts.new_keys,
        groups=_sections(parts.root.key("groups").node),
    )
    for meter, place in parts.meters:
        known.judge(meter, place, _where(place))
    for bus, place in parts.buses:
        if bus.discover is not None:
            known.judge_search(bus, bus.discover, place.key("discover"))
    of_groups = [entry for (_, own), _ in parts.groups for entry in own]
    judge_tasks(parts.timetable, of_groups, profiles)
    judge_mentions(parts.root, of_groups, profiles)
    _framings(parts)
    if parts.keys is None:
        _no_keys(parts)


def _where(place: Place) -> str:
    return f"{place.path} (line {place.line})"


def _unique(entries: list[tuple[T, Place]], key: str, of: Callable[[T], Hashable]) -> None:
    first: dict[Hashable, Place] = {}
    for value, place in entries:
        used = first.setdefault(of(value), place)
        if used is not place:
            place.key(key).fault(f"another than {_where(used)} has")


def _written(listing: Node | None, key: str) -> set[str]:
    """Return the words under `key` in all entries, also those that are faulty otherwise."""
    entries = listing.items if isinstance(listing, Listing) else []
    pairs = (pair for entry in entries if isinstance(entry, Section) for pair in entry.entries)
    return {value.text for name, value in pairs if name.text == key and isinstance(value, Scalar)}


def _sections(node: Node | None) -> set[str]:
    return {name.text for name, _ in node.entries} if isinstance(node, Section) else set()


def _framings(parts: Parts) -> None:
    for bus, place in parts.buses:
        if bus.framing is Framing.WRAPPER and not bus.on_network:
            place.key("framing").fault("hdlc on a device; wrapper needs tcp://HOST:PORT")


def _no_keys(parts: Parts) -> None:
    """Without any key file one fault stands for all who need one; a key file that is faulty has been reported."""
    access = {each.name: needed_keys(each) for each, _ in parts.access}
    places = [(meter.access, place) for meter, place in parts.meters]
    places += [(bus.discover.access, place.key("discover")) for bus, place in parts.buses if bus.discover]
    needing = [place for name, place in places if access.get(name)]
    if needing and is_empty(parts.root.key("keys").node):
        needing[0].key("access").fault("an access without secrets, or 'keys' with a file of them")
