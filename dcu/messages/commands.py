"""Command envelopes: bytes from a stranger → a checked `Command`, or CommandRejected with the reason, nothing else.

The same envelope comes through MQTT and through the local socket. What the commands are is in `catalogue`.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, NoReturn

from dcu.errors import CommandRejected
from dcu.messages.arguments import NAME
from dcu.messages.catalogue import CATALOGUE, CommandKind, moment
from dcu.model import Command

#: Longest envelope that is looked at: what every broker carries, and 1024 lines of an archive.
MAX_COMMAND = 100_000

_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_PRIORITIES = ("high", "normal")
_KEYS = ("id", "name", "targets", "args", "priority", "issued", "expires")


def parse_command(payload: bytes, *, door: str, received: float) -> Command:
    """Return the checked command; `received` (UTC seconds) stands in for a missing `issued`.

    Raises CommandRejected in time and memory bounded by MAX_COMMAND; its `id` is set as soon as it could be read.
    """
    twice: list[str] = []
    envelope = _object(payload, twice)
    command_id = None if "id" in twice else _identity(envelope)
    if twice:  # each reader of JSON takes another of them: whoever let it pass on its way may have read what we do not
        raise CommandRejected(f"{twice[0][:32]!a} stands twice in one object", command_id)
    if command_id is None:
        raise CommandRejected("id: expected 1 to 64 letters, digits or . _ : -")
    try:
        return _checked(command_id, envelope, door, received)
    except CommandRejected as rejected:
        raise CommandRejected(rejected.reason, command_id) from None


def _identity(envelope: Mapping[str, Any]) -> str | None:
    found = envelope.get("id")
    return found if isinstance(found, str) and _ID.fullmatch(found) else None


def _object(payload: bytes, twice: list[str]) -> Mapping[str, Any]:
    """Return the object in `payload`; keys that stand twice in it, or in an object of it, are added to `twice`."""

    def noting(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice.extend(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        return found

    if len(payload) > MAX_COMMAND:
        raise CommandRejected(f"a command has at most {MAX_COMMAND} octets, this one {len(payload)}")
    try:
        envelope = json.loads(
            payload.decode(), parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=noting
        )
    except (ValueError, RecursionError):  # RecursionError: the parser's own bound on nesting
        raise CommandRejected("not a JSON object in UTF-8") from None
    if not isinstance(envelope, dict):
        raise CommandRejected("not a JSON object in UTF-8")
    return envelope


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(text: str) -> float:
    """Return the number that `text` writes; one beyond every float would pass for infinity, which JSON has not."""
    number = float(text)
    return number if math.isfinite(number) else _no_constant(text)


def _checked(command_id: str, envelope: Mapping[str, Any], door: str, received: float) -> Command:
    for key in envelope:
        if key not in _KEYS:
            raise CommandRejected(f"{key[:32]!a} is unknown, expected {', '.join(_KEYS)}")
    if envelope.get("priority", "high") not in _PRIORITIES:
        raise CommandRejected(f"priority: expected {' or '.join(_PRIORITIES)}")
    kind = _kind(envelope.get("name"))
    targets = _mapping(envelope.get("targets", {}), "targets")
    many = _many(kind, targets)
    return Command(
        id=command_id,
        name=kind.name,
        meters=() if many else _meters(kind, targets),
        targets=many,
        args=kind.check(_mapping(envelope.get("args", {}), "args")),
        issued=_issued(envelope.get("issued"), received),
        expires=None if envelope.get("expires") is None else moment(envelope["expires"], "expires"),
        door=door,
        received=received,
    )


def _kind(name: object) -> CommandKind:
    kind = CATALOGUE.get(name) if isinstance(name, str) else None
    if kind is None:
        raise CommandRejected(f"name: expected one of {', '.join(CATALOGUE)}")
    return kind


def _many(kind: CommandKind, targets: Mapping[str, Any]) -> str:
    """Return which meters a command to many is for, "" for one that names its meters or has none."""
    if not targets.keys() - {"meters"}:
        return ""
    group = targets.get("group")
    named = isinstance(group, str) and NAME.fullmatch(group) is not None
    if len(targets) != 1 or not (named or targets.get("all") is True):
        raise CommandRejected('targets: expected {"meters": […]}, {"group": NAME} or {"all": true}')
    if not kind.fans:
        raise CommandRejected(f"targets: {kind.name} is not for many meters")
    return f"group {group}" if named else "all"


def _meters(kind: CommandKind, targets: Mapping[str, Any]) -> tuple[str, ...]:
    meters = targets.get("meters", [])
    if not isinstance(meters, list) or not all(isinstance(meter, str) and NAME.fullmatch(meter) for meter in meters):
        raise CommandRejected("targets.meters: expected a list of meter names")
    if len(meters) not in kind.meters:
        most = kind.meters[-1]
        raise CommandRejected(f"targets.meters: {kind.name} takes {'exactly one meter' if most else 'no meter'}")
    return tuple(meters)


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise CommandRejected(f"{what}: expected an object")
    return value


def _issued(value: object, received: float) -> float:
    if value is None:
        return received
    if isinstance(value, float) and math.isfinite(value) and value >= 0:
        return value
    return moment(value, "issued")
