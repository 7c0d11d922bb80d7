"""The scripts of the schema, and whether a file has the tables that they make.

A flipped bit can leave the text of the schema valid, with a column of another name: SQLite finds nothing wrong with it.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

#: "DCUS" in the header of the file (PRAGMA application_id): anything else is not ours to touch.
APPLICATION_ID: Final = 0x44435553

#: The table that goes when its rows have been brought forward (dcu/store/forward.py).
_EMPTIED: Final = "captures"


def scripts() -> list[str]:
    """Return the scripts in order; script number n leads from version n - 1 to n."""
    return [file.read_text() for file in sorted(Path(__file__).with_name("schema").glob("*.sql"))]


def misshapen(database: sqlite3.Connection) -> str | None:
    """Return what is wrong with header or schema of a file that is ours, None for any other. Raises sqlite3.Error."""
    [(owner,)] = database.execute("PRAGMA application_id").fetchall()
    [(version,)] = database.execute("PRAGMA user_version").fetchall()
    has = _shape(database)
    if not 0 < version <= len(scripts()):
        return "its header has no version" if owner == APPLICATION_ID and not version and has else None
    matches = all(has.get(name) == form for name, form in _shape_of(version).items() if name != _EMPTIED)
    if owner != APPLICATION_ID:
        return "its header does not say whose it is" if matches else None
    return None if matches else f"its tables are not those of schema {version}"


def _shape_of(version: int) -> dict[str, Any]:
    with closing(sqlite3.connect(":memory:")) as database:
        for script in scripts()[:version]:
            database.executescript(script)
        return _shape(database)


def _shape(database: sqlite3.Connection) -> dict[str, Any]:
    """Return the columns of each table, and the text of views and indexes: of tables SQLite has written it anew."""
    listed = database.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    return {name: _columns(database, name) if kind == "table" else sql for kind, name, sql in listed}


def _columns(database: sqlite3.Connection, table: str) -> list[Any]:
    quoted = table.replace('"', '""')
    return database.execute(f'PRAGMA table_info("{quoted}")').fetchall()
