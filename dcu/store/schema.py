"""The form of the database file: how a connection is set up, whose file it is, and its way from version to version.

What is kept in the tables is the business of the other files; the tables themselves are in schema/NNN.sql.
"""

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from aiosqlite import Connection

from dcu.errors import DamagedError, StoreError
from dcu.store.forward import into_segments
from dcu.store.integrity import is_damage
from dcu.store.room import DISK_RESERVE
from dcu.store.shape import APPLICATION_ID, scripts
from dcu.store.spare import sync_directory

#: The smallest commit rewrites one page per place it touches, and every page goes to the log whole. Measured with
#: commits of 20 visits (docs/decisions/0008): 4096 writes 1.8 times of what 1024 writes, 512 gains 7 % more.
PAGE_SIZE = 512

#: Pages each connection may hold, in KiB: appends touch few pages, and memory is worth more than a second read. The
#: reader follows the rows once, in order.
CACHE_KIB = 512
READER_CACHE_KIB = 128

#: Seconds to wait for another process (a backup, a person with a shell) that holds the lock.
BUSY_SECONDS = 5.0


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn what SQLite and the operating system raise into StoreError(`doing`: reason), DamagedError for a bad file."""
    try:
        yield
    except (sqlite3.Error, OSError, UnicodeDecodeError) as error:  # a damaged text is named with its octets
        kind = DamagedError if is_damage(error) else StoreError
        raise kind(f"{doing}: {error}") from error


async def prepare(database: Connection, path: str) -> str | None:
    """Make the file of this connection a store of the newest schema, or raise StoreError and leave it as it was.

    Returns why no copy was kept of one that had to be brought forward, None when nothing is to be said.
    """
    await database.execute(f"PRAGMA page_size = {PAGE_SIZE}")
    schemas = scripts()
    version = await _recognise(database, path, newest=len(schemas))
    mode = await _pragma(database, "journal_mode = WAL")
    if mode != "wal":
        raise StoreError(f"{path}: this file system cannot keep a write-ahead log (journal mode {mode})")
    # FULL: WAL with NORMAL forgets the last commits when the power goes
    await database.execute("PRAGMA synchronous = FULL")
    await database.execute("PRAGMA wal_autocheckpoint = 0")
    await database.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    uncopied = None
    if 0 < version < len(schemas):
        uncopied = await _keep_copy(database, Path(f"{path}.schema{version}"))
    for number, script in enumerate(schemas[version:], start=version + 1):
        await database.executescript(f"BEGIN IMMEDIATE;\n{script};\nPRAGMA user_version = {number};\nCOMMIT")
    await into_segments(database)
    return uncopied


async def _keep_copy(database: Connection, copy: Path) -> str | None:
    """Keep the file as it is beside itself, under the name of its schema, before it is brought forward.

    Returns why that could not be, None when it is there: a box without room for it has to start all the same.

    SQLite copies it: to open and close the file beside it would take the locks away that this process has on it, and
    whoever looked into it from outside would then delete the log under us ("How To Corrupt An SQLite Database", 2.2).
    """
    part = copy.with_name(f"{copy.name}.part")
    part.unlink(missing_ok=True)
    disk = os.statvfs(copy.parent)
    [(octets,)] = await database.execute_fetchall(
        "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
    )
    if disk.f_bavail * disk.f_frsize < octets + DISK_RESERVE:
        return "no room for a copy of the store as it was"
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640))
        with closing(sqlite3.connect(part, check_same_thread=False)) as target:
            await database.backup(target)
        part.replace(copy)
    except (sqlite3.Error, OSError) as error:
        part.unlink(missing_ok=True)
        if is_damage(error):
            raise
        return f"no copy of the store as it was: {error}"
    await asyncio.to_thread(sync_directory, copy.parent)
    return None


async def prepare_reader(database: Connection) -> None:
    """Make a second connection one that cannot write."""
    await database.execute("PRAGMA query_only = ON")
    await database.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")


async def _recognise(database: Connection, path: str, newest: int) -> int:
    """Return the schema version of the file, 0 for an empty one."""
    version = int(await _pragma(database, "user_version"))
    owner = await _pragma(database, "application_id")
    [(tables,)] = await database.execute_fetchall("SELECT count(*) FROM sqlite_schema")
    if owner != APPLICATION_ID and (tables or version):
        raise StoreError(f"{path}: a database, but not a store of this program")
    if version > newest:
        raise StoreError(f"{path}: schema {version} is newer than this program knows ({newest}); install its program")
    return version


async def _pragma(database: Connection, pragma: str) -> str | int:
    [(value,)] = await database.execute_fetchall(f"PRAGMA {pragma}")
    assert isinstance(value, str | int)
    return value
