"""Who is visited next: commands, deadlines, back-off, the share of the unreachable."""

import pytest

from dcu.errors import CommandRejected
from dcu.model import Command, Outcome, Priority, Task, Visit
from dcu.plan import BusPlan, PlanCounts, planner
from dcu.plan.planner import DEAD_AFTER, DEAD_SHARE, FIRST_REST, LAG, REST_CAP

LOAD = Task("load0", 900.0)
EVENTS = Task("event.fraud", 900.0, priority=Priority.EVENT)


def plan_of(*meters: str, tasks: tuple[Task, ...] = (LOAD,)) -> BusPlan:
    return BusPlan(meters, tasks, now=0.0, wall=0.0)


def command(meter: str, name: str = "c") -> Visit:
    return Visit(meter, command=Command(name, "meter.read"), priority=Priority.COMMAND)


def visit(plan: BusPlan, now: float, outcome: Outcome = Outcome.OK, cost: float = 1.0) -> str | None:
    """Make the next visit; return its meter."""
    chosen = plan.next_visit(now)
    if chosen is not None:
        plan.finished(chosen, outcome, now + cost)
    return chosen.meter if chosen else None


def test_a_sweep_visits_each_meter_once_with_all_its_streams() -> None:
    plan = plan_of("A", "B", tasks=(LOAD, EVENTS))
    first = plan.next_visit(0.0)
    assert first == Visit("A", ("load0", "event.fraud"), priority=Priority.EVENT)
    plan.finished(first, Outcome.OK, 1.0)
    assert [visit(plan, 1.0), visit(plan, 2.0)] == ["B", None]
    assert plan.next_wake(2.0) == 900.0
    assert [visit(plan, 900.0), visit(plan, 901.0), visit(plan, 902.0)] == ["A", "B", None]


def test_a_command_overtakes_everything_in_the_order_of_arrival() -> None:
    plan = plan_of("A", "B")
    plan.urgent(command("B", "first"))
    plan.urgent(command("A", "second"))
    assert plan.counts().urgent == 2
    assert plan.next_wake(0.0) == 0.0
    one = plan.next_visit(0.0)
    assert one is not None
    assert (one.meter, one.streams) == ("B", ())
    plan.finished(one, Outcome.OK, 1.0)
    assert [visit(plan, now) for now in (1.0, 2.0, 3.0, 4.0)] == ["A", "A", "B", None]


def test_a_command_is_not_tried_again() -> None:
    plan = BusPlan(["A"], [], now=0.0, wall=0.0)
    plan.urgent(command("A"))
    assert visit(plan, 0.0, Outcome.SILENT) == "A"
    assert visit(plan, 1e6) is None
    assert plan.next_wake(1e6) is None


def test_commands_beyond_the_bound_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "MAX_URGENT", 2)
    plan = plan_of("A")
    plan.urgent(command("A"))
    plan.urgent(command("A"))
    with pytest.raises(CommandRejected, match="too many"):
        plan.urgent(command("A"))


def test_only_commands_are_urgent() -> None:
    with pytest.raises(ValueError, match="carries no command"):
        plan_of("A").urgent(Visit("A", ("load0",)))


def test_the_earliest_deadline_goes_first() -> None:
    plan = plan_of("A", "B", tasks=(Task("load0", 100.0),))
    visit(plan, 0.0)  # A; B waits since 0
    plan.again("A", ["load0"], now=1.0)
    assert visit(plan, 2.0) == "B"
    assert visit(plan, 3.0) == "A"


@pytest.mark.parametrize(("aged", "first"), [(-1.0, "A"), (1.0, "B")])
def test_further_rows_wait_behind_what_is_scheduled_until_they_have_aged(aged: float, first: str) -> None:
    plan = plan_of("A", "B")
    visit(plan, 0.0)
    visit(plan, 0.0)
    asked = 900.0 - (LAG[Priority.BACKFILL] - LAG[Priority.SCHEDULED]) - aged
    plan.again("B", ["load1"], asked)
    assert visit(plan, 900.0) == first


def test_further_rows_are_fetched_at_once_when_nothing_else_is_due() -> None:
    plan = BusPlan(["A"], [], now=0.0, wall=0.0)
    plan.again("A", ["load0"], now=5.0)
    assert plan.next_visit(5.0) == Visit("A", ("load0",), priority=Priority.BACKFILL)


def test_a_short_interval_does_not_push_a_waiting_stream_back() -> None:
    plan = BusPlan(["A", "B"], [Task("instant", 10.0)], now=0.0, wall=0.0)
    assert visit(plan, 0.0) == "A"
    assert visit(plan, 11.0) == "B"  # due since 0, although it fell due again at 10 with A
    assert plan.counts().missed == 1


def test_a_failure_rests_the_meter_longer_each_time_up_to_the_cap() -> None:
    plan = BusPlan(["A"], [], now=0.0, wall=0.0)
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
    plan.urgent(command("A"))
    assert visit(plan, 3.0) == "A"
    assert visit(plan, 4.0) == "A"


def test_the_unreachable_are_probed_within_their_share() -> None:
    plan = plan_of("A", "B", "C")
    now = 0.0
    for _ in range(3 * DEAD_AFTER):
        now = max(now, plan.next_wake(now) or now)
        visit(plan, now, Outcome.SILENT, cost=6.0)
        now += 6.0
    assert plan.counts() == PlanCounts(urgent=0, due=3, unreachable=3, missed=0)
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
    assert plan.counts() == PlanCounts(0, 0, 0, 0)


def test_a_refusal_counts_as_a_failure() -> None:
    plan = plan_of("A")
    for now in (0.0, 1e4, 2e4):
        visit(plan, now, Outcome.REFUSED)
    assert plan.counts().unreachable == 1


def test_the_clock_is_followed() -> None:
    plan = plan_of("A")
    visit(plan, 0.0)
    plan.align(10.0, 890.0)
    assert plan.next_wake(10.0) == 20.0


def test_one_visit_at_a_time() -> None:
    plan = plan_of("A", "B")
    first = plan.next_visit(0.0)
    assert first is not None
    with pytest.raises(RuntimeError, match="A is still being visited"):
        plan.next_visit(1.0)
    with pytest.raises(RuntimeError, match="B is not being visited"):
        plan.finished(Visit("B"), Outcome.OK, 1.0)


def test_who_is_due_comes_after_those_before_him_at_the_pace_of_the_visits() -> None:
    plan = plan_of("A", "B", "C")
    for now in (0.0, 1.0, 2.0):
        visit(plan, now)
    plan.again("A", ["load0"], 3.0)
    plan.again("B", ["load0"], 4.0)
    assert plan.coming("A", 5.0) == 0.0
    assert plan.coming("B", 5.0) == planner.FIRST_PACE
    # a slower visit slows the estimate down
    visit(plan, 5.0, cost=1.0 + 8.0)
    plan.again("A", ["load0"], 14.0)
    assert plan.coming("A", 14.0) == 1.0 + 8.0 * planner.PACE_WEIGHT


def test_who_is_not_due_comes_with_the_next_ring_in_his_turn() -> None:
    plan = plan_of("A", "B", "C")
    for now in (0.0, 1.0, 2.0):
        visit(plan, now)
    assert [plan.coming(meter, 800.0) for meter in "ABC"] == [100.0, 101.0, 102.0]


def test_who_rests_after_a_failure_does_not_come_before_it_is_over() -> None:
    plan = plan_of("A")
    visit(plan, 0.0, Outcome.SILENT)
    assert plan.coming("A", 1.0) == FIRST_REST


def test_a_command_brings_its_meter_next_and_without_tasks_nobody_comes() -> None:
    plan = plan_of("A", "B", tasks=())
    assert plan.coming("B", 0.0) is None
    plan.urgent(command("B"))
    assert [plan.coming(meter, 0.0) for meter in "AB"] == [None, 0.0]
