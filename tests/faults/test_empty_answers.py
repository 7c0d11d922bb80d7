"""A meter that gives no rows for once, or only some: what it holds is read all the same, and what it lacks is told."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from dcu.model import Order, Reason, Task
from dcu.plan.unconfirmed import CONFIRM_AFTER
from sim.meter import SimMeter
from sim.truth import expected_times
from sim.virtual import VirtualClock
from tests.faults.test_changed_meters import ONE
from tests.lines import COMPANION, Box, assert_true, run_for, settle, virtually

HOUR = 3600.0
QUARTER = 900
KEY = ("M0001", "load0")
NAME = COMPANION.streams["load0"].name

Rows = Sequence[Any]
Cut = Callable[[Rows], Rows]


class Answers:
    """What the meter's load profile gives, `cut` from now on; how often it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cut: Cut = lambda rows: rows
        self.asked = 0
        true = SimMeter.rows

        def rows(meter: SimMeter, profile: Any, wanted: Any, at: int) -> Any:
            found = true(meter, profile, wanted, at)
            if profile.name != NAME:
                return found
            self.asked += 1
            return self.cut(found)

        monkeypatch.setattr(SimMeter, "rows", rows)

    def empty(self, times: int) -> None:
        """Give no row so many times, and then all."""
        last = self.asked + times
        self.cut = lambda rows: rows if self.asked > last else rows[:0]


def load(order: Order = Order.NEWEST) -> Task:
    return Task("load0", every=900.0, offset=5.0, backfill=7200.0, order=order)


def assert_whole(box: Box, end: float) -> None:
    account = box.store.accounts[KEY]
    truth = expected_times(box.meters[0], NAME, account.since, int(end) - QUARTER)
    assert sorted(each.at for each in box.store.captures if each.at <= truth[-1]) == list(truth)
    assert account.gaps == ()
    assert_true(box, box.store.captures)


@pytest.mark.parametrize("order", Order)
@pytest.mark.parametrize("mode", ["empty", "the oldest 16", "the newest 16", "empty, then the oldest 16"])
def test_after_half_a_day_of_silence_one_poor_answer_costs_no_row(
    order: Order, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = Answers(monkeypatch)

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll = box.poll(load(order))
        await settle(poll)
        box.bus.silence("M0001")
        await run_for(poll, 12 * HOUR)
        box.bus.silence()
        if mode == "empty":
            answers.empty(1)
        elif mode == "empty, then the oldest 16":
            first = answers.asked + 1
            answers.cut = lambda rows: rows[:0] if answers.asked <= first else rows[:16]
        else:
            answers.cut = (lambda rows: rows[:16]) if mode == "the oldest 16" else (lambda rows: rows[-16:])
        asked = answers.asked
        await run_for(poll, 6 * HOUR)
        await poll.handover.settled()
        assert_whole(box, clock.now())
        assert answers.asked - asked < 6 * 4 + 12, "not asked in vain"

    virtually(work)


@pytest.mark.parametrize("order", Order)
def test_of_a_meter_that_has_no_rows_nothing_is_asked_without_end_and_all_is_told(
    order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = Answers(monkeypatch)

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll = box.poll(load(order))
        await settle(poll)
        began, asked = clock.now(), answers.asked
        answers.empty(10_000)
        await run_for(poll, 24 * HOUR)
        await poll.handover.settled()
        # a question for what is new each quarter of an hour, and one in each hour for what came empty
        assert answers.asked - asked <= 24 * (4 + 2) + 4
        missing = [gap for gap in box.store.accounts[KEY].gaps if gap.reason is Reason.NO_RECORD]
        assert min(gap.start for gap in missing) <= began + QUARTER
        assert clock.now() - max(gap.end for gap in missing) < 4 * CONFIRM_AFTER

    virtually(work)


def test_two_empty_answers_within_the_hour_settle_nothing_and_a_restart_begins_to_wait_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = Answers(monkeypatch)

    async def work(clock: VirtualClock) -> None:
        box = Box(clock, ONE)
        poll = box.poll(load())
        await settle(poll)
        box.bus.silence("M0001")
        await run_for(poll, 12 * HOUR)
        box.bus.silence()
        answers.empty(3)
        await run_for(poll, 1000.0)
        await poll.handover.settled()
        assert {gap.reason for gap in box.store.accounts[KEY].gaps} == {Reason.PENDING}
        again = box.poll(load())  # after a restart
        await settle(again)
        assert {gap.reason for gap in box.store.accounts[KEY].gaps} <= {Reason.PENDING}
        await run_for(again, 3 * HOUR)
        await again.handover.settled()
        assert_whole(box, clock.now())

    virtually(work)
