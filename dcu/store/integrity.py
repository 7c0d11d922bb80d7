"""Whether the database file can be worked with: examined before it is opened, set aside when it is damaged.

What is done afterwards is in `restore` and `salvage`. What is not a coroutine blocks: call it in a thread.

    there and sound ──► opened            damaged ──► renamed, kept ──► a new file
    gone, the spare is there ──────────────────────────────────────► a new file
    not ours, or of a newer program ──► left alone, refused when it is opened
"""

import asyncio
import os
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from dcu.clock import utc
from dcu.errors import StoreError
from dcu.store.shape import misshapen
from dcu.store.spare import sync_directory
from dcu.store.wreck import Note

#: A file up to this long is checked whole before it is opened, half a second's work on an old board; of a longer one
#: only the small tables are, and the rest while the box is working (`dcu.keeping`).
CHECKED_OCTETS: Final = 32 << 20

#: Memory of a check of the whole file, in KiB.
INSPECTION_KIB: Final = 512

#: Damaged files that are kept; the oldest goes when there is one more, or the disk would be full of them.
KEPT_FILES: Final = 3

#: Between the name of the database and the time when it was set aside.
ASIDE: Final = ".damaged-"

#: Tables that may be long: rows of the others together are bounded by what the box is made for.
_LONG: Final = frozenset({"captures", "segments", "results", "commands", "audit", "gaps", "reach"})

#: Behind the name of the database: a file that was written anew, whole, and is to have that name.
WHOLE: Final = ".whole"

_WAL_HEADER, _FRAME_HEADER = 32, 24


@dataclass(frozen=True, slots=True)
class Mishap:
    """What happened to the file: `event` is its name among the box's own events.

    `aside` is where the damaged file is kept, `leapt` are the streams that go on with a higher sequence number.
    """

    event: str
    reason: str
    aside: Path | None = None
    leapt: tuple[str, ...] = ()


#: Names of the events, as in `dcu.messages.events`.
DAMAGED, LOST, TORN = "store damaged", "store lost", "store set back"
UNCOPIED: Final = "store not copied"

#: Why there is a file that was written anew.
PUT_BACK: Final = "the file was deleted or replaced while it was open; it was written anew, and is whole"


def admit(path: Path, spare: Path, now: float, suspect: str | None = None) -> Mishap | None:
    """Make sure that a file at `path` can be opened; return what was wrong with the one that was there.

    `suspect` is why it is known to be damaged. Raises StoreError when it cannot be read or set aside.
    """
    try:
        note = Note.told(path)
        if note is not None and not note.begun and (note.aside.exists() or path.exists()):  # the power went meanwhile
            return Mishap(DAMAGED, note.reason, _put_aside(path, note))
        if path.exists() and not path.is_file():
            return None  # opening it will say what it is
        if not path.exists() or not path.stat().st_size:
            return Mishap(LOST, "there was no database, but what was kept beside it") if spare.exists() else None
        damage, torn = (suspect, False) if suspect else _examined(path)
        if damage is not None:
            return Mishap(DAMAGED, damage, set_aside(path, now, damage))
    except OSError as error:
        raise StoreError(f"cannot open the store {path}: {error}") from error
    return Mishap(TORN, "the end of its log is torn or damaged") if torn else None


def _examined(path: Path) -> tuple[str | None, bool]:
    """Return why the file cannot be worked with (None: nothing speaks against it), and whether its log is torn."""
    try:
        with closing(sqlite3.connect(path)) as database:
            damage = misshapen(database) or check(database, whole=path.stat().st_size <= CHECKED_OCTETS)
            return damage, damage is None and _log_is_torn(database, log_of(path))
    except (sqlite3.Error, UnicodeDecodeError) as error:  # what SQLite quotes of a damaged schema may be no text
        if is_damage(error):
            return str(error), False
        raise StoreError(f"cannot open the store {path}: {error}") from error


def is_damage(error: BaseException) -> bool:
    """Whether SQLite says that the file, not its disk or its user, is what is wrong."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    garbled = isinstance(error, UnicodeDecodeError) or "Could not decode" in str(error)
    return garbled or code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def check(database: sqlite3.Connection, *, whole: bool) -> str | None:
    """Return what the first check that fails says; without `whole` of the small tables only. Raises sqlite3.Error."""
    for pragma in _checks(database, whole=whole):
        [(said,)] = database.execute(pragma).fetchall() or [("ok",)]
        if said != "ok":
            return str(said).splitlines()[-1]
    return None


async def inspected(path: Path) -> str | None:
    """Return what a check of the whole file says, over a connection of its own, in a thread. Raises sqlite3.Error."""
    with closing(sqlite3.connect(path, check_same_thread=False)) as database:
        database.execute(f"PRAGMA cache_size = -{INSPECTION_KIB}")
        checking = asyncio.create_task(asyncio.to_thread(check, database, whole=True))
        try:
            return await asyncio.shield(checking)
        except asyncio.CancelledError:
            database.interrupt()
            await asyncio.wait([checking])
            raise
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if is_damage(error):
                return str(error)
            raise


def _checks(database: sqlite3.Connection, *, whole: bool) -> Iterator[str]:
    # integrity_check, not the quick one: where a number or a name has another octet, only its index tells
    if whole:
        yield "PRAGMA integrity_check(1)"
        return
    tables = database.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    yield from (f"PRAGMA integrity_check('{name}')" for (name,) in tables if name not in _LONG)


def set_aside(path: Path, now: float, damage: str | None = None) -> Path:
    """Rename the file and its log; return the new name. The oldest of more than KEPT_FILES goes. Raises OSError.

    With `damage` it is noted first, so that what can be read of it is salvaged, whenever that may be: at whatever step
    the power goes, `admit` goes on with it.
    """
    aside = path.with_name(f"{path.name}{ASIDE}{utc(now):%Y%m%dT%H%M%S}Z")
    while aside.exists():  # a clock that stands still or went back
        aside = aside.with_name(aside.name + "+")
    if damage is not None:
        Note(aside, damage).write(path)
    path.rename(aside)
    _rename_log(path, aside)
    _drop_oldest(path, aside)
    return aside


def _rename_log(path: Path, aside: Path) -> None:
    """Let the log follow its database, which has another name now."""
    if log_of(path).exists():
        log_of(path).rename(log_of(aside))
    Path(f"{path}-shm").unlink(missing_ok=True)
    sync_directory(path.parent)


def _put_aside(path: Path, note: Note) -> Path:
    """Go on with setting a damaged file aside; return where it is.

    A new file that was begun beside it has nothing of it yet, and is taken away: itself last, for as long as it is
    there a log is its own.
    """
    if not note.aside.exists():
        path.rename(note.aside)
    if path.exists():
        for name in (log_of(path), Path(f"{path}-shm"), path):
            name.unlink(missing_ok=True)
    else:
        _rename_log(path, note.aside)
    return note.aside


def _drop_oldest(path: Path, newest: Path) -> None:
    kept = [each for each in _kept_aside(path) if each != newest]
    for old in kept[: max(0, len(kept) - KEPT_FILES + 1)]:
        _delete(old)


def drop_copy(path: Path) -> str | None:
    """Delete the oldest file beside the database that nothing is to come from any more; return its name.

    These are damaged ones that were salvaged, and copies from before an update. Raises OSError.
    """
    note = Note.told(path)
    copies = [*_kept_aside(path), *path.parent.glob(f"{path.name}.schema*")]
    for copy in sorted(copies, key=_modified):
        if note is None or copy != note.aside:
            _delete(copy)
            return copy.name
    return None


def _kept_aside(path: Path) -> list[Path]:
    """Return the damaged files that are kept, the oldest first."""
    found = path.parent.glob(f"{path.name}{ASIDE}*Z*")
    return sorted((each for each in found if each.suffix[-4:] not in {"-wal", "-shm"}), key=_modified)


def _modified(path: Path) -> float:
    return path.stat().st_mtime


def _delete(path: Path) -> None:
    for name in (path, log_of(path), Path(f"{path}-shm")):
        name.unlink(missing_ok=True)


def _log_is_torn(database: sqlite3.Connection, log: Path) -> bool:
    """Whether frames of the log follow the last whole commit that belong to it and are not whole.

    A power cut leaves such, of a commit that was told to nobody; so does a bad block, and then commits that were told
    of are lost with it. Nobody can say which.
    """
    if not log.exists() or log.stat().st_size <= _WAL_HEADER:
        return False
    [(_, frames, _)] = database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    with log.open("rb") as file:
        return _tail_is_torn(file, max(0, frames))


def _tail_is_torn(log: BinaryIO, frames: int) -> bool:
    """Whether a frame behind the first `frames` has the log's salts and a wrong checksum (SQLite file format, 4.1)."""
    header = log.read(_WAL_HEADER)
    magic, _, page, _, *salts = struct.unpack(">6I", header[:24])
    words = ">" if magic & 1 else "<"
    length = _FRAME_HEADER + page
    chain = struct.unpack(">2I", header[24:])
    if _checksum(header[:24], words, 0, 0) != chain:
        return True
    if frames:
        log.seek(_WAL_HEADER + (frames - 1) * length + 16)
        chain = struct.unpack(">2I", log.read(8))
    log.seek(_WAL_HEADER + frames * length)
    others = False
    while len(frame := log.read(length)) == length:
        if list(struct.unpack(">2I", frame[8:16])) != salts:
            others = True  # from before the log began anew, unless one of ours follows
            continue
        chain = _checksum(frame[:8] + frame[_FRAME_HEADER:], words, *chain)
        if others or struct.unpack(">2I", frame[16:24]) != chain:
            return True
    return False


def _checksum(octets: bytes, words: str, first: int, second: int) -> tuple[int, int]:
    numbers = struct.unpack(f"{words}{len(octets) // 4}I", octets)
    for even, odd in zip(numbers[::2], numbers[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second


def seen(path: Path) -> tuple[int, int] | None:
    """Return device and inode of the file under this name, None when there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    return found.st_dev, found.st_ino


def log_of(path: Path) -> Path:
    """Return the name of a database's log."""
    return Path(f"{path}-wal")


def put_back(part: Path, path: Path, ours: tuple[int, int] | None, now: float) -> None:
    """Give the whole file `part` the name `path`, under which it or its log was deleted. Raises OSError.

    What is there now is set aside if it is not `ours`. From its first step on, the next start goes on with it wherever
    the power goes; where it fails, nothing of it is left to go on with.
    """
    whole = part.with_name(f"{path.name}{WHOLE}")
    try:
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.rename(whole)
        sync_directory(path.parent)
        _take_the_name(whole, path, ours, now)
    except OSError:
        whole.unlink(missing_ok=True)
        raise


def put_back_at_last(path: Path, now: float) -> Mishap | None:
    """Go on with putting back a file that the power kept from its name; return what happened. Raises StoreError."""
    whole = path.with_name(f"{path.name}{WHOLE}")
    try:
        if not whole.exists():
            return None
        _take_the_name(whole, path, None, now)
    except OSError as error:
        raise StoreError(f"cannot open the store {path}: {error}") from error
    return Mishap(LOST, PUT_BACK)


def _take_the_name(whole: Path, path: Path, ours: tuple[int, int] | None, now: float) -> None:
    if path.exists() and seen(path) != ours:
        set_aside(path, now)
    # the log of the deleted file would be taken for this one's
    for name in (log_of(path), Path(f"{path}-shm")):
        name.unlink(missing_ok=True)
    whole.rename(path)
    sync_directory(path.parent)
