"""Upward messages: blocks of captures and events, command results, states and health, as payloads.

Which topic a payload goes to, and when it is sent again, is not decided here. Shapes: `docs/reference/mqtt.md`; how a
compact block is written is in `block`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from dcu.clock import iso
from dcu.messages.encoding import UNTELLABLE, UNWRITABLE, encode, writable, written
from dcu.messages.events import own_event
from dcu.model import DCU_EVENTS, Capture, Column, CommandRecord, Dropped, Standing
from dcu.obis import format_obis

#: Stream of command results in the store; one record is one message.
RESULT = "result"

#: Content types of the two encodings.
JSON, BLOCK = "application/json", "application/vnd.dcu.block"

#: Streams of events, the meters' and our own, begin so; they leave before data and bear name and severity.
EVENT = "event"

#: Octets kept free for `"part":…,"parts":…` when a block is divided; eight digits each would still fit.
_PART_ROOM = 40

#: Problems, and characters of each, that a health message still names for a broker that takes only short ones.
FEW_PROBLEMS, PROBLEM_LENGTH = 3, 100

#: What is told of an event besides its values: `event` (its name) and `severity`, None when unknown, and more.
Describe = Callable[[Capture], Mapping[str, object]]

#: Writes captures under a head, which says all that is not about one of them; None when they cannot be written.
Write = Callable[[Mapping[str, Any], Sequence[Capture]], bytes | None]


def _nameless(_: Capture) -> Mapping[str, object]:
    return {"event": None, "severity": None}


def content_type(payload: bytes) -> str:
    """Return what a payload made here is, as MQTT 5 tells it; over MQTT 3.1.1 the first octet does."""
    return JSON if payload.startswith(b"{") else BLOCK


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

    def birth(
        self, at: float, streams: Mapping[str, int], owed: Mapping[str, int], pending: Mapping[str, int], mqtt: str
    ) -> bytes:
        """State `online`: next number, lowest unacknowledged one and unacknowledged rows per stream; MQTT version."""
        return encode(
            self._head(state="online", at=iso(at), mqtt=mqtt)
            | dict(self.about)
            | {"streams": dict(streams), "owed": dict(owed), "pending": dict(pending)}
        )

    def will(self, since: float) -> bytes:
        """State `offline`, left with the broker at connection time; `since` is when that connection began."""
        return encode(self._head(state="offline", since=iso(since)))

    def stopped(self, at: float, reason: str, until: float | None = None) -> bytes:
        """State `stopped`: we went on purpose, and, where that is known, `until` when (UTC seconds)."""
        again = {} if until is None else {"until": iso(int(until))}
        return encode(self._head(state="stopped", at=iso(at), reason=reason, **again))

    def health(self, at: float, figures: Mapping[str, object]) -> bytes:
        """Running state; `figures` holds JSON-able counters by name."""
        return encode(self._head(at=iso(at)) | dict(figures))

    def healths(self, at: float, figures: Mapping[str, object]) -> Iterator[bytes]:
        """Yield the running state, then ever less of it, for a broker that takes only short messages."""
        yield (whole := self.health(at, figures))
        less = {**figures, "buses": f"{len(whole)} octets"}
        yield self.health(at, less)
        problems = [str(each) for each in cast("Sequence[object]", figures.get("problems", ()))]
        few = [each[:PROBLEM_LENGTH] for each in problems[:FEW_PROBLEMS]]
        rest = len(problems) - len(few)
        less["problems"] = [*few, *([f"and {rest} more"] if rest else [])]
        yield self.health(at, less)
        yield self.health(at, {**less, "success": {}})

    def meter(self, meter: str, standing: Standing, at: float) -> bytes:
        """State of one meter: how it stands since when, and when it was read last."""
        read = None if standing.read is None else iso(int(standing.read))
        head = self._head(meter=meter, state=standing.state.value, since=iso(int(standing.since)))
        return encode(head | {"last_reading": read, "at": iso(int(at))})

    def block(
        self,
        stream: str,
        seq: int,
        items: Sequence[Capture] | Sequence[CommandRecord],
        limit: int,
        *,
        compact: bool = False,
    ) -> list[bytes]:
        """Return the payloads of one block: one, or several parts under the same `seq` when it exceeds `limit` octets.

        They are JSON, or `compact` blocks. What cannot be sent at all (a single capture over the limit) is named in
        `dropped` in its place, as JSON, so that it neither blocks the stream nor vanishes unexplained; of a capture
        with a value that JSON cannot hold only that value is lost. The same block always gives the same payloads for
        the same limit.
        """
        if stream == RESULT:
            return [self._result(seq, record, limit) for record in cast("Sequence[CommandRecord]", items)]
        write = self._compact if compact else self._readable
        return _divided(self._head(stream=stream, seq=seq), cast("Sequence[Capture]", items), limit, write)

    def receipt(self, stream: str, seq: int, messages: int) -> bytes:
        """The word that a block was told by so many `messages` of Sparkplug."""
        return encode(self._head(stream=stream, seq=seq) | {"columns": [], "captures": [], "sparkplug": messages})

    def dropped(self, stream: str, seq: int, dropped: Dropped) -> bytes:
        """The word of captures that had to go before they were delivered, under the number that they would have had."""
        if dropped.numbers is not None:
            span: dict[str, object] = dict(zip(("from_seq", "to_seq"), dropped.numbers, strict=True))
        else:
            span = {"from": iso(dropped.start), "to": iso(dropped.end)}
        what = {"reason": dropped.reason, **span, "count": dropped.count}
        return encode(self._head(stream=stream, seq=seq) | {"columns": [], "captures": [], "dropped": what})

    def _result(self, seq: int, record: CommandRecord, limit: int) -> bytes:
        message = self._head(stream=RESULT, seq=seq) | answer(record)
        payload = written(message)
        if payload is not None and len(payload) <= limit:
            return payload
        reason = UNWRITABLE
        if payload is not None:
            reason = f"the result has {len(payload)} octets, the broker takes {limit}: ask for less"
        return encode(message | {"result": None, "error": reason})

    def _readable(self, head: Mapping[str, Any], captures: Sequence[Capture]) -> bytes | None:
        """Return the message of `captures` as JSON; None when there is something no JSON can hold."""
        sets, numbers = _sets(captures)
        try:
            rows = [self._row(capture, number) for capture, number in zip(captures, numbers, strict=True)]
            message = {**head, "columns": self._columns(sets), "captures": rows}
            return written(message) or written(message | {"captures": list(map(without_lost, rows))})
        except UNTELLABLE:
            return None

    def _compact(self, head: Mapping[str, Any], captures: Sequence[Capture]) -> bytes | None:
        """Return the message of `captures` as a compact block; None when it would become too large."""
        from dcu.messages.block import encode_block  # noqa: PLC0415 - a box whose streams are all JSON never needs it

        sets, numbers = _sets(captures)
        rows = [replace(each, values=()) if each.stream == DCU_EVENTS else each for each in captures]
        try:
            more = [self.more(capture) for capture in captures]
            words = [encode(told).decode() if told else None for told in more]
            return encode_block({**head, "columns": self._columns(sets)}, rows, numbers, words)
        except UNTELLABLE:
            return None

    def _columns(self, sets: Sequence[tuple[Column, ...]]) -> list[list[dict[str, Any]]]:
        return [[describe_column(column, self.units) for column in columns] for columns in sets]

    def _row(self, capture: Capture, columns: int) -> dict[str, Any]:
        return {
            "meter": capture.meter,
            "at": iso(capture.at),
            "status": capture.status,
            "read": iso(round(capture.read_at, 3)),
            "offset": capture.offset,
            "trusted": capture.trusted,
            "columns": columns,
            "values": () if capture.stream == DCU_EVENTS else capture.values,
            **self.more(capture),
        }

    def more(self, capture: Capture) -> Mapping[str, object]:
        """Return what is told of an event besides its values; nothing of other captures."""
        if capture.stream == DCU_EVENTS:
            return own_event(capture)
        return self.describe(capture) if is_event(capture.stream) else {}

    def _head(self, **more: object) -> dict[str, Any]:
        return {"dcu": self.dcu, "boot": self.boot} | more


def _sets(captures: Sequence[Capture]) -> tuple[Sequence[tuple[Column, ...]], list[int]]:
    """Return each set of columns once, and the number of that of each capture."""
    sets: dict[tuple[Column, ...], int] = {}
    numbers = [sets.setdefault(capture.columns, len(sets)) for capture in captures]
    return list(sets), numbers


def _divided(head: Mapping[str, Any], captures: Sequence[Capture], limit: int, write: Write) -> list[bytes]:
    """Return what `write` makes of `captures`, in as few parts of at most `limit` octets as halving gives."""
    whole = write(head, captures)
    if whole is not None and len(whole) <= limit:
        return [whole]
    pieces = list(_pieces(head, captures, limit - _PART_ROOM, write))
    if len(pieces) == 1:
        return [pieces[0](head)]
    return [piece({**head, "part": number, "parts": len(pieces)}) for number, piece in enumerate(pieces, 1)]


def _pieces(
    head: Mapping[str, Any], captures: Sequence[Capture], room: int, write: Write
) -> Iterator[Callable[[Mapping[str, Any]], bytes]]:
    """Halve until each piece fits; a single capture that does not is replaced by the word of its absence."""
    payload = write(head, captures)
    if payload is not None and len(payload) <= room:
        yield lambda head: cast("bytes", write(head, captures))
    elif len(captures) > 1:
        middle = len(captures) // 2
        yield from _pieces(head, captures[:middle], room, write)
        yield from _pieces(head, captures[middle:], room, write)
    else:
        absence = _tombstone(captures[0], "unencodable" if payload is None else "oversized")
        yield lambda head: encode({**head, **absence})


def without_lost(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a capture's `row` with null for each value that JSON cannot hold, and their positions in `lost`."""
    lost = [place for place, value in enumerate(row["values"]) if not writable(value)]
    values = [None if place in lost else value for place, value in enumerate(row["values"])]
    offset = {} if writable(row.get("offset")) else {"offset": None}
    return {**row, **offset, "values": values} | ({"lost": lost} if lost else {})


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
    told = {
        "id": command.id,
        "name": command.name,
        "meters": command.meters,
        "state": record.state.value,
        "at": iso(round(record.changed, 3)),
        "result": record.result,
        "error": record.error,
    }
    return told if record.progress is None else told | {"progress": record.progress}


def _tombstone(capture: Capture, reason: str) -> dict[str, Any]:
    return {
        "columns": [],
        "captures": [],
        "dropped": {"reason": reason, "meter": capture.meter, "at": iso(capture.at), "count": 1},
    }
