"""Progress decides whether the watchdog is fed."""

from dcu.health import KEPT, STEP_BOUND, BusHealth, Health
from dcu.model import Outcome


def test_a_flow_that_stops_marking_is_named_as_stuck() -> None:
    health = Health()
    health.watch("poll:a", 0.0)
    lively = health.watch("deliver", 0.0)
    lively.mark(STEP_BOUND)
    assert health.stuck(STEP_BOUND + 1) == ["poll:a"]


def test_only_the_newest_latencies_are_kept() -> None:
    health = Health()
    health.command_latency.extend(range(KEPT * 3))
    assert list(health.command_latency) == list(range(KEPT * 2, KEPT * 3))


def test_a_visit_is_counted_by_how_it_ended_and_what_it_cost() -> None:
    bus = BusHealth()
    bus.count(Outcome.OK, 0.5, good=True)
    bus.count(Outcome.SILENT, 2.0, good=False)
    assert (bus.visits, bus.ok, bus.silent, bus.busy, bus.wasted) == (2, 1, 1, 2.5, 2.0)
