"""Numbers of the command line, at their bounds and beyond."""

import argparse
from collections.abc import Callable

import pytest

from sim.arguments import factor, seconds, share, whole


@pytest.mark.parametrize(
    ("taking", "text", "taken"),
    [
        (share, "0", 0.0),
        (share, "1", 1.0),
        (share, "1.01", None),
        (share, "nan", None),
        (share, "half", None),
        (seconds, "0", 0.0),
        (seconds, "-1", None),
        (seconds, "inf", None),
        (factor, "0.01", 0.01),
        (factor, "0", None),
        (whole(1, 4), "1", 1),
        (whole(1, 4), "4", 4),
        (whole(1, 4), "5", None),
        (whole(1, 4), "1.5", None),
    ],
)
def test_bounds(taking: Callable[[str], float], text: str, taken: float | None) -> None:
    if taken is not None:
        assert taking(text) == taken
        return
    with pytest.raises(argparse.ArgumentTypeError, match=f"got '{text}'"):
        taking(text)
