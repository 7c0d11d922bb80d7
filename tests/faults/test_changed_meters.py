"""A meter exchanged, reprogrammed or parameterised anew between two visits: its values are never read by old shapes."""

import asyncio
from dataclasses import replace

import pytest

from dcu.archive import IDENTITY
from dcu.model import INSTANT, Task
from dcu.poll import Poll
from dcu.recognition import RECOGNISE_EVERY
from sim.fleet import FleetPlan
from sim.meter import FIRMWARE, SERIAL_NUMBER, SimMeter
from sim.profiles import PROFILES
from sim.virtual import VirtualClock
from tests.lines import COMPANION, Box, assert_true, settle, virtually

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
        poll = box.poll(*TASKS)
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
        rows = [each.at for each in box.store.captures if each.stream == "load0"]
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


def test_columns_exchanged_for_others_of_the_same_form_are_noticed_within_a_day() -> None:
    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll = box.poll(*TASKS)
        await settle(poll)
        meter = box.meters[0]
        name = COMPANION.streams["load0"].name
        profile = PROFILES[meter.plate.phases][name]
        meter.profiles = {**meter.profiles, name: replace(profile, columns=profile.columns[::-1])}
        await settled(box, poll)
        assert box.reports == [("profile changed", "M0001", {"stream": "load0"})]
        assert poll.health.changed == 0

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
