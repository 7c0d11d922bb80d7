"""Sixteen thousand octet strings that nobody meant over each target: only our own errors, no hang, no growth."""

from collections.abc import Callable
from typing import Final

from tests.property.octets import EVERYTHING, inputs
from tests.property.targets import TARGETS, by_target, largest, least, timed

INPUTS: Final = 16_000
#: A thousand times what the slowest input takes, so that it says hang and not slow machine.
MAX_SECONDS: Final = 2.0
#: Kilobytes by which the process may be larger at any time within one target than it was before it.
MAX_GROWTH: Final = 32_768


def test_there_are_enough_inputs() -> None:
    assert len(TARGETS) * INPUTS >= 200_000
    assert len(set(EVERYTHING)) > 150


@by_target
def test_volume(target: Callable[[bytes], None], kinds: str) -> None:
    slowest, worst = 0.0, b""
    resident = least()
    for octets in inputs(kinds, INPUTS):
        spent = timed(target, octets)
        if spent > slowest:
            slowest, worst = spent, octets
    assert slowest < MAX_SECONDS, worst.hex()
    assert largest() - resident < MAX_GROWTH


def test_a_peak_that_is_over_is_seen() -> None:
    resident = least()
    octets = bytearray(b"x") * 50_000_000
    del octets
    assert largest() - resident > 40_000
    assert largest() - least() < 1000 + 50_000
