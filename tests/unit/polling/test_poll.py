"""The flow of one bus against simulated meters in virtual time: what is due, and what is asked for in between."""

import asyncio
import math
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from dcu.conversation.visit import Findings
from dcu.dlms.hdlc_link import OPEN_REPEATS
from dcu.errors import BusError
from dcu.model import INSTANT, Command, Keys, Order, Outcome, Priority, Task, Visit
from dcu.polling.commanding import COMMAND_TRIES
from dcu.polling.idle import IDLE_BOUND
from sim.fleet import FleetPlan
from sim.truth import expected_times
from sim.virtual import VirtualClock
from tests.lines import (
    CIPHERED,
    COMPANION,
    LOAD,
    ORIGIN,
    REGISTERS,
    Box,
    Losable,
    PortAround,
    assert_true,
    read_command,
    run_for,
    settle,
    virtually,
)


def test_what_is_due_is_read_from_every_meter_and_kept_with_its_watermarks() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        poll = box.poll(REGISTERS, LOAD)
        await settle(poll)
        assert_true(box, box.store.captures)
        assert {(each.meter, each.stream) for each in box.store.captures} == {
            (meter, stream) for meter in ("M0001", "M0002") for stream in (INSTANT, "load0")
        }
        quarter = int(ORIGIN) // 900 * 900
        assert box.store.watermarks == {(meter, "load0"): quarter for meter in ("M0001", "M0002")}
        health = poll.health
        assert (health.visits, health.ok, health.silent, health.line) == (2, 2, 0, 0)
        assert health.captures == len(box.store.captures)
        assert health.last_success is not None
        assert health.octets_sent == box.bus.counters.octets_in

    virtually(work)


def test_each_interval_brings_one_row_and_no_row_twice() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        await run_for(box.poll(LOAD), 2 * 3600.0 + 300.0)
        assert_true(box, box.store.captures)
        for meter in box.meters:
            ats = [each.at for each in box.store.captures if each.meter == meter.id]
            first, last = int(ORIGIN) - 3600, int(clock.now())
            assert ats == list(expected_times(meter, COMPANION.streams["load0"].name, first, last))

    virtually(work)


@pytest.mark.parametrize("order", Order)
def test_a_long_backfill_comes_in_slices_and_is_complete(order: Order) -> None:
    async def work(clock: VirtualClock) -> None:
        days = 4 * 86_400
        box = Box(clock)
        poll = box.poll(Task("load0", every=900.0, backfill=float(days), order=order))
        await settle(poll)
        assert poll.health.visits >= 2 * 4
        for meter in box.meters:
            ats = [each.at for each in box.store.captures if each.meter == meter.id]
            held = list(expected_times(meter, COMPANION.streams["load0"].name, int(ORIGIN) - days, int(ORIGIN)))
            assert sorted(ats) == held
            assert (ats == held) is (order is Order.OLDEST)
            assert ats[95 if order is Order.NEWEST else -1] == held[-1]
        accounts = box.store.accounts.values()
        assert [account.gaps for account in accounts] == [(), ()]

    virtually(work)


def test_a_command_overtakes_what_is_due() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, FleetPlan(meters=5, buses=1, hls=0))
        poll = box.poll(REGISTERS)
        await poll.step()
        poll.submit(read_command("M0005"))
        await poll.step()
        ((visit, found, error),) = box.answers
        assert (visit.meter, error) == ("M0005", None)
        assert found is not None
        assert found["stream"] == INSTANT
        # what was asked for is no capture; the schedule goes on as if nothing had been
        assert [each.meter for each in box.store.captures] == ["M0001"]
        await settle(poll)
        assert sorted(each.meter for each in box.store.captures) == [f"M000{n}" for n in range(1, 6)]

    virtually(work)


def test_a_command_wakes_a_flow_that_has_nothing_to_do() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        poll = box.poll()
        async with asyncio.TaskGroup() as group:
            flow = group.create_task(run_for(poll, 60.0))
            await asyncio.sleep(3.0)
            poll.submit(read_command("M0002"))
            await asyncio.sleep(2.0)
            assert len(box.answers) == 1
            await flow

    virtually(work)


def test_a_command_is_tried_twice_and_then_answered_with_the_reason() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        poll = box.poll()
        poll.sessions._keys = {**box.fleet.keys, "M0001": Keys(b"wrong")}
        poll.submit(read_command("M0001"))
        await poll.step()
        assert box.requests == COMMAND_TRIES * len(("SNRM", "AARQ")) == 4
        ((visit, found, error),) = box.answers
        assert (visit.meter, found) == ("M0001", None)
        assert error is not None
        assert "refused" in error
        assert (poll.health.visits, poll.health.refused) == (1, 1)

    virtually(work)


def test_a_command_for_a_silent_meter_costs_no_more_than_a_visit_of_the_schedule() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        box.bus.silence("M0001")
        poll = box.poll()
        poll.submit(read_command("M0001"))
        await poll.step()
        assert box.requests == 1 + OPEN_REPEATS == 2
        ((_, found, error),) = box.answers
        assert found is None
        assert error is not None
        assert "silent" in error
        assert (poll.health.visits, poll.health.silent) == (1, 1)

    virtually(work)


def test_a_command_that_succeeds_at_the_second_try_has_succeeded() -> None:
    class LostOnce(PortAround):
        writes = 0

        async def write(self, data: bytes) -> None:
            self.writes += 1
            if self.writes == 1:
                raise BusError("line: gone")
            await super().write(data)

    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        box.port = LostOnce(box.port)
        poll = box.poll()
        poll.submit(read_command("M0001"))
        await poll.step()
        ((_, found, error),) = box.answers
        assert found is not None
        assert error is None
        assert poll.health.ok == 1

    virtually(work)


def test_a_command_the_meter_cannot_fulfil_is_answered_with_the_reason() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        poll = box.poll(LOAD)
        poll.submit(read_command("M0001", profile="load9", **{"from": 0, "to": 1}))
        await poll.step()
        assert [(found, error) for _, found, error in box.answers] == [(None, "M0001 has no load9")]
        # asked once, and nothing is held against the meter: its readings are not late for it
        assert (poll.health.ok, poll.health.refused) == (1, 0)
        await settle(poll)
        assert poll.health.ok == 3
        assert clock.monotonic() < 10

    virtually(work)


def test_a_command_that_waited_too_long_leaves_the_line_to_others() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        poll = box.poll(LOAD)
        visit = read_command("M0001")
        assert visit.command is not None
        late = replace(visit, command=replace(visit.command, expires=clock.now()))
        poll.submit(late)
        await poll.step()
        assert box.answers == []  # the journal ends it by itself
        assert (poll.health.visits, poll.port.octets_sent) == (0, 0)

    virtually(work)


def test_a_stream_that_gives_nothing_makes_a_visit_that_went_partly_well() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        poll = box.poll(LOAD)

        async def refused(*_: object) -> Findings:
            return Findings(refused={"load0": "object unavailable"})

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("dcu.conversation.visit.Reading.take", refused)
            await poll.step()
        assert (poll.health.partly, poll.health.ok, poll.plan.counts().unreachable) == (1, 0, 0)

    virtually(work)


def test_our_own_mistake_over_one_meter_does_not_cost_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        poll = box.poll(REGISTERS)
        profile = poll.archive.profile

        def mistaken(meter: str) -> Any:
            if meter == "M0001":
                raise KeyError(meter)
            return profile(meter)

        monkeypatch.setattr(poll.archive, "profile", mistaken)
        await poll.step()
        await poll.step()
        assert (poll.health.refused, poll.health.ok) == (1, 1)
        assert {each.meter for each in box.store.captures} == {"M0002"}

    virtually(work)


def test_an_unset_clock_collects_nothing_but_answers_who_asks() -> None:
    class Unset(VirtualClock):
        def trusted(self) -> bool:
            return False

    async def work(clock: VirtualClock) -> None:
        box = Box(Unset(clock.loop, 1000.0))
        poll = box.poll(REGISTERS, LOAD)
        poll.submit(read_command("M0001"))
        await run_for(poll, 4000.0)
        assert box.store.captures == []
        assert len(box.answers) == 1

    virtually(work)


def test_an_idle_flow_shows_that_it_lives() -> None:
    async def work(clock: VirtualClock) -> None:
        poll = Box(clock).poll()
        for _ in range(5):
            await poll.step()
            assert clock.monotonic() - poll.progress.last <= IDLE_BOUND
        assert clock.monotonic() == 5 * IDLE_BOUND

    virtually(work)


def test_a_flow_that_is_told_to_end_closes_its_port() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock)
        port = Losable(box)
        await run_for(box.poll(REGISTERS), 0.1)
        assert port.closed == 1
        assert clock.monotonic() == pytest.approx(0.1)

    virtually(work)


def test_outcomes_are_counted_by_kind() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, FleetPlan(meters=4, buses=1, hls=0))
        box.bus.silence("M0002")
        poll = box.poll(REGISTERS)
        poll.sessions._keys = {**box.fleet.keys, "M0003": Keys(b"wrong")}
        for _ in range(4):
            await poll.step()
        health = poll.health
        counted = {kind.value: getattr(health, kind.value) for kind in Outcome if kind is not Outcome.UNASKED}
        assert counted == {"ok": 2, "partly": 0, "yielded": 0, "silent": 1, "refused": 1, "line": 0}
        assert health.visits == 4
        assert 0 < health.busy <= clock.monotonic()

    virtually(work)


def test_a_failed_security_check_is_counted_by_what_failed_and_logged_as_a_warning() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        poll = box.poll(REGISTERS)
        await settle(poll)
        assert box.store.heard
        assert poll.health.security == {}
        box.store.heard = dict.fromkeys(box.store.heard, 2**32 - 1)
        replayed = box.poll(REGISTERS)
        with capture_logs() as lines:
            await replayed.step()
        assert (replayed.health.refused, replayed.health.security) == (1, {"counter": 1})
        (line,) = [line for line in lines if line["event"] == "security event"]
        assert (line["log_level"], line["breach"], line["meter"]) == ("warning", "counter", "M0001")
        ((name, meter, detail),) = box.reports
        assert (name, meter, detail["breach"]) == ("security breach", "M0001", "counter")

    virtually(work)


SET_DAYS = Command(
    "c2",
    "meter.set",
    ("M0001",),
    {"object": "0-0:11.0.0.255", "class": 11, "attribute": 2, "value": [{"index": 1, "date": "*-12-25", "day": 2}]},
)


class Deafening(PortAround):
    """Loses every answer after the `after`-th write."""

    after = math.inf
    writes = 0

    async def write(self, data: bytes) -> None:
        self.writes += 1
        await super().write(data)

    async def read(self) -> bytes:
        data = await super().read()
        return b"" if self.writes > self.after else data


def test_what_changes_a_meter_is_sent_once_though_its_answer_is_lost() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        port = box.port = Deafening(box.port)
        poll = box.poll()
        poll.submit(Visit("M0001", command=SET_DAYS, priority=Priority.COMMAND))
        (meter,) = box.meters
        port.after = 3  # SNRM, AARQ and the proof are answered; the SET is not
        await poll.step()
        ((_, found, error),) = box.answers
        assert found is None
        assert error is not None
        assert error.startswith("not known whether it was carried out: read before you repeat (silent")
        assert poll.health.silent == 1
        assert len(meter.shelf) == 1

    virtually(work)


def test_a_doubtful_visit_only_looks() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, CIPHERED)
        poll = box.poll()
        looking = Visit("M0001", command=SET_DAYS, priority=Priority.COMMAND, doubtful=True)
        poll.submit(looking)
        await poll.step()
        (meter,) = box.meters
        assert meter.shelf == {}
        poll.submit(replace(looking, doubtful=False))
        await poll.step()
        poll.submit(looking)
        await poll.step()
        _, told, seen = box.answers
        assert told[1] == {"meter": "M0001", "object": "0-0:11.0.0.255", "class": 11, "attribute": 2}
        assert seen[1] == told[1] | {"confirmed": True}
        assert box.answers[0][2] == (
            "not known whether it was carried out: read before you repeat (the meter holds another value)"
        )

    virtually(work)
