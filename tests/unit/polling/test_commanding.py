"""Which commands have a conversation of their own, and that what is held open makes room for it."""

from dataclasses import replace

import pytest

from dcu.model import Access, Authentication, Command, Meter, Priority, Visit
from dcu.polling.clocks import SET_CLOCK
from dcu.polling.poll import Poll
from sim.virtual import VirtualClock
from tests.lines import COMPANION, LOAD, Box, settle, virtually

SETTING = Access("setting", 48, Authentication.HLS_GMAC, ciphered=True)
OTHERWISE = replace(COMPANION, clients={"setting": SETTING}, tasks={"meter.set": "setting"})


def street(clock: VirtualClock) -> tuple[Box, Poll]:
    box = Box(clock)
    box.companion = OTHERWISE
    poll = box.poll(LOAD)
    poll.sessions._access = {**box.fleet.access, **OTHERWISE.access}
    return box, poll


def carrying(name: str, **args: object) -> Visit:
    return Visit("M0001", command=Command("c1", name, ("M0001",), dict(args)), priority=Priority.COMMAND)


def test_what_readings_access_may_do_is_done_over_what_is_held_open() -> None:
    async def work(clock: VirtualClock) -> None:
        box, poll = street(clock)
        assert await poll._commanding.apart(carrying("meter.read"), box.port) is None
        assert box.requests == 0

    virtually(work)


def test_another_client_without_keys_is_an_answer_and_nothing_is_said() -> None:
    async def work(clock: VirtualClock) -> None:
        box, poll = street(clock)
        told = await poll._commanding.apart(carrying("meter.set", object="0-0:1.0.0.255"), box.port)
        assert told == (None, "no keys for the access idis:setting")
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
            await poll._commanding.apart(carrying(name), poll.port)
        assert dismissed == ["M0001"]

    virtually(work)


def test_only_the_meter_that_is_meant_is_opened_otherwise() -> None:
    async def work(clock: VirtualClock) -> None:
        _, poll = street(clock)
        meter: Meter = poll.archive.meter("M0001")
        assert poll.archive.opened_for("M0001", "meter.set") == replace(meter, access="idis:setting")
        assert poll.archive.meter("M0001") is meter

    virtually(work)
