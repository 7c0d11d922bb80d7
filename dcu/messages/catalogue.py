"""The one catalogue of commands, used by MQTT and by the local socket: names, targets, arguments, roles and effects.

How a command is carried out is not known here. Roles are those of IEC 62351-8.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dcu.clock import seconds
from dcu.errors import CommandRejected
from dcu.model import INSTANT

#: The whole range of a COSEM date-time in practice: four-digit years.
LATEST = 253_402_300_799

#: A profile range longer than this is more than any meter keeps (13 months of billing).
MAX_RANGE = 400 * 86_400

_STREAM = re.compile(r"[a-z][a-z0-9_.-]{0,31}")

Args = dict[str, object]


class Role(StrEnum):
    """Who may give a command (IEC 62351-8); commands are not signed yet, so only reads exist."""

    VIEWER = "viewer"


@dataclass(frozen=True, slots=True)
class CommandKind:
    """One line of the catalogue.

    `meters` bounds the number of target meters; `check` returns the arguments in their normal form (times as UTC
    seconds) or raises CommandRejected.
    """

    name: str
    role: Role
    meters: range
    check: Callable[[Mapping[str, object]], Args]
    idempotent: bool = True
    changes_state: bool = False


def moment(value: object, what: str) -> int:
    """Return UTC seconds of an ISO 8601 text with zone, or of an integer. Raises CommandRejected naming `what`."""
    if isinstance(value, str) and len(value) <= 40:
        value = _parsed(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LATEST:
        return value
    raise CommandRejected(f"{what}: expected a time such as 2026-01-31T12:00:00Z or UTC seconds")


def _parsed(text: str) -> int | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return int(seconds(found)) if found.tzinfo is not None else None


def _nothing(args: Mapping[str, object]) -> Args:
    _only(args)
    return {}


def _reading(args: Mapping[str, object]) -> Args:
    _only(args, "registers", "profile", "from", "to")
    if args.get("registers", True) is not True:
        raise CommandRejected("args.registers: expected true")
    if "profile" not in args:
        _only(args, "registers")
        return {}
    if "registers" in args:
        raise CommandRejected("args: registers and profile exclude each other")
    stream = args["profile"]
    if not isinstance(stream, str) or not _STREAM.fullmatch(stream):
        raise CommandRejected("args.profile: expected the name of a stream such as load0")
    if stream == INSTANT:
        _only(args, "profile")
        return {}
    return {"profile": stream, **_range(args)}


def _range(args: Mapping[str, object]) -> Args:
    start, end = moment(args.get("from"), "args.from"), moment(args.get("to"), "args.to")
    if not 0 <= end - start <= MAX_RANGE:
        raise CommandRejected(f"args.to: expected 0 to {MAX_RANGE // 86_400} days after args.from")
    return {"from": start, "to": end}


def _only(args: Mapping[str, object], *known: str) -> None:
    for name in args:
        if name not in known:
            expected = ", ".join(known) or "no arguments"
            raise CommandRejected(f"args: {name[:32]!a} is unknown, expected {expected}")


#: One meter per read: each target is a visit of its own, and group commands come with their own bookkeeping.
CATALOGUE: Mapping[str, CommandKind] = {
    kind.name: kind
    for kind in (
        CommandKind("dcu.ping", Role.VIEWER, range(1), _nothing),
        CommandKind("dcu.status", Role.VIEWER, range(1), _nothing),
        CommandKind("meter.read", Role.VIEWER, range(1, 2), _reading),
    )
}
