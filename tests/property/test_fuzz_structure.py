"""Inputs put together of pieces that are right: what hypothesis finds, and that nothing of any of them is kept."""

import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st

from dcu.errors import MeterError
from tests.property.octets import EVERYTHING, inputs
from tests.property.targets import TARGETS, by_target, timed

#: Octets that may be left over of 300 inputs.
MAX_KEPT: Final = 65_536
#: Such an input is some hundred octets long: a hang, not a slow machine.
MAX_SECONDS: Final = 5.0


@by_target
def test_nothing_is_kept(target: Callable[[bytes], None], kinds: str) -> None:
    wanted = list(inputs(kinds, 300))
    once(target, wanted)  # what is cached once is no growth
    tracemalloc.start()
    try:
        once(target, wanted)
        before, _ = tracemalloc.get_traced_memory()
        once(target, wanted)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < MAX_KEPT


def once(target: Callable[[bytes], None], wanted: list[bytes]) -> None:
    for octets in wanted:
        with suppress(MeterError):
            target(octets)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(TARGETS), st.lists(st.one_of(st.sampled_from(EVERYTHING), st.binary(max_size=40)), max_size=6))
def test_structure(target: tuple[Callable[[bytes], None], str], parts: list[bytes]) -> None:
    assert timed(target[0], b"".join(parts)) < MAX_SECONDS
