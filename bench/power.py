"""A disk that loses power: every write of the store is recorded in order, and what may be left at any moment is made.

Fair, and harsher than a journaling file system: what was synchronised is there, of what was not any set of sectors may
be, in any order and torn at any sector; names follow in their order, up to any point. SQLite's own files are recorded
where it gives them to the system (a VFS around its own), the spare's where Python does. No kernel is needed for it:
device-mapper and FUSE are rarely there in a container.
"""

import ctypes
import os
import pickle
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO, Final

#: What a disk writes whole or not at all.
SECTOR: Final = 512

#: One record: what was done, to which name, and with what.
Record = tuple[Any, ...]


class _Log:
    """Appends records, of all threads in one order, with one system call each."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._lock = threading.Lock()

    def __call__(self, *record: Any) -> None:
        with self._lock:
            os.write(self._file, pickle.dumps(record))


def record(log: Path, directory: Path) -> Callable[..., None]:
    """Record from now on what this process does to files in `directory`; return what records a promise."""
    note = _Log(log)
    opened = _record_sqlite(note, directory)
    _record_spare(note)
    _record_names(note, directory, opened)
    return lambda *promise: note("promise", promise)


_VOID, _INT, _LONG = ctypes.c_void_p, ctypes.c_int, ctypes.c_longlong
# names as addresses: SQLite keeps them, and reads on behind their end
_OPEN = ctypes.CFUNCTYPE(_INT, _VOID, _VOID, _VOID, _INT, _VOID)
_DELETE = ctypes.CFUNCTYPE(_INT, _VOID, _VOID, _INT)
_WRITE = ctypes.CFUNCTYPE(_INT, _VOID, _VOID, _INT, _LONG)
_TRUNCATE = ctypes.CFUNCTYPE(_INT, _VOID, _LONG)
_SYNC = ctypes.CFUNCTYPE(_INT, _VOID, _INT)


class _Methods(ctypes.Structure):
    """sqlite3_io_methods, version 3, as far as it is replaced."""

    _fields_ = (
        ("version", _INT),
        ("close", _VOID),
        ("read", _VOID),
        ("write", _WRITE),
        ("truncate", _TRUNCATE),
        ("sync", _SYNC),
        ("rest", _VOID * 13),
    )


class _Vfs(ctypes.Structure):
    """sqlite3_vfs, version 3, as far as it is replaced."""

    _fields_ = (
        ("version", _INT),
        ("octets", _INT),
        ("longest", _INT),
        ("next", _VOID),
        ("name", ctypes.c_char_p),
        ("data", _VOID),
        ("open", _OPEN),
        ("delete", _DELETE),
        ("rest", _VOID * 14),
    )


#: What SQLite holds pointers to must not be collected.
_held: list[object] = []


def _record_sqlite(note: _Log, directory: Path) -> dict[int, str]:
    """Make a VFS that notes what passes through it the one that new connections use; return the names of open files."""
    library = ctypes.CDLL("libsqlite3.so.0")
    library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    own = library.sqlite3_vfs_find(None).contents
    names: dict[int, str] = {}
    mine = _Vfs.from_buffer_copy(own)
    # by the address of the system's: files with locks have others than those without
    methods: dict[int, _Methods] = {}

    def opened(vfs: int, name: int | None, file: int, flags: int, out: int) -> int:
        path = _path(name)
        inside = path.parent == directory
        # the store itself makes the file of the database, empty
        if inside and (not path.exists() or not path.stat().st_size) and path.name not in names.values():
            note("create", path.name)
        result: int = own.open(vfs, name, file, flags, out)
        if result == 0 and inside:
            names[file] = path.name
            place = ctypes.cast(file, ctypes.POINTER(_VOID))
            address = place[0] or 0
            if address not in methods:
                methods[address] = _noting(_Methods.from_address(address), names, note)
            place[0] = ctypes.addressof(methods[address])
        return result

    def deleted(vfs: int, name: int, sync: int) -> int:
        result: int = own.delete(vfs, name, sync)
        if result == 0:
            note("delete", _path(name).name)
            _forget(names, _path(name).name)
        return result

    mine.name, mine.open, mine.delete = b"recording", _OPEN(opened), _DELETE(deleted)
    _held.extend((mine, methods, library))
    library.sqlite3_vfs_register(ctypes.byref(mine), 1)
    return names


def _forget(names: dict[int, str], gone: str) -> None:
    """A file has that name no more: one that is opened under it is another."""
    for file in [file for file, name in names.items() if name == gone]:
        del names[file]


def _path(name: int | None) -> Path:
    return Path(ctypes.string_at(name).decode() if name else "")


def _noting(own: _Methods, names: dict[int, str], note: _Log) -> _Methods:
    """Return methods that note what they do and call those of the system."""
    mine = _Methods.from_buffer_copy(own)

    def write(of: int, octets: int, count: int, offset: int) -> int:
        note("write", names[of], offset, ctypes.string_at(octets, count))
        return int(own.write(of, octets, count, offset))

    def truncate(of: int, size: int) -> int:
        note("truncate", names[of], size)
        return int(own.truncate(of, size))

    def sync(of: int, flags: int) -> int:
        result = int(own.sync(of, flags))
        if result == 0:
            note("sync", names[of])
        return result

    mine.write, mine.truncate, mine.sync = _WRITE(write), _TRUNCATE(truncate), _SYNC(sync)
    return mine


def _record_spare(note: _Log) -> None:
    """Let the spare use an `os` that notes what it does."""
    from dcu.store import spare  # noqa: PLC0415 - only where it is recorded

    names: dict[int, str] = {}

    def opened(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT and not path.exists():
            note("create", path.name)
        descriptor = os.open(path, flags, mode)
        names[descriptor] = "" if flags & os.O_DIRECTORY else path.name
        if flags & os.O_TRUNC:
            note("truncate", path.name, 0)
        return descriptor

    def write(descriptor: int, text: bytes) -> int:
        note("write", names[descriptor], os.fstat(descriptor).st_size, text)
        return os.write(descriptor, text)

    def sync(descriptor: int) -> None:
        os.fsync(descriptor)
        note("sync", names[descriptor])

    noting = SimpleNamespace(**{**vars(os), "open": opened, "write": write, "fsync": sync})
    spare.os = noting  # type: ignore[assignment, attr-defined]


def _record_names(note: _Log, directory: Path, opened: dict[int, str]) -> None:
    """Note where files of the directory are renamed and unlinked: a damaged one is set aside so."""
    rename, replace, unlink = Path.rename, Path.replace, Path.unlink

    def moved(own: Callable[[Path, Path], Path], old: Path, new: Path) -> Path:
        result = own(old, new)
        if old.parent == directory:
            _forget(opened, old.name)
            note("rename", old.name, Path(new).name)
        return result

    def unlinked(path: Path, missing_ok: bool = False) -> None:  # noqa: FBT001, FBT002 - as Path has it
        there = path.exists()
        unlink(path, missing_ok)
        if there and path.parent == directory:
            _forget(opened, path.name)
            note("delete", path.name)

    for name, mine in (
        ("rename", lambda old, new: moved(rename, old, new)),
        ("replace", lambda old, new: moved(replace, old, new)),
        ("unlink", unlinked),
    ):
        setattr(Path, name, mine)


@dataclass(slots=True)
class _File:
    """A file on the disk: what is safe, and what was done to it since."""

    safe: bytes = b""
    since: list[Record] = field(default_factory=list)

    def left(self, dice: random.Random) -> bytes:
        """Return what a cut may leave."""
        content = bytearray(self.safe)
        luck = dice.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        for kind, *what in self.since:
            if kind == "truncate":
                if dice.random() < luck:
                    del content[what[0] :]
            else:
                _put(content, what[0], what[1], lambda: dice.random() < luck)
        return bytes(content)

    def sync(self) -> None:
        content = bytearray(self.safe)
        for kind, *what in self.since:
            if kind == "truncate":
                del content[what[0] :]
            else:
                _put(content, what[0], what[1], lambda: True)
        self.safe, self.since = bytes(content), []


def _put(content: bytearray, offset: int, octets: bytes, kept: Callable[[], bool]) -> None:
    for start in range(0, len(octets), SECTOR):
        if kept():
            piece = octets[start : start + SECTOR]
            at = offset + start
            content.extend(bytes(max(0, at - len(content))))
            content[at : at + len(piece)] = piece


class Disk:
    """The directory as its records leave it: which names are safe, and what was done to names since."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}
        self._safe: dict[str, _File] = {}
        self._since: list[Record] = []

    def follow(self, entry: Record) -> None:
        """Do what was recorded."""
        kind, name, *what = entry
        match kind:
            case "create" | "delete" | "rename":
                named = (kind, name, *what, _File()) if kind == "create" else entry
                _rename(self._files, named)
                self._since.append(named)
            case "sync":
                if name:
                    self._files[name].sync()
                # with a file, its name is on the disk and what was named before it: the journal goes in order
                for named in self._since:
                    _rename(self._safe, named)
                self._since = []
            case _:
                self._files[name].since.append((kind, *what))

    def cut(self, into: Path, dice: random.Random) -> None:
        """Write into a directory what may be left when the power goes now."""
        names = dict(self._safe)
        for named in self._since[: dice.randint(0, len(self._since))]:
            _rename(names, named)
        for name, file in names.items():
            (into / name).write_bytes(file.left(dice))


def _rename(names: dict[str, _File], entry: Record) -> None:
    kind, name, *what = entry
    if kind == "create":
        names[name] = what[0]
    elif kind == "rename":
        names[what[0]] = names.pop(name)
    else:
        names.pop(name, None)


def records(log: BinaryIO) -> Iterator[Record]:
    """Yield what was recorded; the last of it may be torn."""
    while True:
        try:
            yield pickle.load(log)
        except (EOFError, pickle.UnpicklingError):
            return


def cuts(
    log: Path, count: int, dice: random.Random, within: tuple[int, int] | None = None
) -> Iterator[tuple[Disk, Sequence[Record]]]:
    """Yield the disk at `count` moments of a run, in their order, each with what had been promised by then.

    The moments are `within` the records of these numbers.
    """
    with log.open("rb") as file:
        run = list(records(file))
    disk = Disk()
    promised: list[Record] = []
    first, last = within or (1, len(run))
    moments = sorted(dice.randrange(first, min(last, len(run))) for _ in range(count))
    for number, entry in enumerate(run):
        while moments and moments[0] == number:
            moments.pop(0)
            yield disk, promised
        if entry[0] == "promise":
            promised.append(entry[1])
        else:
            disk.follow(entry)
