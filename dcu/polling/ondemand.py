"""One meter because somebody asked: `meter.read` here, what concerns any object in `objects`; a JSON-able answer.

What is read so is not stored as captures; the scheduled streams stay complete and free of odd rows on their own.
"""

from collections.abc import Callable, Sequence
from typing import Any

from dcu.archive import Archive
from dcu.clock import Clock, iso
from dcu.conversation.session import Session, unwatched
from dcu.conversation.shapes import PROFILE_GENERIC, Shape
from dcu.conversation.visit import Reading
from dcu.dlms.cosem import UNITS
from dcu.errors import NotGivenError
from dcu.messages.catalogue import CATALOGUE, GET, LEARN, OBJECT_COMMANDS
from dcu.messages.envelope import describe_column, without_lost
from dcu.model import INSTANT, Capture, Command, Visit
from dcu.obis import parse_obis
from dcu.plan.backfill import Range, slice_of
from dcu.polling.presence import ascertain


async def on_demand(
    session: Session,
    archive: Archive,
    visit: Visit,
    clock: Clock,
    permit: Callable[[], None] = unwatched,
    *,
    own: bool = True,
) -> dict[str, Any]:
    """Carry out the command of `visit` in an open session, or look at what became of it when that is doubtful.

    `own` is false for another client of the meter. Raises NotGivenError, also when another meter answers, UnsureError
    (then it must not be sent again), SecurityError before anything is said to a meter that bears another's system
    title, what `permit` raises, which is asked before it is changed, and what `Session.get` raises.
    """
    command = visit.command
    assert command is not None
    doubtful = visit.doubtful and CATALOGUE[command.name].changes_state
    await ascertain(session, archive, visit.meter, clock, own=own, doubtful=doubtful)
    if command.name == LEARN:
        return await _learn(session, archive, visit.meter)
    if command.name not in OBJECT_COMMANDS:
        return await _read(session, archive, visit.meter, command, clock)
    from dcu.conversation import objects  # noqa: PLC0415 - a quarter of a megabyte for the few who ask

    looks = visit.doubtful and command.name != GET
    try:
        answer = await (objects.confirm(session, command) if looks else objects.carry_out(session, command, permit))
    finally:
        if command.name != GET and command.args["class"] == PROFILE_GENERIC:  # it may capture otherwise from now on
            archive.relearn(visit.meter, parse_obis(str(command.args["object"])))
    return {"meter": visit.meter} | answer


async def _learn(session: Session, archive: Archive, meter: str) -> dict[str, Any]:
    from dcu.conversation.writing import written  # noqa: PLC0415 - for meters of which nothing is known

    return {"meter": meter, "profile": written(await archive.explore(session, meter))}


async def _read(session: Session, archive: Archive, meter: str, command: Command, clock: Clock) -> dict[str, Any]:
    stream = str(command.args.get("profile", INSTANT))
    profile = archive.profile(meter)
    known = stream == INSTANT or stream in profile.streams or profile.discovers
    shapes = await archive.shapes(session, meter, [stream]) if known else {}
    if stream not in shapes:
        raise NotGivenError(f"{meter} has no {stream}")
    span = None if stream == INSTANT else _range(command, shapes[stream])
    reading = Reading(archive.meter(meter), archive.profile(meter), shapes, {stream: span})
    found = await reading.take(session, clock)
    if stream in found.refused:
        raise NotGivenError(f"{meter} refuses {stream}: {found.refused[stream]}")
    rest = iso(span.end + 1) if span is not None and span.more else None
    return _answer(meter, stream, found.captures, found.offset) | {"trusted": clock.trusted(), "next": rest}


def _range(command: Command, shape: Shape) -> Range:
    """Return the part of the asked range that one visit may take: who asks for a year must not hold the line."""
    start, end = command.args["from"], command.args["to"]
    assert isinstance(start, int)
    assert isinstance(end, int)
    last = min(end, start + slice_of(shape.period) - 1)
    return Range(start, last, more=last < end)


def _answer(meter: str, stream: str, captures: Sequence[Capture], offset: float | None) -> dict[str, Any]:
    return {
        "meter": meter,
        "stream": stream,
        "offset": offset,
        "columns": [describe_column(column, UNITS) for column in captures[0].columns] if captures else [],
        "captures": [without_lost({"at": iso(c.at), "status": c.status, "values": c.values}) for c in captures],
    }
