"""Where the captures of one meter are among those of all: runs of one day linked backwards, and the newest of each.

So a day is found at the same cost whatever else is stored. The newest day's chain begins in the marks, so that a visit
writes one row; older ones in a table in the order of days, which a sweep writes together and retention drops together.
"""

from aiosqlite import Connection

from dcu.store.marks import Mark

_NEWEST = "SELECT newest FROM days WHERE stream = ? AND day = ? AND meter = ?"

_PUT = """
INSERT INTO days (stream, day, meter, newest) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET newest = excluded.newest
"""

#: The chains of one meter from the newest day back: (stream, meter, first day, last day, count) → newest position.
#: The day in the marks is the newest; the others come in their order by themselves, one by one and no more than count:
#: sorted, a look at the newest would go through the days of years.
HEADS = """
WITH RECURSIVE passed (day) AS (
    SELECT (SELECT day FROM days WHERE stream = ?1 AND day <= ?4 ORDER BY day DESC LIMIT 1)
    UNION ALL
    SELECT (SELECT day FROM days WHERE stream = ?1 AND day < passed.day ORDER BY day DESC LIMIT 1)
    FROM passed WHERE passed.day > ?3 ORDER BY 1 DESC)
SELECT day, newest FROM marks WHERE stream = ?1 AND meter = ?2 AND day BETWEEN ?3 AND ?4
UNION ALL
SELECT passed.day, newest FROM passed CROSS JOIN days ON days.stream = ?1 AND days.day = passed.day AND days.meter = ?2
WHERE passed.day >= ?3
LIMIT ?5
"""


async def link(database: Connection, mark: Mark, day: int, position: int) -> int:
    """Make `position` the newest run of `mark` on `day`; return how far back the one before it is, 0: there is none."""
    if mark.day is not None and mark.newest is not None and day < mark.day:
        rows = list(await database.execute_fetchall(_NEWEST, (mark.stream, day, mark.meter)))
        await database.execute(_PUT, (mark.stream, day, mark.meter, position))
        return position - int(rows[0][0]) if rows else 0
    before = mark.newest if mark.day == day else None
    if mark.day is not None and before is None:
        await database.execute(_PUT, (mark.stream, mark.day, mark.meter, mark.newest))
    mark.day, mark.newest = day, position
    return 0 if before is None else position - before
