"""Upward messages: blocks of captures and events, command results, birth, last will, stop and health, as JSON payloads.

Which topic a payload goes to, and when it is sent again, is not decided here. Shapes: `docs/reference/mqtt.md`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from dcu.clock import iso
from dcu.messages.encoding import encode
from dcu.messages.events import own_event
from dcu.model import DCU_EVENTS, Capture, Column, CommandRecord
from dcu.obis import format_obis

#: Stream of command results in the store; one record is one message.
RESULT = "result"

#: Streams of events, the meters' and our own, begin so; they leave before data and bear name and severity.
EVENT = "event"

#: Octets kept free for `"part":…,"parts":…` when a block is divided; eight digits each would still fit.
_PART_ROOM = 40

#: What is told of an event besides its values: `event` (its name) and `severity`, None when unknown, and more.
Describe = Callable[[Capture], Mapping[str, object]]


def _nameless(_: Capture) -> Mapping[str, object]:
    return {"event": None, "severity": None}


def urgent(stream: str) -> bool:
    """Whether `stream` leaves before data: command results and events."""
    return stream == RESULT or is_event(stream)


def is_event(stream: str) -> bool:
    return stream == EVENT or stream.startswith(EVENT + ".")


@dataclass(frozen=True, slots=True)
class Envelopes:
    """Writes the messages of one DCU in one boot.

    `about` is repeated in every birth (version, configuration revision, counts). `units` maps a DLMS unit code to its
    symbol; `describe` names events. Payloads are bytes of JSON.
    """

    dcu: str
    boot: str
    about: Mapping[str, object] = field(default_factory=dict)
    units: Mapping[int, str] = field(default_factory=dict)
    describe: Describe = _nameless

    def birth(self, at: float, streams: Mapping[str, int], pending: Mapping[str, int], mqtt: str) -> bytes:
        """State `online`: next sequence number and unacknowledged rows per stream, and the MQTT version in use."""
        return encode(
            self._head(state="online", at=iso(at), mqtt=mqtt)
            | dict(self.about)
            | {"streams": dict(streams), "pending": dict(pending)}
        )

    def will(self, since: float) -> bytes:
        """State `offline`, left with the broker at connection time; `since` is when that connection began."""
        return encode(self._head(state="offline", since=iso(since)))

    def stopped(self, at: float, reason: str) -> bytes:
        """State `stopped`: we went on purpose."""
        return encode(self._head(state="stopped", at=iso(at), reason=reason))

    def health(self, at: float, figures: Mapping[str, object]) -> bytes:
        """Running state; `figures` holds JSON-able counters by name."""
        return encode(self._head(at=iso(at)) | dict(figures))

    def block(
        self, stream: str, seq: int, items: Sequence[Capture] | Sequence[CommandRecord], limit: int
    ) -> list[bytes]:
        """Return the payloads of one block: one, or several parts under the same `seq` when it exceeds `limit` octets.

        What cannot be sent at all (a single capture over the limit, a value JSON cannot hold) is named in `dropped`
        in its place, so that it neither blocks the stream nor vanishes unexplained. The same block always gives the
        same payloads for the same limit.
        """
        if stream == RESULT:
            return [self._result(seq, record, limit) for record in cast("Sequence[CommandRecord]", items)]
        return self._captures(stream, seq, cast("Sequence[Capture]", items), limit)

    def _result(self, seq: int, record: CommandRecord, limit: int) -> bytes:
        message = self._head(stream=RESULT, seq=seq) | answer(record)
        payload = _payload(message)
        if payload is not None and len(payload) <= limit:
            return payload
        reason = "the result cannot be written as JSON"
        if payload is not None:
            reason = f"the result has {len(payload)} octets, the broker takes {limit}: ask for less"
        return encode(message | {"result": None, "error": reason})

    def _captures(self, stream: str, seq: int, captures: Sequence[Capture], limit: int) -> list[bytes]:
        head = self._head(stream=stream, seq=seq)
        whole = _payload(head | self._rows(captures))
        if whole is not None and len(whole) <= limit:
            return [whole]
        room = limit - len(encode(head)) - _PART_ROOM
        pieces = list(self._pieces(captures, room))
        if len(pieces) == 1:
            return [encode(head | pieces[0])]
        return [encode(head | {"part": n, "parts": len(pieces)} | piece) for n, piece in enumerate(pieces, 1)]

    def _pieces(self, captures: Sequence[Capture], room: int) -> Iterator[dict[str, Any]]:
        """Halve until each piece fits; a single capture that does not is replaced by the word of its absence."""
        piece = self._rows(captures)
        payload = _payload(piece)
        if payload is not None and len(payload) <= room:
            yield piece
        elif len(captures) > 1:
            middle = len(captures) // 2
            yield from self._pieces(captures[:middle], room)
            yield from self._pieces(captures[middle:], room)
        else:
            yield _tombstone(captures[0], "unencodable" if payload is None else "oversized")

    def _rows(self, captures: Sequence[Capture]) -> dict[str, Any]:
        sets: dict[tuple[Column, ...], int] = {}
        rows = [self._row(capture, sets.setdefault(capture.columns, len(sets))) for capture in captures]
        return {
            "columns": [[describe_column(column, self.units) for column in columns] for columns in sets],
            "captures": rows,
        }

    def _row(self, capture: Capture, columns: int) -> dict[str, Any]:
        row = {
            "meter": capture.meter,
            "at": iso(capture.at),
            "status": capture.status,
            "read": iso(round(capture.read_at, 3)),
            "offset": capture.offset,
            "trusted": capture.trusted,
            "columns": columns,
            "values": capture.values,
        }
        if capture.stream == DCU_EVENTS:
            row |= {"values": ()} | own_event(capture)
        elif is_event(capture.stream):
            row |= self.describe(capture)
        return row

    def _head(self, **more: object) -> dict[str, Any]:
        return {"dcu": self.dcu, "boot": self.boot} | more


def describe_column(column: Column, units: Mapping[int, str]) -> dict[str, Any]:
    """Return what both doors tell of a column; `units` maps unit codes to symbols."""
    described = {
        "object": format_obis(column.name),
        "class": column.class_id,
        "attribute": column.index,
        "scaler": column.scaler,
        "unit": column.unit,
        "symbol": units.get(column.unit, ""),
    }
    return described | {"index": column.data_index} if column.data_index else described


def answer(record: CommandRecord) -> dict[str, Any]:
    """Return what both doors tell of a journal line."""
    command = record.command
    return {
        "id": command.id,
        "name": command.name,
        "meters": command.meters,
        "state": record.state.value,
        "at": iso(round(record.changed, 3)),
        "result": record.result,
        "error": record.error,
    }


def _payload(message: Mapping[str, Any]) -> bytes | None:
    try:
        return encode(message)
    except (TypeError, ValueError, RecursionError):
        return None


def _tombstone(capture: Capture, reason: str) -> dict[str, Any]:
    return {
        "columns": [],
        "captures": [],
        "dropped": {"reason": reason, "meter": capture.meter, "at": iso(capture.at), "count": 1},
    }
