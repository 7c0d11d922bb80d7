"""Any object of a meter because somebody asked: `meter.get`, `meter.set` and `meter.execute`, in plain JSON values.

How values look is known to `dcu.dlms.rare`; all of this is loaded with the first such command. What a meter was told is
never told again without looking: `confirm` reads back what can be read.
"""

from collections.abc import Callable, Mapping
from typing import Any

from dcu.conversation import guarded
from dcu.conversation.session import Session, unwatched
from dcu.dlms import rare
from dcu.dlms.services import AccessError, Action, Get, Set
from dcu.errors import (
    BusError,
    CommandRejected,
    MeterError,
    NotGivenError,
    NotServedError,
    OverError,
    StaleError,
    UnsureError,
)
from dcu.messages.catalogue import EXECUTE, GET, SET
from dcu.messages.encoding import writable
from dcu.model import Attribute, Command
from dcu.obis import format_obis, parse_obis

#: The buffer of a profile may be months long, and is read by range.
_BUFFER = (7, 2)


def check(command: Command) -> None:
    """Raise CommandRejected when `command` (an object command) asks for what cannot be, or is not, done this way."""
    args = command.args
    if command.name == GET:
        for item in _items(args):
            _check_read(item)
        return
    method = command.name == EXECUTE
    target = Attribute(_number(args, "class"), _name(args), _number(args, "method" if method else "attribute"))
    if refused := guarded.change(target, method=method):
        raise CommandRejected(f"{command.name} does not change {refused}")
    request = _request(command)
    if refused := guarded.named(request.value if isinstance(request, Set) else request.argument):
        raise CommandRejected(f"{command.name} lets nothing else move {refused}")


def interrupts(command: Command) -> str | None:
    """Return what `command` (an object command) would set up that may interrupt supply by itself."""
    return guarded.acting(_attribute(command.args)) if command.name == SET else None


def _check_read(item: Attribute) -> None:
    if (item.class_id, item.index) == _BUFFER:
        raise CommandRejected(f"{GET} does not read the buffer of a profile: meter.read does, by range")
    if secret := guarded.shown(item):
        raise CommandRejected(f"{GET} does not read {secret}")


async def carry_out(session: Session, command: Command, permit: Callable[[], None] = unwatched) -> dict[str, Any]:
    """Return the answer to `command` (an object command), which `check` has let pass, in an open session.

    NotGivenError when the meter refuses it, UnsureError when nobody knows whether it was carried out, and what `permit`
    raises, which is asked before a meter is changed; a GET raises what `Session.get` raises.
    """
    if command.name == GET:
        return await _get(session, _items(command.args))
    try:
        answer = await session.perform(_request(command), permit)
    except NotServedError as error:
        raise NotGivenError(str(error)) from error
    except (StaleError, OverError):
        raise
    except (MeterError, BusError) as error:
        raise UnsureError(str(error)) from error
    if isinstance(answer, AccessError):
        raise NotGivenError(f"the meter refuses: {answer}")
    return _told(command) | ({} if answer is None else {"returned": _plain(0, 0, answer).get("value")})


async def confirm(session: Session, command: Command) -> dict[str, Any]:
    """Return the answer to a SET that may have been carried out, if the meter holds its value; else UnsureError."""
    if command.name != SET:
        raise UnsureError
    (value,) = await session.get([Get(_attribute(command.args))])
    args = command.args
    if not rare.same(_number(args, "class"), _number(args, "attribute"), value, args["value"], _type(args)):
        raise UnsureError("the meter holds another value")
    return _told(command) | {"confirmed": True}


async def _get(session: Session, attributes: list[Attribute]) -> dict[str, Any]:
    values = await session.get([Get(attribute) for attribute in attributes])
    return {
        "items": [
            _named(attribute) | _plain(attribute.class_id, attribute.index, value)
            for attribute, value in zip(attributes, values, strict=True)
        ]
    }


def _named(attribute: Attribute) -> dict[str, Any]:
    return {
        "object": format_obis(attribute.name),
        "class": attribute.class_id,
        "attribute": attribute.index,
    }


def _plain(class_id: int, index: int, value: Any) -> dict[str, Any]:
    """Return the value under "value", with its word where it has one, or why there is none under "error"."""
    if isinstance(value, AccessError):
        return {"error": str(value), "code": value.code}
    try:
        word, plain = rare.plain(class_id, index, value)
    except MeterError as error:
        return {"error": str(error)}
    if not writable(plain):
        return {"error": "JSON cannot hold its value (NaN or infinity)"}
    return ({} if word == "value" else {"word": word}) | {"value": plain}


def _told(command: Command) -> dict[str, Any]:
    """Return what the command was about: its answer stands alone in a log."""
    index = "attribute" if command.name == SET else "method"
    return {key: command.args[key] for key in ("object", "class", index)}


def _request(command: Command) -> Set | Action:
    """Return what to send; CommandRejected when the value is not of the shape that the class wants."""
    args = command.args
    class_id, name = _number(args, "class"), _name(args)
    if command.name == SET:
        index = _number(args, "attribute")
        return Set(Attribute(class_id, name, index), rare.encode(class_id, index, args["value"], _type(args)))
    number = _number(args, "method")
    return Action(class_id, name, number, rare.method(class_id, number, args["value"], _type(args)))


def _items(args: Mapping[str, object]) -> list[Attribute]:
    items = args["items"]
    assert isinstance(items, list)
    return [_attribute(item) for item in items]


def _attribute(args: Mapping[str, object]) -> Attribute:
    return Attribute(_number(args, "class"), _name(args), _number(args, "attribute"))


def _name(args: Mapping[str, object]) -> bytes:
    return parse_obis(str(args["object"]))


def _number(args: Mapping[str, object], key: str) -> int:
    number = args[key]
    assert isinstance(number, int)
    return number


def _type(args: Mapping[str, object]) -> str | None:
    return str(args["type"]) if "type" in args else None
