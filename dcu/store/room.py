"""Room on the disk that is held back for the store: a file beside it that is given up when nothing else is left.

A store cannot be opened without a log, an index of it and a spare; a box whose disk others have filled, and that starts
then, must collect all the same. What goes for want of room while it runs is decided in `dcu.keeping`.
"""

import os
from pathlib import Path
from typing import Final

import structlog

from dcu.errors import StoreError

log = structlog.get_logger()

#: Octets held back: what the log grows to before it is copied, and what is made when a store is opened.
ROOM_OCTETS: Final = 6 << 20

#: Octets of the disk that are not ours to fill: the system has to live too.
DISK_RESERVE: Final = 64_000_000

#: Free octets of the disk from which on they are held, and below which they are given up.
PLENTY: Final = 4 * ROOM_OCTETS
LITTLE: Final = 1 << 20


def make_place(path: Path) -> None:
    """Make the directory of the store at `path`, and hold room there or give it up; before the store is opened.

    Nothing is written for the room, the file system only sets it apart. Where that cannot be, there is none. Raises
    StoreError when there is no directory.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path.parent}: cannot be made: {error.strerror}") from error
    room = path.with_suffix(".room")
    try:
        found = os.statvfs(path.parent)
        free = found.f_bavail * found.f_frsize
        if free < LITTLE and room.exists():
            room.unlink()
            log.critical("the disk is full: the room held for the store is given up", free=free)
        elif free >= PLENTY and not _held(room):
            _hold(room)
    except OSError as error:
        log.warning("no room is held for the store", reason=str(error))


def _held(room: Path) -> bool:
    return room.exists() and room.stat().st_size == ROOM_OCTETS


def _hold(room: Path) -> None:
    descriptor = os.open(room, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        os.posix_fallocate(descriptor, 0, ROOM_OCTETS)
    finally:
        os.close(descriptor)
