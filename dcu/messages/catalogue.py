"""The one catalogue of commands, used by MQTT and by the local socket: names, targets, arguments, roles and effects.

How a command is carried out is not known here, and what a value must look like is the COSEM class's business.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from dcu.clock import seconds
from dcu.errors import CommandRejected
from dcu.messages.arguments import NAME, Args, buses, line, meters, names, nothing, number, only, part, table
from dcu.model import INSTANT, SECRET_KINDS, Role
from dcu.obis import format_obis, parse_obis

#: The whole range of a COSEM date-time in practice: four-digit years.
LATEST = 253_402_300_799

#: A profile range longer than this is more than any meter keeps (13 months of billing).
MAX_RANGE = 400 * 86_400

#: The commands about any object of a meter.
GET, SET, EXECUTE = "meter.get", "meter.set", "meter.execute"
OBJECT_COMMANDS = frozenset({GET, SET, EXECUTE})

#: Asks a meter for its objects.
LEARN = "meter.learn"

#: Attributes that one `meter.get` reads; they go out in one GET-WITH-LIST where the meter knows that.
MAX_ITEMS = 20

#: Entries that one answer to `dcu.audit` shows at most, as many as fit such a message, too; and their highest number.
MAX_AUDITED, MAX_ENTRY = 50, 1 << 53

#: Ranges that one answer to `dcu.gaps` shows at most: they fit a message of 100 000 octets.
MAX_GAPS = 400

#: Rows that one answer to `dcu.readings` shows at most, of eight values: they fit a message of 100 000 octets.
MAX_ROWS = 400

#: Blocks that one `dcu.resend` has sent again at most; of `dcu.reconcile` meters and ranges that had to go.
MAX_RESENT = 500
MAX_COMPARED = 512
MAX_DROPPED = 100

_ROWS_CURSOR = re.compile(r"[0-9]{1,15}/[0-9]{1,6}")
_CURSOR = re.compile(rf"{NAME.pattern}/{NAME.pattern}/[0-9]{{1,15}}")
_STREAM = re.compile(r"[a-z][a-z0-9_.-]{0,31}")

#: The commands about a meter's secrets, which `dcu.polling.rekey` carries out.
CHANGE_KEYS, FORGET_COUNTER = "meter.change-keys", "meter.forget-counter"
SECRET_COMMANDS = frozenset({CHANGE_KEYS, FORGET_COUNTER})


@dataclass(frozen=True, slots=True)
class CommandKind:
    """One line of the catalogue.

    `meters` bounds the number of target meters; `check` returns the arguments in their normal form (times as UTC
    seconds) or raises CommandRejected. One that `changes_state` is never carried out twice: after a restart that found
    it running it has failed, unless `shows`, that is, unless its effect can be read from the meter. One of the box that
    is `slow` may take seconds, and does not hold up those behind it. One that `fans` may be for a group or for all.
    """

    name: str
    role: Role
    meters: range
    check: Callable[[Mapping[str, object]], Args]
    idempotent: bool = True
    changes_state: bool = False
    shows: bool = False
    slow: bool = False
    fans: bool = False


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


def _reading(args: Mapping[str, object]) -> Args:
    only(args, "registers", "profile", "from", "to")
    if args.get("registers", True) is not True:
        raise CommandRejected("args.registers: expected true")
    if "profile" not in args:
        only(args, "registers")
        return {}
    if "registers" in args:
        raise CommandRejected("args: registers and profile exclude each other")
    stream = args["profile"]
    if not isinstance(stream, str) or not _STREAM.fullmatch(stream):
        raise CommandRejected("args.profile: expected the name of a stream such as load0")
    if stream == INSTANT:
        only(args, "profile")
        return {}
    return {"profile": stream, **_range(args)}


def _range(args: Mapping[str, object]) -> Args:
    start, end = moment(args.get("from"), "args.from"), moment(args.get("to"), "args.to")
    if not 0 <= end - start <= MAX_RANGE:
        raise CommandRejected(f"args.to: expected 0 to {MAX_RANGE // 86_400} days after args.from")
    return {"from": start, "to": end}


def _asking(args: Mapping[str, object]) -> Args:
    only(args, "meter")
    meter = args.get("meter")
    if not isinstance(meter, str) or not 1 <= len(meter) <= 64:
        raise CommandRejected("args.meter: expected the name of a meter")
    return {"meter": meter}


def _audited(args: Mapping[str, object]) -> Args:
    only(args, "from", "count")
    first = number(args.get("from", 1), 1, MAX_ENTRY, "args.from")
    return {"from": first, "count": number(args.get("count", MAX_AUDITED), 1, MAX_AUDITED, "args.count")}


def _counted(args: Mapping[str, object]) -> Args:
    only(args, "meter", "stream", "since")
    found: Args = {key: _word(args[key], f"args.{key}") for key in ("meter", "stream") if key in args}
    return found | ({"since": moment(args["since"], "args.since")} if "since" in args else {})


def _missing(args: Mapping[str, object]) -> Args:
    only(args, "meter", "stream", "since", "after", "limit")
    found = _counted({key: value for key, value in args.items() if key not in {"after", "limit"}})
    if "after" in args:
        after = args["after"]
        if not isinstance(after, str) or not _CURSOR.fullmatch(after):
            raise CommandRejected("args.after: expected what an answer gave as more")
        found["after"] = after
    return found | ({"limit": number(args["limit"], 1, MAX_GAPS, "args.limit")} if "limit" in args else {})


def _stored(args: Mapping[str, object]) -> Args:
    only(args, "meter", "stream", "from", "to", "after", "limit")
    found: Args = {key: _word(args.get(key), f"args.{key}") for key in ("meter", "stream")}
    found |= {key: moment(args[key], f"args.{key}") for key in ("from", "to") if key in args}
    if "after" in args:
        after = args["after"]
        if not isinstance(after, str) or not _ROWS_CURSOR.fullmatch(after):
            raise CommandRejected("args.after: expected what an answer gave as more")
        found["after"] = after
    if "limit" in args:
        found["limit"] = number(args["limit"], 1, MAX_ROWS, "args.limit")
    start, end = found.get("from"), found.get("to")
    if isinstance(start, int) and isinstance(end, int) and not 0 <= end - start <= MAX_RANGE:
        raise CommandRejected(f"args.to: expected 0 to {MAX_RANGE // 86_400} days after args.from")
    return found


def _word(value: object, where: str) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise CommandRejected(f"{where}: expected a name")
    return value


def _switching(args: Mapping[str, object]) -> Args:
    only(args, "channel")
    return {"channel": _word(args["channel"], "args.channel")} if args.get("channel") is not None else {}


def _resending(args: Mapping[str, object]) -> Args:
    only(args, "stream", "from_seq", "to_seq", "from", "to")
    if len(args) < 2:
        raise CommandRejected("args: expected from_seq and to_seq, or from and to")
    first = number(args.get("from_seq", 0), 0, MAX_ENTRY, "args.from_seq")
    last = number(args.get("to_seq", MAX_ENTRY), 0, MAX_ENTRY, "args.to_seq")
    if first > last:
        raise CommandRejected("args.to_seq: expected no less than args.from_seq")
    found: Args = {"stream": _word(args.get("stream"), "args.stream"), "from_seq": first, "to_seq": last}
    return found | (_range(args) if "from" in args or "to" in args else {})


def _comparing(args: Mapping[str, object]) -> Args:
    only(args, "stream", "meter", "from", "to", "after")
    found: Args = {key: _word(args[key], f"args.{key}") for key in ("meter", "after") if key in args}
    return {"after": ""} | found | {"stream": _word(args.get("stream"), "args.stream")} | _range(args)


def _changing(args: Mapping[str, object]) -> Args:
    only(args, "kinds")
    kinds = args.get("kinds", [])
    if not isinstance(kinds, list) or not all(isinstance(kind, str) and kind in SECRET_KINDS for kind in kinds):
        raise CommandRejected(f"args.kinds: expected a list of {', '.join(SECRET_KINDS)}")
    return {"kinds": sorted(set(kinds))}


def _getting(args: Mapping[str, object]) -> Args:
    if "items" not in args:
        only(args, "object", "class", "attribute")
        return {"items": [_target(args, "args", "attribute")]}
    only(args, "items")
    items = args["items"]
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_ITEMS:
        raise CommandRejected(f"args.items: expected a list of 1 to {MAX_ITEMS}")
    return {"items": [_item(item, f"args.items[{at}]") for at, item in enumerate(items)]}


def _item(item: object, where: str) -> Args:
    if not isinstance(item, dict):
        raise CommandRejected(f"{where}: expected an object")
    only(item, "object", "class", "attribute")
    return _target(item, where, "attribute")


def _setting(args: Mapping[str, object]) -> Args:
    only(args, "object", "class", "attribute", "value", "type")
    if "value" not in args:
        raise CommandRejected("args.value: expected what to write")
    return _target(args, "args", "attribute") | {"value": args["value"]} | _type(args)


def _executing(args: Mapping[str, object]) -> Args:
    only(args, "object", "class", "method", "value", "type")
    return _target(args, "args", "method") | {"value": args.get("value")} | _type(args)


def _target(args: Mapping[str, object], where: str, index: str) -> Args:
    """Return object, class and `index` ("attribute" or "method") in one form."""
    name = args.get("object")
    try:
        found = parse_obis(name) if isinstance(name, str) and len(name) <= 40 else None
    except ValueError:
        found = None
    if found is None:
        raise CommandRejected(f"{where}.object: expected a logical name such as 1-0:1.8.0.255")
    return {
        "object": format_obis(found),
        "class": number(args.get("class"), 1, 0xFFFF, f"{where}.class"),
        index: number(args.get(index), 1, 0x7F, f"{where}.{index}"),
    }


def _type(args: Mapping[str, object]) -> Args:
    if args.get("type") is None:
        return {}
    if not isinstance(args["type"], str):
        raise CommandRejected("args.type: expected the name of a data type such as double-long-unsigned")
    return {"type": args["type"]}


#: One meter per command, but for reads, which may be for many; each target is a visit of its own.
CATALOGUE: Mapping[str, CommandKind] = {
    kind.name: kind
    for kind in (
        CommandKind("dcu.ping", Role.VIEWER, range(1), nothing),
        CommandKind("dcu.status", Role.VIEWER, range(1), nothing),
        CommandKind("dcu.uplink", Role.VIEWER, range(1), nothing),
        CommandKind("dcu.switch-uplink", Role.OPERATOR, range(1), _switching, changes_state=True, shows=True),
        CommandKind("dcu.plan", Role.VIEWER, range(1), nothing),
        CommandKind("dcu.meters", Role.VIEWER, range(1), meters),
        CommandKind("dcu.keys", Role.VIEWER, range(1), _asking),
        CommandKind("dcu.audit", Role.VIEWER, range(1), _audited),
        CommandKind("dcu.verify-audit", Role.VIEWER, range(1), nothing),
        CommandKind(LEARN, Role.VIEWER, range(1, 2), nothing),
        CommandKind("dcu.storage", Role.VIEWER, range(1), nothing),
        CommandKind("dcu.history", Role.VIEWER, range(1), part),
        CommandKind("dcu.readings", Role.VIEWER, range(1), _stored),
        CommandKind("dcu.resend", Role.VIEWER, range(1), _resending),
        CommandKind("dcu.reconcile", Role.VIEWER, range(1), _comparing, slow=True),
        CommandKind("dcu.gaps", Role.VIEWER, range(1), _missing),
        CommandKind("dcu.ledger", Role.VIEWER, range(1), _counted),
        CommandKind("meter.read", Role.VIEWER, range(1, 2), _reading, fans=True),
        CommandKind(GET, Role.VIEWER, range(1, 2), _getting, fans=True),
        CommandKind(SET, Role.ENGINEER, range(1, 2), _setting, changes_state=True, shows=True),
        CommandKind(EXECUTE, Role.OPERATOR, range(1, 2), _executing, idempotent=False, changes_state=True),
        CommandKind(
            "meter.change-keys", Role.SECADM, range(1, 2), _changing, idempotent=False, changes_state=True, shows=True
        ),
        CommandKind("meter.forget-counter", Role.SECADM, range(1, 2), nothing, idempotent=False, changes_state=True),
        CommandKind("meter.set-clock", Role.OPERATOR, range(1, 2), nothing, changes_state=True, shows=True),
        CommandKind("dcu.clocks", Role.VIEWER, range(1), part),
        CommandKind("archive.list", Role.VIEWER, range(1), part),
        CommandKind("archive.export", Role.VIEWER, range(1), part),
        CommandKind("archive.found", Role.VIEWER, range(1), part),
        CommandKind("archive.discover", Role.INSTALLER, range(1), buses, changes_state=True, shows=True),
        CommandKind("archive.add", Role.INSTALLER, range(1), line, changes_state=True, shows=True),
        CommandKind("archive.replace", Role.INSTALLER, range(1), line, changes_state=True, shows=True),
        CommandKind("archive.delete", Role.INSTALLER, range(1), names, changes_state=True, shows=True),
        CommandKind("archive.import", Role.INSTALLER, range(1), table, changes_state=True, shows=True),
    )
}
