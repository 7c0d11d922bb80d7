"""What the command journal forgets, a slice at a time: what was asked and answered, then the command itself.

A command that changes something must not be carried out again because its id was forgotten: neither a clock nor a flood
of reads or of refused commands makes it go.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiosqlite import Connection

from dcu.messages.catalogue import CATALOGUE
from dcu.model import CommandState
from dcu.store.cells import GARBLED, to_json

#: Final commands that are known at most, and of those that change something: a repeat of one of their ids is answered,
#: not carried out again.
JOURNAL_ROWS: Final = 20_000
CHANGES_ROWS: Final = 20_000

#: Entries that are looked at in one slice.
SLICE: Final = 500

#: Octets of a command or of its answer that are worth the writing of something shorter.
LONG: Final = 512

#: Meters whose names stay.
FEW: Final = 8

# compared as text: what is no state at all is over, and may have changed something
_OPEN = frozenset(state.value for state in CommandState if not state.final)

_READS = frozenset(name for name, kind in CATALOGUE.items() if not kind.changes_state)

# what cannot be read may have changed something
_LOOK = """
SELECT command, state, changed, length(body) > ?3 OR length(answer) > ?3,
    iif(json_valid(body), json_extract(body, '$.name'), '')
FROM commands WHERE command > ?1 ORDER BY command LIMIT ?2
"""

_TOLD = "SELECT DISTINCT command FROM results WHERE command BETWEEN ? AND ?"

_DELETE = "DELETE FROM commands WHERE command = ?"

_WHOLE = "SELECT body, answer FROM commands WHERE command = ?"

_SHORTEN = "UPDATE commands SET body = ?, answer = ? WHERE command = ?"


@dataclass(slots=True)
class Forgetting:
    """Goes round the journal; each round knows from the one before how many of what changed something are too many."""

    _place: int = 0
    _changes: int = 0
    _excess: int = 0

    async def step(self, database: Connection, before: float, answered: float) -> None:
        """Look at the next slice.

        Reads that ended before `before` go, and what any command that ended before `answered` was asked and answered.
        """
        rows = list(await database.execute_fetchall(_LOOK, (self._place, SLICE, LONG)))
        if rows:
            [(newest,)] = await database.execute_fetchall("SELECT max(command) FROM commands")
            told = {command for (command,) in await database.execute_fetchall(_TOLD, (rows[0][0], rows[-1][0]))}
            over = [row for row in rows if row[1] not in _OPEN and row[0] not in told]
            for command in [row[0] for row in over if row[3] and row[2] < answered]:
                await _shorten(database, command)
            await database.executemany(_DELETE, self._to_go(over, before, newest - JOURNAL_ROWS))
            self._place = rows[-1][0]
        if len(rows) < SLICE:
            self._excess = max(0, self._changes - CHANGES_ROWS)
            self._place = self._changes = 0

    def _to_go(self, over: Sequence[Any], before: float, old: int) -> list[tuple[int]]:
        gone = []
        for command, state, changed, _, name in over:
            if name in _READS or state == CommandState.REJECTED:
                if changed < before or command <= old:
                    gone.append((command,))
            elif self._excess:
                self._excess -= 1
                gone.append((command,))
            else:
                self._changes += 1
        return gone


async def _shorten(database: Connection, command: int) -> None:
    """Leave of a command and its answer only what it was and how it ended."""
    for body, answer in await database.execute_fetchall(_WHOLE, (command,)):
        if (short := _shorter(body, answer)) is not None:
            await database.execute(_SHORTEN, (*short, command))


def _shorter(body: str, answer: str) -> tuple[str, str] | None:
    """Return both without arguments, many meters and result, None where that is no shorter or they cannot be read."""
    try:
        asked, ended = json.loads(body), json.loads(answer)
        meters = asked["meters"] if len(asked["meters"]) <= FEW else []
        short = to_json(asked | {"args": {}, "meters": meters}), to_json({"result": None, "error": ended["error"]})
    except GARBLED:
        return None
    return short if len(short[0]) + len(short[1]) < len(body) + len(answer) else None
