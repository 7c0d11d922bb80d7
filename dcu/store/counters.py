"""Invocation counters of DLMS security: handed out in ranges, each committed before it is used and never again.

IEC 62056-5-3 builds the initialization vector of AES-GCM from the counter: one that is used twice under the same
key gives the key away.
"""

from collections.abc import Mapping
from functools import partial

from aiosqlite import Connection

from dcu.errors import MeterError, OperatorError
from dcu.store.database import Database
from dcu.store.restore import raise_counters
from dcu.store.spare import BELIEVED, OURS

#: An invocation counter is four octets.
COUNTER_BOUND = 1 << 32

_NEXT = "SELECT next FROM counters WHERE key = ?"

_SET = "INSERT INTO counters (key, next) VALUES (?, ?) ON CONFLICT DO UPDATE SET next = excluded.next"

_HEARD = "INSERT INTO counters (key, next) VALUES (?, ?) ON CONFLICT DO UPDATE SET next = max(next, excluded.next)"


async def remember(database: Connection, heard: Mapping[str, int]) -> None:
    """Keep counters that others were heard to use; one never goes back."""
    await database.executemany(_HEARD, [(key, counter + 1) for key, counter in heard.items()])


class Counters:
    """The counters of every key in use."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def last(self) -> dict[str, int]:
        """Return the last counter of each key that was given, or heard."""
        return {key: following - 1 for key, following in await self._database.read("SELECT key, next FROM counters")}

    async def reserve(self, key: str, count: int, above: int = -1) -> range:
        """Return `count` counters of `key`, above `above`, that were never given before and never will be again.

        Those of a new key begin at Unix seconds, so that a re-installation that lost all files does not repeat them.
        MeterError when the key has no such range left: it has to be replaced in the meter, and others have theirs.
        OperatorError when a new key needs a clock that was never set. Raises StoreError.
        """
        reserved: range | None = await self._database.write(partial(self._reserve, key=key, count=count, above=above))
        if reserved is None:
            raise OperatorError("the clock was never set: it cannot say where the counters of a new key may begin")
        if not reserved:
            raise MeterError(f"key {key!r} has no {count} invocation counters left; replace it in the meter")
        return reserved

    async def believe(self, key: str, counter: int) -> None:
        """Keep `counter` as the last that was heard under `key`, though a higher one is known."""
        await self._database.write(partial(self._believe, key=key, counter=counter))

    async def _believe(self, database: Connection, *, key: str, counter: int) -> None:
        await database.execute(_SET, (key, counter + 1))
        self._database.spare.note(BELIEVED, key, counter + 1)

    async def _reserve(self, database: Connection, *, key: str, count: int, above: int) -> range | None:
        await self._database.follow_clock(database)
        if key not in self._database.spare.ours and self._database.clock.trusted():
            await raise_counters(database, [key], self._database.clock.now())
        found = list(await database.execute_fetchall(_NEXT, (key,)))
        if not found and not self._database.clock.trusted():
            return None
        first = found[0][0] if found else int(self._database.clock.now())
        first = max(first, above + 1)
        if first + count > COUNTER_BOUND:
            return range(0)
        await database.execute(_SET, (key, first + count))
        self._database.spare.note(OURS, key, first + count)
        return range(first, first + count)
