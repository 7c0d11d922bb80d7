"""What may be said to the simulator and the demonstration on the command line, by number.

What each of it means is told where it is asked for.
"""

import argparse
import math
from collections.abc import Callable


def share(text: str) -> float:
    """Return a probability. Raises ArgumentTypeError."""
    return _between(text, 0.0, 1.0)


def seconds(text: str) -> float:
    """Return a time in s that is not negative and has an end. Raises ArgumentTypeError."""
    return _between(text, 0.0, 1e9)


def factor(text: str) -> float:
    """Return a number above 0. Raises ArgumentTypeError."""
    return _between(text, math.nextafter(0.0, 1.0), 1e6)


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return what takes integers from `least` to `most`, and raises ArgumentTypeError for all else."""

    def taken(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"expected {least} to {most}, got {text!r}")
        return number

    return taken


def _between(text: str, least: float, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:  # nan is nowhere
        raise argparse.ArgumentTypeError(f"expected {least:g} to {most:g}, got {text!r}")
    return number
