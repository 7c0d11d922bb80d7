"""One conversation over a simulated line, in virtual time: what it says, how long it waits, and what it believes."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from dcu.conversation.session import LIST_BOUND
from dcu.conversation.singles import BELIEVED
from dcu.dlms.acse import Conformance
from dcu.dlms.hdlc import Parameters
from dcu.dlms.hdlc_link import HdlcLink
from dcu.dlms.services import AccessError, ExceptionResponse, Get, GetList, UnservedError, by_entry
from dcu.errors import StaleError
from dcu.model import Attribute, Ciphering
from sim import server
from sim.virtual import VirtualClock
from tests.items import ENERGY, REGISTERS, UNKNOWN, moment
from tests.lines import BAUD, CIPHERED, COMPANION, Box, virtually


@pytest.mark.parametrize(("max_info", "window"), [(2030, 1), (128, 7), (32, 1)])
def test_a_meter_is_offered_the_frames_the_bus_says_and_reads_as_well(max_info: int, window: int) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        box.meters[0].plate = replace(box.meters[0].plate, max_info=256, window=4)
        box.settings = replace(box.settings, max_info=max_info, window=window)
        session = await box.session()
        granted = cast("HdlcLink", session._association._link)._granted
        info, frames = min(max_info, 256), min(window, 4)
        assert granted == Parameters(info, info, frames, frames)
        answers = await session.get([ENERGY] * LIST_BOUND)
        assert len(set(answers)) == 1
        assert isinstance(answers[0], int)
        await session.close()

    virtually(work)


def test_every_item_gets_its_own_answer_in_the_order_asked() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        session = await box.session()
        answers = await session.get([REGISTERS[2], UNKNOWN, REGISTERS[0], Get(COMPANION.clock)])
        assert answers[1] == AccessError(4)
        at = moment(answers[3])
        assert [answers[0], answers[2]] == [box.meters[0].value(REGISTERS[n].attribute, at) for n in (2, 0)]
        await session.close()

    virtually(work)


def test_many_items_are_asked_in_lists_no_meter_finds_too_long() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        session = await box.session()
        before = box.requests
        answers = await session.get([ENERGY] * (2 * LIST_BOUND + 1))
        assert len(answers) == 2 * LIST_BOUND + 1
        assert box.requests - before == 3
        assert await session.get([]) == []
        await session.close()

    virtually(work)


def test_a_meter_without_lists_is_asked_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.server.CONFORMANCE", server.CONFORMANCE & ~Conformance.MULTIPLE_REFERENCES)

    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        session = await box.session()
        before = box.requests
        answers = await session.get([*REGISTERS, UNKNOWN])
        assert box.requests - before == 5
        assert answers[4] == AccessError(4)
        assert all(isinstance(answer, int) for answer in answers[:4])
        await session.close()

    virtually(work)


def test_a_meter_that_treats_no_list_after_all_is_asked_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    respond = server.ServerAssociation._respond
    refuse = ExceptionResponse(2, 2)
    monkeypatch.setattr(
        server.ServerAssociation,
        "_respond",
        lambda self, request, at: refuse if isinstance(request, GetList) else respond(self, request, at),
    )

    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        session = await box.session()
        before = box.requests
        began = clock.monotonic()
        answers = await session.get([ENERGY] * (LIST_BOUND + 2))
        assert all(isinstance(answer, int) for answer in answers)
        assert box.requests - before == 1 + LIST_BOUND + 2
        # the first single request is the one that describes the first value
        assert began < session.asked_at < began + 1.0
        await session.close()

    virtually(work)


def refusing(monkeypatch: pytest.MonkeyPatch, refused: Callable[[Any], bool]) -> None:
    """Let simulated meters treat none of the requests that are `refused`."""
    respond = server.ServerAssociation._respond
    monkeypatch.setattr(
        server.ServerAssociation,
        "_respond",
        lambda self, request, at: ExceptionResponse(2, 1) if refused(request) else respond(self, request, at),
    )


def asks(request: Any, item: Get) -> bool:
    return item in (request.items if isinstance(request, GetList) else (request,))


def test_what_a_meter_cannot_treat_at_all_leaves_the_others_and_is_asked_alone_from_then_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refusing(monkeypatch, lambda request: asks(request, UNKNOWN))

    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        maker = box.maker()
        asked = [*REGISTERS[:2], UNKNOWN, *REGISTERS[2:]]
        counts = []
        for _ in range(3):
            session = await maker.open(box.port, box.entry())
            before = box.requests
            answers = await session.get(asked)
            counts.append(box.requests - before)
            assert isinstance(answers.pop(2), UnservedError)
            assert all(isinstance(answer, int) for answer in answers)
            await session.close()
        # the list and each of the five alone; then what is before it, it, and what is behind it
        assert counts == [6, 3, 3]

    virtually(work)


def test_a_single_question_that_is_not_served_says_why_and_the_conversation_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refusing(monkeypatch, lambda request: asks(request, UNKNOWN))

    async def work(clock: VirtualClock) -> None:
        session = await Box(clock).session()
        (answer,) = await session.get([UNKNOWN])
        assert str(answer) == "the meter refused: exception: operation not possible (state error 2)"
        assert isinstance((await session.get([ENERGY]))[0], int)
        await session.close()

    virtually(work)


def test_an_association_gone_on_with_over_which_nothing_is_served_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[bool] = []
    refusing(monkeypatch, lambda _: bool(refused))

    async def work(clock: VirtualClock) -> None:
        session = await Box(clock).session()
        await session.get(REGISTERS)
        assert session.rest()
        session.resume()
        refused.append(True)
        with pytest.raises(StaleError, match="not possible"):
            await session.get(REGISTERS)

    virtually(work)


def test_a_meter_that_treats_no_list_is_not_asked_for_one_again_that_day(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(monkeypatch, lambda request: isinstance(request, GetList))

    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        maker = box.maker()
        counts = []
        for pause in (0.0, BELIEVED, 0.0):
            session = await maker.open(box.port, box.entry())
            before = box.requests
            await session.get(REGISTERS)
            counts.append(box.requests - before)
            await session.close()
            await asyncio.sleep(pause)
        assert counts == [5, 4, 5]
        # another meter of the line may know lists
        session = await maker.open(box.port, box.entry(1))
        before = box.requests
        await session.get(REGISTERS)
        assert box.requests - before == 5

    virtually(work)


def test_a_meter_without_selective_access_gives_its_whole_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    profile = Get(Attribute(7, COMPANION.streams["load0"].name), by_entry(1, 2))

    async def work(clock: VirtualClock) -> int:
        session = await Box(clock).session()
        (rows,) = await session.get([profile])
        await session.close()
        return len(rows)

    assert virtually(work) == 2
    monkeypatch.setattr("sim.server.CONFORMANCE", server.CONFORMANCE & ~Conformance.SELECTIVE_ACCESS)
    assert virtually(work) > 2


def test_a_meter_with_a_small_request_buffer_is_asked_in_shorter_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.server.MAX_PDU", 128)

    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        session = await box.session()
        before = box.requests
        answers = await session.get([ENERGY] * 20)
        assert len(answers) == 20
        assert 1 < box.requests - before < 6
        await session.close()

    virtually(work)


@pytest.mark.parametrize("size", [90, 128, 160, 200, 256])
@pytest.mark.parametrize("form", [Ciphering.GLO, Ciphering.GENERAL_GLO, Ciphering.GENERAL, Ciphering.GENERAL_DED])
def test_a_list_leaves_room_for_its_protection(size: int, form: Ciphering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.server.MAX_PDU", size)
    monkeypatch.setattr("sim.fleet.MANAGEMENT", replace(server.MANAGEMENT, ciphering=form))

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        session = await box.session()
        before = box.requests
        assert all(isinstance(answer, int) for answer in await session.get([ENERGY] * LIST_BOUND))
        # one that did not fit would have been asked one by one
        assert size < 128 or box.requests - before < LIST_BOUND
        await session.close()

    virtually(work)


def test_what_was_asked_first_is_remembered_half_way_between_question_and_answer() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        session = await box.session()
        began, sent = clock.monotonic(), box.bus.counters.octets_in
        await session.get([ENERGY])
        octets = box.bus.counters.octets_in - sent
        left = began + octets * 10 / BAUD
        # the meter turned 20 ms long, and its first octets took some more: not the whole answer counts
        assert left + 0.01 < session.asked_at < left + 0.02 < clock.monotonic()
        before = clock.monotonic()
        await session.get([ENERGY] * (LIST_BOUND + 1))
        # two requests went out: the first one counts
        assert before < session.asked_at < before + 0.4
        await session.close()

    virtually(work)
