"""Inputs beyond a frame, a packet and what is reassembled over each target: a limit in octets comes to it, in time."""

from collections.abc import Callable
from random import Random
from typing import Final

import pytest

from dcu.dlms import axdr
from tests.property.octets import CORPUS
from tests.property.targets import by_target, largest, least, timed

#: A megabyte may take longer than an input does, and much longer on a machine that has other work.
MAX_LONG_SECONDS: Final = 20.0
#: Octets of long inputs: beyond a frame and a packet, within what is reassembled, and beyond that.
LONG_INPUTS: Final = (70_000, 700_000, axdr.MAX_OCTETS + 4096)
#: Kilobytes by which the process may grow: some hundred thousand values are 8 octets of list each, and more before they
#: are judged.
MAX_LONG_GROWTH: Final = 131_072


@by_target
@pytest.mark.parametrize("size", LONG_INPUTS)
def test_long(target: Callable[[bytes], None], kinds: str, size: int) -> None:
    """Seeds again and again, and lengths that are true: what has a limit in octets comes to it."""
    random = Random(f"{kinds}{size}")
    seeds = [octets for kind in kinds.split() for octets in CORPUS[kind] if octets]
    resident = least()
    for _ in range(4):
        seed = random.choice(seeds)
        for octets in (
            seed,
            seed[:1] + axdr.encode_length(size),
            b"\x01" + axdr.encode_length(size // len(seed)) + seed,
        ):
            assert timed(target, (octets + seed * (size // len(seed) + 1))[:size]) < MAX_LONG_SECONDS
    assert largest() - resident < MAX_LONG_GROWTH
