"""How long a session waits: for a silent, slow, dripping, late or vanishing meter."""

from functools import partial
from itertools import pairwise
from typing import ClassVar, cast

import pytest

from dcu.config import BusConfig
from dcu.conversation.session import CLOSE_TIMEOUT, EXCHANGE_BOUND, Session
from dcu.dlms.association import Association, Event, Notified, Released, Response
from dcu.dlms.hdlc_link import ANSWER_REPEATS, OPEN_REPEATS, HdlcLink
from dcu.dlms.notifications import EventNotification
from dcu.dlms.services import Get
from dcu.errors import BusError, MeterError, MeterTimeoutError
from dcu.health import STEP_BOUND
from dcu.model import Attribute
from sim.faults import Faults
from sim.virtual import VirtualClock
from tests.items import ENERGY, moment
from tests.lines import BAUD, COMPANION, Box, Dripping, PortAround, virtually


def test_a_meter_that_never_answers_costs_two_time_outs_and_no_more() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        box.bus.silence("M0001")
        with pytest.raises(MeterTimeoutError, match="silent"):
            await box.session()
        assert box.requests == 1 + OPEN_REPEATS == 2
        assert 4.0 < clock.monotonic() < 4.2

    virtually(work)


def test_a_meter_that_stops_within_its_answer_is_asked_again_at_once() -> None:
    class Cut(PortAround):
        writes = 0

        async def write(self, data: bytes) -> None:
            self.writes += 1
            await super().write(data)

        async def read(self) -> bytes:
            data = await super().read()
            # the second answer, which is the first to a request, loses its end
            while self.writes == 3 and self.octets_received >= 10:
                data = await super().read()
            self.octets_received += len(data) if self.writes == 3 else 0
            return data

    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        session = await box.session()
        box.port = session._port = Cut(box.port)
        box.port.writes = 2
        began = clock.monotonic()
        (energy,) = await session.get([ENERGY])
        assert isinstance(energy, int)
        assert box.port.writes == 4
        assert clock.monotonic() - began < 0.3 + 0.2
        await session.close()

    virtually(work)


@pytest.mark.parametrize("echo", [False, True])
def test_a_slow_meter_has_its_time_whether_or_not_the_adapter_hears_itself(echo: bool) -> None:
    """An echo is no beginning of an answer: the pause after it is the meter's, not one between octets."""

    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        box.bus.faults = Faults(late=1.0, late_by=1.5, echo=echo, chatter=0.5)
        session = await box.session()
        (energy,) = await session.get([ENERGY])
        assert isinstance(energy, int)
        assert box.requests == 3  # SNRM, AARQ, GET: nothing had to be asked again
        await session.close()

    virtually(work)


def test_a_repeated_request_is_dated_by_when_the_meter_got_it() -> None:
    class DeafOnce(PortAround):
        deaf = False

        async def write(self, data: bytes) -> None:
            if not self.deaf:
                await super().write(data)
            self.deaf = False

    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        session = await box.session()
        port = session._port = DeafOnce(box.port)
        port.deaf = True
        (now,) = await session.get([Get(COMPANION.clock)])
        assert abs(moment(now) - (clock.now() - clock.monotonic() + session.asked_at)) <= 1.0
        assert session.asked_at > 2.0
        await session.close()

    virtually(work)


def test_a_meter_that_drips_is_bounded_however_patient_the_bus_is() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        box.port = Dripping(box.port)
        box.settings = BusConfig("line", "memory", BAUD, inter_octet=5.0)
        with pytest.raises(MeterTimeoutError, match="no whole answer"):
            await box.session()
        assert EXCHANGE_BOUND <= clock.monotonic() < EXCHANGE_BOUND + 2

    virtually(work)


def test_a_long_answer_is_told_to_whoever_watches_over_us() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        box.settings = BusConfig("line", "memory", BAUD, inter_octet=5.0)
        told: list[float] = []
        session = await box.maker().make(Dripping(box.port), box.entry(), lambda: told.append(clock.monotonic()))
        with pytest.raises(MeterTimeoutError):
            await session.open()
        assert max(later - earlier for earlier, later in pairwise(told)) < STEP_BOUND
        assert told[-1] > EXCHANGE_BOUND - STEP_BOUND

    virtually(work)


def test_a_late_answer_of_another_meter_is_never_this_ones() -> None:
    """It comes at any moment of the next visit, which nobody drained the line for: the address alone has to tell."""
    given_up = (1 + ANSWER_REPEATS) * 2.0

    async def work(clock: VirtualClock, late_by: float) -> int | None:
        box = Box(clock)
        first = await box.session(0)
        box.bus.faults = Faults(late=1.0, late_by=late_by)
        with pytest.raises(MeterTimeoutError):
            await first.get([ENERGY])
        box.bus.faults = Faults()
        try:
            second = await box.session(1)
            energy, now = await second.get([ENERGY, Get(COMPANION.clock)])
        except MeterTimeoutError:  # the two requests met on the line, and neither meter heard one
            return None
        assert energy == box.meters[1].value(ENERGY.attribute, moment(now))
        assert energy != box.meters[0].value(ENERGY.attribute, moment(now))
        await second.close()
        return cast("HdlcLink", second._association._link).ignored

    ignored = [virtually(partial(work, late_by=given_up + 0.2 + step / 20)) for step in range(12)]
    assert {0, 1} <= set(ignored)


def test_a_meter_that_says_no_goodbye_delays_the_next_visit_by_seconds_only() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        session = await box.session()
        box.bus.silence("M0001")
        began = clock.monotonic()
        await session.close()
        assert clock.monotonic() - began < CLOSE_TIMEOUT + 0.5

    virtually(work)


def test_the_line_is_quiet_after_a_goodbye_that_came_too_late() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        session = await box.session()
        box.bus.faults = Faults(late=1.0, late_by=CLOSE_TIMEOUT)
        await session.close()
        assert box.bus.counters.late == 1
        assert box.bus.line.next_wake() is None

    virtually(work)


def test_a_meter_that_hangs_up_in_the_middle_is_refused() -> None:
    class HangingUp:
        def send(self, request: object) -> bytes:
            return b"?"

        def next_event(self) -> Event:
            return Released()

    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        session = Session(box.port, box.settings, cast("Association", HangingUp()))
        with pytest.raises(MeterError, match="ended the conversation"):
            await session.get([ENERGY])

    virtually(work)


def test_what_a_meter_says_unasked_answers_nothing() -> None:
    class Telling:
        hearing = False
        said: ClassVar[list[Event]] = [
            Notified(EventNotification(None, Attribute(70, bytes(6), 3), 0)),
            Response([230]),
        ]

        def send(self, request: object) -> bytes:
            return b"?"

        def next_event(self) -> Event:
            return self.said.pop(0)

    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        session = Session(box.port, box.settings, cast("Association", Telling()))
        assert await session.get([ENERGY]) == [230]

    virtually(work)


def test_a_lost_line_is_not_taken_for_a_silent_meter() -> None:
    class Lost(PortAround):
        async def read(self) -> bytes:
            raise BusError("line: gone")

    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        box.port = Lost(box.port)
        with pytest.raises(BusError):
            await box.session()

    virtually(work)
