"""Which commands have a conversation of their own, and that what is held open makes room for it."""

from contextlib import suppress
from dataclasses import replace

import pytest

from dcu.errors import MeterError, NotAskedError, OverError, UnsureError
from dcu.model import Access, Authentication, Command, Meter, Priority, Reach, Visit
from dcu.polling.clocks import SET_CLOCK
from dcu.polling.commanding import Permit, Told
from dcu.polling.poll import Poll
from sim.virtual import VirtualClock
from tests.lines import CIPHERED, COMPANION, LOAD, Box, settle, virtually

SETTING = Access("setting", 48, Authentication.HLS_GMAC, ciphered=True)
DAYS = {"object": "0-0:11.0.0.255", "class": 11, "attribute": 2, "value": [{"index": 1, "date": "*-12-25", "day": 2}]}
OTHERWISE = replace(COMPANION, clients={"setting": SETTING}, tasks={"meter.set": "setting"})


def street(clock: VirtualClock) -> tuple[Box, Poll]:
    box = Box(clock)
    box.companion = OTHERWISE
    poll = box.poll(LOAD)
    poll.sessions._access = {**box.fleet.access, **OTHERWISE.access}
    return box, poll


def carrying(name: str, **args: object) -> Visit:
    return Visit("M0001", command=Command("c1", name, ("M0001",), dict(args)), priority=Priority.COMMAND)


async def apart(poll: Poll, visit: Visit) -> Told | None:
    return await poll._commanding.apart(visit, poll.port, Permit(visit, poll.orders))


def test_what_readings_access_may_do_is_done_over_what_is_held_open() -> None:
    async def work(clock: VirtualClock) -> None:
        box, poll = street(clock)
        assert await apart(poll, carrying("meter.read")) is None
        assert box.requests == 0

    virtually(work)


def test_another_client_without_keys_is_an_answer_and_nothing_is_said() -> None:
    async def work(clock: VirtualClock) -> None:
        box, poll = street(clock)
        with pytest.raises(NotAskedError, match="no keys for the access idis:setting"):
            await apart(poll, carrying("meter.set", object="0-0:1.0.0.255"))
        assert box.requests == 0

    virtually(work)


@pytest.mark.parametrize("name", [SET_CLOCK, "meter.set"])
def test_what_is_held_open_with_the_meter_is_closed_first(name: str) -> None:
    async def work(clock: VirtualClock) -> None:
        _, poll = street(clock)
        await settle(poll)
        dismissed: list[str] = []
        dismiss = poll.held.dismiss

        async def noted(meter: str) -> None:
            dismissed.append(meter)
            await dismiss(meter)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(poll.held, "dismiss", noted)
            with suppress(NotAskedError):
                await apart(poll, carrying(name))
        assert dismissed == ["M0001"]

    virtually(work)


OTHERS = Command("c1", "meter.get", ("M0001",), device={"line": "another"})
ASKED_NOBODY = [
    (carrying("meter.set", **DAYS), True, "no keys for the access idis:setting"),
    (carrying(SET_CLOCK), False, "this unit's own clock is not trusted"),
    (
        Visit("M0001", command=OTHERS, priority=Priority.COMMAND),
        True,
        "its line in the archive was another",
    ),
    (carrying("meter.change-keys", kinds=["password"]), True, "keys never change here"),
]


@pytest.mark.parametrize("doubtful", [False, True])
@pytest.mark.parametrize(("visit", "trusted", "reason"), ASKED_NOBODY, ids=[each[-1] for each in ASKED_NOBODY])
def test_an_answer_that_nobody_was_asked_for_says_nothing_about_the_meter(
    visit: Visit, trusted: bool, reason: str, doubtful: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(clock: VirtualClock) -> None:
        box, poll = street(clock)
        poll.plan.presume_unreachable("M0001", clock.monotonic())
        reached: list[str] = []

        async def noted(meter: str, state: Reach, *, answered: bool) -> None:
            reached.append(f"{meter} {state} {answered}")

        poll.reached = noted
        monkeypatch.setattr(VirtualClock, "trusted", lambda _: trusted)
        poll.submit(replace(visit, doubtful=doubtful))
        await poll.step()
        ((_, found, error),) = box.answers
        assert found is None
        assert error is not None
        assert reason in error
        assert error.startswith("not known whether") is doubtful
        assert (poll.plan.reach("M0001"), reached, box.requests) == (Reach.UNREACHABLE, [], 0)
        assert (poll.health.visits, poll.airtimes.visits) == (0, {})

    virtually(work)


def test_only_the_meter_that_is_meant_is_opened_otherwise() -> None:
    async def work(clock: VirtualClock) -> None:
        _, poll = street(clock)
        meter: Meter = poll.archive.meter("M0001")
        assert poll.archive.opened_for("M0001", "meter.set") == replace(meter, access="idis:setting")
        assert poll.archive.meter("M0001") is meter

    virtually(work)


def test_a_permit_is_asked_once_for_all_that_a_command_sends() -> None:
    async def work(clock: VirtualClock) -> None:
        box, poll = street(clock)
        permit = Permit(carrying("meter.set"), poll.orders)
        assert (permit.doubtful, permit.said(MeterError("silent"))) == (False, "silent")
        permit()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(box, "sending", lambda _: False)
            permit()
            with pytest.raises(OverError, match="over before it was sent"):
                Permit(carrying("meter.set"), poll.orders)()
        assert permit.doubtful
        assert permit.said(MeterError("silent")) == f"{UnsureError('silent')}"
        assert permit.said(UnsureError("silent")) == f"{UnsureError('silent')}"

    virtually(work)


def test_what_may_have_been_sent_before_is_not_sent() -> None:
    async def work(clock: VirtualClock) -> None:
        _, poll = street(clock)
        with pytest.raises(UnsureError):
            Permit(replace(carrying("meter.set"), doubtful=True), poll.orders)()

    virtually(work)


@pytest.mark.parametrize("name", ["meter.set", SET_CLOCK])
def test_what_is_over_by_the_time_its_meter_is_open_is_not_sent(name: str) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        poll = box.poll()
        box.meters[0].clock_shift = 60.0
        visit = carrying(name, **DAYS) if name == "meter.set" else carrying(name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(box, "sending", lambda _: False)
            poll.submit(visit)
            await poll.step()
        ((_, found, error),) = box.answers
        assert (found, error) == (None, "its time was over before it was sent")
        # the meter has done nothing wrong
        assert (poll.health.ok, poll.health.refused) == (1, 0)
        assert (dict(box.meters[0].shelf), box.meters[0].clock_shift) == ({}, 60.0)

    virtually(work)
