"""When a clock is moved: the two thresholds, boundaries, steps, zones; and what its points say of its drift."""

import pytest

from dcu.clock import DAY
from dcu.plan.calibration import MARGIN, Advice, Reading, Rules, Verdict, advise, crossed, drift, jumped

QUARTER = 1_790_000_100 // 900 * 900
RULES = Rules()
LOADS = {900, DAY, 0}


def at(into: int, offset: float, deviation: int | None = 0) -> Reading:
    """A clock that shows `into` seconds of a quarter of an hour, `offset` seconds more than it ought to."""
    return Reading(QUARTER + into, offset, deviation)


@pytest.mark.parametrize("offset", [0.0, 30.0, -30.0, 29.9])
def test_what_is_little_is_left_alone(offset: float) -> None:
    assert advise(at(400, offset), LOADS, RULES) == Advice(Verdict.GOOD)


@pytest.mark.parametrize("offset", [3601.0, -3601.0, 40 * 365.0 * DAY])
def test_what_is_much_is_for_a_person(offset: float) -> None:
    assert advise(at(400, offset), LOADS, RULES) == Advice(Verdict.FAR)


def test_what_is_between_is_moved_at_once_inside_the_interval() -> None:
    assert advise(at(400, 61.4), LOADS, RULES) == Advice(Verdict.MOVE, shift=-61)
    assert advise(at(400, -61.6), LOADS, RULES) == Advice(Verdict.MOVE, shift=62)


def test_a_boundary_is_waited_for_rather_than_crossed() -> None:
    back = advise(at(100, 300.0), LOADS, RULES)
    assert back == Advice(Verdict.WAIT, wait=MARGIN + 300 - 100)
    assert advise(at(100 + int(back.wait), 300.0), LOADS, RULES) == Advice(Verdict.MOVE, shift=-300)
    forward = advise(at(700, -300.0), LOADS, RULES)
    assert forward == Advice(Verdict.WAIT, wait=900 + MARGIN - 700)
    assert advise(at(MARGIN, -300.0), LOADS, RULES) == Advice(Verdict.MOVE, shift=300)


@pytest.mark.parametrize("into", [0, MARGIN - 1, 900 - MARGIN + 1, 899])
def test_nothing_is_moved_while_a_boundary_is_near(into: int) -> None:
    assert advise(at(into, 40.0), LOADS, RULES).verdict is Verdict.WAIT


def test_more_than_an_interval_goes_in_steps() -> None:
    assert advise(at(100, -2400.0), LOADS, RULES) == Advice(Verdict.MOVE, shift=900 - MARGIN - 100)
    assert advise(at(800, 2400.0), LOADS, RULES) == Advice(Verdict.MOVE, shift=MARGIN - 800)
    # a step that brings little is not worth a visit
    assert advise(at(100, 2400.0), LOADS, RULES).verdict is Verdict.WAIT


def test_too_many_steps_are_for_a_person() -> None:
    assert advise(at(30, 400.0), {60}, RULES) == Advice(Verdict.FAR)
    assert advise(at(7, 40.0), {15}, RULES) == Advice(Verdict.FAR)


def test_midnight_of_the_meters_own_zone_is_a_boundary() -> None:
    midnight = QUARTER // DAY * DAY + DAY + 60 * -60  # 23:00 UTC is 00:00 in CET
    assert advise(Reading(midnight - 60, -120.0, -60), (), RULES).verdict is Verdict.WAIT
    assert advise(Reading(midnight - 60, -120.0, 0), (), RULES) == Advice(Verdict.MOVE, shift=120)


def test_a_clock_without_a_zone_that_is_a_quarter_off_may_keep_local_time() -> None:
    assert advise(at(400, 899.0, None), (), RULES) == Advice(Verdict.FAR)
    assert advise(at(400, 120.0, None), (), RULES) == Advice(Verdict.MOVE, shift=-120)


def test_what_a_deliberate_move_crosses_is_named() -> None:
    assert crossed(QUARTER + 10, QUARTER + 300, LOADS) == []
    assert crossed(QUARTER + 10, QUARTER - 300, LOADS) == [900]
    assert crossed(QUARTER, QUARTER + 40 * 365 * DAY, LOADS) == [900, DAY]


def test_drift_is_the_slope_of_the_points() -> None:
    assert drift([(day * DAY, 3.0 + 0.5 * day) for day in range(8)]) == pytest.approx(0.5)
    assert drift([(0, 0.0), (DAY, -1.5)]) == pytest.approx(-1.5)
    assert drift([(0, 0.0)]) is None
    assert drift([(0, 0.0), (3600, 1.0)]) is None


def test_a_clock_that_somebody_moved_is_told_from_one_that_drifts() -> None:
    assert not jumped((0, 0.0), (DAY, 19.0))
    assert jumped((0, 0.0), (DAY, 21.0))
    assert jumped((0, 30.0), (60, 0.0))
