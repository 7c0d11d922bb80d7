"""YAML text to the whole configuration: shapes first, then their agreement, then the settings.

Which keys there are is in `sections`, what must agree in `check`; other files are read through a function handed in.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dcu.config.check import Parts, check
from dcu.config.meters import one_of
from dcu.config.sections import TOP
from dcu.config.settings import BusConfig, ClockSettings, Config, DcuSettings, StoreSettings, UplinkSettings
from dcu.config.timetable import merged
from dcu.errors import ConfigError
from dcu.forms.node import compose
from dcu.forms.shape import Faulty, Place, Problems, ReadFile
from dcu.model import Keys

#: The streams of each companion profile by its name, given the folder of the operator's own.
StreamNames = Callable[[str | None], Mapping[str, frozenset[str]]]

#: Seconds between the beginnings of buses behind one host, and within which all of them begin.
STAGGER, SPREAD = 0.5, 60.0

PLAIN_PORT, TLS_PORT = 1883, 8883

#: Hexadecimal digits that tell one revision from another.
REVISION_DIGITS = 16


def parse(text: str, file: str, *, read: ReadFile, profiles: StreamNames) -> Config:
    """Return the configuration that `text` describes; `file` is its path, for messages and relative paths.

    `read` gives the other files it names, `profiles` the streams of each companion profile when it is told where the
    operator's lie. Raises ConfigError with
    every fault as FILE:LINE: key.path: expected X, got Y, up to `shape.MAX_PROBLEMS`.
    """
    problems = Problems()
    reading = _Reading(read, text)
    root = Place(file, "", compose(text, file), problems, reading)
    try:
        values = TOP.read(root)
    except Faulty:
        values = {}
    ours = {"dcu", "uplink", "clock", "store"}
    parts = Parts(root, **{key: value for key, value in values.items() if key not in ours})
    check(parts, _streams(values, profiles, problems))
    _judge_clock(root.key("clock"), values.get("clock", ClockSettings()), parts)
    problems.end()
    config = _config(values["dcu"], values["uplink"], values.get("clock", ClockSettings()), parts)
    return replace(config, store=values.get("store", StoreSettings()), revision=reading.revision())


class _Reading:
    """Reads files through `read`, and knows the revision of the configuration: what it was read from, without secrets.

    Secrets stay out of it: what is published must not let anybody try passwords against it.
    """

    def __init__(self, read: ReadFile, text: str) -> None:
        self._read = read
        self._hash = hashlib.sha256(text.encode())

    def __call__(self, path: str, *, secret: bool = False) -> str:
        text = self._read(path, secret=secret)
        if not secret:
            self._hash.update(text.encode())
        return text

    def revision(self) -> str:
        return self._hash.hexdigest()[:REVISION_DIGITS]


def _judge_clock(place: Place, clock: ClockSettings, parts: Parts) -> None:
    names = {access.name for access, _ in parts.access}
    if clock.access is not None and clock.access not in names:
        place.key("access").fault(one_of(names))
    if clock.limit < clock.tolerance:
        place.key("limit").fault("no less than the tolerance")


def _streams(values: Mapping[str, Any], profiles: StreamNames, problems: Problems) -> Mapping[str, frozenset[str]]:
    """Return the streams of each profile; what is wrong in one of their files is a problem of the configuration."""
    try:
        return profiles(values["dcu"].profiles_dir if "dcu" in values else None)
    except ConfigError as error:
        # whether the meters fit cannot be said any more, but all else was judged
        raise ConfigError(*problems.lines, *error.problems) from error


def _config(dcu: DcuSettings, uplink: dict[str, Any], clock: ClockSettings, parts: Parts) -> Config:
    port = TLS_PORT if "tls" in uplink else PLAIN_PORT
    meters = tuple(meter for meter, _ in parts.meters)
    # stations that are found have no name yet
    names = [meter.id for meter in meters] + [""] * any(bus.discover for bus, _ in parts.buses)
    tasks = [task for task, _ in parts.timetable]
    return Config(
        dcu=dcu,
        clock=clock,
        uplink=UplinkSettings(**{"client_id": dcu.id, "port": port, "groups": dcu.groups, **uplink}),
        buses=_in_turn([bus for bus, _ in parts.buses]),
        access={access.name: access for access, _ in parts.access},
        keys={name: parts.keys.of(name) if parts.keys else Keys() for name in names},
        meters=meters,
        timetable=merged(tasks, (), dcu.zone),
        groups={name: merged(tasks, [task for task, _ in own], dcu.zone) for (name, own), _ in parts.groups},
        file=parts.root.file,
        keys_file=parts.keys.path if parts.keys else None,
        new_keys={meter.id: parts.new_keys.of(meter.id) for meter in meters} if parts.new_keys else {},
    )


def _in_turn(buses: Sequence[BusConfig]) -> tuple[BusConfig, ...]:
    """Return `buses` with those of one host beginning one after another, as far as they do not say when themselves."""
    sharing = Counter(bus.host for bus in buses)
    begun: Counter[str] = Counter()
    found = []
    for bus in buses:
        turn = begun[bus.host] * min(STAGGER, SPREAD / sharing[bus.host]) if bus.on_network else 0.0
        begun[bus.host] += 1
        found.append(replace(bus, stagger=turn) if turn and bus.stagger is None else bus)
    return tuple(found)
