"""The commands under way, and their steps into the journal: a step is committed before anybody is told of it.

Which step comes when is decided in `obey`; what a command has come to so far, in `underway`.
"""

from collections.abc import Awaitable
from typing import Any, Protocol, TypeVar

import structlog

from dcu.clock import Clock
from dcu.errors import DcuError, StoreError, UnsureError
from dcu.health import Health
from dcu.model import Command, CommandRecord, CommandState
from dcu.obeying.admission import mistake
from dcu.obeying.underway import BOX, Underway

log = structlog.get_logger()

T = TypeVar("T")


class Journal(Protocol):
    """What this flow needs of the store."""

    async def accept(self, command: Command, rejected: str | None = None) -> tuple[CommandRecord, bool]:
        """Commit a new command as accepted, or as rejected with the reason; a known id gives its record and False."""

    async def change(
        self,
        command_id: str,
        state: CommandState,
        result: Any = None,
        error: str | None = None,
        progress: dict[str, int] | None = None,
    ) -> CommandRecord:
        """Commit the next state, or more of the same; one that has its end already keeps that, and gives its record."""

    async def unfinished(self) -> list[CommandRecord]:
        """Return what a restart finds accepted or running."""


class Book:
    """What is under way at one box, by the id of the command: at most UNDERWAY_BOUND, which the door holds."""

    def __init__(self, journal: Journal, clock: Clock, health: Health) -> None:
        self.underway: dict[str, Underway] = {}
        self._journal = journal
        self._clock = clock
        self._health = health

    async def surely(self, command: Command, work: Awaitable[T]) -> T | CommandRecord:
        """Return what `work` over one command returns; our own mistake in it fails that command, and nobody else's."""
        try:
            return await work
        except StoreError:
            raise
        except Exception as error:
            log.exception("bug over a command", id=command.id, name=command.name)
            return await self._give_up(command, error)

    async def _give_up(self, command: Command, error: Exception) -> CommandRecord:
        """End a command that we cannot go on with. Raises StoreError."""
        underway = self.underway.get(command.id)
        reason = str(UnsureError(mistake(error))) if underway and underway.sent else mistake(error)
        try:
            record = await self._journal.change(command.id, CommandState.FAILED, error=reason)
        except BaseException as lost:
            self.drop(command, lost)
            raise
        if underway:
            self.finish(underway, record)
        return record

    def drop(self, command: Command, error: BaseException) -> None:
        """Let go of a command for want of the store, or of who brought it: it is taken up from the journal again."""
        if underway := self.underway.pop(command.id, None):
            underway.over_with(error if isinstance(error, DcuError) else DcuError("cut off: ask again by the same id"))

    async def tell(self, underway: Underway) -> None:
        """Commit what has come together since the last time, unless the end that is about to be kept tells it."""
        async with underway.turn:
            if underway.ending or underway.over.done():  # its end tells that, too
                return
            answers, why = dict(underway.answers), underway.complaint()
            told = [*answers, *underway.errors]
            command, progress = underway.command, underway.progress()
            await self._journal.change(command.id, CommandState.RUNNING, answers, why or None, progress)
            underway.forget(told, self._clock.monotonic())

    async def end(self, underway: Underway, state: CommandState, error: str | None) -> None:
        """Commit the end of a command; of two that meet, the first that can be kept counts. Raises StoreError."""
        command = underway.command
        underway.ending += 1
        try:
            async with underway.turn:
                if underway.over.done():  # its answer and its expiry meet: the first of them counts
                    return
                result = underway.answers.get(BOX) if BOX in underway.answers else underway.answers
                progress = underway.progress()
                record = await self._journal.change(command.id, state, result or None, error or None, progress)
                self.finish(underway, record)
        finally:
            underway.ending -= 1

    def finish(self, underway: Underway, record: CommandRecord) -> None:
        """Have done with a command whose end, `record`, is kept."""
        command = underway.command
        self.underway.pop(command.id, None)
        if not underway.over.done():
            underway.over.set_result(record)
        self._health.command_latency.append(self._clock.now() - command.received)
        log.info("command over", id=command.id, name=command.name, state=record.state.value, error=record.error)
