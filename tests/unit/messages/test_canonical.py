"""Both sides come to the same sums, whatever the values and whichever the encoding."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcu.messages.canonical import canonical, number, told, word
from dcu.messages.envelope import Envelopes
from dcu.model import Value
from dcu_headend import Block, Sums, decode
from tests.outbox import capture

VALUES: st.SearchStrategy[Value] = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.binary(max_size=20)
)


@given(st.lists(VALUES, min_size=1, max_size=20), st.booleans())
def test_the_head_end_sums_up_what_it_decodes_to_the_same(values: list[Value], compact: bool) -> None:
    rows = [capture(f"M{at % 3}", at=at, values=(value,)) for at, value in enumerate(values)]
    sums = Sums()
    for payload in Envelopes("D", "b").block("load0", 1, rows, 100_000, compact=compact):
        block = decode(payload)
        assert isinstance(block, Block)
        sums.add(reversed(block.captures))
    assert sums.hash == told(sum(map(number, rows)))


def test_each_kind_of_value_has_its_word() -> None:
    values: list[Value] = [None, True, 1, 1.0, "1", b"1", -0.0]
    assert [word(value) for value in values] == [
        "null", "true", "1", "f3ff0000000000000", "s31", "x31", "f8000000000000000",
    ]  # fmt: skip
    assert len({canonical(capture(values=(value,))) for value in values}) == len(values)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "x\ud800"])
@pytest.mark.parametrize("compact", [False, True])
def test_what_json_cannot_hold_goes_for_nothing_whoever_hears_it(value: Value, compact: bool) -> None:
    row = capture(values=(value,))
    (payload,) = Envelopes("D", "b").block("load0", 1, [row], 100_000, compact=compact)
    block, sums = decode(payload), Sums()
    assert isinstance(block, Block)
    sums.add(block.captures)
    theirs = {row.meter: {"captures": 1, "hash": told(number(row))}}
    assert not list(sums.differences({"meters": theirs, "more": None}))
    assert number(row) == number(capture(values=(None,)))


def test_the_meters_that_differ() -> None:
    rows = [capture(f"M{n}", at=n, values=(n,)) for n in range(4)]
    mine = Sums()
    block = decode(Envelopes("D", "b").block("load0", 1, rows[:3], 100_000)[0])
    assert isinstance(block, Block)
    mine.add(block.captures)
    theirs = {each.meter: {"captures": 1, "hash": told(number(each))} for each in rows}
    theirs["M1"] = {"captures": 1, "hash": told(0)}
    assert list(mine.differences({"meters": theirs, "more": None})) == ["M1", "M3"]
    assert list(mine.differences({"meters": {}, "more": "M1"})) == ["M0", "M1"]
