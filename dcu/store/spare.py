"""The spare: a second small file of what must not be lost with the database, on the disk before the database has it.

Counters, sequence numbers, sealed secrets and the archive's own lines are noted here; which of the two files is
believed where they differ is in `dcu.store.restore`.
"""

import asyncio
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from dcu.errors import StoreError
from dcu.store.cells import to_json

#: What a line is about. A counter is ours when we use it, else a meter uses it; one that is believed may be lower than
#: it was (dcu.polling.rekey); all others only grow. A stream's number is one that no block was given, nor any above it;
#: where it leapt and nobody was told yet, the first that it leapt over is there besides, and None once it is told.
OURS: Final = "ours"
COUNTER: Final = "counter"
BELIEVED: Final = "believed"
STREAM: Final = "stream"
SECRETS: Final = "secrets"
LINE: Final = "line"
LEAPT: Final = "leapt"

#: Sequence numbers noted in advance, so that the file is written once for as many blocks.
SEQUENCE_STEP: Final = 1000

#: A file longer than this is not read: a hundred times what 1024 meters need.
OCTETS_BOUND: Final = 64 << 20

#: How far our counters go up when some of the file cannot be read: more than a line could have said.
LEAP: Final = 1 << 20


@dataclass(slots=True)
class Kept:
    """What the spare says. `damaged` counts the lines that cannot be read, but for the last: that was never relied on.

    `secrets` are by meter [generation, state, changed, {kind: sealed in hex}], `lines` by meter [line, origin, added].
    """

    ours: dict[str, int] = field(default_factory=dict)
    heard: dict[str, int] = field(default_factory=dict)
    streams: dict[str, int] = field(default_factory=dict)
    leapt: dict[str, int] = field(default_factory=dict)
    secrets: dict[str, list[Any]] = field(default_factory=dict)
    lines: dict[str, list[Any]] = field(default_factory=dict)
    damaged: int = 0

    @classmethod
    def read(cls, path: Path) -> "Kept | None":
        """Return what the file holds, None where there is none. Raises OSError."""
        if not path.exists():
            return None
        kept = cls()
        bad = False
        with path.open("rb") as file:
            for raw in file.read(OCTETS_BOUND).split(b"\n"):
                if not raw:
                    continue
                kept.damaged += bad
                line = _line(raw)
                bad = line is None
                if line is not None:
                    kept.take(*line)
        if kept.damaged:
            kept.ours = {key: following + LEAP for key, following in kept.ours.items()}
        return kept

    def take(self, kind: str, key: str, value: Any) -> None:
        """Follow one line."""
        match kind:
            case "ours":
                self.ours[key] = max(value, self.ours.get(key, 0))
            case "counter":
                self.heard[key] = max(value, self.heard.get(key, 0))
            case "believed":
                self.heard[key] = value
            case "stream":
                self.streams[key] = max(value, self.streams.get(key, 0))
            case "leapt" if value is None:
                self.leapt.pop(key, None)
            case "leapt":
                self.leapt[key] = min(value, self.leapt.get(key, value))
            case "secrets" | "line":
                held = self.secrets if kind == SECRETS else self.lines
                held.pop(key, None)
                if value is not None:
                    held[key] = value
            case _:
                self.damaged += 1

    def notes(self) -> Iterator[tuple[str, str, Any]]:
        """Yield the lines that say all this."""
        held: dict[str, Mapping[str, Any]] = {
            OURS: self.ours,
            COUNTER: self.heard,
            STREAM: self.streams,
            LEAPT: self.leapt,
            SECRETS: self.secrets,
            LINE: self.lines,
        }
        for kind, values in held.items():
            for key, value in values.items():
                yield kind, key, value


class Spare:
    """The file while the store is open. What is noted is on the disk when `flush` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        #: The counters that we use.
        self.ours: set[str] = set()
        self._noted: list[bytes] = []
        self._ahead: dict[str, int] = {}

    def note(self, kind: str, key: str, value: Any) -> None:
        """Take a line for the next `flush`."""
        if kind == OURS:
            self.ours.add(key)
        self._noted.append(_text(kind, key, value))

    def sequence(self, stream: str, seq: int) -> None:
        """Take note that `seq` is about to be given to a block of `stream`."""
        if seq >= self._ahead.get(stream, 0):
            self._ahead[stream] = seq + SEQUENCE_STEP
            self.note(STREAM, stream, seq + SEQUENCE_STEP)

    async def flush(self) -> bool:
        """Put on the disk what was noted; False when there is no file any more, and all has to be written. StoreError.

        Called before each commit: what a commit makes usable must be known here first.
        """
        if not self._noted:
            return True
        try:
            await asyncio.to_thread(_append, self.path, self._noted)
        except FileNotFoundError:
            return False
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be written: {error.strerror}") from error
        self._noted = []
        return True

    async def replace(self, kept: Kept) -> None:
        """Write the whole file anew. Raises StoreError."""
        try:
            await asyncio.to_thread(_write, self.path, kept)
        except OSError as error:
            raise StoreError(f"{self.path}: cannot be written: {error.strerror}") from error
        self._noted = []
        self._ahead = dict(kept.streams)
        self.ours |= kept.ours.keys()

    def forget(self) -> None:
        """The transaction was undone: what it noted stays where it came to be written, and is relied on no more."""
        self._noted = []
        self._ahead = {}


def sync_directory(path: Path) -> None:
    """Put a directory's names on the disk. Raises OSError."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _text(kind: str, key: str, value: Any) -> bytes:
    body = to_json([kind, key, value]).encode()
    return b"%08x %s" % (zlib.crc32(body), body)


def _line(raw: bytes) -> Sequence[Any] | None:
    """Return kind, key and value of a line, None when it is damaged."""
    try:
        sound = int(raw[:8], 16) == zlib.crc32(raw[9:])
        found = json.loads(raw[9:]) if sound else None
    except ValueError:
        return None
    return found if isinstance(found, list) and len(found) == 3 else None


def _append(path: Path, lines: Iterable[bytes]) -> None:
    # a line that was torn by a full disk must not take the next one with it
    text = b"\n" + b"\n".join(lines) + b"\n"
    _put(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, text)


def _write(path: Path, kept: Kept) -> None:
    put_file(path, b"".join(_text(*note) + b"\n" for note in kept.notes()))


def put_file(path: Path, text: bytes) -> None:
    """Put a file that is whole under its name, or leave what was there. Raises OSError."""
    part = path.with_name(path.name + ".part")
    _put(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, text)
    part.replace(path)
    sync_directory(path.parent)


def _put(path: Path, flags: int, text: bytes) -> None:
    """Write `text`, whole and on the disk, or raise OSError."""
    descriptor = os.open(path, flags, 0o640)
    try:
        while text:
            text = text[os.write(descriptor, text) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
