"""One conversation over a simulated line, in virtual time: what it says, how long it waits, and what it believes."""

from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import ClassVar, cast

import pytest

from dcu.config import BusConfig
from dcu.dlms.acse import Conformance
from dcu.dlms.association import Association, Event, Notified, Released, Response
from dcu.dlms.hdlc import FrameReader, Parameters, ServerAddress
from dcu.dlms.hdlc_link import ANSWER_REPEATS, OPEN_REPEATS, HdlcLink
from dcu.dlms.moment import DateTime
from dcu.dlms.notifications import EventNotification
from dcu.dlms.services import AccessError, ExceptionResponse, Get, GetList, by_entry
from dcu.dlms.wrapper import WrapperLink
from dcu.errors import (
    BusError,
    MeterError,
    MeterTimeoutError,
    NotServedError,
)
from dcu.health import STEP_BOUND
from dcu.model import Access, Attribute, Framing, Meter
from dcu.session import (
    CLOSE_TIMEOUT,
    EXCHANGE_BOUND,
    LIST_BOUND,
    Session,
    make_link,
)
from sim import server
from sim.faults import Faults
from sim.virtual import VirtualClock
from tests.lines import BAUD, COMPANION, Box, Dripping, PortAround, virtually

REGISTERS = [Get(Attribute(3, name)) for name in (bytes((1, 0, group, 8, 0, 255)) for group in (1, 2, 3, 4))]
UNKNOWN = Get(Attribute(3, bytes(6)))
ENERGY = REGISTERS[0]


def moment(answer: bytes) -> int:
    """Return the UTC seconds of a meter's clock."""
    at = DateTime.from_bytes(answer).utc()
    assert at is not None
    return at


@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_meter_on_a_line_is_addressed_in_as_many_octets_as_the_bus_says(size: int) -> None:
    meter = Meter("M1", "a", 17, "reader", "idis")
    link = make_link(BusConfig("a", "/dev/x", address_size=size), meter, Access("reader", 2))
    assert isinstance(link, HdlcLink)
    reader = FrameReader()
    reader.receive_data(link.open())
    frame = reader.next_frame()
    assert frame is not None
    # one octet has no logical device in it
    assert frame.destination == (bytes((17 << 1 | 1,)) if size == 1 else ServerAddress(1, 17, size).to_bytes())


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


def test_a_meter_behind_a_gateway_is_addressed_by_its_port_number() -> None:
    bus = BusConfig("g", "tcp://h", framing=Framing.WRAPPER)
    link = make_link(bus, Meter("M1", "g", 258, "reader", "idis"), Access("reader", 2))
    assert isinstance(link, WrapperLink)
    assert link.send(b"x")[:6] == bytes((0, 1, 0, 2, 1, 2))


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


def test_what_was_asked_first_left_the_line_at_the_instant_it_is_remembered_by() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        session = await box.session()
        began, sent = clock.monotonic(), box.bus.counters.octets_in
        await session.get([ENERGY])
        octets = box.bus.counters.octets_in - sent
        assert session.asked_at == pytest.approx(began + octets * 10 / BAUD)
        before = clock.monotonic()
        await session.get([ENERGY] * (LIST_BOUND + 1))
        # two requests went out: the first one counts
        assert before < session.asked_at < before + 0.4
        await session.close()

    virtually(work)


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


def test_what_a_meter_says_unasked_is_passed_over() -> None:
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
