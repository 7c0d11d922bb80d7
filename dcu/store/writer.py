"""The one writer: what waits goes into one transaction, and every caller hears of its own part after the commit.

Group commit: while a commit runs the next batch gathers, and what is patient waits for company. What is written is
the business of the files that call `write`.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from aiosqlite import Connection

from dcu.errors import StoreError
from dcu.store.schema import translated

#: A part of a transaction: uses the connection, returns what its caller wants to know.
Apply = Callable[[Connection], Awaitable[Any]]

#: Rows of one transaction, unless one part alone is larger: about a tenth of a second of an old board's time, so that
#: a batch and the one before it stay far below the 2 s that a reading may wait for its commit.
BATCH_ROWS = 2000

#: How long, in seconds, a patient part waits for others to share its commit: each costs the flash a page or two,
#: whatever is in it. With the commit itself a reading is on the disk within 2 s.
PATIENCE = 1.9

#: Rows that are enough company.
COMPANY_ROWS = 500

#: Parts waiting at a time; the next caller waits until one of them is done.
WAITING_BOUND = 256

#: The log is copied into the database when its file is longer; it bounds that file, but for one batch, the time to
#: recover after a crash, and how often a page that many commits change is copied.
CHECKPOINT_OCTETS = 4 << 20


@dataclass(slots=True)
class _Part:
    apply: Apply
    rows: int
    deliverable: bool
    due: float
    done: asyncio.Future[Any]


class Writer:
    """Owns the writing connection. `seal` does what the parts of a transaction have left to its end.

    `forget` is called when a transaction was undone: what was cached from it is void. `begin` comes before each one.
    A patient part waits up to `patience` seconds. `logged` says how many octets the log has. `fresh` is set after each
    commit that held a deliverable part, and at the start: a backlog may wait already.
    """

    def __init__(
        self,
        database: Connection,
        seal: Apply,
        forget: Callable[[], None],
        begin: Apply,
        patience: float = 0.0,
        logged: Callable[[], int] = lambda: 0,
    ) -> None:
        self._database = database
        self._begin = begin
        self._seal = seal
        self._forget = forget
        self._patience = patience
        self._waiting: deque[_Part] = deque()
        self._room = asyncio.Semaphore(WAITING_BOUND)
        self._wake = asyncio.Event()
        self._logged = logged
        self._copied = 0
        self.closed = False
        self.fresh = asyncio.Event()
        self.fresh.set()

    async def write(self, apply: Apply, *, rows: int = 1, deliverable: bool = False, patient: bool = False) -> Any:
        """Return what `apply` returns, after the commit that holds it; a `patient` part waits for company.

        Raises StoreError when that transaction could not be kept; then nothing of it was. A caller that is cancelled
        while it waits withdraws its part, unless the transaction has begun.
        """
        async with self._room:
            if self.closed:
                raise StoreError("the store is closed")
            loop = asyncio.get_running_loop()
            due = loop.time() + self._patience if patient else 0.0
            part = _Part(apply, rows, deliverable, due, loop.create_future())
            self._waiting.append(part)
            self._wake.set()
            return await part.done

    async def run(self) -> None:
        """Write until `close` was called and nothing waits."""
        try:
            while self._waiting or not self.closed:
                await self._wake.wait()
                await self._gather()
                await self.step()
        finally:
            self.close()
            _refuse(self._waiting, "the writer ended")

    def close(self) -> None:
        """Accept nothing more; `run` ends when what waits is written."""
        self.closed = True
        self._wake.set()

    async def _gather(self) -> None:
        """Wait as long as nothing waits but what is patient, and is not much."""
        loop = asyncio.get_running_loop()
        while (due := self._due()) > loop.time():
            self._wake.clear()
            timer = loop.call_at(due, self._wake.set)
            await self._wake.wait()
            timer.cancel()

    def _due(self) -> float:
        """Return when (time of the loop) what waits is to be committed."""
        if self.closed or not self._waiting or sum(part.rows for part in self._waiting) >= COMPANY_ROWS:
            return 0.0
        return min(part.due for part in self._waiting)

    async def step(self) -> None:
        """Commit one batch of what waits."""
        batch = self._take()
        if not batch:
            return
        try:
            results = await self._transaction(batch)
        except StoreError as error:
            _refuse(batch, str(error), error)
            return
        except BaseException:
            _refuse(batch, "the writer ended")
            raise
        for part, result in zip(batch, results, strict=True):
            if not part.done.done():
                part.done.set_result(result)
        if any(part.deliverable for part in batch):
            self.fresh.set()

    def _take(self) -> list[_Part]:
        batch: list[_Part] = []
        rows = 0
        while self._waiting and rows < BATCH_ROWS:
            part = self._waiting.popleft()
            if not part.done.cancelled():
                batch.append(part)
                rows += part.rows
        if not self._waiting and not self.closed:
            self._wake.clear()
        return batch

    async def _transaction(self, batch: Sequence[_Part]) -> list[Any]:
        with translated("cannot write to the store"):
            await self._begin(self._database)
            await self._checkpoint()
            await self._database.execute("BEGIN IMMEDIATE")
            try:
                results = [await part.apply(self._database) for part in batch]
                await self._seal(self._database)
                await self._database.execute("COMMIT")
            except Exception:
                await self._undo()
                raise
        return results

    async def _undo(self) -> None:
        self._forget()
        # SQLite undoes by itself what failed for want of space, but not always
        if self._database.in_transaction:
            await self._database.execute("ROLLBACK")

    async def _checkpoint(self) -> None:
        """Copy the log into the database when it is long: before a batch, so that a failure has somebody to tell.

        The next commit begins it anew, and cuts its file, unless somebody reads what is in it; then it is copied again
        when as much has come on top.
        """
        octets = self._logged()
        if octets < self._copied:  # begun anew
            self._copied = 0
        if octets > self._copied + CHECKPOINT_OCTETS:
            await self._database.execute(f"PRAGMA journal_size_limit = {CHECKPOINT_OCTETS}")
            await self._database.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")
            self._copied = octets


def _refuse(parts: Iterable[_Part], reason: str, cause: BaseException | None = None) -> None:
    for part in parts:
        if not part.done.done():
            refusal = type(cause)(reason) if isinstance(cause, StoreError) else StoreError(reason)
            refusal.__cause__ = cause
            part.done.set_exception(refusal)
