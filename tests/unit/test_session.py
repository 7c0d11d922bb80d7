"""One conversation over a simulated line, in virtual time: what it says, how long it waits, and what it believes."""

from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, cast

import pytest

from dcu import invocations
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
    Breach,
    BusError,
    MeterError,
    MeterTimeoutError,
    NotServedError,
    RefusedError,
    SecurityError,
    StoreError,
)
from dcu.health import STEP_BOUND
from dcu.invocations import COUNTER_BLOCK, Invocations, counter_name
from dcu.model import Access, Attribute, Authentication, Framing, Keys, Meter
from dcu.session import (
    CLOSE_TIMEOUT,
    EXCHANGE_BOUND,
    LIST_BOUND,
    Session,
    SessionMaker,
    make_link,
)
from dcu.store import Store
from sim import server
from sim.bus import MemoryBus
from sim.faults import Faults
from sim.fleet import Fleet, FleetPlan, make_line
from sim.virtual import VirtualClock
from tests.captures import SetClock
from tests.lines import BAUD, CIPHERED, COMPANION, TITLE, Box, Dripping, PortAround, virtually

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


def test_meters_that_share_a_key_share_its_counters() -> None:
    same, other = Keys(encryption_key=b"k" * 16, password=b"a"), Keys(encryption_key=b"k" * 16, password=b"b")
    assert counter_name(same, b"DCU00001") == counter_name(other, b"DCU00001")
    assert counter_name(same, b"DCU00001") != counter_name(same, b"DCU00002")
    assert counter_name(same, b"DCU00001") != counter_name(Keys(encryption_key=b"l" * 16), b"DCU00001")


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


def test_counters_are_reserved_before_the_first_octet_leaves() -> None:
    class Watching(PortAround):
        async def write(self, data: bytes) -> None:
            assert box_of[0].store.reserved
            await super().write(data)

    box_of: list[Box] = []

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        box_of.append(box)
        box.port = Watching(box.port)
        session = await box.session()
        await session.get([ENERGY])
        await session.close()
        assert box.store.reserved == [range(1, 1 + COUNTER_BLOCK)]
        assert 0 < box.meters[0].heard < COUNTER_BLOCK

    virtually(work)


def test_who_only_wants_a_password_costs_no_counters() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        await (await box.session()).close()
        assert box.store.reserved == []

    virtually(work)


def test_without_counters_no_word_is_said() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        box.store.failure = StoreError("disk full")
        with pytest.raises(StoreError):
            await box.session()
        assert box.requests == 0

    virtually(work)


def test_a_visit_begins_with_enough_counters_and_ends_when_they_are_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invocations, "COUNTER_BLOCK", 6)
    monkeypatch.setattr(invocations, "COUNTER_RESERVE", 4)

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        maker = box.maker()
        session = await maker.make(box.port, box.entry())
        await session.open()  # InitiateRequest, proof, and the request that carries it
        await session.get([ENERGY])
        await session.close()
        assert len(box.store.reserved) == 1
        # two are left, fewer than a visit may start with
        session = await maker.make(box.port, box.entry())
        assert box.store.reserved == [range(1, 7), range(7, 13)]
        await session.open()
        for _ in range(3):
            await session.get([ENERGY])
        with pytest.raises(MeterError, match="reserved invocation counters"):
            await session.get([ENERGY])
        assert box.meters[0].heard == 12

    virtually(work)


async def test_no_counter_is_used_twice_however_often_the_box_starts(tmp_path: Path) -> None:
    """Each start opens the store of the one before, as a power cut leaves it; the meter refuses a counter it knows."""
    plan = FleetPlan(meters=1, buses=1, baud=10_000_000, hls=256, turnaround=0.0)
    clock = SetClock()
    fleet = Fleet(plan, clock)
    bus = MemoryBus("line", make_line(plan, fleet.meters, 0), clock)
    settings = BusConfig("line", "memory", plan.baud)
    heard = []
    for _ in range(3):
        async with Store.open(tmp_path / "store.db", clock) as store:
            maker = SessionMaker(settings, fleet.access, fleet.keys, TITLE, Invocations(store))
            session = await maker.make(bus.port, fleet.archive[0])
            await session.open()
            await session.get([ENERGY])
            heard.append(fleet.meters[0].heard)
    assert [later - earlier for earlier, later in pairwise(heard)] == [COUNTER_BLOCK] * 2


def test_the_keys_of_one_meter_do_not_open_another() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, FleetPlan(meters=2, buses=1, hls=256))
        keys = {"M0001": box.fleet.keys["M0002"], "M0002": Keys()}
        maker = SessionMaker(box.settings, box.fleet.access, keys, TITLE, Invocations(box.store))
        session = await maker.make(box.port, box.entry(0))
        with pytest.raises(MeterError, match="refused"):
            await session.open()

    virtually(work)


def test_a_meter_that_heard_a_higher_counter_is_asked_for_it() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        box.meters[0].heard = 5000
        session = await box.maker().open(box.port, box.entry())
        await session.get([ENERGY])
        assert [given.start for given in box.store.reserved] == [1, 5001]
        assert box.meters[0].heard == 5004

    virtually(work)


def test_a_refusal_for_another_reason_moves_no_counter() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, FleetPlan(meters=2, buses=1, hls=256))
        keys = {"M0001": box.fleet.keys["M0002"]}
        maker = SessionMaker(box.settings, box.fleet.access, keys, TITLE, Invocations(box.store))
        with pytest.raises(RefusedError, match="authentication failure"):
            await maker.open(box.port, box.entry(0))
        assert len(box.store.reserved) == 1

    virtually(work)


def test_a_counter_beyond_belief_is_a_security_event() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        box.meters[0].heard = 2**32 - 1
        with pytest.raises(SecurityError, match="not believed"):
            await box.maker().open(box.port, box.entry())
        assert len(box.store.reserved) == 1

    virtually(work)


def test_a_meter_that_does_not_tell_its_counter_stays_refused() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        box.meters[0].heard = 5000
        access = {"management": replace(server.MANAGEMENT, invocation_counter=bytes(6))}
        maker = SessionMaker(box.settings, access, box.fleet.keys, TITLE, Invocations(box.store))
        with pytest.raises(RefusedError, match="invocation counter error"):
            await maker.open(box.port, box.entry())

    virtually(work)


def test_an_answer_from_an_earlier_association_is_refused_even_after_a_restart() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        maker = box.maker()
        session = await maker.open(box.port, box.entry())
        await session.get([ENERGY])
        await box.store.record([], {}, maker.heard("M0001"))
        assert list(box.store.heard.values()) == [box.meters[0].spoken]
        assert maker.heard("M0001") == {}
        # the meter (or who plays it) counts anew, as all that it said before would
        rewound = dict.fromkeys(box.store.heard, 2**32 - 1)
        box.store.heard = rewound
        with pytest.raises(SecurityError, match="invocation counter") as refused:
            await box.maker().open(box.port, box.entry())
        assert refused.value.breach is Breach.COUNTER

    virtually(work)


@pytest.mark.parametrize(
    "access",
    [each for each in server.OTHERS if each.authentication is not Authentication.HLS_ECDSA],
    ids=lambda a: a.name,
)
def test_each_mechanism_opens_and_finds_its_counter(access: Access) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        box.meters[0].heard = 5000
        keys = {"M0001": box.meters[0].plate.keys}
        maker = SessionMaker(box.settings, {"management": access}, keys, TITLE, Invocations(box.store))
        session = await maker.open(box.port, box.entry())
        assert type((await session.get([ENERGY]))[0]) is int
        counted = access.ciphered or access.authentication is Authentication.HLS_GMAC
        assert [given.start for given in box.store.reserved] == ([1, 5001] if counted else [])

    virtually(work)
