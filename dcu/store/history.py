"""What the box did and how it fared, a row a day: for whoever comes when it has misbehaved.

Which figures there are, and how they add up over a day, is decided in `dcu.watching`.
"""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from aiosqlite import Connection

from dcu.store.cells import GARBLED, to_json
from dcu.store.database import Database

#: Days that are kept: a year, and the month before it to compare with.
KEPT_DAYS: Final = 400

#: Figures of a day by name.
Figures = Mapping[str, Any]

_PUT = "INSERT INTO history (day, figures) VALUES (?, ?) ON CONFLICT DO UPDATE SET figures = excluded.figures"

# the farthest, also ahead, one for each that is too many: a clock that was set wrong must not make all others old
_FORGET = """
DELETE FROM history WHERE day IN (
    SELECT day FROM history ORDER BY abs(day - ?) DESC LIMIT max(0, (SELECT count(*) FROM history) - ?))
"""

_DAYS = "SELECT day, figures FROM history ORDER BY day DESC LIMIT ? OFFSET ?"

_DAY = "SELECT figures FROM history WHERE day = ?"


class History:
    """The days of the box, counted from 1970 (UTC)."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep_day(self, day: int, figures: Figures) -> None:
        """Keep the figures of `day` in place of those it had; of more than KEPT_DAYS those farthest from it go."""
        await self._database.write(partial(_keep, day=day, figures=to_json(figures)), patient=True)

    async def day(self, day: int) -> Figures:
        """Return the figures of `day`, none where it has none or they cannot be read."""
        return next((_figures(text) for (text,) in await self._database.read(_DAY, (day,))), {})

    async def days(self, skip: int, limit: int) -> list[tuple[int, Figures]]:
        """Return at most `limit` days with their figures, the newest first, without the `skip` newest."""
        return [(day, _figures(text)) for day, text in await self._database.read(_DAYS, (limit, skip))]

    async def day_count(self) -> int:
        """Return how many days are kept."""
        [(count,)] = await self._database.read("SELECT count(*) FROM history")
        return int(count)


async def _keep(database: Connection, *, day: int, figures: str) -> None:
    await database.execute(_PUT, (day, figures))
    await database.execute(_FORGET, (day, KEPT_DAYS))


def _figures(text: str) -> Figures:
    try:
        found = json.loads(text)
    except GARBLED:
        return {}
    return found if isinstance(found, dict) else {}
