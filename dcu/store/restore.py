"""What the spare and the database tell each other when the store is opened, and which of them is believed.

No number ever goes back. Secrets and the archive's lines are as the spare has them: it had them first, and every step
of theirs is proven before it is noted. A spare with damaged lines only adds what the database does not have.
"""

import json
from collections.abc import Iterable
from typing import Any, Final

from aiosqlite import Connection

from dcu.clock import PLAUSIBLE_SINCE
from dcu.store.spare import SEQUENCE_STEP, Kept

#: By how many seconds our counters may be behind the clock and still follow it: a clock that is further ahead is wrong,
#: and would use up what the 32 bits of a counter have.
BEHIND_BOUND: Final = 10 * 365 * 86_400

_RAISE_COUNTER = "UPDATE counters SET next = ?2 WHERE key = ?1 AND next BETWEEN ?2 - ?3 AND ?2"

_BELOW = "SELECT name FROM streams WHERE seq < ? ORDER BY stream"

_RAISE_STREAMS = "UPDATE streams SET leapt = coalesce(leapt, seq), seq = ?1 WHERE seq < ?2"

_COUNTERS = "SELECT key, next FROM counters"

_COUNTER = "INSERT INTO counters (key, next) VALUES (?, ?) ON CONFLICT DO UPDATE SET next = max(next, excluded.next)"

_STREAMS = "SELECT name, seq, leapt FROM streams"

_NEW_STREAM = """
INSERT INTO streams (name, seq, sent, leapt) VALUES (?1, ?2, 0, ?3) ON CONFLICT DO UPDATE
    SET leapt = coalesce(leapt, iif(seq < excluded.seq, seq, NULL)), seq = max(seq, excluded.seq)
"""

# one that is less than a step behind is only not that far yet
_OLD_STREAM = "UPDATE streams SET leapt = coalesce(leapt, seq), seq = ?2 WHERE name = ?1 AND seq < ?2 - ?3"

_METER = "INSERT OR IGNORE INTO meters (name) VALUES (?)"

_FORGET_SECRETS = (
    "DELETE FROM generations WHERE meter NOT IN (SELECT meter FROM meters JOIN json_each(?) ON name = value)",
    "DELETE FROM secrets WHERE meter NOT IN (SELECT meter FROM meters JOIN json_each(?) ON name = value)",
)

_GENERATION = """
INSERT INTO generations (meter, generation, state, changed)
SELECT meter, ?2, ?3, ?4 FROM meters WHERE name = ?1
"""

_SEALED = """
INSERT INTO secrets (meter, generation, kind, sealed)
SELECT meter, ?2, ?3, ?4 FROM meters WHERE name = ?1
"""

_SECRETS = """
SELECT name, generation, state, changed, kind, hex(sealed) FROM generations JOIN meters USING (meter)
LEFT JOIN secrets USING (meter, generation) ORDER BY meter, generation
"""

_DROP_SECRETS = (
    "DELETE FROM generations WHERE meter = (SELECT meter FROM meters WHERE name = ?)",
    "DELETE FROM secrets WHERE meter = (SELECT meter FROM meters WHERE name = ?)",
)

_LINES = "SELECT id, line, origin, added FROM archive"

_FORGET_LINES = "DELETE FROM archive WHERE id NOT IN (SELECT value FROM json_each(?))"

_LINE = "INSERT OR REPLACE INTO archive (id, line, origin, added) VALUES (?, ?, ?, ?)"

_MISSING_LINE = "INSERT OR IGNORE INTO archive (id, line, origin, added) VALUES (?, ?, ?, ?)"


async def kept_by(database: Connection, ours: frozenset[str]) -> Kept:
    """Return what the spare has to hold, as the database has it; `ours` are the counters that we use."""
    kept = Kept()
    for key, following in await database.execute_fetchall(_COUNTERS):
        (kept.ours if key in ours else kept.heard)[key] = following
    # all numbers up to there may have been given when this is read next
    for name, seq, leapt in await database.execute_fetchall(_STREAMS):
        kept.streams[name] = seq + SEQUENCE_STEP
        if leapt is not None:
            kept.leapt[name] = leapt
    kept.secrets = await _secrets(database)
    kept.lines = {key: list(rest) for key, *rest in await database.execute_fetchall(_LINES)}
    return kept


async def secrets_of(database: Connection, meter: str) -> list[Any] | None:
    """Return the generations of one meter as the spare keeps them, None when it has none."""
    return (await _secrets(database)).get(meter)


async def _secrets(database: Connection) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for meter, generation, state, changed, kind, sealed in await database.execute_fetchall(_SECRETS):
        generations = found.setdefault(meter, [])
        if not generations or generations[-1][0] != generation:
            generations.append([generation, state, changed, {}])
        if kind is not None:
            generations[-1][3][kind] = sealed
    return found


async def restore(database: Connection, kept: Kept, *, anew: bool, torn: bool, now: float) -> list[str]:
    """Bring the database up to what the spare says; return the streams whose sequence numbers leapt.

    `anew`: the database has nothing of before, and each stream goes on above all that was ever given, or at the Unix
    milliseconds of `now` (s) if these are more. `torn`: it may have lost its last commits, and goes on above, too.
    """
    await database.executemany(_COUNTER, [*kept.ours.items(), *kept.heard.items()])
    if anew:
        streams = [
            # what is below the last step was given, or told of
            (name, max(seq, int(now * 1000)), kept.leapt.get(name, seq - SEQUENCE_STEP))
            for name, seq in kept.streams.items()
        ]
        await database.executemany(_NEW_STREAM, streams)
        leapt = list(kept.streams)
    else:
        step = 0 if torn else SEQUENCE_STEP
        leapt = [name for name, seq in kept.streams.items() if await _raised(database, name, seq, step)]
    await _restore_secrets(database, kept, alone=not kept.damaged)
    lines = [(key, *line) for key, line in kept.lines.items()]
    if kept.damaged:
        await database.executemany(_MISSING_LINE, lines)
    else:
        await database.execute(_FORGET_LINES, (json.dumps(list(kept.lines)),))
        await database.executemany(_LINE, lines)
    return leapt


async def raise_counters(database: Connection, ours: Iterable[str], now: float) -> None:
    """Bring counters that we use up to `now` (Unix s).

    Files that were put back from a backup may have been put back before: what they gave then is below the clock.
    """
    await database.executemany(_RAISE_COUNTER, [(key, int(now), BEHIND_BOUND) for key in ours])


async def raise_streams(database: Connection, now: float, *, alone: bool) -> list[str]:
    """Bring sequence numbers up to `now` (Unix s) that were begun before the clock was set; return those that leapt.

    A box before this one may have given them. The same holds for all of a database that is `alone`, without its spare;
    others would leap at each start for nothing.
    """
    numbers = int(now * 1000), int((now if alone else PLAUSIBLE_SINCE) * 1000)
    leapt = [name for (name,) in await database.execute_fetchall(_BELOW, numbers[1:])]
    await database.execute(_RAISE_STREAMS, numbers)
    return leapt


async def _raised(database: Connection, stream: str, seq: int, step: int) -> bool:
    async with database.execute(_OLD_STREAM, (stream, seq, step)) as cursor:
        return cursor.rowcount > 0


async def _restore_secrets(database: Connection, kept: Kept, *, alone: bool) -> None:
    """Put in what the spare has of each meter in place of what is there; `alone`: and no meter has any besides."""
    if alone:
        for statement in _FORGET_SECRETS:
            await database.execute(statement, (json.dumps(list(kept.secrets)),))
    known = await _secrets(database)
    for meter, generations in kept.secrets.items():
        if known.get(meter) == generations or (meter in known and not alone):
            continue
        await database.execute(_METER, (meter,))
        for statement in _DROP_SECRETS:
            await database.execute(statement, (meter,))
        for generation, state, changed, secrets in generations:
            await database.execute(_GENERATION, (meter, generation, state, changed))
            sealed = [(meter, generation, kind, bytes.fromhex(secret)) for kind, secret in secrets.items()]
            await database.executemany(_SEALED, sealed)
