"""How long a meter could be reached, from its history."""

import pytest

from dcu.model import Reach
from dcu.plan.reach import available

UP, WEAK, DOWN = Reach.REACHABLE, Reach.DEGRADED, Reach.UNREACHABLE


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ([], 0.0),
        ([(0.0, UP)], 100.0),
        ([(150.0, UP)], 50.0),
        ([(0.0, UP), (150.0, WEAK)], 50.0),
        ([(0.0, UP), (120.0, WEAK), (130.0, DOWN), (160.0, UP), (190.0, WEAK), (195.0, UP)], 20.0 + 30.0 + 5.0),
        ([(0.0, DOWN)], 0.0),
        ([(0.0, UP), (250.0, DOWN)], 100.0),
        ([(300.0, UP)], 0.0),
    ],
)
def test_only_what_was_reachable_within_the_span_counts(changes: list[tuple[float, Reach]], seconds: float) -> None:
    assert available(changes, 100.0, 200.0) == seconds
