"""One conversation over a simulated line, in virtual time: what it says, how long it waits, and what it believes."""

from dataclasses import replace
from typing import cast

import pytest

from dcu.dlms.acse import Conformance
from dcu.dlms.hdlc import Parameters
from dcu.dlms.hdlc_link import HdlcLink
from dcu.dlms.services import AccessError, ExceptionResponse, Get, GetList, by_entry
from dcu.errors import NotServedError
from dcu.model import Attribute
from dcu.session import LIST_BOUND
from sim import server
from sim.virtual import VirtualClock
from tests.items import ENERGY, REGISTERS, UNKNOWN, moment
from tests.lines import BAUD, COMPANION, Box, virtually


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


def test_what_a_meter_cannot_treat_at_all_leaves_the_conversation_open(monkeypatch: pytest.MonkeyPatch) -> None:
    respond = server.ServerAssociation._respond
    monkeypatch.setattr(
        server.ServerAssociation,
        "_respond",
        lambda self, request, at: ExceptionResponse(2, 1) if request == UNKNOWN else respond(self, request, at),
    )

    async def work(clock: VirtualClock) -> None:
        session = await Box(clock).session()
        with pytest.raises(NotServedError, match="not possible"):
            await session.get([UNKNOWN])
        assert isinstance((await session.get([ENERGY]))[0], int)
        await session.close()

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
        assert 2 < box.requests - before < 6
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
