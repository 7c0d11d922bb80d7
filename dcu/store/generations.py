"""Generations of meters' secrets: those that took the place of the keys file's, and those on their way to a meter.

Secrets come here sealed and leave sealed (`dcu.store.vault`); what the states mean is in `dcu.conversation.keychange`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from aiosqlite import Connection

from dcu.store.database import Database
from dcu.store.restore import secrets_of
from dcu.store.spare import SECRETS

_ALL = """
SELECT meters.name, generation, state, changed FROM generations JOIN meters USING (meter) ORDER BY meter, generation
"""

_SECRETS = "SELECT meters.name, generation, kind, sealed FROM secrets JOIN meters USING (meter)"

_ADD = "INSERT INTO generations (meter, generation, state, changed) VALUES (?, ?, ?, ?)"

_SEAL = "INSERT INTO secrets (meter, generation, kind, sealed) VALUES (?, ?, ?, ?)"

_MOVE = "UPDATE generations SET state = ?, changed = ? WHERE meter = ? AND generation = ?"

_DROP = (
    "DELETE FROM generations WHERE meter = ? AND generation = ?",
    "DELETE FROM secrets WHERE meter = ? AND generation = ?",
)

_DROP_OTHERS = (
    "DELETE FROM generations WHERE meter = ? AND generation <> ?",
    "DELETE FROM secrets WHERE meter = ? AND generation <> ?",
)


@dataclass(frozen=True, slots=True)
class Sealed:
    """One generation of one meter's secrets, each sealed, by kind. `changed` is when its state did (UTC seconds)."""

    meter: str
    generation: int
    state: str
    changed: float
    secrets: Mapping[str, bytes]


class Generations:
    """The generations of all meters that have any."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[Sealed]:
        """Return every generation, by meter, older ones first."""
        secrets: dict[tuple[str, int], dict[str, bytes]] = {}
        for meter, generation, kind, sealed in await self._database.read(_SECRETS):
            secrets.setdefault((meter, generation), {})[kind] = sealed
        return [
            Sealed(meter, generation, state, changed, secrets.get((meter, generation), {}))
            for meter, generation, state, changed in await self._database.read(_ALL)
        ]

    async def begin(self, sealed: Sealed) -> None:
        """Keep a new generation; returns after the commit. Raises StoreError."""
        await self._database.write(partial(self._add, sealed=sealed), rows=1 + len(sealed.secrets))

    async def move(self, meter: str, generation: int, state: str, *, alone: bool = False) -> float:
        """Note that a generation is now in `state`, and return when; `alone` forgets all others of the meter."""
        changed = self._database.clock.now()
        await self._database.write(
            partial(self._move, meter=meter, generation=generation, state=state, changed=changed, alone=alone)
        )
        return changed

    async def drop(self, meter: str, generation: int) -> None:
        """Forget one generation."""
        await self._database.write(partial(self._drop, meter=meter, generation=generation, statements=_DROP))

    async def _add(self, database: Connection, *, sealed: Sealed) -> None:
        meter = await self._database.meters.number(database, sealed.meter)
        await database.execute(_ADD, (meter, sealed.generation, sealed.state, sealed.changed))
        rows = [(meter, sealed.generation, kind, secret) for kind, secret in sealed.secrets.items()]
        await database.executemany(_SEAL, rows)
        await self._note(database, sealed.meter)

    async def _move(
        self, database: Connection, *, meter: str, generation: int, state: str, changed: float, alone: bool
    ) -> None:
        number = await self._database.meters.number(database, meter)
        await database.execute(_MOVE, (state, changed, number, generation))
        if alone:
            await self._drop(database, meter=meter, generation=generation, statements=_DROP_OTHERS)
        await self._note(database, meter)

    async def _drop(self, database: Connection, *, meter: str, generation: int, statements: tuple[str, str]) -> None:
        number = await self._database.meters.number(database, meter)
        for statement in statements:
            await database.execute(statement, (number, generation))
        await self._note(database, meter)

    async def _note(self, database: Connection, meter: str) -> None:
        """A meter may have keys that nobody knows but us: they are not in one file only."""
        self._database.spare.note(SECRETS, meter, await secrets_of(database, meter))
