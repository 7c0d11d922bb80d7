"""What the clocks of meters showed over time, and the last time each was to be moved.

When a clock is moved, and how, is decided in `dcu.polling.clocks`.
"""

from dataclasses import dataclass
from functools import partial

from aiosqlite import Connection

from dcu.store.database import Database

#: Points kept of one clock, the newest: about a fortnight, one a day; drift changes with the seasons.
POINTS_BOUND = 14

_POINT = "INSERT INTO clocks (meter, at, offset) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET offset = excluded.offset"

# a clock of ours that was ahead: what is told last is what the meter shows
_DROP_LATER = "DELETE FROM clocks WHERE meter = ? AND at > ?"

_PRUNE = """
DELETE FROM clocks WHERE meter = ?1 AND at < (SELECT at FROM clocks WHERE meter = ?1 ORDER BY at DESC LIMIT 1 OFFSET ?2)
"""

_ALL_POINTS = "SELECT name, at, offset FROM clocks JOIN meters USING (meter) ORDER BY name, at"

_POINTS = "SELECT at, offset FROM clocks JOIN meters USING (meter) WHERE name = ? ORDER BY at"

_NEWEST = """
SELECT name, at, offset FROM clocks JOIN meters USING (meter)
WHERE at = (SELECT max(at) FROM clocks AS later WHERE later.meter = clocks.meter)
"""

# what was measured before the clock was moved, told as if it had been so then: the drift is the crystal's
_MOVE = "UPDATE clocks SET offset = offset + ? WHERE meter = ?"

_RESTART = "DELETE FROM clocks WHERE meter = ?"

_BEGIN = """
INSERT INTO adjustments (meter, at, offset, shift, method, open) VALUES (?, ?, ?, ?, ?, 1)
ON CONFLICT DO UPDATE SET at = excluded.at, offset = excluded.offset, shift = excluded.shift, method = excluded.method,
    open = 1
"""

_END = "UPDATE adjustments SET open = 0 WHERE meter = ?"

_ADJUSTMENTS = "SELECT name, at, offset, shift, method, open FROM adjustments JOIN meters USING (meter)"


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A clock that was `offset` seconds off (meter minus DCU) at `at` (UTC s) was to be moved by `shift` seconds.

    `method` is "shift" or "set"; `open` while nobody knows how it ended.
    """

    at: int
    offset: float
    shift: int
    method: str
    open: bool = True


class Clocks:
    """The history of the meters' clocks."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def shows(self, meter: str, at: int, offset: float, *, anew: bool = False) -> None:
        """Keep a point, and none later; `anew` forgets those before it, when somebody else has moved the clock."""
        await self._database.write(partial(self._clock_shows, meter=meter, at=at, offset=offset, anew=anew))

    async def points(self, meter: str) -> list[tuple[int, float]]:
        """Return (UTC seconds, offset) of the points kept, oldest first, as if the clock had never been moved by us."""
        return [(at, offset) for at, offset in await self._database.read(_POINTS, (meter,))]

    async def histories(self) -> dict[str, list[tuple[int, float]]]:
        """Return the points kept of every clock, as `points` does, by the names of the meters in order."""
        found: dict[str, list[tuple[int, float]]] = {}
        for meter, at, offset in await self._database.read(_ALL_POINTS):
            found.setdefault(meter, []).append((at, offset))
        return found

    async def latest(self) -> dict[str, tuple[int, float]]:
        """Return the newest point of each meter that has any."""
        return {meter: (at, offset) for meter, at, offset in await self._database.read(_NEWEST)}

    async def adjust_begins(self, meter: str, adjustment: Adjustment) -> None:
        """Keep that a clock is about to be moved, in place of the last time. Returns after the commit."""
        await self._database.write(partial(self._adjust_begins, meter=meter, adjustment=adjustment))

    async def adjust_ends(self, meter: str, moved: float) -> None:
        """Keep that the last adjustment is over and moved the clock by `moved` seconds (0: not at all)."""
        await self._database.write(partial(self._adjust_ends, meter=meter, moved=moved))

    async def adjustments(self) -> dict[str, Adjustment]:
        """Return the last adjustment of each meter that had one."""
        return {
            meter: Adjustment(at, offset, shift, method, bool(still))
            for meter, at, offset, shift, method, still in await self._database.read(_ADJUSTMENTS)
        }

    async def _clock_shows(self, database: Connection, *, meter: str, at: int, offset: float, anew: bool) -> None:
        number = await self._database.meters.number(database, meter)
        if anew:
            await database.execute(_RESTART, (number,))
        await database.execute(_DROP_LATER, (number, at))
        await database.execute(_POINT, (number, at, offset))
        await database.execute(_PRUNE, (number, POINTS_BOUND - 1))

    async def _adjust_begins(self, database: Connection, *, meter: str, adjustment: Adjustment) -> None:
        number = await self._database.meters.number(database, meter)
        row = (number, adjustment.at, adjustment.offset, adjustment.shift, adjustment.method)
        await database.execute(_BEGIN, row)

    async def _adjust_ends(self, database: Connection, *, meter: str, moved: float) -> None:
        number = await self._database.meters.number(database, meter)
        await database.execute(_END, (number,))
        if moved:
            await database.execute(_MOVE, (moved, number))
