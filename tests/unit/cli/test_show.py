"""A value is shown with exactly the digits the meter gave."""

from typing import Any

import pytest

from dcu.cli.show import shown


@pytest.mark.parametrize(
    ("value", "scaler", "text"),
    [
        (2301, -1, "230.1"),
        (5, -3, "0.005"),
        (-5, -1, "-0.5"),
        (12, 0, "12"),
        (12, 3, "12000"),
        (None, -1, ""),
        ("x", -1, "x"),
        (0, -2, "0.00"),
        (True, -1, "true"),
        (False, 0, "false"),
        (b"\x0a\x1b", 0, "0a1b"),
        ({"hex": "0a1b"}, 0, "0a1b"),
    ],
)
def test_scaling_moves_the_point_and_rounds_nothing(value: Any, scaler: int, text: str) -> None:
    assert shown(value, scaler) == text
