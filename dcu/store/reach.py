"""How meters could be reached over time: a line for each change. Availability is derived from them where it is shown.

When a meter counts as reachable is decided by the plan.
"""

from functools import partial

from aiosqlite import Connection

from dcu.model import Reach
from dcu.store.database import Database

#: Changes kept of one meter, the newest: one that comes and goes every quarter of an hour has a fortnight of history.
REACH_BOUND = 1344

_PUT = "INSERT INTO reach (meter, at, state) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET state = excluded.state"

_PRUNE = """
DELETE FROM reach WHERE meter = ?1 AND at < (SELECT at FROM reach WHERE meter = ?1 ORDER BY at DESC LIMIT 1 OFFSET ?2)
"""

_DROP_LATER = "DELETE FROM reach WHERE meter = ? AND at > ?"

# the change before the span says how the meter stood when it began
_SINCE = """
SELECT meters.name, at, state FROM reach JOIN meters USING (meter)
WHERE at >= coalesce((SELECT max(at) FROM reach AS before WHERE before.meter = reach.meter AND before.at <= ?), at)
ORDER BY meters.name, at
"""


# those whose newest change is no success: since when, and how many lines say that it is unreachable
_AWAY = """
SELECT meters.name, min(at), sum(state = 'unreachable') FROM reach JOIN meters USING (meter)
WHERE at > coalesce((SELECT max(at) FROM reach AS good WHERE good.meter = reach.meter AND state = 'reachable'), -1)
GROUP BY meter
"""


class Reaches:
    """The history of reachability of all meters."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reached(self, meter: str, state: Reach, at: float, *, sure: bool = False) -> None:
        """Keep that `meter` is in `state` since `at` (UTC seconds); returns after the commit. Raises StoreError.

        If that time is `sure`, lines that bear a later one stem from a clock that was ahead, and go: what is told last
        is how the meter stands.
        """
        await self._database.write(partial(self._reached, meter=meter, state=state, at=at, sure=sure))

    async def since(self, since: float) -> list[tuple[str, float, Reach]]:
        """Return (meter, at, state) of each change from `since` on and of the last one before, by meter and time."""
        return [(meter, at, Reach(state)) for meter, at, state in await self._database.read(_SINCE, (since,))]

    async def away(self) -> list[tuple[str, float, int]]:
        """Return (meter, since, how many lines say it is unreachable) of each that has not answered since a failure."""
        return [(meter, since, lines) for meter, since, lines in await self._database.read(_AWAY)]

    async def _reached(self, database: Connection, *, meter: str, state: Reach, at: float, sure: bool) -> None:
        number = await self._database.meters.number(database, meter)
        if sure:
            await database.execute(_DROP_LATER, (number, at))
        await database.execute(_PUT, (number, at, state.value))
        await database.execute(_PRUNE, (number, REACH_BOUND - 1))
