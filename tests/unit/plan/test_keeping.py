"""When an association stays open: the table of its module, line by line."""

import pytest

from dcu.plan.keeping import keeps, rests


@pytest.mark.parametrize(
    ("coming", "keep_open", "kept"),
    [
        (None, 90.0, False),
        (0.0, 90.0, True),
        (89.9, 90.0, True),
        (90.0, 90.0, False),
        (0.0, 0.0, False),
        (None, 0.0, False),
    ],
)
def test_it_is_kept_for_a_visit_within_the_time_it_may_rest(
    coming: float | None, keep_open: float, *, kept: bool
) -> None:
    assert keeps(coming, keep_open) is kept


def test_each_time_it_was_stale_halves_its_rest() -> None:
    assert [rests(80.0, stale) for stale in range(4)] == [80.0, 40.0, 20.0, 10.0]
    assert keeps(30.0, 80.0, stale=1)
    assert not keeps(30.0, 80.0, stale=2)


def test_no_number_of_failures_is_too_large() -> None:
    assert not keeps(1.0, 3600.0, stale=5000)
