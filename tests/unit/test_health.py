"""Progress decides whether the watchdog is fed."""

from dcu.health import KEPT, STEP_BOUND, Health


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
