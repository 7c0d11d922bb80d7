"""Progress decides whether the watchdog is fed."""

from dcu.health import KEPT, SLOT, SLOTS, STEP_BOUND, BusHealth, Health, Moments
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


def test_moments_are_counted_by_when_they_were_read() -> None:
    moments = Moments()
    assert moments.read("instant", 0.0, 1e9) == 0
    for at in (1000.0, 1004.0, 1010.0, 1900.0):
        moments.count("instant", at)
    moments.count("mine", 1000.0)
    assert [moments.read("instant", *span) for span in ((1000, 1010), (1000, 1905), (1010, 1900), (2000, 3000))] == [
        2,
        4,
        1,
        0,
    ]
    # one that comes late belongs where it was read
    moments.count("instant", 1005.0)
    assert moments.read("instant", 1000, 1010) == 3


def test_moments_are_forgotten_after_a_day_and_begin_anew_where_the_clock_is_set_back() -> None:
    moments, day = Moments(), SLOTS * SLOT
    moments.count("instant", 1000.0)
    moments.count("instant", 1000.0 + day)
    assert moments.read("instant", 0, 1000 + 2 * day) == 1
    moments.count("instant", 1e9 + 40 * 365 * 86_400)
    moments.count("instant", 1e9)
    assert moments.read("instant", 1e9, 1e9 + 5) == 1
    assert moments.read("instant", 0, 4e9) == 1
