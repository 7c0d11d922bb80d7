"""A meter that answers a question with an exception, always or for a while: it costs what was asked, no more."""

from collections.abc import Callable
from typing import Any

import pytest

from dcu.dlms.services import ExceptionResponse, Get, GetList
from dcu.model import INSTANT, Attribute
from dcu.obis import parse_obis
from sim import server
from sim.virtual import VirtualClock
from tests.lines import COMPANION, LOAD, REGISTERS, Box, assert_true, run_for, virtually

SCALER = Attribute(3, parse_obis("1-0:1.8.0.255"), 3)
VOLTAGE = Attribute(3, parse_obis("1-0:32.7.0.255"), 3)
BUFFER = Attribute(7, COMPANION.streams["load0"].name, 2)
DAY = 86_400.0

Excepting = Callable[[set[Attribute]], None]


@pytest.fixture
def excepting(monkeypatch: pytest.MonkeyPatch) -> Excepting:
    """Let the first meter, and it alone, answer with an exception whatever asks for one of a set of attributes."""

    def begin(refused: set[Attribute]) -> None:
        respond = server.ServerAssociation._respond

        def answer(self: server.ServerAssociation, request: Any, at: int) -> Any:
            items: tuple[Any, ...] = (
                request.items if isinstance(request, GetList) else (request,) if isinstance(request, Get) else ()
            )
            bad = self._meter.plate.id == "M0001" and any(item.attribute in refused for item in items)
            return ExceptionResponse(2, 1) if bad else respond(self, request, at)

        monkeypatch.setattr(server.ServerAssociation, "_respond", answer)

    return begin


def streams_of(box: Box, meter: str) -> list[str]:
    assert_true(box, box.store.captures)
    return [capture.stream for capture in box.store.captures if capture.meter == meter]


def test_a_buffer_costs_its_stream(excepting: Excepting) -> None:
    excepting({BUFFER})

    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        poll = box.poll(REGISTERS, LOAD)
        await run_for(poll, 3600.0)
        assert set(streams_of(box, "M0001")) == {INSTANT}
        assert poll.health.refused == 0
        # nothing is settled by such an answer: its rows are still to be asked for
        assert ("M0001", "load0") not in box.store.watermarks

    virtually(work)


def test_a_scaler_costs_the_register_in_lists_and_lets_its_rows_wait(excepting: Excepting) -> None:
    refused = {SCALER}
    excepting(refused)

    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        poll = box.poll(REGISTERS, LOAD)
        await run_for(poll, 3600.0)
        assert set(streams_of(box, "M0001")) == {INSTANT}
        names = {
            column.name for capture in box.store.captures if capture.meter == "M0001" for column in capture.columns
        }
        assert SCALER.name not in names
        assert VOLTAGE.name in names
        assert INSTANT not in box.store.shapes["M0001"]
        refused.clear()
        await run_for(poll, DAY + 3600.0)
        newest = [each for each in box.store.captures if (each.meter, each.stream) == ("M0001", INSTANT)][-1]
        assert SCALER.name in {column.name for column in newest.columns}
        assert "load0" in streams_of(box, "M0001")
        assert INSTANT in box.store.shapes["M0001"]

    virtually(work)


def test_a_row_of_nothing_is_no_capture(excepting: Excepting) -> None:
    refused: set[Attribute] = set()
    excepting(refused)

    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        poll = box.poll(REGISTERS)
        await run_for(poll, 1800.0)
        held = len(streams_of(box, "M0001"))
        assert held
        refused.update(Attribute(3, each.name) for each in COMPANION.registers)
        await run_for(poll, 2 * 3600.0)
        assert len(streams_of(box, "M0001")) == held
        assert len(streams_of(box, "M0002")) > held

    virtually(work)
