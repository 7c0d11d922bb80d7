"""Short numbers for what rows repeat: meters, streams, layouts; and the next place of a stream.

Numbers and places are given inside the writer's transaction; what is cached of an undone one has to be forgotten.
"""

from aiosqlite import Connection

#: Texts whose numbers are remembered, per table: 1024 meters twice over.
CACHE_BOUND = 2048

#: Bits of a place that hold the position; a stream of a thousand rows a second fills them in 35 years.
POSITION_BITS = 40


def place_of(stream: int, position: int) -> int:
    """Return the key of row `position` (from 1) of a stream; places of one stream are adjacent and in order."""
    return stream << POSITION_BITS | position


def position_of(place: int) -> int:
    """Return the position that was made into `place`."""
    return place & ((1 << POSITION_BITS) - 1)


class Numbers:
    """Numbers of the texts of one table; `insert` takes the text, then whatever else a new row needs."""

    def __init__(self, select: str, insert: str) -> None:
        self._select = select
        self._insert = insert
        self._known: dict[str, int] = {}

    async def number(self, database: Connection, text: str, *more: object) -> int:
        """Return the number of `text`, given now if it is new."""
        known = self._known.get(text)
        return known if known is not None else await self._find(database, text, more)

    async def _find(self, database: Connection, text: str, more: tuple[object, ...]) -> int:
        for (number,) in await database.execute_fetchall(self._select, (text,)):
            return self._remember(text, int(number))
        row = await database.execute_insert(self._insert, (text, *more))
        assert row is not None
        return self._remember(text, int(row[0]))

    def _remember(self, text: str, number: int) -> int:
        if len(self._known) >= CACHE_BOUND:
            self._known.clear()
        self._known[text] = number
        return number

    def forget(self) -> None:
        self._known.clear()


def meters() -> Numbers:
    return Numbers("SELECT meter FROM meters WHERE name = ?", "INSERT INTO meters (name) VALUES (?)")


def layouts() -> Numbers:
    return Numbers("SELECT layout FROM layouts WHERE content = ?", "INSERT INTO layouts (content) VALUES (?)")


def streams() -> Numbers:
    """A new stream also takes its first sequence number."""
    return Numbers(
        "SELECT stream FROM streams WHERE name = ?", "INSERT INTO streams (name, seq, sent) VALUES (?, ?, 0)"
    )


class Tails:
    """The last position of each stream; rows are appended behind it without a gap."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}

    async def last(self, database: Connection, stream: int) -> int:
        """Return the last position of `stream`, 0 when it has none."""
        if stream not in self._last:
            [(tail,)] = await database.execute_fetchall("SELECT tail FROM tails WHERE stream = ?", (stream,))
            self._last[stream] = int(tail)
        return self._last[stream]

    async def append(self, database: Connection, stream: int, rows: int = 1) -> int:
        """Return the first of the next `rows` positions of `stream`, taken."""
        position = await self.last(database, stream) + 1
        self._last[stream] = position + rows - 1
        return position

    def forget(self) -> None:
        self._last.clear()
