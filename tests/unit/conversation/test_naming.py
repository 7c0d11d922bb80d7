"""Meters by short names: the same captures as by logical names, names asked for once, and doubted each time."""

from dataclasses import replace
from typing import Any

import pytest

from dcu.archive import IDENTITY
from dcu.conversation.naming import DESCRIPTOR, BaseNames, Naming
from dcu.conversation.opening import SessionMaker
from dcu.conversation.session import Session, Yielded
from dcu.dlms.acse import Conformance
from dcu.dlms.axdr import octets
from dcu.dlms.moment import DateTime
from dcu.dlms.services import AccessError, Get, Set, Variable, by_entry, by_range
from dcu.dlms.short_names import OBJECT_LIST, ShortNames
from dcu.errors import MeterError, StoreError
from dcu.model import INSTANT, Access, Attribute, Capture, Referencing, Task
from dcu.obis import parse_obis
from sim import server, short_names
from sim.fleet import FleetPlan
from sim.objects import CLASSES
from sim.profiles import BILLING, DAILY, LOAD_0, LOAD_1
from sim.virtual import VirtualClock
from tests.lines import LOAD, OLD, PAIR, REGISTERS, Box, MemoryStore, assert_true, run_for, settle, virtually

ENERGY = Get(Attribute(3, parse_obis("1-0:1.8.0.255")))
CLOCK = Attribute(8, parse_obis("0-0:1.0.0.255"))
UNKNOWN = Get(Attribute(3, parse_obis("1-0:99.8.0.255")))
UNDEFINED = AccessError(4)
EVERY_STREAM = [
    REGISTERS,
    LOAD,
    *(Task(stream, 3600.0, backfill=86400.0 * 40) for stream in ("load1", "daily", "billing", "event.standard")),
]


def captured(plan: FleetPlan) -> list[Capture]:
    async def work(clock: VirtualClock) -> list[Capture]:
        box = Box(clock, plan)
        await settle(box.poll(*EVERY_STREAM))
        return box.store.captures

    return virtually(work)


@pytest.mark.no_cover  # thousands of rows
def test_the_same_meters_give_the_same_captures_by_either_name() -> None:
    """But for the instants when they were read, which two conversations do not share."""

    def told(captures: list[Capture]) -> list[Any]:
        return sorted(
            (each.meter, each.stream, each.at, each.status, each.values, each.columns)
            for each in captures
            if each.stream != INSTANT
        )

    by_short, by_logical = captured(OLD), captured(PAIR)
    assert {each.stream for each in by_short} == {task.stream for task in EVERY_STREAM}
    assert len(told(by_short)) > 1000
    assert told(by_short) == told(by_logical)
    columns = [{each.columns for each in captures if each.stream == INSTANT} for captures in (by_short, by_logical)]
    assert columns[0] == columns[1]


async def everything(session: Session, clock: VirtualClock) -> list[Any]:
    """Every attribute there is, and rows of each profile whole, by entry and by range."""
    now = int(clock.now())
    start, end = (octets(DateTime.from_utc(now - back).to_bytes()) for back in (3 * 86400, 3600))
    items = [
        Get(Attribute(kind, name, index))
        for name, kind in CLASSES["idis", 1].items()
        if kind != 15
        for index in (1, 3, 4)
    ]
    for name in (LOAD_0, LOAD_1, DAILY, BILLING):
        buffer = Attribute(7, name)
        items += [
            Get(buffer, by_entry(1, 5)),
            Get(buffer, by_entry(2, 4, 1, 2)),
            Get(buffer, by_range(CLOCK, start, end)),
        ]
    return await session.get([*items, Get(Attribute(7, BILLING))])


def everything_of(plan: FleetPlan) -> list[Any]:
    async def work(clock: VirtualClock) -> list[Any]:
        session = await Box(clock, plan).session()
        values = await everything(session, clock)
        await session.close()
        return values

    return virtually(work)


def test_every_attribute_and_selection_has_the_same_value_by_either_name() -> None:
    pairs = zip(everything_of(OLD), everything_of(PAIR), strict=True)
    # by logical names an attribute the class has not is unavailable, by short names it is undefined
    different = {(str(short), str(logical)) for short, logical in pairs if short != logical}
    assert different == {("object undefined", "object unavailable")}


def test_what_the_meter_has_not_is_undefined_and_leaves_the_others() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, OLD)
        session = await box.session()
        before, energy, after = await session.get([UNKNOWN, ENERGY, UNKNOWN])
        assert (before, after) == (UNDEFINED, UNDEFINED)
        assert type(energy) is int
        assert await session.get([UNKNOWN]) == [UNDEFINED]
        assert await session.get([]) == []

    virtually(work)


async def read_energy(box: Box, number: int = 0) -> Any:
    session = await box.session(number)
    (value,) = await session.get([ENERGY])
    await session.close()
    return value


@pytest.fixture
def lists(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often an object list was asked for: one entry each time."""
    asked: list[int] = []

    def counting(phases: int) -> Any:
        asked.append(phases)
        return short_names.object_list(phases)

    monkeypatch.setattr(server, "object_list", counting)
    return asked


def test_the_object_list_is_read_once_and_kept_over_a_restart(lists: list[int]) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, OLD)
        maker = box.maker()
        for _ in range(3):
            session = await maker.open(box.port, box.entry())
            await session.get([ENERGY])
            await session.close()
        assert len(lists) == 1
        assert box.store.shapes["M0001"][DESCRIPTOR][0] == [0x0100, 8, "0-0:1.0.0.255"]
        again = Box(clock, OLD, store=box.store)
        await read_energy(again)
        assert len(lists) == 1
        await read_energy(again, 1)
        assert len(lists) == 2

    virtually(work)


def test_names_that_hold_no_longer_are_learned_anew(lists: list[int]) -> None:
    """A firmware that has one object more moves all behind it: what was the energy's name is another's now."""

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, OLD)
        maker = box.maker()
        await (await maker.open(box.port, box.entry())).get([ENERGY])
        kept = box.store.shapes["M0001"][DESCRIPTOR]
        moved = [[base + 48, *rest] if base < 0xFA00 else [base, *rest] for base, *rest in kept]
        box.store.shapes["M0001"][DESCRIPTOR] = moved
        session = await box.maker().open(box.port, box.entry())
        (energy,) = await session.get([ENERGY])
        assert energy == box.meters[0].value(ENERGY.attribute, box.meters[0].clock_at(clock.now()))
        assert len(lists) == 2
        assert box.store.shapes["M0001"][DESCRIPTOR] == kept

    virtually(work)


def swap(box: Box, *names: str) -> None:
    """Let the kept names say that two objects were in each other's place when they were learned."""
    kept = box.store.shapes["M0001"][DESCRIPTOR]
    one, other = [next(each for each in kept if each[2] == name) for name in names]
    one[2], other[2] = other[2], one[2]


VOLTAGE = Get(Attribute(3, parse_obis("1-0:32.7.0.255")))


@pytest.mark.parametrize("restarted", [True, False])
def test_two_objects_that_changed_places_are_not_taken_for_each_other(restarted: bool, lists: list[int]) -> None:
    """The last object is where it was, and both have the same class: only they themselves tell."""

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, OLD)
        maker = box.maker()
        session = await maker.open(box.port, box.entry())
        right = await session.get([ENERGY, VOLTAGE])
        await session.close()
        swap(box, "1-0:1.8.0.255", "1-0:32.7.0.255")
        maker = box.maker()
        session = await maker.open(box.port, box.entry())
        if not restarted:  # shown to hold, and exchanged then
            await session.get([UNKNOWN, Get(CLOCK)])
            await session.close()
            maker.forget("M0001")
            session = await maker.open(box.port, box.entry())
        energy, voltage = await session.get([ENERGY, VOLTAGE])
        assert energy == pytest.approx(right[0], rel=0.01)
        assert voltage == pytest.approx(right[1], rel=0.2)
        assert len(lists) == 2

    virtually(work)


def test_what_has_been_shown_is_not_asked_again_until_it_is_doubted(lists: list[int]) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, OLD)
        await read_energy(box)
        maker = box.maker()
        octets_sent = []
        for doubting in (False, False, True):
            session = await maker.open(box.port, box.entry())
            if doubting:
                session.doubt()
            before, sent = box.requests, box.bus.counters.octets_in
            await session.get([ENERGY])
            assert box.requests - before == 2
            octets_sent.append(box.bus.counters.octets_in - sent)
            await session.close()
        assert octets_sent[1] < octets_sent[0] == octets_sent[2]
        assert len(lists) == 1

    virtually(work)


def test_a_meter_is_doubted_when_it_is_recognised() -> None:
    """Once a day: a new program may have come into it meanwhile."""

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, OLD)
        await read_energy(box)
        poll = box.poll(REGISTERS)
        await run_for(poll, 1800.0)
        swap(box, "1-0:1.8.0.255", "1-0:32.7.0.255")
        names = BaseNames(box.store)
        poll.sessions._names = names
        await names.of("M0001")
        names.believe("M0001", [Variable(each.base) for each in names._known["M0001"].objects])
        taken = len(box.store.captures)
        await run_for(poll, 86_400.0 + 3600.0)
        assert_true(box, [each for each in box.store.captures[taken:] if each.at > clock.now() - 3600])
        assert DESCRIPTOR in box.store.shapes["M0001"]

    virtually(work)


def test_a_meter_without_lists_blocks_or_selections_is_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(clock: VirtualClock) -> list[Any]:
        box = Box(clock, OLD)
        session = await box.session()
        return await session.get([ENERGY, Get(CLOCK), Get(Attribute(7, BILLING), by_entry(1, 1))])

    whole = virtually(work)
    monkeypatch.setattr("sim.server.SHORT_CONFORMANCE", Conformance.READ)
    bare = virtually(work)
    assert [type(value) for value in bare] == [type(value) for value in whole]
    assert (len(whole[2]), len(bare[2])) == (1, 13)


def test_something_urgent_stops_it_between_two_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.server.SHORT_CONFORMANCE", Conformance.READ)
    calls = iter([False, True])

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, OLD)
        session = await box.session()
        await session.get([ENERGY])
        with pytest.raises(Yielded) as stop:
            await session.get([UNKNOWN, ENERGY, UNKNOWN, ENERGY], lambda: next(calls))
        undefined, energy, also = stop.value.results
        assert (undefined, also) == (UNDEFINED, UNDEFINED)
        assert type(energy) is int
        assert stop.value.open

    virtually(work)


def test_streams_and_base_names_are_kept_side_by_side() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, OLD)
        await settle(box.poll(REGISTERS))
        assert set(box.store.shapes["M0001"]) == {INSTANT, DESCRIPTOR, IDENTITY}
        again = Box(clock, OLD, store=box.store)
        session = await again.session()
        assert set(await again.archive().shapes(session, "M0001", [INSTANT])) == {INSTANT}

    virtually(work)


async def test_meters_that_agree_share_their_names() -> None:
    names = BaseNames(MemoryStore())
    objects = [[0x0100, 3, 0, bytes(6)]]
    await names.learned("a", ShortNames.from_value(objects))
    await names.learned("b", ShortNames.from_value(objects))
    assert await names.of("a") is await names.of("b")
    assert await names.of("c") is None


async def test_a_meter_that_does_not_tell_its_names_is_told_of() -> None:
    async def denied(variables: Any) -> list[Any]:
        assert variables == [OBJECT_LIST]
        return [AccessError(3)]

    with pytest.raises(MeterError, match="base names: read-write denied"):
        await Naming("m", None).names(denied)


async def test_names_that_cannot_be_kept_are_a_failure_of_the_store() -> None:
    store = MemoryStore()
    store.failure = StoreError("full")

    async def ask(_: Any) -> list[Any]:
        return [[[0x0100, 3, 0, bytes(6)]]]

    with pytest.raises(StoreError):
        await Naming("m", BaseNames(store)).names(ask)


@pytest.mark.parametrize("access", [server.ACCESS[5], server.ACCESS[8], server.MANAGEMENT], ids=lambda a: a.name)
def test_the_public_client_of_an_old_meter_speaks_by_short_names_too(access: Access) -> None:
    """Its counter was lost: it is asked of the meter without any secret, and nothing of that is kept."""

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, OLD)
        box.meters[0].heard = 5000
        sealed = replace(access, referencing=Referencing.SN)
        keys = {"M0001": box.meters[0].plate.keys}
        names = BaseNames(box.store)
        maker = SessionMaker(
            box.settings, {"old-reader": sealed}, keys, b"DCU00001", box.maker()._invocations, names=names
        )
        session = await maker.open(box.port, box.entry())
        assert box.store.shapes == {}
        assert type((await session.get([ENERGY]))[0]) is int
        assert [given.start for given in box.store.reserved] == [1, 5001]
        assert DESCRIPTOR in box.store.shapes["M0001"]

    virtually(work)


@pytest.mark.parametrize(
    ("answers", "results"),
    [([], [UNDEFINED]), ([5], [UNDEFINED, 5, UNDEFINED]), ([5, None], [UNDEFINED, 5, UNDEFINED, None])],
)
def test_answers_find_their_places(answers: list[Any], results: list[Any]) -> None:
    assert Naming.told([None, Variable(8), None, Variable(16)], answers) == results


def test_a_conversation_held_over_visits_goes_on_by_short_names(lists: list[int]) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, OLD)
        session = await box.session()
        await session.get([ENERGY])
        before = box.requests
        assert session.rest()
        session.resume()
        # its own name first: nothing that can be done twice may be what finds the association gone
        assert await session.perform(Set(Attribute(1, parse_obis("0-0:96.13.0.255")), octets(b"again"))) is None
        assert box.requests - before == 2
        assert session.rest()
        session.resume()
        await session.get([ENERGY])
        assert box.requests - before == 3
        assert len(lists) == 1

    virtually(work)
