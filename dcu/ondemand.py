"""Reading one meter because somebody asked: `meter.read`, registers now or a profile by range, as a JSON-able answer.

What is read so is not stored as captures; the scheduled streams stay complete and free of odd rows on their own.
"""

from collections.abc import Sequence
from typing import Any

from dcu.archive import Archive
from dcu.clock import Clock, iso
from dcu.dlms.cosem import UNITS
from dcu.errors import MeterError
from dcu.model import Capture, Column, Command
from dcu.obis import format_obis
from dcu.profiles import INSTANT
from dcu.session import Session
from dcu.visit import Range, Reading

#: Rows in one answer: it has to fit one MQTT message (100 kB); the rest is asked for with a later `from`.
ROWS_BOUND = 400


class NotGivenError(MeterError):
    """The meter answers well and has not, or does not give, what was asked: no reason to ask again."""


async def on_demand(session: Session, archive: Archive, meter: str, command: Command, clock: Clock) -> dict[str, Any]:
    """Carry out `command` ("meter.read") in an open session. Raises NotGivenError, and what `Session.get` raises."""
    stream = str(command.args.get("profile", INSTANT))
    known = stream == INSTANT or stream in archive.profile(meter).streams
    shapes = await archive.shapes(session, meter, [stream]) if known else {}
    if stream not in shapes:
        raise NotGivenError(f"{meter} has no {stream}")
    span = None if stream == INSTANT else _range(command)
    reading = Reading(archive.meter(meter), archive.profile(meter), shapes, {stream: span})
    found = await reading.take(session, clock)
    if stream in found.refused:
        raise NotGivenError(f"{meter} refuses {stream}: {found.refused[stream]}")
    return _answer(meter, stream, found.captures, found.offset)


def _range(command: Command) -> Range:
    return Range(int(command.args["from"]), int(command.args["to"]), more=False)  # type: ignore[call-overload]


def _answer(meter: str, stream: str, captures: Sequence[Capture], offset: float | None) -> dict[str, Any]:
    kept = captures[:ROWS_BOUND]
    return {
        "meter": meter,
        "stream": stream,
        "offset": offset,
        "columns": [_column(column) for column in kept[0].columns] if kept else [],
        "captures": [{"at": iso(c.at), "status": c.status, "values": list(c.values)} for c in kept],
        "more": len(captures) > len(kept),
    }


def _column(column: Column) -> dict[str, Any]:
    return {
        "object": format_obis(column.name),
        "class": column.class_id,
        "attribute": column.index,
        "scaler": column.scaler,
        "unit": column.unit,
        "symbol": UNITS.get(column.unit, ""),
    }
