"""The way of new secrets to a meter, command by command: what it takes, what it refuses, and what is said of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dcu.archive import IDENTITY
from dcu.conversation.invocations import Invocations
from dcu.conversation.keychange import State
from dcu.conversation.opening import SessionMaker
from dcu.conversation.recognition import TITLE as TITLE_WORD
from dcu.errors import Breach, MeterError, NotGivenError, SecurityError, UnsureError
from dcu.model import Keys
from sim import secrets, server
from sim.fleet import FleetPlan
from sim.objects import READ_WRITE_DENIED
from sim.virtual import VirtualClock
from tests.asyncapi import faults_of_result
from tests.lines import REGISTERS, TITLE, settle, virtually
from tests.rekeying import NEW, Rekeying, rekeyed, visit

ONE_READER = FleetPlan(meters=1, buses=1, hls=0)
#: How often the link sends what is not answered.
TRIES = 4


def test_both_keys_change_and_are_known_after_a_restart(tmp_path: Path) -> None:
    async def work(rekeying: Rekeying) -> None:
        told = await rekeying.change()
        assert told["changed"] == ["encryption", "authentication"]
        assert (told["current"]["generation"], told["current"]["state"], told["coming"]) == (1, "current", None)
        assert not faults_of_result("meter.change-keys", told)
        assert rekeying.meter.keys == rekeying.given
        await rekeying.start()
        await rekeying.read()
        assert rekeying.settled()

    rekeyed(tmp_path, work)


def test_what_was_changed_already_is_not_sent_again(tmp_path: Path) -> None:
    async def work(rekeying: Rekeying) -> None:
        await rekeying.change("authentication")
        assert rekeying.meter.keys == replace(rekeying.old, authentication_key=NEW.authentication_key)
        assert (await rekeying.change())["changed"] == ["encryption"]
        again = await rekeying.change()
        assert (again["changed"], again["current"]["generation"]) == ([], 2)

    rekeyed(tmp_path, work)


def test_the_password_of_a_reader_changes(tmp_path: Path) -> None:
    async def work(rekeying: Rekeying) -> None:
        assert (await rekeying.change())["changed"] == ["password"]
        assert rekeying.meter.keys.password == b"new"
        await rekeying.read()
        assert rekeying.settled()

    rekeyed(tmp_path, work, ONE_READER)


def test_keys_and_password_of_one_access_change_one_after_the_other(tmp_path: Path) -> None:
    sealed = next(each for each in server.OTHERS if each.name == "sealed")

    async def work(rekeying: Rekeying) -> None:
        told = await rekeying.change()
        assert told["changed"] == ["encryption", "authentication", "password"]
        assert told["current"]["generation"] == 2
        assert rekeying.meter.keys == replace(rekeying.given, password=b"new")
        assert rekeying.settled()

    rekeyed(tmp_path, work, access=sealed)


def test_a_wrong_master_key_leaves_everything_as_it_was(tmp_path: Path) -> None:
    async def work(rekeying: Rekeying) -> None:
        rekeying.old = replace(rekeying.old, master_key=b"x" * 16)
        await rekeying.start()
        with pytest.raises(NotGivenError, match="M0001 keeps its old encryption, authentication: read-write denied"):
            await rekeying.change()
        assert await rekeying.store.all() == []
        await rekeying.read()
        assert rekeying.changes.in_force("M0001") == rekeying.old

    rekeyed(tmp_path, work)


def test_a_meter_that_says_yes_and_does_not_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(rekeying: Rekeying) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(secrets, "_keys", lambda *_: None)
            with pytest.raises(NotGivenError, match="it takes them, and goes on with the old"):
                await rekeying.change()
        assert rekeying.changes.coming("M0001") is State.WAITING
        requests = rekeying.box.requests
        await rekeying.read()
        # the old ones are tried first, so it costs nothing
        usual = rekeying.box.requests - requests
        rekeying.meter.keys = rekeying.given
        await rekeying.start()
        await rekeying.read()
        assert rekeying.settled()
        requests = rekeying.box.requests
        await rekeying.read()
        assert rekeying.box.requests - requests == usual

    rekeyed(tmp_path, work)


def losing(rekeying: Rekeying, patch: pytest.MonkeyPatch) -> None:
    """The meter takes keys from now on, and nobody hears what it says to that."""
    take = secrets._keys

    def taken(*request: Any) -> Any:
        rekeying.port.eaten = range(rekeying.port.writes, rekeying.port.writes + TRIES)
        return take(*request)

    patch.setattr(secrets, "_keys", taken)


def test_a_meter_whose_answer_was_lost_may_turn_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It opens under the old as long as it likes: whether it took the new, nobody can know."""

    async def work(rekeying: Rekeying) -> None:
        rekeying.meter.prompt = False
        with monkeypatch.context() as patch:
            losing(rekeying, patch)
            with pytest.raises(NotGivenError, match="M0001 keeps its old encryption, authentication: silent"):
                await rekeying.change()
        for _ in range(2):
            await rekeying.start()
            await rekeying.read()
            assert rekeying.changes.coming("M0001") is State.WAITING
        rekeying.meter.turn()
        assert rekeying.meter.keys == rekeying.given
        await rekeying.start()
        await rekeying.read()
        assert rekeying.settled()

    rekeyed(tmp_path, work)


def test_what_may_have_been_taken_is_not_forgotten_because_it_is_refused_when_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(rekeying: Rekeying) -> None:
        rekeying.meter.prompt = False
        with monkeypatch.context() as patch:
            losing(rekeying, patch)
            with pytest.raises(NotGivenError, match="silent"):
                await rekeying.change()
        with monkeypatch.context() as patch:
            patch.setattr(secrets, "_keys", lambda *_: READ_WRITE_DENIED)
            with pytest.raises(NotGivenError, match="read-write denied"):
                await rekeying.change()
        rekeying.meter.turn()
        await rekeying.start()
        await rekeying.read()
        assert rekeying.settled()
        assert rekeying.meter.keys == rekeying.given

    rekeyed(tmp_path, work)


def test_the_same_secrets_may_be_sent_again_to_a_meter_that_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(rekeying: Rekeying) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(secrets, "_keys", lambda *_: None)
            with pytest.raises(NotGivenError):
                await rekeying.change()
        await rekeying.change()
        assert rekeying.settled()
        assert rekeying.meter.keys == rekeying.given

    rekeyed(tmp_path, work)


def test_a_meter_that_opens_under_neither_is_a_security_event_and_both_are_kept(tmp_path: Path) -> None:
    async def work(rekeying: Rekeying) -> None:
        await rekeying.changes.stage("M0001", {"encryption": b"E" * 16})
        rekeying.meter.keys = replace(rekeying.old, encryption_key=b"?" * 16)
        answered = rekeying.box.bus.counters.requests
        with pytest.raises(SecurityError, match="opens under neither set of secrets") as caught:
            await rekeying.read()
        assert caught.value.breach is Breach.KEY
        # SNRM, AARQ and DISC under each, and after each refusal the meter's counter (SNRM, AARQ, GET, DISC): no more
        assert rekeying.box.bus.counters.requests - answered == 2 * (3 + 4)
        assert rekeying.changes.coming("M0001") is State.PENDING
        rekeying.meter.keys = rekeying.old
        await rekeying.read()
        assert rekeying.changes.in_force("M0001") == rekeying.old
        assert rekeying.changes.coming("M0001") is State.WAITING

    rekeyed(tmp_path, work)


def test_a_meter_that_another_has_keeps_both_and_is_no_security_event(tmp_path: Path) -> None:
    async def work(rekeying: Rekeying) -> None:
        await rekeying.changes.stage("M0001", {"encryption": b"E" * 16})
        rekeying.meter.plate = replace(rekeying.meter.plate, single=True)
        box, public = rekeying.box, {rekeying.entry.access: server.PUBLIC}
        other = SessionMaker(box.settings, public, {}, TITLE, Invocations(rekeying.store))
        session = await other.open(rekeying.port, rekeying.entry)
        with pytest.raises(MeterError, match="disconnected") as caught:
            await rekeying.read()
        assert not isinstance(caught.value, SecurityError)
        assert rekeying.changes.coming("M0001") is State.PENDING
        await session.close()
        await rekeying.read()
        assert rekeying.changes.in_force("M0001") == rekeying.old

    rekeyed(tmp_path, work)


def test_a_silent_meter_keeps_both_and_is_no_security_event(tmp_path: Path) -> None:
    async def work(rekeying: Rekeying) -> None:
        take = secrets._keys

        def taken_and_gone(*request: object) -> None:
            rekeying.box.bus.silence("M0001")
            take(*request)  # type: ignore[arg-type]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(secrets, "_keys", taken_and_gone)
            with pytest.raises(UnsureError, match=r"read before you repeat \(silent"):
                await rekeying.change()
        assert rekeying.changes.coming("M0001") is State.WRITTEN
        rekeying.box.bus.silence()
        await rekeying.start()
        await rekeying.read()
        assert rekeying.settled()
        assert rekeying.meter.keys == rekeying.given

    rekeyed(tmp_path, work)


def test_another_meter_that_has_the_same_keys_is_given_none(tmp_path: Path) -> None:
    async def work(rekeying: Rekeying) -> None:
        rekeying.store.shapes["M0001"] = {IDENTITY: {TITLE_WORD: b"SIM00000".hex()}}
        with pytest.raises(SecurityError, match="is not that of M0001") as caught:
            await rekeying.change()
        assert caught.value.breach is Breach.TITLE
        assert rekeying.meter.keys == rekeying.old
        assert await rekeying.store.all() == []
        rekeying.store.shapes["M0001"] = {IDENTITY: {TITLE_WORD: rekeying.meter.title.hex()}}
        await rekeying.change()
        assert rekeying.settled()

    rekeyed(tmp_path, work)


def test_a_doubtful_command_only_looks(tmp_path: Path) -> None:
    async def work(rekeying: Rekeying) -> None:
        with pytest.raises(NotGivenError, match="M0001 has its old encryption, authentication"):
            await rekeying.change(doubtful=True)
        assert rekeying.meter.keys == rekeying.old
        await rekeying.change()
        assert (await rekeying.change(doubtful=True))["changed"] == []

    rekeyed(tmp_path, work)


def test_a_change_of_keys_goes_through_the_flow_and_the_schedule_goes_on(tmp_path: Path) -> None:
    async def work(clock: VirtualClock) -> None:
        rekeying = Rekeying(clock, tmp_path)
        await rekeying.start()
        box = rekeying.box
        poll = box.poll(REGISTERS)
        poll.sessions = poll.held._sessions = poll._commanding.sessions = rekeying.maker
        poll.submit(visit())
        await settle(poll)
        poll.submit(visit("password"))
        await settle(poll)
        (_, told, failed), (_, nothing, reason) = box.answers
        assert (told or {})["changed"] == ["encryption", "authentication"]
        assert failed is None
        assert (nothing, reason) == (None, "access management proves no password")
        assert rekeying.meter.keys == rekeying.given
        assert poll.health.refused == 0
        assert [capture.meter for capture in box.store.captures] == ["M0001"]

    virtually(work)


def test_a_meter_that_opens_under_neither_set_is_visited_once_and_reported(tmp_path: Path) -> None:
    async def work(clock: VirtualClock) -> None:
        rekeying = Rekeying(clock, tmp_path)
        await rekeying.start()
        await rekeying.changes.stage("M0001", {"encryption": b"E" * 16})
        rekeying.meter.keys = Keys()
        poll = rekeying.box.poll()
        poll.sessions = poll.held._sessions = poll._commanding.sessions = rekeying.maker
        poll.submit(visit())
        await poll.step()
        ((_, told, reason),) = rekeying.box.answers
        assert told is None
        assert "opens under neither set" in str(reason)
        assert poll.health.security == {Breach.KEY: 1}
        assert [name for name, _, _ in rekeying.box.reports] == ["security breach"]

    virtually(work)
