"""Clocks that are moved by the rules: whatever their offset, zone and periods, no boundary is crossed by our hand."""

from hypothesis import given
from hypothesis import strategies as st

from dcu.clock import DAY
from dcu.plan.calibration import MARGIN, Reading, Rules, Verdict, advise

RULES = Rules()
PERIODS = st.sets(st.sampled_from([0, 60, 300, 900, 1800, 3600, DAY]), max_size=3)
NOW = st.integers(1_700_000_000, 2_300_000_000)
ZONES = st.sampled_from([None, 0, -60, -120, -330, 300, 210])
OFFSETS = st.floats(-4000.0, 4000.0)


def boundaries(at: int, periods: set[int], deviation: int | None) -> set[int]:
    zones = {0, 60 * (deviation or 0)}
    return {(at - zone) // period for period in (periods | {DAY}) - {0} for zone in zones}


@given(NOW, OFFSETS, PERIODS, ZONES)
def test_no_move_crosses_a_boundary(now: int, offset: float, periods: set[int], zone: int | None) -> None:
    at = round(now + offset)
    advice = advise(Reading(at, offset, zone), periods, RULES)
    assert advice.moves is bool(advice.shift)
    # nor would it when the clock goes on while it is being moved
    for late in (0, MARGIN - 1):
        new = at + late + advice.shift
        for period in (periods | {DAY}) - {0}:
            for shift in {0, 60 * (zone or 0)}:
                assert not advice.moves or (at - shift) // period == (new - shift) // period


@given(NOW, OFFSETS, PERIODS, ZONES)
def test_a_move_leads_towards_the_truth_and_never_past_it(
    now: int, offset: float, periods: set[int], zone: int | None
) -> None:
    advice = advise(Reading(round(now + offset), offset, zone), periods, RULES)
    left = offset + advice.shift
    assert abs(left) <= max(abs(offset), 0.5)
    assert left * offset >= 0 or abs(left) <= 0.5


@given(NOW, OFFSETS, PERIODS, ZONES)
def test_whoever_follows_the_advice_comes_within_tolerance_or_to_a_person(
    now: int, offset: float, periods: set[int], zone: int | None
) -> None:
    at, first = round(now + offset), offset
    for _ in range(40):
        advice = advise(Reading(at, offset, zone), periods, RULES)
        if advice.verdict in {Verdict.GOOD, Verdict.FAR}:
            break
        assert advice.verdict is Verdict.MOVE or 0 < advice.wait <= DAY
        # the next look comes some seconds after it was asked for; after a step, as soon as there may be another
        seconds = 2 + int(advice.wait) + (2 * MARGIN if advice.moves else 0)
        at, offset = at + advice.shift + seconds, offset + advice.shift
    assert abs(offset) <= RULES.tolerance or advice.verdict is Verdict.FAR
    if advice.verdict is Verdict.FAR:
        assert offset == first
