"""The command journal: each command once, its state and its answer, and the changes of state that are to be published.

What a command does, and when it is too late for it, is the business of `dcu.obeying`.
"""

import json
from dataclasses import asdict
from functools import partial

import structlog
from aiosqlite import Connection

from dcu.errors import DcuError
from dcu.messages.envelope import RESULT
from dcu.model import Command, CommandRecord, CommandState
from dcu.store.audit import Audit
from dcu.store.cells import GARBLED, to_json
from dcu.store.database import Database
from dcu.store.numbers import place_of

log = structlog.get_logger()

#: The door whose commands are answered by publishing.
MQTT = "mqtt"

_FIND = "SELECT command, body, state, answer, changed FROM commands WHERE id = ?"

_INSERT = "INSERT INTO commands (id, body, state, answer, changed) VALUES (?, ?, ?, ?, ?)"

_CHANGE = "UPDATE commands SET state = ?, answer = ?, changed = ? WHERE command = ?"

_PUBLISH = "INSERT INTO results (place, command, state, answer, changed) VALUES (?, ?, ?, ?, ?)"

_MEND = "UPDATE commands SET body = ?, state = ?, answer = ?, changed = ? WHERE command = ?"

_UNFINISHED = """
SELECT id, body, state, answer, changed FROM commands WHERE state IN ('accepted', 'running') ORDER BY command
"""

_RUN = """
SELECT body, results.state, results.answer, results.changed FROM results JOIN commands USING (command)
WHERE place BETWEEN ? AND ? ORDER BY place
"""

#: What stands for the name of a command whose entry is damaged.
DAMAGED = "damaged"

#: A line of the journal: number, body, state, answer, changed.
_Entry = tuple[int, str, str, str, float]


class Commands:
    """The journal. A command that came through MQTT puts each change of its state into the stream `RESULT`."""

    __slots__ = ("_audit", "_database")

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit

    async def accept(self, command: Command, rejected: str | None = None) -> tuple[CommandRecord, bool]:
        """Enter `command` as accepted (or, with its reason, rejected), or find it: its record, and whether it is new.

        A repeat gets the recorded state, whatever else it says; one that came through MQTT is published again.
        """
        result: tuple[CommandRecord, bool] = await self._database.write(
            partial(self._accept, command=command, rejected=rejected), deliverable=command.door == MQTT
        )
        return result

    async def change(
        self,
        command_id: str,
        state: CommandState,
        result: dict[str, object] | None = None,
        error: str | None = None,
        progress: dict[str, int] | None = None,
    ) -> CommandRecord:
        """Record that a command is now in `state`, with its answer; one that has its final state keeps that.

        Return what is recorded. Raises DcuError for a command that was never accepted: that is our own mistake.
        """
        apply = partial(self._change, command_id=command_id, state=state, answer=_answer(result, error, progress))
        record: CommandRecord | None = await self._database.write(apply, deliverable=True)
        if record is None:
            raise DcuError(f"command {command_id!r} was never accepted: it cannot become {state}")
        return record

    async def unfinished(self) -> list[CommandRecord]:
        """Return what was accepted or running, oldest first; what of it cannot be read is over, as failed."""
        found = []
        for command_id, *entry in await self._database.read(_UNFINISHED):
            if (record := _readable(*entry)) is not None:
                found.append(record)
            else:
                await self._database.write(partial(self._mended, command_id=command_id), deliverable=True)
        return found

    async def results(self, stream: int, first: int, last: int) -> list[CommandRecord]:
        """Return the changes of state at these positions of the stream `RESULT`."""
        rows = await self._database.read(_RUN, (place_of(stream, first), place_of(stream, last)))
        return [record for row in rows if (record := _readable(*row)) is not None]

    async def _accept(
        self, database: Connection, *, command: Command, rejected: str | None
    ) -> tuple[CommandRecord, bool]:
        entry = await self._mended(database, command_id=command.id)
        new = entry is None
        if entry is None:
            state = CommandState.ACCEPTED if rejected is None else CommandState.REJECTED
            fields = (to_json(asdict(command)), state, _answer(None, rejected), self._database.clock.now())
            row = await database.execute_insert(_INSERT, (command.id, *fields))
            assert row is not None
            entry = (int(row[0]), *fields)
            if state.final:
                await self._audit.add(database, _record(*fields))
        if command.door == MQTT:
            await self._publish(database, entry)
        return _record(*entry[1:]), new

    async def _change(
        self, database: Connection, *, command_id: str, state: CommandState, answer: str
    ) -> CommandRecord | None:
        """Return the record as it is now, None where there is none."""
        entry = await self._mended(database, command_id=command_id)
        if entry is None:
            return None
        if CommandState(entry[2]).final:  # two may have come upon its end, and the first of them counts
            return _record(*entry[1:])
        number, body, *_ = entry
        changed = self._database.clock.now()
        record = _record(body, state, answer, changed)
        await database.execute(_CHANGE, (state, answer, changed, number))
        if state.final:
            await self._audit.add(database, record)
        if record.command.door == MQTT:
            await self._publish(database, (number, body, state, answer, changed))
        return record

    async def _mended(self, database: Connection, *, command_id: str) -> _Entry | None:
        """Return the entry of a command, None where there is none. One that is damaged becomes one that has failed.

        Nobody knows what it was and how far it got: it is not carried out, once more or at all, and whoever sent it
        hears of that.
        """
        entry = await _find(database, command_id)
        if entry is None or _readable(*entry[1:]) is not None:
            return entry
        log.critical("a command in the journal cannot be read", id=command_id)
        body = to_json(asdict(Command(command_id, DAMAGED)))
        fields = (
            body,
            CommandState.FAILED,
            _answer(None, "its entry in the journal is damaged"),
            self._database.clock.now(),
        )
        await database.execute(_MEND, (*fields, entry[0]))
        await self._audit.add(database, _record(*fields))
        mended = (entry[0], *fields)
        await self._publish(database, mended)
        return mended

    async def _publish(self, database: Connection, entry: _Entry) -> None:
        number, _, *state = entry
        stream = await self._database.stream(database, RESULT)
        position = await self._database.tails.append(database, stream)
        await database.execute(_PUBLISH, (place_of(stream, position), number, *state))


async def _find(database: Connection, command_id: str) -> _Entry | None:
    for entry in await database.execute_fetchall(_FIND, (command_id,)):
        return tuple(entry)
    return None


def _answer(result: dict[str, object] | None, error: str | None, progress: dict[str, int] | None = None) -> str:
    answer = {"result": result, "error": error}
    return to_json(answer if progress is None else {**answer, "progress": progress})


def _readable(body: str, state: str, answer: str, changed: float) -> CommandRecord | None:
    """Return the record, None when it is damaged."""
    try:
        return _record(body, state, answer, changed)
    except GARBLED:
        return None


def _record(body: str, state: str, answer: str, changed: float) -> CommandRecord:
    fields = json.loads(body)
    command = Command(**fields | {"meters": tuple(fields["meters"])})
    return CommandRecord(command, CommandState(state), changed=changed, **json.loads(answer))
