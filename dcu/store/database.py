"""The open database that every part of the store is handed: one writing connection, one reading one, the numbers given.

What the tables mean is said by the parts (readings, outbox, commands, counters); `dcu.store.store` puts them together.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

import aiosqlite

from dcu.clock import Clock
from dcu.errors import DamagedError, StoreError
from dcu.store.integrity import (
    DAMAGED,
    LOST,
    PUT_BACK,
    TORN,
    UNCOPIED,
    Mishap,
    admit,
    drop_copy,
    inspected,
    log_of,
    put_back,
    put_back_at_last,
    seen,
)
from dcu.store.numbers import Numbers, Tails, layouts, meters, streams
from dcu.store.pages import Pages
from dcu.store.restore import kept_by, raise_counters, raise_streams, restore
from dcu.store.schema import BUSY_SECONDS, prepare, prepare_reader, translated
from dcu.store.spare import Kept, Spare
from dcu.store.wreck import Note, Owed, Salvaged, begin, fill
from dcu.store.writer import Apply, Writer

#: Why sequence numbers leapt though nothing is wrong with the file.
_FOLLOWED: Final = "no spare was beside the database, or it was begun before the clock was set"


class Database:
    """A store file while it is open. `fresh` is set after a commit that added rows to deliver, and at the start.

    `mishap` is what was found when it was opened. When it has to be opened anew, `broken` is set, and `found` is for
    `open`. A part asks with `read`, which sees the last commit, and changes with `write`; what it hands to that is
    called with the writing connection, in a transaction that it may share with other parts, and uses the numbers there.
    """

    def __init__(
        self,
        writing: aiosqlite.Connection,
        reading: aiosqlite.Connection,
        clock: Clock,
        path: Path,
        spare: Spare,
        patience: float,
    ) -> None:
        self.clock = clock
        self.reading = reading
        self.path = path
        #: What a part notes here in a transaction is on the disk before that is committed.
        self.spare = spare
        #: The numbers of names, the last positions of streams, and the runs that wait for the end of the transaction.
        self.meters: Numbers = meters()
        self.layouts: Numbers = layouts()
        self._streams: Numbers = streams()
        self.tails = Tails()
        self.pages = Pages()
        self._file = seen(path)
        self._log: tuple[int, int] | None = None
        self._writer = Writer(writing, self._seal, self._forget, self._be_there, patience, self.logged)
        self.mishap: Mishap | None = None
        self.found: Mishap | None = None
        self.broken = asyncio.Event()
        #: What was brought over from a damaged file when this one was opened.
        self.salvaged = Salvaged()
        #: What is still to come of it and was not acknowledged: by stream, first and last position.
        self.coming: Owed = {}
        #: Whether the spare was missing, and whether numbers were brought up to the clock since the start.
        self._alone = False
        self._followed = False
        self.fresh = self._writer.fresh

    @classmethod
    @asynccontextmanager
    async def open(
        cls, path: Path | str, clock: Clock, found: Mishap | None = None, patience: float = 0.0
    ) -> AsyncIterator[Self]:
        """Open or create the store at `path`, bring it to the newest schema, and close it after the last write.

        A file that is damaged is set aside, and a new one begun with what the spare has; `found` is what was wrong
        with the file when it was open before. What can wait for company waits up to `patience` seconds for its commit.
        Raises StoreError when the directory or the file cannot be used, when the file is another program's or has a
        newer schema; the file is then left as it is.
        """
        path = Path(path)
        spare = Spare(path.with_suffix(".spare"))
        found = await asyncio.to_thread(put_back_at_last, path, clock.now()) or found
        suspect = found.reason if found and found.event == DAMAGED else None
        mishap = await asyncio.to_thread(admit, path, spare.path, clock.now(), suspect)
        async with _connections(str(path)) as (writing, reading, uncopied):
            database = cls(writing, reading, clock, path, spare, patience)
            database.mishap = await database._reconcile(writing, mishap) or found or uncopied
            task = asyncio.create_task(database._writer.run(), name="store writer")
            try:
                yield database
            finally:
                database._writer.close()
                await task

    @property
    def closed(self) -> bool:
        """Whether nothing can be written any more: at the end, or because a bug ended the writer."""
        return self._writer.closed

    async def write(self, apply: Apply, *, rows: int = 1, deliverable: bool = False, patient: bool = False) -> Any:
        """Return what `apply` returns, after the commit that holds it, as `Writer.write` does."""
        try:
            return await self._writer.write(apply, rows=rows, deliverable=deliverable, patient=patient)
        except DamagedError as error:
            self._break(Mishap(DAMAGED, str(error)))
            raise

    async def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Return the rows of a query, as the last commit left them."""
        if self._writer.closed:
            raise StoreError("the store is closed")
        try:
            with translated("cannot read from the store"):
                return list(await self.reading.execute_fetchall(sql, parameters))
        except DamagedError as error:
            self._break(Mishap(DAMAGED, str(error)))
            raise

    async def stream(self, database: aiosqlite.Connection, name: str) -> int:
        """Return the number of stream `name`; a new one begins its sequence at Unix milliseconds.

        So `seq` also grows over a re-installation that lost the store, as long as the clock was right once.
        """
        return await self._streams.number(database, name, int(self.clock.now() * 1000))

    async def follow_clock(self, database: aiosqlite.Connection) -> list[str]:
        """Bring numbers up to the clock when it is first trusted; return the streams whose numbers leapt."""
        if self._followed or not self.clock.trusted():
            return []
        self._followed = True
        await raise_counters(database, self.spare.ours, self.clock.now())
        leapt = await raise_streams(database, self.clock.now(), alone=self._alone)
        if leapt and self.mishap is None:
            self.mishap = Mishap(TORN, _FOLLOWED, leapt=tuple(leapt))
        return leapt

    def damaged(self, reason: str) -> DamagedError:
        """Return what is raised over damage, for which the file has to be opened anew."""
        self._break(Mishap(DAMAGED, reason))
        return DamagedError(f"{self.path}: {reason}")

    async def inspect(self) -> None:
        """Check the whole file while it is used. Raises DamagedError, and StoreError when it cannot be read."""
        with translated("cannot check the store"):
            damage = await inspected(self.path)
        if damage is not None:
            raise self.damaged(damage)

    async def renew_spare(self) -> None:
        """Write the spare anew, short and with the counters heard since. Raises StoreError."""
        await self.write(self._renew_spare)

    async def size(self) -> int:
        """Return the octets of the database; its log, bounded by CHECKPOINT_OCTETS, comes on top."""
        [(octets,)] = await self.read("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
        return int(octets)

    async def drop_copy(self) -> str | None:
        """Delete the oldest file beside the store that nothing is to come from; return its name. Raises StoreError."""
        with translated("cannot delete a copy of the store"):
            return await asyncio.to_thread(drop_copy, self.path)

    def logged(self) -> int:
        """Return the octets of the log's file: far more than CHECKPOINT_OCTETS where somebody reads, and does not end.

        Raises StoreError.
        """
        try:
            return log_of(self.path).stat().st_size
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise StoreError(f"cannot look at the log of the store: {error.strerror}") from error

    async def free(self) -> int:
        """Return the octets that are free for us on the disk. Raises StoreError."""
        with translated("cannot look at the disk of the store"):
            found = await asyncio.to_thread(os.statvfs, self.path.parent)
        return found.f_bavail * found.f_frsize

    async def _reconcile(self, database: aiosqlite.Connection, mishap: Mishap | None) -> Mishap | None:
        """Bring database, spare and a damaged file together; return `mishap` with the streams that leapt."""
        with translated("cannot open the store"):
            kept = await asyncio.to_thread(Kept.read, self.spare.path)
            note = await asyncio.to_thread(Note.read, self.path)
            if mishap is not None and mishap.aside is not None:
                begun = Note(mishap.aside, mishap.reason)
                told = kept.streams.keys() if kept else ()
                self.salvaged, note = await asyncio.to_thread(begin, self.path, begun, self.clock.now(), told)
            leapt = await self._restore(database, mishap, kept)
            if mishap is not None and mishap.aside is not None and note is not None:
                spared = kept is not None and not kept.damaged
                await asyncio.to_thread(fill, self.path, note, spared=spared)
                await self._renew_spare(database)
                await asyncio.to_thread(note.write, self.path)
            self.coming = note.owed if note else {}
            self._log = seen(log_of(self.path))
        if mishap is None and leapt:
            mishap = self.mishap or Mishap(TORN, "the database is older than what was kept beside it")
        return mishap and replace(mishap, leapt=tuple(leapt))

    async def _restore(self, database: aiosqlite.Connection, mishap: Mishap | None, kept: Kept | None) -> list[str]:
        await database.execute("BEGIN IMMEDIATE")
        leapt: list[str] = []
        if kept is not None:
            self.spare.ours |= kept.ours.keys()
            [(streams,)] = await database.execute_fetchall("SELECT count(*) FROM streams")
            # one that was begun and has nothing yet: the power went before it had
            anew = not streams or (mishap is not None and mishap.event in {DAMAGED, LOST})
            leapt = await restore(database, kept, anew=anew, torn=mishap is not None, now=self.clock.now())
        self._alone = kept is None
        leapt = leapt or await self.follow_clock(database)
        await self._renew_spare(database)
        await database.execute("COMMIT")
        return leapt

    async def _seal(self, database: aiosqlite.Connection) -> None:
        """Write the segments of the transaction, and put on the disk what the spare has to have before the commit."""
        await self.pages.seal(database)
        if not await self.spare.flush():
            await self._renew_spare(database)

    async def _renew_spare(self, database: aiosqlite.Connection) -> None:
        await self.spare.replace(await kept_by(database, frozenset(self.spare.ours)))

    def _forget(self) -> None:
        self._followed = False
        for cache in (self.meters, self.layouts, self._streams, self.tails, self.pages, self.spare):
            cache.forget()

    def _break(self, found: Mishap) -> None:
        """The file has to be opened anew."""
        self.found = self.found or found
        self.broken.set()

    async def _be_there(self, database: aiosqlite.Connection) -> None:
        """Make sure that what is written will be found: the files under our names must be those that are open.

        What was deleted is whole as long as it is open, be it only the log. It is written out again; then it has to be
        opened.
        """
        if self.broken.is_set():
            raise StoreError("the store has to be opened anew")
        if seen(self.path) == self._file and seen(log_of(self.path)) == self._log:
            return
        part = self.path.with_name(self.path.name + ".part")
        part.unlink(missing_ok=True)
        await database.execute("VACUUM INTO ?", (str(part),))
        await asyncio.to_thread(put_back, part, self.path, self._file, self.clock.now())
        found = Mishap(LOST, PUT_BACK)
        self._break(found)
        raise StoreError(found.reason)


@asynccontextmanager
async def _connections(
    path: str,
) -> AsyncIterator[tuple[aiosqlite.Connection, aiosqlite.Connection, Mishap | None]]:
    """Open both; the third is what there is to tell of a file that was brought forward."""
    async with AsyncExitStack() as stack:
        with translated(f"cannot open the store {path}"):
            _touch(path)
            writing = await _connect(path)
            stack.push_async_callback(writing.close)
            uncopied = await prepare(writing, path)
            reading = await _connect(path)
            stack.push_async_callback(reading.close)
            await prepare_reader(reading)
        yield writing, reading, Mishap(UNCOPIED, uncopied) if uncopied else None


def _touch(path: str) -> None:
    """Raise OSError when the file cannot be used: a connection that fails to open leaves its thread behind for a while.

    Load profiles tell when somebody is at home: a new file is not for everybody's eyes.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640))


async def _connect(path: str) -> aiosqlite.Connection:
    """Return a started connection. A cancellation waits for it: its thread must not outlive the loop."""

    async def start() -> aiosqlite.Connection:
        # transactions begin and end where the writer says, not where the module guesses
        return await aiosqlite.connect(path, timeout=BUSY_SECONDS, isolation_level=None)

    starting = asyncio.create_task(start())
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await asyncio.wait([starting])
        if starting.exception() is None:
            await starting.result().close()
        raise
