"""Meters that answer late: each answer to the question before, or an octet a second. It costs time, never a reading."""

import asyncio

import pytest

from dcu.bus import Port
from dcu.config import BusConfig
from dcu.dlms.hdlc import ServerAddress
from sim.fleet import FleetPlan
from sim.virtual import VirtualClock
from tests.lines import BAUD, LOAD, REGISTERS, Box, PortAround, assert_true, run_for, settle, virtually


class OneSlow(PortAround):
    """Gives what the meter of address `slow` says one octet a second."""

    slow = b""

    def __init__(self, inner: Port) -> None:
        super().__init__(inner)
        self._asked = b""
        self._late = bytearray()

    async def write(self, data: bytes) -> None:
        self._asked = data
        await super().write(data)

    async def read(self) -> bytes:
        if not self._late:
            data = await super().read()
            if self.slow not in self._asked:
                return data
            self._late += data
        await asyncio.sleep(1.0)
        octet = bytes(self._late[:1])
        del self._late[:1]
        return octet

    async def drain(self, quiet: float) -> bool:
        self._late.clear()
        return await super().drain(quiet)


@pytest.mark.parametrize("hls", [0, 256])
def test_a_meter_whose_answers_are_to_the_question_before_gives_no_reading(hls: int) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, FleetPlan(meters=2, buses=1, hls=hls, seed=4))
        box.settings = BusConfig("line", "memory", BAUD, keep_open=0.0)
        poll = box.poll(REGISTERS, LOAD)
        await settle(poll)
        good = len(box.store.captures)
        assert good
        box.meters[0].behind = True
        # one question each visit, so that each answer would fit the next visit's question
        await run_for(poll, 5 * 3600.0)
        late = [each for each in box.store.captures[good:] if each.meter == "M0001"]
        assert late == []
        assert_true(box, box.store.captures)
        assert {each.meter for each in box.store.captures[good:]} == {"M0002"}
        box.meters[0].behind = False
        await run_for(poll, 3600.0)
        assert_true(box, box.store.captures)
        assert "M0001" in {each.meter for each in box.store.captures[good:]}

    virtually(work)


def test_a_meter_that_gives_one_octet_a_second_costs_its_time_out_and_no_more() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        slow, other = box.meters
        port = OneSlow(box.port)
        port.slow = ServerAddress(1, slow.plate.address, 4).to_bytes()
        box.port = port
        poll = box.poll(REGISTERS)
        await run_for(poll, 120.0)
        assert {each.meter for each in box.store.captures} == {other.id}
        assert_true(box, box.store.captures)
        assert poll.health.silent >= 1
        assert poll.health.wasted / poll.health.silent < 20.0

    virtually(work)
