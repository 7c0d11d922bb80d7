"""What can be read of a damaged database is brought over into the new one, to the same places: nothing comes twice.

Before the store is used: what it knows, and of the captures that were not acknowledged as much as a start has time for.
In the background, window by window: the rest of these, then those that were acknowledged. Until then the name of the
damaged file stands in a note beside the database, so that a restart goes on. All of it blocks: call it in a thread.
"""

import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import structlog

from dcu.clock import DAY
from dcu.store.forward import singly
from dcu.store.legend import NOTHING_KNOWN, UNREADABLE, Known, Legend, columns_of
from dcu.store.numbers import POSITION_BITS
from dcu.store.segments import SEGMENT_ROWS
from dcu.store.spare import put_file, sync_directory

log = structlog.get_logger()

#: Tables that are brought over after the names, but for rows that refer to what is unknown. Counters come from the
#: spare, and from here only where it does not know them: one that is too high would shut a meter out.
_TABLES: Final = (
    "streams",
    "marks",
    "days",
    "gaps",
    "descriptors",
    "reach",
    "clocks",
    "adjustments",
    "found",
    "commands",
    "results",
    "outbox",
    "delivered",
    "drops",
    "audit",
    "history",
)

_KEPT: Final = ("counters", "generations", "secrets", "archive")

#: What is plainly damage in rows that could be read: marks of the future, numbers that nothing has. The word of a leap
#: has no positions: it ends before it begins.
_SOUND: Final = (
    "DELETE FROM marks WHERE watermark > ?1 OR meter NOT IN (SELECT meter FROM meters)",
    "DELETE FROM gaps WHERE last > ?1 OR (meter, stream) NOT IN (SELECT meter, stream FROM marks)",
    "DELETE FROM results WHERE ?1 AND place >> 40 NOT IN (SELECT stream FROM streams)",
    "DELETE FROM outbox WHERE ?1 AND stream NOT IN (SELECT stream FROM streams) OR last < first - (dropped NOT NULL)",
    """
    DELETE FROM delivered WHERE ?1 AND stream NOT IN (SELECT stream FROM streams) OR last < first - (dropped NOT NULL)
    """,
)

#: The first position that was not acknowledged, and the last that was sent.
_UNACKNOWLEDGED = """
SELECT stream, min(sent + 1, coalesce((SELECT min(first) FROM outbox WHERE outbox.stream = streams.stream), sent + 1)),
    sent
FROM streams
"""

#: Up to where positions of a stream can be: the newest run of a meter is somewhere behind all but its own rows.
_NEWEST = "SELECT max(?2, coalesce(max(newest), 0)) FROM marks WHERE stream = ?1"

#: A chain must not begin at a position that was lost, and will be another's.
_CUT = (
    """
    UPDATE marks SET day = NULL, newest = NULL
    WHERE newest > (SELECT tail FROM tails WHERE tails.stream = marks.stream)
    """,
    "DELETE FROM days WHERE newest > (SELECT tail FROM tails WHERE tails.stream = days.stream)",
)

PUT_SALVAGED = """
INSERT OR IGNORE INTO segments (place, rows, read, oldest, newest, octets, content) VALUES (?, ?, ?, ?, ?, ?, ?)
"""

#: Questions asked of a damaged tree before the store is used, each of half the range of one that failed, and octets of
#: captures brought over by then: about ten seconds' work on an old board, and a start may take 25.
TRIES: Final = 20_000
FOREMOST_OCTETS: Final = 4 << 20

#: Positions that are given up together.
LEAST: Final = 8

#: Positions looked at in one go: a megabyte at most.
WINDOW: Final = 4096

#: Memory of a connection to a damaged file, in KiB.
_CACHE_KIB: Final = 512

_NAMES: Final = (
    "INSERT INTO meters (meter, name) VALUES (?, ?)",
    "INSERT INTO layouts (layout, content) VALUES (?, ?)",
)

#: A stream of which there is its name only: where it stands is told by what left.
_STREAM = """
INSERT OR IGNORE INTO streams (stream, name, seq, sent) SELECT ?1, ?2, coalesce(max(seq) + 1, 0), coalesce(max(last), 0)
FROM (SELECT * FROM outbox UNION ALL SELECT * FROM delivered) WHERE stream = ?1
ON CONFLICT (stream) DO UPDATE SET name = excluded.name
"""

#: One row of the table of segments.
Row = tuple[Any, ...]

#: Numbers that are known.
Numbers = Collection[int]


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What was brought over: captures, and how many positions could not be read, each of one capture at most.

    `again`: how many captures that were lost with them meters are asked for once more.
    """

    captures: int = 0
    unreadable: int = 0
    again: int = 0

    def __add__(self, more: "Salvaged") -> "Salvaged":
        captures, unreadable = self.captures + more.captures, self.unreadable + more.unreadable
        return Salvaged(captures, unreadable, self.again + more.again)


#: Positions of a stream, first and last, that are still to be brought over.
Owed = dict[int, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Note:
    """What is still to be salvaged: the damaged file and why; `begun`: what comes first is there.

    `unsent` is by stream the first position that was not acknowledged, `owed` what is still to come from there on.
    `known` are the numbers that still stand for what they stood for: others may have been given again.
    """

    aside: Path
    reason: str
    begun: bool = False
    owed: Owed = field(default_factory=dict)
    unsent: Mapping[int, int] = field(default_factory=dict)
    known: Known = NOTHING_KNOWN

    @classmethod
    def read(cls, path: Path) -> "Note | None":
        """Return the note beside the database `path`, None where nothing is left to do. Raises OSError."""
        note = cls.told(path)
        return note if note is not None and note.aside.exists() else None

    @classmethod
    def told(cls, path: Path) -> "Note | None":
        """Return the note beside the database `path`, also of a file that has its name still. Raises OSError."""
        try:
            found = json.loads(_beside(path).read_text())
            owed = {stream: (first, last) for stream, first, last in found.get("owed", [])}
            unsent = dict(found.get("unsent", []))
            known = Known.of(found.get("known", []))
            return cls(path.with_name(found["aside"]), found["reason"], found["begun"], owed, unsent, known)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def write(self, path: Path) -> None:
        """Put the note beside `path`, on the disk. Raises OSError."""
        owed = [[stream, *span] for stream, span in self.owed.items()]
        found = {"aside": self.aside.name, "reason": self.reason, "begun": self.begun, "owed": owed}
        found["unsent"] = list(self.unsent.items())
        found["known"] = [sorted(numbers) for numbers in self.known]
        put_file(_beside(path), json.dumps(found).encode())

    def remove(self, path: Path) -> None:
        """Nothing is left to do. Raises OSError."""
        _beside(path).unlink(missing_ok=True)
        sync_directory(path.parent)


def _beside(path: Path) -> Path:
    return path.with_suffix(".salvage")


@dataclass(slots=True)
class _Time:
    """What is left of the time before the store is used."""

    tries: int = field(default_factory=lambda: TRIES)
    octets: int = field(default_factory=lambda: FOREMOST_OCTETS)

    def __bool__(self) -> bool:
        return self.tries > 0 and self.octets > 0


class _Source(NamedTuple):
    """A damaged file, and what its numbers are known to be."""

    wreck: sqlite3.Connection
    known: Known

    def segments(self, first: int, last: int) -> list[Row]:
        """Return the rows of segments between two places, captures of a schema before segments as one each.

        Raises what is in UNREADABLE.
        """
        older = columns_of(self.wreck, "captures")
        rows = list(singly(self._between("captures", first, last))) if older else []
        # both are there where a store was brought forward only so far
        if not older or columns_of(self.wreck, "segments"):
            rows += self._between("segments", first, last)
        return rows

    def _between(self, table: str, first: int, last: int) -> list[Row]:
        columns = ", ".join(["rowid", *columns_of(self.wreck, table)[1:]])
        select = f"SELECT {columns} FROM {table} WHERE rowid BETWEEN ? AND ? ORDER BY rowid"  # noqa: S608 - our names
        return self.wreck.execute(select, (first, last)).fetchall()


def begin(path: Path, note: Note, now: float, told: Collection[str] = ()) -> tuple[Salvaged, Note]:
    """Bring over what is known and what was not acknowledged; the database at `path` is new. Raises sqlite3.Error.

    `told` are the streams that the spare knows. Also returns the note as it is then: what is left for later, where
    there is much.
    """
    with closing(_wreck(note.aside)) as wreck, closing(sqlite3.connect(path, isolation_level=None)) as fresh:
        legend = Legend.read(wreck, told)
        source = _Source(wreck, legend.known)
        fresh.execute("PRAGMA synchronous = FULL")
        fresh.execute("BEGIN IMMEDIATE")
        for names, held in zip(_NAMES, (legend.meters, legend.layouts), strict=True):
            fresh.executemany(names, held.items())
        for table in _TABLES:
            _copy(wreck, fresh, table, legend.numbers)
        fresh.executemany(_STREAM, legend.streams.items())
        for statement in _SOUND:
            fresh.execute(statement, (now + DAY,))
        found, time = Salvaged(), _Time()
        owed: Owed = {}
        unsent = {}
        for stream, first, sent in fresh.execute(_UNACKNOWLEDGED).fetchall():
            unsent[stream] = first
            [(newest,)] = fresh.execute(_NEWEST, (stream, first)).fetchall()
            # the segment that holds the first of them may begin before it
            span = (max(1, first - SEGMENT_ROWS), newest + SEGMENT_ROWS)
            came, left = _foremost(source, fresh, stream, span, sent, time)
            found += came
            if left:
                owed[stream] = left
        for statement in _CUT:
            fresh.execute(statement)
        fresh.execute("COMMIT")
    return found, replace(note, begun=True, owed=owed, unsent=unsent, known=source.known)


def _foremost(
    source: _Source, fresh: sqlite3.Connection, stream: int, span: tuple[int, int], sent: int, time: _Time
) -> tuple[Salvaged, tuple[int, int] | None]:
    """Bring over the end of a stream, which new rows come behind, then from its beginning what there is time for.

    What was sent comes in any case: it is sent again as soon as there is somebody to hear it.
    """
    found, (first, last) = Salvaged(), span
    while first <= last and not found.captures:
        begin = max(first, last - WINDOW + 1)
        found += _brought(source, fresh, stream, (begin, last), time)
        last = begin - 1
    while first <= last and (time or first <= sent):
        end = min(last, first + WINDOW - 1)
        found += _brought(source, fresh, stream, (first, end), time)
        first = end + 1
    return found, (first, last) if first <= last else None


def _brought(source: _Source, fresh: sqlite3.Connection, stream: int, span: tuple[int, int], time: _Time) -> Salvaged:
    rows, lost = _window(source, stream, *span, time)
    return Salvaged(put(fresh, rows), lost)


def fill(path: Path, note: Note, *, spared: bool) -> None:
    """Bring over what the spare did not know: counters, and unless it was whole (`spared`) the rest. sqlite3.Error."""
    with closing(_wreck(note.aside)) as wreck, closing(sqlite3.connect(path, isolation_level=None)) as fresh:
        fresh.execute("BEGIN IMMEDIATE")
        for table in _KEPT[:1] if spared else _KEPT:
            _copy(wreck, fresh, table, {"meter": note.known.meters})
        fresh.execute("COMMIT")


def window(aside: Path, known: Known, stream: int, first: int, last: int) -> tuple[list[Row], int]:
    """Return the segments of a stream that begin at these positions, and how many positions cannot be read."""
    with closing(_wreck(aside)) as wreck:
        return _window(_Source(wreck, known), stream, first, last, _Time())


def _window(source: _Source, stream: int, first: int, last: int, time: _Time) -> tuple[list[Row], int]:
    base = stream << POSITION_BITS
    pieces = list(_pieces(source, base + first, base + last, time))
    sound = [part for rows, _ in pieces for row in rows for part in source.known.parts(row)]
    time.octets -= sum(len(row[-1]) for row in sound)
    return sound, sum(lost for _, lost in pieces)


def _wreck(aside: Path) -> sqlite3.Connection:
    wreck = sqlite3.connect(aside, isolation_level=None)
    wreck.text_factory = lambda octets: octets.decode(errors="replace")
    with suppress(*UNREADABLE):  # then nothing of it can be read
        wreck.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return wreck


def _copy(wreck: sqlite3.Connection, fresh: sqlite3.Connection, table: str, numbers: Mapping[str, Numbers]) -> None:
    """Copy what can be read of a table: from its beginning up to the damage, and from its end back to it.

    `numbers` are by name of a column those that may stand in it.
    """
    try:
        there = columns_of(wreck, table)
    except UNREADABLE:
        return
    ours = [(f'"{name}"', key) for _, name, _, _, _, key in fresh.execute(f"PRAGMA table_info({table})")]
    # of a name that is damaged the place tells what it was
    columns = {name: each for each, (name, _) in zip(there, ours, strict=False) if len(there) == len(ours)}
    columns = columns or {name: name for name, _ in ours if name in there}
    keys = [name for name, key in sorted(ours, key=lambda column: column[1]) if key]
    if not columns.keys() >= set(keys):  # a table that came with a later schema; or rows would be given other keys
        return
    order = ", ".join(f"{columns[key]} DESC" for key in keys)
    names = [name.strip('"') for name in columns]
    listed = ", ".join(columns.values())
    put = f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608 - our names
    bound = [(at, numbers[name]) for at, name in enumerate(names) if name in numbers]
    for backwards in ("", f" ORDER BY {order}"):
        if _copied(wreck, fresh, f"SELECT {listed} FROM {table}{backwards}", put, bound):  # noqa: S608 - our names
            return


def _copied(
    wreck: sqlite3.Connection, fresh: sqlite3.Connection, select: str, put: str, bound: Sequence[tuple[int, Numbers]]
) -> bool:
    """Copy rows until the end or the first damage, but for those whose numbers nobody knows; say which it was."""
    try:
        for row in wreck.execute(select):
            if any(row[at] not in known for at, known in bound):
                continue
            with suppress(sqlite3.IntegrityError):  # a value that is none of its column's was damaged
                fresh.execute(put, row)
    except UNREADABLE as error:
        log.warning("a table of the damaged database cannot be read whole", question=select, reason=str(error))
        return False
    return True


def _pieces(source: _Source, first: int, last: int, time: _Time) -> Iterator[tuple[list[Row], int]]:
    """Yield the segments between two places, range by range, and how many positions cannot be read of each."""
    ranges = [(first, last)]
    while ranges:
        low, high = ranges.pop()
        time.tries -= 1
        try:
            yield source.segments(low, high), 0
        except UNREADABLE:
            if high - low < LEAST or time.tries <= 0:
                yield [], high - low + 1
                continue
            middle = (low + high) // 2
            ranges += [(middle + 1, high), (low, middle)]


def put(fresh: sqlite3.Connection, rows: Sequence[Row]) -> int:
    """Put segments to their places, those that are there already left as they are; return how many captures came."""
    fresh.executemany(PUT_SALVAGED, rows)
    return sum(row[1] for row in rows)
