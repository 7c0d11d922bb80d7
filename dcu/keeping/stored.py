"""What is kept of one meter, a page at a time: the answer to `dcu.readings`. Reading it from the meter is `meter.read`.

Pages go by capture time, and within a day as the rows were recorded; each is of one shape. A cursor is a time and how
many rows from there on were shown already.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import takewhile
from typing import Any, Final, Protocol

from dcu.clock import DAY, Clock, iso
from dcu.dlms.cosem import UNITS
from dcu.messages.catalogue import MAX_ROWS
from dcu.messages.envelope import describe_column, without_lost
from dcu.model import Capture, Command

#: Rows of one second that can be shown: more than any meter's log has. One question finds one more, to know of it.
SHOWN: Final = 999


class Stored(Protocol):
    """What is needed of the store."""

    async def captures(self, meter: str, stream: str, start: int, end: int, limit: int) -> list[Capture]:
        """Return the last `limit` captures with start ≤ at ≤ end, by day, then as recorded. Raises StoreError."""


class StoredReadings:
    """Answers from `store`."""

    def __init__(self, store: Stored, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    @property
    def commands(self) -> Mapping[str, Callable[[Command], Awaitable[Mapping[str, Any]]]]:
        """What answers the commands of this room, by name."""
        return {"dcu.readings": self.answer}

    async def answer(self, command: Command) -> Mapping[str, Any]:
        """Return a page: columns, captures, and `more`, the cursor of the next page, None when this is the last.

        `cut` is the second, if there is one, of which no more than the last rows are shown.
        """
        args = command.args
        meter, stream, end = str(args["meter"]), str(args["stream"]), int(str(args.get("to", int(self._clock.now()))))
        begin, _, skip = str(args.get("after", f"{args.get('from', end - DAY)}/0")).partition("/")
        limit = int(str(args.get("limit", MAX_ROWS)))
        rows, more, cut = await self._page(meter, stream, int(begin), end, int(skip), limit)
        columns = rows[0].columns if rows else ()
        return {
            "meter": meter,
            "stream": stream,
            "columns": [describe_column(column, UNITS) for column in columns],
            "captures": [_row(row) for row in rows],
            "more": more,
            "cut": None if cut is None else iso(cut),
        }

    async def _page(
        self, meter: str, stream: str, begin: int, end: int, skip: int, limit: int
    ) -> tuple[list[Capture], str | None, int | None]:
        """Return the first rows of one shape from `begin` on, without `skip` of them, the cursor behind them, `cut`.

        Of what one question does not find all, the half is asked for, down to a second.
        """
        while begin <= end:
            last = min(end, begin // DAY * DAY + DAY - 1)
            while len(held := await self._store.captures(meter, stream, begin, last, SHOWN + 1)) > SHOWN:
                if last == begin:
                    break
                last = (begin + last) // 2
            cut, held = begin if len(held) > SHOWN else None, held[-SHOWN:]
            rows = _alike(held[skip : skip + limit])
            if skip + len(rows) < len(held):
                return rows, f"{begin}/{skip + len(rows)}", cut
            if rows:
                return rows, f"{last + 1}/0" if last < end else None, cut
            # what was shown may have been counted when this day had fewer rows, and was asked for as a whole
            begin, skip = last + 1, max(0, skip - len(held))
        return [], None, None


def _alike(rows: Sequence[Capture]) -> list[Capture]:
    """Return the first of `rows` that have the same columns."""
    return list(takewhile(lambda row: row.columns == rows[0].columns, rows))


def _row(capture: Capture) -> dict[str, Any]:
    row = {
        "at": iso(capture.at),
        "status": capture.status,
        "read": iso(capture.read_at),
        "offset": capture.offset,
        "trusted": capture.trusted,
        "values": capture.values,
    }
    return without_lost(row)
