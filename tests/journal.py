"""A command journal in memory that behaves as the store does: each change is a commit, and a final state stays."""

import asyncio
from dataclasses import replace
from typing import Any

from dcu.model import Command, CommandRecord, CommandState


class MemoryJournal:
    """Keeps records in a dict, and every change in a list in the order of the commits."""

    def __init__(self) -> None:
        self.records: dict[str, CommandRecord] = {}
        self.changes: list[tuple[str, CommandState]] = []
        self.failure: Exception | None = None
        #: Seconds that a commit takes; none: a turn of the loop.
        self.delay = 0.0

    async def accept(self, command: Command, rejected: str | None = None) -> tuple[CommandRecord, bool]:
        if self.delay:
            await asyncio.sleep(self.delay)
        known = self.records.get(command.id)
        if known is not None:
            return known, False
        state = CommandState.ACCEPTED if rejected is None else CommandState.REJECTED
        self.records[command.id] = CommandRecord(command, state, error=rejected)
        self.changes.append((command.id, state))
        return self.records[command.id], True

    async def change(
        self,
        command_id: str,
        state: CommandState,
        result: Any = None,
        error: str | None = None,
        progress: dict[str, int] | None = None,
    ) -> CommandRecord:
        await asyncio.sleep(self.delay)  # a commit takes its time, and somebody else may come meanwhile
        if self.failure is not None:
            raise self.failure
        if self.records[command_id].state.final:
            return self.records[command_id]
        changed = replace(self.records[command_id], state=state, result=result, error=error, progress=progress)
        self.records[command_id] = changed
        self.changes.append((command_id, state))
        return self.records[command_id]

    async def unfinished(self) -> list[CommandRecord]:
        return [record for record in self.records.values() if not record.state.final]
