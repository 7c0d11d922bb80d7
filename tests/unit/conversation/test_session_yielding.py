"""A conversation that stops for something urgent: between requests, blocks and segments, with what it has."""

from collections.abc import Callable
from dataclasses import replace
from typing import cast

import pytest

from dcu.conversation.session import LIST_BOUND, MAX_NOTIFIED, Session, Yielded
from dcu.dlms.association import Association, Event, Notified, Response
from dcu.dlms.notifications import DataNotification
from dcu.dlms.services import Get, by_entry
from dcu.model import Attribute
from sim.virtual import VirtualClock
from tests.items import ENERGY, REGISTERS
from tests.lines import COMPANION, Box, virtually

ROWS = Get(Attribute(7, COMPANION.streams["load0"].name), by_entry(1, 40))


def after(asked: int) -> Callable[[], bool]:
    """Say that something is urgent from the question number `asked` on, counted from 1."""
    left = iter([False] * (asked - 1))
    return lambda: next(left, True)


def test_between_two_requests_what_was_answered_is_kept_and_the_conversation_goes_on() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        session = await box.session()
        before = box.requests
        with pytest.raises(Yielded) as stop:
            await session.get([ENERGY] * (2 * LIST_BOUND), urgent=after(2))
        assert stop.value.open
        assert len(stop.value.results) == LIST_BOUND
        assert box.requests - before == 1
        # the same conversation answers the rest, and is not urgent any more
        assert len(await session.get(REGISTERS)) == len(REGISTERS)
        await session.close()

    virtually(work)


def test_a_meter_asked_one_by_one_keeps_what_it_answered() -> None:
    async def work(clock: VirtualClock) -> None:
        session = await Box(clock).session()
        session._list_room = 0
        with pytest.raises(Yielded) as stop:
            await session.get(REGISTERS, urgent=after(4))
        assert stop.value.open
        assert stop.value.results == await session.get(REGISTERS[:3])
        await session.close()

    virtually(work)


@pytest.mark.parametrize("cut", ["segments", "blocks"])
def test_within_an_answer_the_conversation_is_closed_and_the_next_one_finds_the_line_free(
    cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if cut == "blocks":
        monkeypatch.setattr("dcu.dlms.association.MAX_PDU", 256)

    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        if cut == "segments":
            box.meters[0].plate = replace(box.meters[0].plate, max_info=128)
        session = await box.session()
        with pytest.raises(Yielded) as stop:
            await session.get([ENERGY, ROWS], urgent=after(4))
        assert not stop.value.open
        assert stop.value.results == []
        assert box.bus.line.next_wake() is None
        began = clock.monotonic()
        session = await box.session(1)
        assert isinstance((await session.get([ENERGY]))[0], int)
        await session.close()
        session = await box.session()
        energy, rows = await session.get([ENERGY, ROWS], urgent=lambda: False)
        assert isinstance(energy, int)
        assert len(rows) == 40
        assert clock.monotonic() - began < 6
        await session.close()

    virtually(work)


def test_what_was_said_unasked_is_handed_on_and_bounded() -> None:
    class Telling:
        def __init__(self) -> None:
            told: list[Event] = [Notified(DataNotification(number, None, 0)) for number in range(MAX_NOTIFIED + 1)]
            self.events = iter([*told, Response([230])])

        def send(self, request: object) -> bytes:
            return b"?"

        def next_event(self) -> Event:
            return next(self.events)

    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        session = Session(box.port, box.settings, cast("Association", Telling()))
        assert await session.get([ENERGY]) == [230]
        assert session.notified.popleft() == DataNotification(1, None, 0)
        assert len(session.notified) == MAX_NOTIFIED - 1

    virtually(work)
