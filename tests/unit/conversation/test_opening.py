"""Who is let in and with which counters: secrets, mechanisms, and a meter whose counter is ahead of ours."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from dcu.config import BusConfig
from dcu.conversation import invocations
from dcu.conversation.invocations import COUNTER_BLOCK, Invocations, counter_name
from dcu.conversation.opening import SILENT, SessionMaker, make_link
from dcu.conversation.session import QUIET
from dcu.dlms.hdlc import FrameReader, ServerAddress
from dcu.dlms.hdlc_link import HdlcLink
from dcu.dlms.services import Get
from dcu.dlms.wrapper import WrapperLink
from dcu.errors import Breach, MeterError, MeterTimeoutError, RefusedError, SecurityError, StoreError
from dcu.model import AGREED, CURVE_OCTETS, Access, Attribute, Authentication, Ciphering, Framing, Keys, Meter
from dcu.store import Store
from sim import server
from sim.bus import MemoryBus
from sim.fleet import Fleet, FleetPlan, make_line
from sim.meter import SimMeter
from sim.profiles import CLOCK_TIME
from sim.virtual import VirtualClock
from tests.captures import SetClock
from tests.lines import CIPHERED, TITLE, Box, MemoryStore, PortAround, virtually
from tests.unit.sim.test_guard import keys_of

ENERGY = Get(Attribute(3, bytes((1, 0, 1, 8, 0, 255))))


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


def test_a_meter_behind_a_gateway_is_addressed_by_its_port_number() -> None:
    bus = BusConfig("g", "tcp://h", framing=Framing.WRAPPER)
    link = make_link(bus, Meter("M1", "g", 258, "reader", "idis"), Access("reader", 2))
    assert isinstance(link, WrapperLink)
    assert link.send(b"x")[:6] == bytes((0, 1, 0, 2, 1, 2))


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
            maker = SessionMaker(settings, fleet.access, fleet.keys, TITLE, Invocations(store.counters))
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


def with_plate(box: Box, **changes: Any) -> None:
    meter = box.meters[0]
    meter.plate = replace(meter.plate, **changes)


@pytest.mark.parametrize("single", [True, False])
def test_a_meter_with_one_connection_is_asked_over_it(*, single: bool) -> None:
    """It is hung up before the public client calls, and before we call again, whatever that one is told."""

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        with_plate(box, single=single)
        box.meters[0].heard = 5000
        access = {"management": replace(server.MANAGEMENT, invocation_counter=bytes(6))}
        untold = SessionMaker(box.settings, access, box.fleet.keys, TITLE, Invocations(MemoryStore()))
        for _ in range(2):
            with pytest.raises(RefusedError, match="invocation counter error"):
                await untold.open(box.port, box.entry())
        session = await box.maker().open(box.port, box.entry())
        await session.get([ENERGY])
        assert [given.start for given in box.store.reserved] == [1, 5001]

    virtually(work)


def test_a_meter_that_says_nothing_to_a_low_counter_is_asked_for_it_after_a_while() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        with_plate(box, single=True, mute=True)
        box.meters[0].heard = 5000
        maker = box.maker()
        for _ in range(SILENT - 1):
            with pytest.raises(MeterError, match="put off its answer"):
                await maker.open(box.port, box.entry())
            await box.port.drain(QUIET)
        session = await maker.open(box.port, box.entry())
        await session.get([ENERGY])
        assert [given.start for given in box.store.reserved] == [1, 5001]

    virtually(work)


def test_who_is_not_there_is_seldom_asked_for_a_counter() -> None:
    """The public client is one more station that does not answer: ever more seldom, and no counter moves."""

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        maker = box.maker()
        box.bus.silence("M0001")
        asked = []
        for _ in range(4 * SILENT):
            before = clock.monotonic()
            with pytest.raises(MeterTimeoutError):
                await maker.open(box.port, box.entry())
            asked.append(clock.monotonic() - before)
        usual = min(asked)
        assert [number for number, took in enumerate(asked, 1) if took > 1.5 * usual] == [
            SILENT,
            2 * SILENT,
            4 * SILENT,
        ]
        assert len(box.store.reserved) == 1
        box.bus.silence()
        await (await maker.open(box.port, box.entry())).close()

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
        await box.store.record([], {}, maker.heard())
        assert list(box.store.heard.values()) == [box.meters[0].spoken]
        assert maker.heard() == {}
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


@pytest.mark.parametrize(("suite", "form"), [(suite, form) for suite in CURVE_OCTETS for form in sorted(AGREED)])
def test_keys_are_agreed_on_with_a_meter_on_a_line(suite: int, form: Ciphering) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        ours, its = keys_of(suite)
        meter = SimMeter(replace(box.meters[0].plate, suite=suite, keys=its))
        port = MemoryBus("line", make_line(CIPHERED, (meter,), 0), clock).port
        access = {"management": replace(server.MANAGEMENT, suite=suite, ciphering=form)}
        maker = SessionMaker(box.settings, access, {"M0001": ours}, TITLE, Invocations(box.store))
        assert not maker.lacks_keys(box.entry())
        session = await maker.open(port, box.entry())
        assert type((await session.get([ENERGY]))[0]) is int
        await session.close()
        assert meter.served[ENERGY.attribute.name] == 1

    virtually(work)


def test_who_has_no_key_to_agree_by_is_not_asked() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        for lacking in ("agreement_key", "signing_key"):
            keys = {"M0001": replace(keys_of(1)[0], **{lacking: b""})}
            for form, needs in (
                (Ciphering.GENERAL_ONE_PASS, {"agreement_key", "signing_key"}),
                (Ciphering.GENERAL_STATIC, {"agreement_key"}),
                (Ciphering.GENERAL, set()),
            ):
                access = {"management": replace(server.MANAGEMENT, suite=1, ciphering=form)}
                maker = SessionMaker(box.settings, access, keys, TITLE, Invocations(box.store))
                assert maker.lacks_keys(box.entry()) is (lacking in needs)

    virtually(work)


def test_meters_that_share_a_key_share_its_counters() -> None:
    same, other = Keys(encryption_key=b"k" * 16, password=b"a"), Keys(encryption_key=b"k" * 16, password=b"b")
    assert counter_name(same, b"DCU00001") == counter_name(other, b"DCU00001")
    assert counter_name(same, b"DCU00001") != counter_name(same, b"DCU00002")
    assert counter_name(same, b"DCU00001") != counter_name(Keys(encryption_key=b"l" * 16), b"DCU00001")


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


class Belated(PortAround):
    """Remembers what was `heard` since the last question, and gives what is `late` before anything else."""

    heard = late = b""

    async def write(self, data: bytes) -> None:
        self.heard = b""
        await super().write(data)

    async def read(self) -> bytes:
        if self.late:
            late, self.late = self.late, b""
            return late
        data = await super().read()
        self.heard += data
        return data


def test_a_late_answer_to_an_earlier_association_is_no_answer_in_the_clear() -> None:
    """The frames of every connection count from 0: nothing but the number of the request tells the two apart."""

    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        port = Belated(box.port)
        maker = box.maker()
        session = await maker.open(port, box.entry())
        await session.get([ENERGY])
        late = port.heard
        session = await maker.open(port, box.entry())
        port.late = late
        with pytest.raises(MeterError, match="answer to request"):
            await session.get([Get(CLOCK_TIME)])

    virtually(work)


def test_who_only_wants_a_password_costs_no_counters() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        await (await box.session()).close()
        assert box.store.reserved == []

    virtually(work)


def test_requests_are_numbered_over_the_associations_with_a_meter() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        maker = box.maker()
        numbers = [maker._take_invoke("M0001") for _ in range(17)]
        assert numbers == [*range(1, 16), 0, 1]
        assert maker._take_invoke("M0002") == 1
        sessions = [await maker.make(box.port, box.entry(number)) for number in (0, 0, 1)]
        assert [session._association.take_invoke() for session in sessions] == [2, 3, 2]

    virtually(work)
