"""The audit: every command that is over, as a chain of hashes that only grows: a row that is changed breaks it.

The journal (`commands`) adds to it in the transaction that ends a command. Its head is published with the health, so
that rows that were cut off at the end, or a chain made anew, are noticed by whoever kept a head.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from aiosqlite import Connection

from dcu.clock import iso
from dcu.model import CommandRecord
from dcu.store.cells import to_json
from dcu.store.database import Database

#: Rows kept: ten years of five commands a day, some ten megabytes.
AUDIT_BOUND: Final = 20_000

#: Characters kept of a command's arguments and of its error; longer arguments are kept as their hash.
ARGUMENTS_BOUND: Final = 1000
OUTCOME_BOUND: Final = 200

#: Meters named of one command; of more, how many.
METERS_BOUND: Final = 16

#: Rows of one answer, and looked at in one go.
PART: Final = 256

#: What stands before the first row.
BEGINNING: Final = bytes(32)

_ADD = """
INSERT INTO audit (entry, at, who, command, what, outcome, before, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""

_PRUNE = "DELETE FROM audit WHERE entry <= ?"

_NEWEST = "SELECT entry, hash FROM audit ORDER BY entry DESC LIMIT 1"

_PART = """
SELECT entry, at, who, command, what, outcome, before, hash FROM audit WHERE entry >= ? ORDER BY entry LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One command: through which door it came (`who`), when it was over (UTC seconds), and how it ended."""

    entry: int
    at: float
    who: str
    command: str
    what: str
    outcome: str
    before: bytes
    hash: bytes

    @property
    def right(self) -> bytes:
        """The hash that this entry must have: over what is told of it, so that whoever is told can compute it."""
        return self._over(iso(self.at))

    @property
    def by_seconds(self) -> bool:
        """Whether it was hashed as the first releases did: over `at` as the number it is kept as."""
        return self.hash == self._over(self.at)

    @property
    def sound(self) -> bool:
        """Whether it is as it was written."""
        return self.hash == self.right or self.by_seconds

    def _over(self, at: str | float) -> bytes:
        fields = to_json([self.entry, at, self.who, self.command, self.what, self.outcome])
        return hashlib.sha256(self.before + fields.encode()).digest()

    def follows(self, before: "AuditEntry") -> bool:
        """Whether this is the entry after `before`."""
        return self.entry == before.entry + 1 and self.before == before.hash


@dataclass(frozen=True, slots=True)
class Verdict:
    """The chain from entry `first` to `last` with its head; `problem` names the first entry that breaks it."""

    first: int = 0
    last: int = 0
    head: bytes = BEGINNING
    problem: str | None = None


class Audit:
    """The chain. `head` is its newest entry and hash, as far as anything was written or asked since the start."""

    __slots__ = ("_database", "head")

    def __init__(self, database: Database) -> None:
        self._database = database
        #: Number and hash of the newest entry, None while nobody has looked.
        self.head: tuple[int, bytes] | None = None

    async def entries(self, first: int, count: int) -> list[AuditEntry]:
        """Return at most `count` (≤ PART) entries from number `first` on."""
        return [AuditEntry(*row) for row in await self._database.read(_PART, (first, min(count, PART)))]

    async def newest(self) -> tuple[int, bytes]:
        """Return number and hash of the newest entry; 0 and BEGINNING where there is none."""
        rows = await self._database.read(_NEWEST)
        self.head = (rows[0][0], rows[0][1]) if rows else (0, BEGINNING)
        return self.head

    async def verify(self) -> Verdict:
        """Go through the whole chain and return what is found."""
        verdict, last = Verdict(), None
        while part := await self.entries(verdict.last + 1, PART):
            problem = _broken([last, *part] if last else part)
            last = part[-1]
            verdict = Verdict(verdict.first or part[0].entry, last.entry, last.hash, problem)
            if problem:
                break
        return verdict

    async def add(self, database: Connection, record: CommandRecord) -> None:
        """Add a command that is over, in the transaction that ends it."""
        rows = list(await database.execute_fetchall(_NEWEST))
        newest, before = rows[0] if rows else (0, BEGINNING)
        entry = _entry(newest + 1, record, before)
        row = (entry.entry, entry.at, entry.who, entry.command, entry.what, entry.outcome, before, entry.right)
        await database.execute(_ADD, row)
        await database.execute(_PRUNE, (entry.entry - AUDIT_BOUND,))
        self.head = (entry.entry, entry.right)


def _entry(number: int, record: CommandRecord, before: bytes) -> AuditEntry:
    command = record.command
    args: object = command.args
    if len(text := to_json(args)) > ARGUMENTS_BOUND:
        args = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    meters: object = command.meters if len(command.meters) <= METERS_BOUND else len(command.meters)
    what = to_json({"name": command.name, "meters": command.targets or meters, "args": args})
    outcome = f"{record.state}: {record.error}"[:OUTCOME_BOUND] if record.error else str(record.state)
    return AuditEntry(number, record.changed, command.door, command.id, what, outcome, before, b"")


def _broken(entries: Sequence[AuditEntry]) -> str | None:
    """Return what is wrong with the first of `entries` that is not as it was written."""
    for entry in entries:
        if not entry.sound:
            return f"entry {entry.entry} was changed"
    for before, entry in pairwise(entries):
        if not entry.follows(before):
            return f"entry {entry.entry} does not follow entry {before.entry}"
    return None
