"""Lines of the archive that came by command or discovery, and the stations that discovery met and nobody has named.

Whether a line may be added is decided before it comes here; the operator's own lines are in the configuration.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from functools import partial
from typing import Any

from aiosqlite import Connection

from dcu.model import Meter
from dcu.store.cells import to_json
from dcu.store.database import Database
from dcu.store.spare import LINE, SECRETS

#: Stations kept; a bus of dead addresses that echo must not fill the store. The one met longest ago goes first.
FOUND_BOUND = 1024

_LINES = "SELECT line, origin, added FROM archive ORDER BY added, id"

_PUT = """
INSERT INTO archive (id, line, origin, added) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET line = excluded.line, origin = excluded.origin, added = excluded.added
"""

_DROP = "DELETE FROM archive WHERE id = ?"

#: What was known of the device that stood under this name; its captures stay.
_FORGET = (
    "DELETE FROM descriptors WHERE meter = ?",
    "DELETE FROM gaps WHERE meter = ?",
    "DELETE FROM clocks WHERE meter = ?",
    "DELETE FROM adjustments WHERE meter = ?",
    "DELETE FROM generations WHERE meter = ?",
    "DELETE FROM secrets WHERE meter = ?",
)

# the chain of captures goes on behind `newest`, the reading begins after the exchange
_CLOSE = """
INSERT INTO marks (meter, stream, newest, watermark, since, period)
SELECT ?1, stream, NULL, ?2, NULL, NULL FROM streams WHERE name IN (SELECT value FROM json_each(?3))
ON CONFLICT DO UPDATE SET watermark = excluded.watermark, since = NULL, period = NULL
"""

_FOUND = "SELECT bus, address, facts, at FROM found ORDER BY bus, address"

_MEET = """
INSERT INTO found (bus, address, facts, at) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET facts = excluded.facts, at = excluded.at
"""

_LOSE = "DELETE FROM found WHERE bus = ? AND address = ?"

_PRUNE = """
DELETE FROM found WHERE (bus, address) IN (SELECT bus, address FROM found ORDER BY at DESC LIMIT -1 OFFSET ?)
"""

_DEFAULTS = {each.name: each.default for each in fields(Meter) if each.default is not MISSING}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the archive: `origin` is who added it ("command" or "discovery"), `added` when (UTC seconds)."""

    meter: Meter
    origin: str
    added: float


@dataclass(frozen=True, slots=True)
class Station:
    """A station that answered on `bus` at `address`; `facts` are what it said of itself, `at` is when (UTC seconds)."""

    bus: str
    address: int
    facts: Mapping[str, str]
    at: float


class Lines:
    """The archive's own lines and the stations found."""

    __slots__ = ("_database",)

    def __init__(self, database: Database) -> None:
        self._database = database

    async def added(self) -> list[Line]:
        """Return the lines that were added, oldest first."""
        return [
            Line(_meter(json.loads(line)), origin, added) for line, origin, added in await self._database.read(_LINES)
        ]

    async def add(self, meters: Sequence[Meter], origin: str) -> float:
        """Keep new lines, all in one transaction, and forget them as stations found; return when that was."""
        added = self._database.clock.now()
        await self._database.write(partial(self._add, meters=meters, origin=origin, added=added), rows=2 * len(meters))
        return added

    async def replace(self, meter: Meter, origin: str, streams: Iterable[str], since: int) -> None:
        """Keep `meter` in place of the line of its name: another device, none of whose rows up to `since` are ours.

        The watermarks of `streams` move there; what was learned of the old device and its gaps is forgotten.
        """
        names = to_json(list(streams))
        await self._database.write(partial(self._replace, meter=meter, origin=origin, names=names, since=since))

    async def drop(self, meter: str) -> None:
        """Forget a line. What was read from the meter stays."""
        await self._database.write(partial(self._drop, meter=meter))

    async def meet(self, station: Station) -> None:
        """Keep what is known of a station now."""
        await self._database.write(partial(_meet, station=station))

    async def stations(self) -> list[Station]:
        """Return the stations found and not named yet, by bus and address."""
        rows = await self._database.read(_FOUND)
        return [Station(bus, address, json.loads(facts), at) for bus, address, facts, at in rows]

    async def _drop(self, database: Connection, *, meter: str) -> None:
        await database.execute(_DROP, (meter,))
        self._database.spare.note(LINE, meter, None)

    async def _add(self, database: Connection, *, meters: Sequence[Meter], origin: str, added: float) -> None:
        await database.executemany(_PUT, [(meter.id, _text(meter), origin, added) for meter in meters])
        for meter in meters:
            self._database.spare.note(LINE, meter.id, [_text(meter), origin, added])
        await database.executemany(_LOSE, [(meter.bus, meter.address) for meter in meters])

    async def _replace(self, database: Connection, *, meter: Meter, origin: str, names: str, since: int) -> None:
        await self._add(database, meters=[meter], origin=origin, added=self._database.clock.now())
        number = await self._database.meters.number(database, meter.id)
        for statement in _FORGET:
            await database.execute(statement, (number,))
        self._database.spare.note(SECRETS, meter.id, None)
        await database.execute(_CLOSE, (number, since, names))


async def _meet(database: Connection, *, station: Station) -> None:
    facts = to_json(dict(station.facts))
    await database.execute(_MEET, (station.bus, station.address, facts, station.at))
    await database.execute(_PRUNE, (FOUND_BOUND,))


def line_of(meter: Meter) -> dict[str, Any]:
    """Return the keys of a line as the file has them, without those that say what is so anyway."""
    return {key: value for key, value in asdict(meter).items() if _DEFAULTS.get(key) != value}


def _text(meter: Meter) -> str:
    return to_json(line_of(meter))


def _meter(line: Mapping[str, Any]) -> Meter:
    return Meter(**line)
