"""Meters that fail: their rest, their share of the line, and how they come back."""

import pytest

from dcu.model import Outcome, Reach
from dcu.plan import BusPlan, PlanCounts
from dcu.plan.failing import DEAD_AFTER, FIRST_REST, REST_CAP
from dcu.plan.planner import DEAD_SHARE
from tests.plans import EVENTS, LOAD, command, plan_of, visit


def test_a_failure_rests_the_meter_longer_each_time_up_to_the_cap() -> None:
    plan = plan_of("A", tasks=())
    plan.again("A", ["load0"], now=0.0)
    now, rests = 0.0, []
    for _ in range(10):
        assert visit(plan, now, Outcome.SILENT, cost=0.0) == "A"
        wake = plan.next_wake(now)
        assert wake is not None
        rests.append(wake - now)
        now = wake
    assert rests == [min(REST_CAP, FIRST_REST * 2**power) for power in range(10)]


def test_an_answer_ends_the_rest() -> None:
    plan = plan_of("A")
    visit(plan, 0.0, Outcome.SILENT)
    assert visit(plan, 2.0) is None
    plan.urgent(command("A"), 0.0)
    assert visit(plan, 3.0) == "A"
    assert visit(plan, 4.0) == "A"


def test_a_command_that_asked_nobody_leaves_the_meter_as_it_was() -> None:
    plan = plan_of("A", "B")
    visit(plan, 0.0, Outcome.SILENT)
    before = plan.reach("A"), plan.failures("A"), plan.next_wake(0.5), plan.counts()
    for meter in ("A", "B"):
        plan.urgent(command(meter), 1.0)
        assert visit(plan, 1.0, Outcome.UNASKED) == meter
    assert (plan.reach("A"), plan.failures("A"), plan.next_wake(0.5), plan.counts()) == before
    assert plan.reach("B") is Reach.REACHABLE


def test_the_unreachable_are_probed_within_their_share() -> None:
    plan = plan_of("A", "B", "C")
    now = 0.0
    for _ in range(3 * DEAD_AFTER):
        now = max(now, plan.next_wake(now) or now)
        visit(plan, now, Outcome.SILENT, cost=6.0)
        now += 6.0
    assert plan.counts() == PlanCounts(urgent=0, due=3, degraded=0, unreachable=3, missed=0)
    now += REST_CAP
    assert visit(plan, now, Outcome.SILENT, cost=6.0) is not None
    assert visit(plan, now + 6.0) is None
    assert plan.next_wake(now + 6.0) == pytest.approx(now + 6.0 / DEAD_SHARE)


def test_meters_that_come_back_are_all_found_at_once() -> None:
    meters = [f"M{number}" for number in range(50)]
    plan = plan_of(*meters)
    now = 0.0
    while plan.counts().unreachable < len(meters):
        now = max(now, plan.next_wake(now) or now)
        visit(plan, now, Outcome.SILENT)
        now += 1.0
    now += REST_CAP
    found = {visit(plan, now + number) for number in range(len(meters))}
    assert found == set(meters)
    assert plan.counts().unreachable == 0


def test_a_lost_line_is_not_the_meters_fault() -> None:
    plan = plan_of("A")
    for _ in range(DEAD_AFTER + 1):
        assert visit(plan, 0.0, Outcome.LINE) == "A"
    assert plan.counts().unreachable == 0


def test_a_partial_answer_is_an_answer() -> None:
    plan = plan_of("A")
    visit(plan, 0.0, Outcome.PARTLY)
    assert visit(plan, 1.0) is None
    assert plan.counts() == PlanCounts(0, 0, 0, 0, 0)


def test_a_refusal_counts_as_a_failure() -> None:
    plan = plan_of("A")
    for now in (0.0, 1e4, 2e4):
        visit(plan, now, Outcome.REFUSED)
    assert plan.counts().unreachable == 1


def test_a_visit_that_failed_half_way_keeps_what_it_got() -> None:
    plan = plan_of("A", tasks=(LOAD, EVENTS))
    plan.again("A", ["load1"], 0.0)
    chosen = plan.next_visit(0.0)
    assert chosen is not None
    plan.finished(chosen, Outcome.SILENT, 5.0, got=["load0", "load1"])
    assert plan.reach("A") is Reach.DEGRADED
    rest = plan.next_visit(5.0 + FIRST_REST)
    assert rest is not None
    assert rest.streams == ("event.fraud",)


def test_reach_goes_by_failures_since_the_last_success() -> None:
    plan = plan_of("A")
    seen = []
    for number in range(DEAD_AFTER):
        seen.append(plan.reach("A"))
        assert visit(plan, 1e4 * number, Outcome.SILENT) == "A"
        assert plan.failures("A") == number + 1
    assert seen == [Reach.REACHABLE] + [Reach.DEGRADED] * (DEAD_AFTER - 1)
    assert plan.reach("A") is Reach.UNREACHABLE
    assert visit(plan, 1e6) == "A"
    assert plan.reach("A") is Reach.REACHABLE


def test_all_that_an_unreachable_meter_owes_is_read_at_its_first_answer() -> None:
    plan = plan_of("A", tasks=(LOAD,))
    plan.again("A", ["load1"], 0.0)
    for number in range(DEAD_AFTER):
        visit(plan, 1e4 * number, Outcome.SILENT)
    plan.urgent(command("A"), 5e4)
    assert visit(plan, 5e4) == "A"
    chosen = plan.next_visit(5e4 + 1.0)
    assert chosen is not None
    assert set(chosen.streams) == {"load0", "load1"}


def test_a_meter_that_was_unreachable_before_a_restart_is_probed_within_the_share() -> None:
    plan = plan_of("A", "B")
    plan.presume_unreachable("A", 0.0)
    assert (plan.reach("A"), visit(plan, 0.0), visit(plan, 1.0)) == (Reach.UNREACHABLE, "B", None)
    assert visit(plan, 200.0, Outcome.SILENT, cost=6.0) == "A"
    assert plan.counts().unreachable == 1


def test_the_share_of_the_dead_is_a_setting() -> None:
    plan = BusPlan({"A": "", "B": ""}, {"": [LOAD]}, now=0.0, wall=0.0, dead_share=0.02)
    plan.presume_unreachable("A", 0.0)
    plan.presume_unreachable("B", 0.0)
    assert visit(plan, 1000.0, Outcome.SILENT, cost=6.0) is not None
    assert plan.next_wake(1006.0) == pytest.approx(1000.0 + 6.0 / 0.02)


def test_after_a_lost_line_another_meter_is_tried_first() -> None:
    plan = plan_of("A", "B")
    assert [visit(plan, 0.0, Outcome.LINE) for _ in range(4)] == ["A", "B", "A", "B"]
