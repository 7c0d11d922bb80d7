"""Commands about a meter's secrets: `meter.change-keys` and `meter.forget-counter`, with a JSON-able answer.

Which secrets a meter has is known to `dcu.conversation.keychange`; here is the way of new ones to the meter:

    open ─► stage (committed) ─► write ─► what it answered (committed) ─► open: under the new, or else under the old
    Wherever this is cut off, the next visit, of whatever kind, opens in the same way and draws the same conclusion.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog

from dcu.archive import Archive
from dcu.bus import Port
from dcu.conversation.keychange import AUTHENTICATION, ENCRYPTION, PASSWORD, TOGETHER, KeyChanges, kinds_of
from dcu.conversation.opening import SessionMaker
from dcu.conversation.session import QUIET, Session, unwatched
from dcu.dlms.authentication import HIGH_LEVEL
from dcu.dlms.renewal import KeyId, change_password, transfer_keys
from dcu.dlms.services import AccessError, Action, Set
from dcu.errors import BusError, MeterError, NotAskedError, NotGivenError, UnsureError
from dcu.messages.catalogue import FORGET_COUNTER
from dcu.model import Access, Authentication, Keys, Meter, Referencing, Visit
from dcu.polling.presence import recognise

log = structlog.get_logger()

_KEY_IDS: Final = {ENCRYPTION: KeyId.UNICAST_ENCRYPTION, AUTHENTICATION: KeyId.AUTHENTICATION}


async def carry_out(
    sessions: SessionMaker,
    port: Port,
    meter: Meter,
    visit: Visit,
    archive: Archive,
    alive: Callable[[], None],
    permit: Callable[[], None] = unwatched,
) -> dict[str, Any]:
    """Carry out the command of `visit`; nobody else has a session with `meter`. `permit` is asked before it is changed.

    It is asked, too, before a counter is forgotten: that changes us, and what we take from the meter. NotGivenError
    when the meter stays as it was, and what for, NotAskedError when it was not even asked; UnsureError when it is not
    known; what `SessionMaker.open`, `recognise` and `permit` raise before anything was done.
    """
    assert visit.command is not None
    if visit.command.name == FORGET_COUNTER:
        return await _forget_counter(sessions, port, meter, archive, alive, permit)
    asked = visit.command.args["kinds"]
    assert isinstance(asked, list)
    change = _Change(sessions, port, meter, archive, alive, permit)
    return await change.run(asked, doubtful=visit.doubtful)


async def _forget_counter(
    sessions: SessionMaker,
    port: Port,
    meter: Meter,
    archive: Archive,
    alive: Callable[[], None],
    permit: Callable[[], None],
) -> dict[str, Any]:
    access = sessions.access(meter)
    if not access.ciphered or access.authentication not in HIGH_LEVEL:
        raise NotAskedError(f"access {access.name} has no counter of {meter.id}, or no proof that the meter is there")

    async def admit(session: Session) -> None:
        await archive.check_title(meter.id, session.title)
        permit()

    before, now = await sessions.believe(port, meter, admit, alive)
    log.warning("security event: a meter's invocation counter is believed anew", meter=meter.id, before=before, now=now)
    return {"meter": meter.id, "before": before, "now": now}


class _Change:
    """One command to change the secrets of one meter."""

    def __init__(
        self,
        sessions: SessionMaker,
        port: Port,
        meter: Meter,
        archive: Archive,
        alive: Callable[[], None],
        permit: Callable[[], None],
    ) -> None:
        if sessions.changes is None:
            raise NotAskedError("keys never change here")
        self._changes: KeyChanges = sessions.changes
        self._access: Access = sessions.access(meter)
        self._sessions = sessions
        self._port = port
        self._meter = meter
        self._archive = archive
        self._alive = alive
        self._permit = permit

    async def run(self, asked: list[str], *, doubtful: bool) -> dict[str, Any]:
        """Give the meter those of its new secrets that were `asked` for (none: all) and that it has not yet.

        `doubtful`: an earlier run of the same command may have done so; then it is only looked.
        """
        kinds = self._kinds(asked)
        session = await self._open()
        await self._look(session, doubtful=doubtful)
        given: list[str] = []
        for together in TOGETHER:
            secrets = self._changes.wanted(self._meter.id, [kind for kind in together if kind in kinds])
            if secrets and doubtful:
                await session.close()
                raise NotGivenError(f"{self._meter.id} has its old {', '.join(secrets)}")
            if secrets:
                session = await self._give(session, secrets)
                given += secrets
        await session.close()
        return self._changes.describe(self._meter.id) | {"changed": given}

    async def _look(self, session: Session, *, doubtful: bool) -> None:
        """Have it that the meter in `session` is ours; raises what `recognise` raises."""
        own = self._meter == self._archive.meter(self._meter.id)
        try:
            await recognise(session, self._archive, self._meter.id, own=own, doubtful=doubtful)
        except NotGivenError:
            await session.close()
            raise

    def _kinds(self, asked: list[str]) -> tuple[str, ...]:
        """Return the kinds to be changed; NotAskedError when one cannot be, or there is nothing to change."""
        if self._access.referencing is Referencing.SN:
            raise NotAskedError("secrets are changed by logical names, and this access has short ones")
        possible = kinds_of(self._access)
        if unproved := [kind for kind in asked if kind not in possible]:
            raise NotAskedError(f"access {self._access.name} proves no {', '.join(unproved)}")
        kinds = tuple(asked) or possible
        missing = self._changes.missing(self._meter.id, kinds)
        if missing and (asked or missing == kinds):
            raise NotAskedError(f"new_keys has no {', '.join(missing)} for {self._meter.id}")
        kinds = tuple(kind for kind in kinds if kind not in missing)
        bare = not self._access.ciphered and self._access.authentication is not Authentication.LLS
        if PASSWORD in kinds and bare:  # under LLS it is in the clear each time
            raise NotAskedError(f"an HLS secret would travel in the clear: access {self._access.name} is not ciphered")
        return kinds

    async def _give(self, session: Session, secrets: Mapping[str, bytes]) -> Session:
        """Return a session under the new secrets."""
        changes, meter = self._changes, self._meter.id
        request = _request(self._access, secrets, changes.in_force(meter), meter)
        self._permit()
        await changes.stage(meter, secrets)
        try:
            answer = await session.perform(request)
        except BusError as error:
            raise UnsureError(str(error)) from error
        except MeterError as error:  # what it has now, the next association tells
            said = str(error)
            await self._port.drain(QUIET)
        else:
            refused = isinstance(answer, AccessError)
            said = str(answer) if refused else "it takes them, and goes on with the old"
            await changes.answered(meter, taken=not refused)
            await session.close()
        try:
            session = await self._open()
        except MeterError as error:
            raise UnsureError(str(error)) from error
        if kept := changes.wanted(meter, tuple(secrets)):
            await session.close()
            raise NotGivenError(f"{meter} keeps its old {', '.join(kept)}: {said}")
        log.info("secrets changed", meter=meter, kinds=[*secrets])
        return session

    async def _open(self) -> Session:
        return await self._sessions.open(self._port, self._meter, self._alive)


def _request(access: Access, secrets: Mapping[str, bytes], in_force: Keys, meter: str) -> Set | Action:
    if PASSWORD in secrets:
        return change_password(secrets[PASSWORD], access.authentication)
    if not in_force.master_key:
        raise NotGivenError(f"keys has no master_key for {meter}: new keys travel under it")
    return transfer_keys({_KEY_IDS[kind]: secret for kind, secret in secrets.items()}, in_force.master_key)
