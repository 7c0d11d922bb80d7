"""What a meter said about itself once and for long, such as the shape of a profile, so that it is not asked again.

What a descriptor means is known where it is learned; here it is JSON, held once for all meters that agree in it.
"""

import json
from contextlib import suppress
from functools import partial
from typing import Any

from aiosqlite import Connection

from dcu.store.cells import GARBLED, to_json
from dcu.store.database import Database

_PUT = """
INSERT INTO descriptors (meter, name, layout) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET layout = excluded.layout
"""

_OF_METER = """
SELECT descriptors.name, content FROM descriptors JOIN meters USING (meter) JOIN layouts USING (layout)
WHERE meters.name = ?
"""


class Descriptors:
    """The descriptor cache."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, meter: str, name: str, data: Any) -> None:
        """Keep `data` (JSON-able) as what `meter` says of `name`, in place of what it said before."""
        await self._database.write(partial(self._put, meter=meter, name=name, content=to_json(data)))

    async def of(self, meter: str) -> dict[str, Any]:
        """Return everything kept of `meter` that can be read, by name: what is not there it is asked again."""
        found = {}
        for name, content in await self._database.read(_OF_METER, (meter,)):
            with suppress(*GARBLED):
                found[name] = json.loads(content)
        return found

    async def _put(self, database: Connection, *, meter: str, name: str, content: str) -> None:
        number = await self._database.meters.number(database, meter)
        layout = await self._database.layouts.number(database, content)
        await database.execute(_PUT, (number, name, layout))
