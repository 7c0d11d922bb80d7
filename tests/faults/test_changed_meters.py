"""A meter exchanged, reprogrammed or parameterised anew between two visits: its values are never read by old shapes."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from dcu.archive import IDENTITY
from dcu.conversation.recognition import RECOGNISE_EVERY
from dcu.conversation.session import Yielded, never
from dcu.dlms.services import Get
from dcu.errors import Breach
from dcu.model import INSTANT, Attribute, Column, Command, Priority, Task, Visit
from dcu.obis import parse_obis
from dcu.polling.poll import Poll
from sim.fleet import FleetPlan
from sim.meter import FIRMWARE, SERIAL_NUMBER, SimMeter
from sim.profiles import PROFILES
from sim.virtual import VirtualClock
from tests.lines import CIPHERED, COMPANION, Box, Losable, assert_true, run_for, settle, virtually

Columns = tuple[Attribute, ...]

ONE = FleetPlan(meters=1, buses=1, hls=0, seed=4)
DAY = int(RECOGNISE_EVERY)
TASKS = Task(INSTANT, every=3600.0), Task("load0", every=900.0, offset=5.0, backfill=3600.0)


async def settled(box: Box, poll: Poll) -> None:
    """Let a day pass, and read what is due then."""
    await asyncio.sleep(RECOGNISE_EVERY)
    await poll.step()
    await settle(poll)
    assert_true(box, box.store.captures)


def renamed(meter: SimMeter, name: bytes) -> None:
    meter.identity[name] = b"another"


@pytest.mark.parametrize(
    ("name", "word", "event"),
    [(FIRMWARE, "firmware", "firmware changed"), (SERIAL_NUMBER, "serial", "meter exchanged")],
)
def test_another_word_makes_everything_be_learned_anew(name: bytes, word: str, event: str) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll = box.poll(TASKS[0], replace(TASKS[1], backfill=2.0 * DAY))
        await settle(poll)
        meter = box.meters[0]
        before = meter.identity[name].decode()
        assert box.store.shapes["M0001"][IDENTITY][word] == before
        shapes = dict(box.store.shapes["M0001"])
        renamed(meter, name)
        learned = meter.served[COMPANION.registers[0].name]
        await settled(box, poll)
        assert box.reports == [(event, "M0001", {"before": before, "now": "another"})]
        assert poll.health.changed == 1
        # the scaler was asked for besides the values of two visits, of which one was given up
        assert meter.served[COMPANION.registers[0].name] > learned + 2
        assert box.store.shapes["M0001"] == {**shapes, IDENTITY: {**shapes[IDENTITY], word: "another"}}
        rows = sorted(each.at for each in box.store.captures if each.stream == "load0")
        assert rows == list(range(rows[0], int(clock.now()), 900))
        await settled(box, poll)
        assert poll.health.changed == 1

    virtually(work)


def test_a_change_while_the_box_was_off_is_found_at_the_first_visit() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        await settle(box.poll(*TASKS))
        renamed(box.meters[0], SERIAL_NUMBER)
        count = len(box.store.captures)
        poll = box.poll(*TASKS)
        await poll.step()
        assert poll.health.changed == 1
        assert len(box.store.captures) == count
        assert not any(data for name, data in box.store.shapes["M0001"].items() if name != IDENTITY)
        # a power cut now: what was learned of the other one is not believed
        again = box.poll(*TASKS)
        await settle(again)
        assert again.health.changed == 0
        assert all(box.store.shapes["M0001"].values())
        assert_true(box, box.store.captures)

    virtually(work)


def columns_of(meter: SimMeter, stream: str, order: Callable[[Columns], Columns]) -> None:
    """Let the meter capture the columns of a profile in another order from now on."""
    name = COMPANION.streams[stream].name
    profile = PROFILES[meter.plate.phases][name]
    meter.profiles = {**meter.profiles, name: replace(profile, columns=order(profile.columns))}


def test_columns_exchanged_for_others_of_the_same_form_are_noticed_within_a_day() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll = box.poll(Task("load1", every=900.0, offset=5.0, backfill=3600.0))
        await settle(poll)
        # voltages and currents: no row of them contradicts another
        columns_of(box.meters[0], "load1", lambda columns: (*columns[:1], *columns[:0:-1]))
        await run_for(poll, RECOGNISE_EVERY - 3600.0)
        assert box.reports == []
        await run_for(poll, 5400.0)
        assert box.reports == [("profile changed", "M0001", {"stream": "load1"})]
        assert poll.health.changed == 0
        known = len(box.store.captures)
        await run_for(poll, 3600.0)
        assert len(box.store.captures) == known + 4
        assert_true(box, box.store.captures[known:])

    virtually(work)


def test_a_meter_that_tells_another_word_each_time_costs_one_visit_a_day() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll = box.poll(*TASKS)
        await settle(poll)
        for number in range(1, 4):
            box.meters[0].identity[FIRMWARE] = b"%d" % number
            await settled(box, poll)
            assert poll.health.changed == number
        rows = [each.at for each in box.store.captures if each.stream == "load0"]
        assert len(rows) == len(set(rows)) >= 3 * DAY // 900

    virtually(work)


def test_columns_that_changed_places_are_noticed_before_a_row_of_them_is_kept() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll = box.poll(TASKS[1])
        await settle(poll)
        kept = len(box.store.captures)
        columns_of(box.meters[0], "load0", lambda columns: (*columns[:1], *columns[:0:-1]))
        await asyncio.sleep(900.0)
        await poll.step()  # the ring
        await settle(poll)
        assert box.reports == [("profile changed", "M0001", {"stream": "load0"})]
        # what is kept after it has the columns the meter has now
        assert len(box.store.captures) > kept
        assert_true(box, box.store.captures)
        assert box.store.captures[-1].columns != box.store.captures[0].columns

    virtually(work)


def counted(meter: SimMeter, at: int) -> int:
    energy = meter.value(Column(3, parse_obis("1-0:1.8.0.255")), at)
    assert isinstance(energy, int)
    return energy


def another(meter: SimMeter, at: int, *, younger: bool) -> SimMeter:
    """Return a meter for the same address that has counted less so far, or more."""
    others = (SimMeter(replace(meter.plate, id=f"N{number}")) for number in count())
    return next(new for new in others if (counted(new, at) < counted(meter, at)) is younger)


@pytest.mark.parametrize("younger", [True, False])
def test_of_a_meter_that_hangs_where_another_hung_no_row_is_the_others(younger: bool) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll = box.poll(TASKS[1])
        await settle(poll)
        old = box.meters[0]
        mark = max(each.at for each in box.store.captures)
        new = another(old, mark, younger=younger)
        box.bus.line.exchange("M0001", new)
        await asyncio.sleep(900.0)
        await poll.step()
        await settle(poll)
        before, now = (meter.identity[SERIAL_NUMBER].decode() for meter in (old, new))
        assert box.reports == [("meter exchanged", "M0001", {"before": before, "now": now})]
        rows = [each for each in box.store.captures if each.at > mark]
        assert rows
        for each in rows:
            assert each.values == tuple(new.value(column, each.at) for column in each.columns)
        assert len({each.at for each in box.store.captures}) == len(box.store.captures)

    virtually(work)


@pytest.mark.parametrize("away", ["silent", "line lost", "stale"])
def test_of_a_meter_exchanged_between_two_visits_of_a_minute_no_row_is_the_others(away: str) -> None:
    """Who is visited so often was always heard of a moment ago: that it was missing once is all there is to see."""

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        port = Losable(box)
        if away == "stale":
            box.settings = replace(box.settings, keep_open=120.0)
        poll = box.poll(Task(INSTANT, every=50.0), TASKS[1])
        await run_for(poll, 1805.0)
        mark = max(each.at for each in box.store.captures if each.stream == "load0")
        new = another(box.meters[0], mark, younger=False)
        if away == "silent":
            box.bus.silence("M0001")
        port.lost = away == "line lost"

        def back() -> None:
            box.bus.silence()
            port.lost = False
            box.bus.line.exchange("M0001", new)

        clock.loop.call_later(60.0, back)
        await run_for(poll, 3600.0)
        await poll.handover.settled()
        assert [name for name, _, _ in box.reports] == ["meter exchanged"]
        rows = [each for each in box.store.captures if each.at > mark and each.stream == "load0"]
        assert len(rows) >= 3
        for each in rows:
            assert each.values == tuple(new.value(column, each.at) for column in each.columns)

    virtually(work)


def test_who_stops_before_it_has_said_who_it_is_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The serial number of another, and then silence: nothing says by which scalers to read what came with it."""

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll = box.poll(*TASKS)
        await settle(poll)
        kept = len(box.store.captures)
        new = another(box.meters[0], int(clock.now()), younger=False)
        box.bus.line.exchange("M0001", new)
        await asyncio.sleep(900.0)
        session = await box.session()
        ask, asked = session.get, 0

        async def get(items: Sequence[Get], urgent: Callable[[], bool] = never) -> list[Any]:
            nonlocal asked
            asked += 1
            answers = await ask(items, urgent)
            if asked == 1:
                return answers
            stop = Yielded(open=True)
            stop.results = answers[:-1]
            raise stop

        monkeypatch.setattr(session, "get", get)  # the second question is not answered to its end
        gathered = await poll._collecting.gather(session, "M0001", ["load0", INSTANT])
        await poll.handover.settled()
        assert len(box.store.captures) == kept
        assert gathered.found.missed == {"load0", INSTANT}
        await session.close()
        await run_for(poll, 900.0)
        assert [name for name, _, _ in box.reports] == ["meter exchanged"]

    virtually(work)


def test_a_register_that_was_reset_costs_one_question_and_no_row() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll = box.poll(TASKS[1])
        await settle(poll)
        meter, asked = box.meters[0], box.meters[0].served[FIRMWARE]
        home = meter.home
        meter.home = another(meter, int(clock.now()), younger=True).home
        for _ in range(3):
            await asyncio.sleep(900.0)
            await poll.step()
            await settle(poll)
        assert box.reports == []
        assert meter.served[FIRMWARE] == asked + 1
        assert len(box.store.captures) == 4 + 3
        assert home is not meter.home

    virtually(work)


def test_a_clock_that_went_back_is_told_once_and_doubles_no_row() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll = box.poll(*TASKS)
        await settle(poll)
        box.meters[0].clock_shift = -7200.0
        for _ in range(16):
            await asyncio.sleep(900.0)
            await poll.step()
            await settle(poll)
        assert [name for name, _, _ in box.reports].count("meter clock jumped") == 1
        rows = [each.at for each in box.store.captures if each.stream == "load0"]
        assert rows == sorted(set(rows))
        assert rows[-1] - rows[0] == (len(rows) - 1) * 900
        assert_true(box, box.store.captures)
        box.meters[0].clock_shift = 0.0
        await asyncio.sleep(900.0)
        await poll.step()
        await settle(poll)
        assert [name for name, _, _ in box.reports].count("meter clock jumped") == 1
        assert max(each.at for each in box.store.captures if each.stream == "load0") > clock.now() - 900

    virtually(work)


CIPHERED_TASKS = Task(INSTANT, every=900.0), TASKS[1]


def test_another_meter_that_has_the_same_keys_is_a_security_event_and_none_of_its_rows_are_taken() -> None:
    """Where keys are shared, its title alone tells who answers: who leads our questions to it changes nothing else."""

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        poll = box.poll(*CIPHERED_TASKS)
        await settle(poll)
        true = box.meters[0]
        kept = len(box.store.captures)
        assert box.store.shapes["M0001"][IDENTITY]["title"] == true.title.hex()
        other = SimMeter(replace(true.plate, id="N1"))
        other.identity = true.identity  # the one that also says the same of itself
        box.bus.line.exchange("M0001", other)
        await asyncio.sleep(900.0)
        await poll.step()
        assert other.spoken
        assert len(box.store.captures) == kept
        assert poll.health.security == {Breach.TITLE: 1}
        reason = f"system title {other.title.hex()}, it was {true.title.hex()}"
        assert box.reports == [("security breach", "M0001", {"breach": "title", "reason": reason})]
        # it is there to stay: it was exchanged, and is read as what it is
        await settle(poll)
        assert len(box.store.captures) > kept
        assert len(box.reports) == 1

    virtually(work)


@pytest.mark.parametrize("restarted", [False, True])
def test_no_command_is_carried_out_by_another_meter_that_has_the_same_keys(*, restarted: bool) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        poll = box.poll(*CIPHERED_TASKS)
        await settle(poll)
        other = SimMeter(replace(box.meters[0].plate, id="N1"))
        box.bus.line.exchange("M0001", other)
        if restarted:
            poll = box.poll()
        shift = {"object": "0-0:1.0.0.255", "class": 8, "attribute": 3, "value": 60, "type": "long"}
        command = Command("c1", "meter.set", ("M0001",), shift)
        poll.held.forget()
        poll.submit(Visit("M0001", command=command, priority=Priority.COMMAND))
        await poll.step()
        ((_, answer, reason),) = box.answers
        assert answer is None
        assert reason == f"system title {other.title.hex()} is not that of M0001"
        assert poll.health.security == {Breach.TITLE: 2}  # a command is tried twice

    virtually(work)
