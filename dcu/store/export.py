"""Every capture of a database file, without a daemon: the file is opened to read and left as it is.

What becomes of the captures is the caller's business; a running daemon is asked by `dcu.readings`.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from dcu.errors import StoreError
from dcu.model import Capture
from dcu.store.cells import columns_from
from dcu.store.schema import translated
from dcu.store.segments import Segment
from dcu.store.shape import APPLICATION_ID

#: The schema from which on captures lie in segments.
SEGMENTS_SINCE = 5

_SEGMENTS = """
SELECT name, octets, content FROM segments JOIN streams ON stream = place >> 40
WHERE (?1 IS NULL OR name = ?1) AND newest >= ?2 AND oldest <= ?3 ORDER BY place
"""


def exported(path: Path, *, meter: str | None, stream: str | None, start: int, end: int) -> Iterator[Capture]:
    """Yield the captures of `path` with start ≤ at ≤ end (UTC seconds), by stream, as they were recorded.

    None: of every meter, of every stream. Raises StoreError.
    """
    address = f"file:{quote(str(path))}?mode=ro"
    with translated(f"cannot read {path}"), closing(sqlite3.connect(address, uri=True)) as database:
        _check(path, database)
        meters = dict(database.execute("SELECT meter, name FROM meters"))
        layouts: dict[int, str] = dict(database.execute("SELECT layout, content FROM layouts"))
        for name, octets, content in database.execute(_SEGMENTS, (stream, start, end)):
            for run in _unpacked(path, octets, content).runs:
                if meter is None or meters[run.meter] == meter:
                    columns = columns_from(layouts[run.layout])
                    captures = run.captures(meters[run.meter], name, columns)
                    yield from (each for each in captures if start <= each.at <= end)


def _check(path: Path, database: sqlite3.Connection) -> None:
    [(owner,)] = database.execute("PRAGMA application_id")
    [(version,)] = database.execute("PRAGMA user_version")
    if owner != APPLICATION_ID:
        raise StoreError(f"{path}: not a store of this program")
    if version < SEGMENTS_SINCE:
        raise StoreError(f"{path}: schema {version} is older than this program reads; `dcu run` brings it forward")


def _unpacked(path: Path, octets: int, content: bytes) -> Segment:
    try:
        return Segment.unpacked(1, octets, content)
    except ValueError as error:
        raise StoreError(f"{path}: {error}") from error
