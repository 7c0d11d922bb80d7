"""Runs that no chain of their day leads to are put into it: a salvage brings them without, or around what is lost.

How a chain is followed is in `readings`, what it is in `chains`. What is changed in a segment is its runs' `back` only:
each capture stays in its place.
"""

import asyncio
from collections.abc import Iterator
from typing import Final

from aiosqlite import Connection

from dcu.clock import DAY
from dcu.store.chains import link
from dcu.store.marks import Mark, keep
from dcu.store.numbers import place_of, position_of
from dcu.store.segments import Run, Segment

#: Segments looked at in one go.
PIECE: Final = 64

#: Chains whose lowest run is remembered; of one that was forgotten it is looked for from the newest back.
CHAINS_BOUND: Final = 1 << 15

_BACKWARDS = """
SELECT place, octets, content FROM segments WHERE place > ? AND place < ? ORDER BY place DESC LIMIT ?
"""

_HEAD = """
SELECT newest FROM marks WHERE meter = ?1 AND stream = ?2 AND day = ?3
UNION ALL SELECT newest FROM days WHERE meter = ?1 AND stream = ?2 AND day = ?3
"""

_CHANGE = "UPDATE segments SET octets = ?, content = ? WHERE place = ?"

#: A meter, and a day since 1970.
_Chain = tuple[int, int]

#: The position of a run, and how far back the one before it is, 0: there is none.
_Link = tuple[int, int]


class Relink:
    """Goes through one stream (by its number) from its newest segment to its oldest, each look a transaction's part.

    All runs of a day above the one that is looked at are in the chain already, so it comes behind the lowest of them.
    """

    def __init__(self, stream: int) -> None:
        self._stream = stream
        self._next = place_of(stream + 1, 0)
        self._lowest: dict[_Chain, _Link] = {}

    async def step(self, database: Connection) -> bool:
        """Look at the next PIECE segments; return whether there were any. All of them have to be in the table."""
        bounds = place_of(self._stream, 0), self._next
        rows = list(await database.execute_fetchall(_BACKWARDS, (*bounds, PIECE)))
        for place, octets, content in rows:
            for position, run in _placed(place, octets, content):
                await self._look(database, position, run)
            self._next = place
            await asyncio.sleep(0)
        return bool(rows)

    async def _look(self, database: Connection, position: int, run: Run) -> None:
        chain = _chain(run)
        above = self._lowest.pop(chain, None) or await self._above(database, chain, position)
        below = await (
            self._begin(database, chain, position) if above is None else self._hang(database, above, position)
        )
        if not run.back and 0 < below < position and await self._run(database, chain, below) is not None:
            run = run._replace(back=position - below)
            await self._point(database, position, run.back)
        if len(self._lowest) >= CHAINS_BOUND:
            del self._lowest[next(iter(self._lowest))]
        self._lowest[chain] = position, run.back

    async def _above(self, database: Connection, chain: _Chain, position: int) -> _Link | None:
        """Return the lowest run above `position` that the chain leads to, None where there is none."""
        found = None
        at = await self._head(database, chain)
        while at > position and (run := await self._run(database, chain, at)) is not None:
            found = at, run.back
            at = at - run.back if run.back else 0
        return found

    async def _begin(self, database: Connection, chain: _Chain, position: int) -> int:
        """Let the chain begin at `position`; return the position that it began with, 0: it led nowhere."""
        if (head := await self._head(database, chain)) != position:
            meter, day = chain
            mark = await Mark.find(database, meter, self._stream)
            await link(database, mark, day, position)
            await keep(database, [mark])
        return head

    async def _hang(self, database: Connection, above: _Link, position: int) -> int:
        """Let the run `above` lead to `position`; return the position that it led to, 0: it led nowhere."""
        highest, back = above
        below = highest - back if back else 0
        if below != position:
            await self._point(database, highest, highest - position)
        return below

    async def _head(self, database: Connection, chain: _Chain) -> int:
        meter, day = chain
        heads = await database.execute_fetchall(_HEAD, (meter, self._stream, day))
        return max((int(newest) for (newest,) in heads), default=0)

    async def _run(self, database: Connection, chain: _Chain, position: int) -> Run | None:
        """Return the run at `position`, None when it is not held, or is of another chain."""
        for _, segment in await self._holding(database, position):
            return next((run for at, run in segment.placed() if at == position and _chain(run) == chain), None)
        return None

    async def _point(self, database: Connection, position: int, back: int) -> None:
        """Let the run at `position` lead that far back."""
        for place, segment in await self._holding(database, position):
            runs = [run._replace(back=back) if at == position else run for at, run in segment.placed()]
            await change(database, place, Segment(segment.first, tuple(runs)))

    async def _holding(self, database: Connection, position: int) -> list[tuple[int, Segment]]:
        """Return the segment that `position` is in, with its place."""
        bounds = place_of(self._stream, 0), place_of(self._stream, position) + 1
        rows = await database.execute_fetchall(_BACKWARDS, (*bounds, 1))
        return [(place, segment) for place, octets, content in rows if (segment := sound(place, octets, content))]


def _chain(run: Run) -> _Chain:
    return run.meter, run.times[0] // DAY


def _placed(place: int, octets: int, content: bytes) -> Iterator[tuple[int, Run]]:
    segment = sound(place, octets, content)
    return iter(()) if segment is None else reversed(list(segment.placed()))


async def change(database: Connection, place: int, segment: Segment) -> None:
    """Let the segment at `place` be as it is now: of its runs only `back` is another."""
    *_, octets, content = segment.row
    await database.execute(_CHANGE, (octets, content, place))


def sound(place: int, octets: int, content: bytes) -> Segment | None:
    """Return a segment; None for one that is damaged, of which who meets it takes note."""
    try:
        return Segment.unpacked(position_of(place), octets, content)
    except ValueError:
        return None
