"""Who is visited next: commands, priorities, deadlines, windows, groups."""

import math
import time

import pytest

from dcu.errors import CommandRejected
from dcu.model import Outcome, Priority, Reach, Task, Visit
from dcu.plan import BusPlan, PlanCounts, overtaking, planner
from dcu.plan.failing import FIRST_REST
from dcu.plan.needs import LAG
from dcu.plan.overtaking import MOST_CUTS, PATIENCE
from tests.plans import EVENTS, LOAD, command, plan_of, visit

NIGHTLY = Task("daily", at=0.0, window=600.0)


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
    plan.urgent(command("B", "first"), 0.0)
    plan.urgent(command("A", "second"), 0.0)
    assert plan.counts().urgent == 2
    assert plan.next_wake(0.0) == 0.0
    one = plan.next_visit(0.0)
    assert one is not None
    assert (one.meter, one.streams) == ("B", ())
    plan.finished(one, Outcome.OK, 1.0)
    assert [visit(plan, now) for now in (1.0, 2.0, 3.0, 4.0)] == ["A", "A", "B", None]


def test_a_command_is_not_tried_again() -> None:
    plan = plan_of("A", tasks=())
    plan.urgent(command("A"), 0.0)
    assert visit(plan, 0.0, Outcome.SILENT) == "A"
    assert visit(plan, 1e6) is None
    assert plan.next_wake(1e6) is None


def test_commands_beyond_the_bound_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overtaking, "MAX_URGENT", 2)
    plan = plan_of("A")
    plan.urgent(command("A"), 0.0)
    plan.urgent(command("A"), 0.0)
    with pytest.raises(CommandRejected, match="too many"):
        plan.urgent(command("A"), 0.0)


def test_only_commands_are_urgent() -> None:
    with pytest.raises(ValueError, match="carries no command"):
        plan_of("A").urgent(Visit("A", ("load0",)), 0.0)


def test_the_earliest_deadline_goes_first() -> None:
    plan = plan_of("A", "B", tasks=(Task("load0", 100.0),))
    visit(plan, 0.0)  # A; B waits since 0
    plan.again("A", ["load0"], now=1.0)
    assert visit(plan, 2.0) == "B"
    assert visit(plan, 3.0) == "A"


def test_who_has_waited_past_his_deadline_has_every_fourth_visit() -> None:
    plan = plan_of("A", "B", "C", "D", "E", "F", "G", "H", tasks=(Task("load0", 900.0),))
    for number in range(8):
        visit(plan, float(number))
    plan.again("H", ["load1"], now=10.0)
    late = 10.0 + LAG[Priority.BACKFILL]
    assert [visit(plan, late + number) for number in range(1, 6)] == ["A", "B", "C", "H", "D"]


def test_priority_is_certain_until_a_deadline_has_passed() -> None:
    meters = dict.fromkeys("ABCDEF", "load") | dict.fromkeys("GHI", "events")
    plan = BusPlan(meters, {"load": [LOAD], "events": [EVENTS]}, now=0.0, wall=0.0)
    assert [visit(plan, 0.0) for _ in range(9)] == list("GHIABCDEF")


@pytest.mark.parametrize(("asked", "order"), [(900.0 - LAG[Priority.BACKFILL] + 1, "ABC"), (0.0, "ABC")])
def test_further_rows_wait_behind_what_is_scheduled(asked: float, order: str) -> None:
    plan = plan_of("A", "B", "C")
    assert [visit(plan, 0.0) for _ in range(3)] == ["A", "B", "C"]
    plan.again("C", ["load1"], asked)
    assert plan.next_visit(1.0) is not None  # nothing else is due: they are fetched at once
    plan = plan_of("A", "B", "C")
    plan.again("C", ["load1"], asked)
    assert "".join(visit(plan, 0.0) or "" for _ in range(3)) == order


def test_further_rows_are_fetched_at_once_when_nothing_else_is_due() -> None:
    plan = plan_of("A", tasks=())
    plan.again("A", ["load0"], now=5.0)
    assert plan.next_visit(5.0) == Visit("A", ("load0",), priority=Priority.BACKFILL)


def test_a_short_interval_does_not_push_a_waiting_stream_back() -> None:
    plan = plan_of("A", "B", tasks=(Task("instant", 10.0),))
    assert visit(plan, 0.0) == "A"
    assert visit(plan, 11.0) == "B"  # due since 0, although it fell due again at 10 with A
    assert plan.counts().missed == 1


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
    plan.urgent(command("B"), 0.0)
    assert [plan.coming(meter, 0.0) for meter in "AB"] == [None, 0.0]


def test_a_group_has_its_own_timetable_and_only_that() -> None:
    plan = BusPlan({"A": "", "B": "shops"}, {"": [LOAD], "shops": [EVENTS]}, now=0.0, wall=0.0)
    seen = {}
    for _ in range(2):
        chosen = plan.next_visit(0.0)
        assert chosen is not None
        seen[chosen.meter] = chosen.streams
        plan.finished(chosen, Outcome.OK, 0.0)
    assert seen == {"A": ("load0",), "B": ("event.fraud",)}


def test_what_cannot_start_within_its_window_is_left_out_and_counted() -> None:
    plan = plan_of("A", "B", tasks=(NIGHTLY,))
    assert visit(plan, 0.0, cost=700.0) == "A"
    assert visit(plan, 700.0) is None
    assert plan.counts().missed == 1
    assert plan.next_wake(700.0) == 86_400.0


def test_a_retry_keeps_to_the_window_too() -> None:
    plan = plan_of("A", "B", tasks=(NIGHTLY,))
    assert [visit(plan, 590.0, Outcome.SILENT) for _ in range(2)] == ["A", "B"]
    assert visit(plan, 595.0 + FIRST_REST) is None
    assert plan.counts() == PlanCounts(urgent=0, due=0, degraded=2, unreachable=0, missed=2)


def test_a_deadline_of_its_own_goes_before_the_one_of_its_priority() -> None:
    plan = BusPlan(
        {"A": "", "B": "quick"}, {"": [LOAD], "quick": [Task("instant", 900.0, deadline=5.0)]}, now=0.0, wall=0.0
    )
    assert visit(plan, 0.0) == "B"


def test_a_command_that_has_waited_stops_a_visit_but_not_another_command() -> None:
    plan = plan_of("A", "B")
    assert not plan.yields(0.0)
    chosen = plan.next_visit(0.0)
    assert chosen is not None
    plan.urgent(command("B"), 10.0)
    assert not plan.yields(10.0 + PATIENCE - 0.1)
    assert plan.yields(10.0 + PATIENCE)
    plan.finished(chosen, Outcome.YIELDED, 12.0)
    urgent = plan.next_visit(12.0)
    assert urgent is not None
    plan.urgent(command("A"), 12.0)
    assert not plan.yields(100.0)


def paced(seconds: float, *tasks: Task) -> BusPlan:
    """Return a plan whose visits take so many seconds each, at the start of the next of them at 1000 s."""
    plan = plan_of("A", tasks=tasks or (LOAD,))
    for now in (0.0, 300.0):
        visit(plan, now)
    plan._pace = seconds
    chosen = plan.next_visit(1000.0)
    assert chosen is not None
    return plan


@pytest.mark.parametrize(
    ("pace", "deadline", "at", "stops"),
    [
        (10.0, 1005.0, 1000.5, True),  # it would last until 1010
        (10.0, 1012.0, 1000.5, False),
        (0.4, 1001.0, 1000.1, False),
        (0.4, 1001.2, 1000.9, True),  # it has outrun its time by as much as is left
        (10.0, math.inf, 1000.5, False),
        (10.0, math.inf, 1000.0 + PATIENCE, True),
        (0.4, 1500.0, 1000.0 + PATIENCE, True),
    ],
)
def test_a_visit_stops_for_a_command_that_would_expire_before_its_end(
    pace: float, deadline: float, at: float, *, stops: bool
) -> None:
    plan = paced(pace)
    plan.urgent(command("A"), 1000.0, deadline)
    assert plan.yields(at) is stops


def test_a_command_behind_others_has_their_time_to_wait_too() -> None:
    plan = paced(2.0)
    for _ in range(3):
        plan.urgent(command("A"), 1000.0)
    plan.urgent(command("A"), 1000.0, 1009.0)
    assert not plan.yields(1000.0)
    plan.urgent(command("A"), 1000.0, 1009.0)
    assert plan.yields(1000.0)


@pytest.mark.parametrize(
    ("priority", "deadline", "stops"),
    [
        (Priority.EVENT, 5.0, True),
        (Priority.EVENT, 300.0, False),
        (Priority.EVENT, None, False),  # late from the first moment: a second more or less is not worth a visit
        (Priority.SCHEDULED, 5.0, False),
    ],
)
def test_a_visit_stops_for_what_is_more_urgent_and_has_a_deadline_before_its_end(
    priority: Priority, deadline: float | None, *, stops: bool
) -> None:
    pressing = Task("event.fraud", 900.0, offset=210.0, priority=priority, deadline=deadline)
    plan = paced(40.0, LOAD, pressing)
    assert not plan.yields(1109.0)
    assert plan.yields(1112.0) is stops
    # only a look: it rings all the same
    running = plan._running
    assert running is not None
    plan.finished(running.visit, Outcome.YIELDED, 1112.0)
    again = plan.next_visit(1112.0)
    assert again is not None
    assert "event.fraud" in again.streams


def test_what_concerns_other_groups_stops_nothing() -> None:
    pressing = Task("event.fraud", 900.0, offset=210.0, priority=Priority.EVENT, deadline=5.0)
    plan = BusPlan({"A": ""}, {"": [LOAD], "shops": [pressing]}, now=0.0, wall=0.0)
    plan._pace = 40.0
    assert plan.next_visit(1000.0) is not None
    assert not plan.yields(1112.0)


def test_what_a_stopped_visit_did_not_get_is_due_at_its_old_age() -> None:
    plan = plan_of("A", "B", tasks=(LOAD, EVENTS))
    chosen = plan.next_visit(0.0)
    assert chosen is not None
    plan.finished(chosen, Outcome.YIELDED, 5.0, got={"event.fraud"})
    assert plan.reach("A") is Reach.REACHABLE
    assert visit(plan, 5.0) == "B"
    rest = plan.next_visit(6.0)
    assert rest == Visit("A", ("load0",), priority=Priority.SCHEDULED)
    assert plan._pile_of["A"].due.needs["load0"].since == 0.0


def test_a_flood_of_commands_does_not_stop_one_meter_for_ever() -> None:
    plan = plan_of("A")
    for number in range(MOST_CUTS + 1):
        chosen = plan.next_visit(float(number))
        assert chosen is not None
        plan.urgent(command("A"), number - PATIENCE)
        assert plan.yields(float(number)) is (number < MOST_CUTS)
        plan.finished(chosen, Outcome.YIELDED if number < MOST_CUTS else Outcome.OK, float(number))
        assert visit(plan, float(number)) == "A"
    assert plan.next_visit(float(MOST_CUTS)) is None


def test_buses_behind_one_gateway_start_one_after_another() -> None:
    plan = BusPlan({"A": ""}, {"": [LOAD]}, now=0.0, wall=0.0, stagger=3.0)
    assert visit(plan, 0.0) is None
    assert plan.next_wake(0.0) == 3.0
    assert visit(plan, 3.0) == "A"
    assert plan.next_wake(4.0) == 903.0


def test_what_is_about_to_fall_due_for_all_is_not_due_for_a_meter_that_comes_before() -> None:
    plan = BusPlan({"A": ""}, {"": [LOAD, NIGHTLY]}, now=0.0, wall=900.0, stagger=5.0)
    plan.add("B", "", 1.0)
    assert (visit(plan, 1.0), plan.next_wake(1.0)) == (None, 5.0)
    first = plan.next_visit(5.0)
    assert first is not None
    plan.finished(first, Outcome.OK, 6.0)
    assert (first.streams, visit(plan, 6.0), visit(plan, 7.0)) == (("load0",), "B", None)


def test_a_meter_that_is_added_is_due_at_once_and_one_that_is_removed_no_more() -> None:
    plan = plan_of("A", "B")
    assert [visit(plan, 0.0), visit(plan, 0.0)] == ["A", "B"]
    plan.add("C", "", 10.0)
    chosen = plan.next_visit(10.0)
    assert chosen == Visit("C", ("load0",), priority=Priority.SCHEDULED)
    plan.remove("C")
    plan.finished(chosen, Outcome.SILENT, 11.0)
    plan.remove("A")
    plan.again("A", ["load0"], 12.0)
    assert "C" not in plan
    assert [visit(plan, 900.0), visit(plan, 900.0)] == ["B", None]
    plan.add("D", "nobody", 901.0)
    assert visit(plan, 902.0) == "D"


@pytest.mark.no_cover  # to be traced takes longer than what is measured
@pytest.mark.parametrize("silent", [0, 1024])
def test_the_next_visit_is_found_soon_and_meters_share_what_they_are_due_for(silent: int) -> None:
    tasks = [Task(f"s{number}", 900.0) for number in range(10)]
    plan = BusPlan({f"M{number}": "" for number in range(1024)}, {"": tasks}, now=0.0, wall=0.0)
    now = 0.0
    for number in range(1024):
        visit(plan, now, Outcome.SILENT if number < silent else Outcome.OK, cost=0.0)
    took = []
    for number in range(1, 12):
        now = 900.0 * number
        for _ in range(64):
            began = time.process_time()
            chosen = plan.next_visit(now)
            took.append(time.process_time() - began)
            assert chosen is not None
            plan.finished(chosen, Outcome.SILENT if silent else Outcome.OK, now + 0.01)
            now += 0.01
    # a tenth of what it may take, many times over; no test depends on the speed of one measurement
    assert sorted(took)[len(took) // 2] < 0.01
    dues = {id(failing.due) for failing in plan._failing.values()} | {id(pile.due) for pile in plan._piles}
    assert len(dues) <= 64 * 11


def test_what_is_to_be_read_at_once_goes_before_the_sweep_and_before_rows_that_wait() -> None:
    plan = BusPlan(dict.fromkeys("ABCD", ""), {"": [Task("load0", every=900.0)]}, now=0.0, wall=0.0)
    plan.again("A", ["load1"], 890.0)
    plan.again("D", ["load1"], 891.0)
    plan.again("D", ["alarm"], 901.0, Priority.EVENT)
    visit = plan.next_visit(901.0)
    assert visit is not None
    assert (visit.meter, visit.priority) == ("D", Priority.EVENT)
    assert {"load1", "alarm"} <= set(visit.streams)
