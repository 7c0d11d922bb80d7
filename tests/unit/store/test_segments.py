"""Segments: what goes in comes out, whatever meters say; what is damaged is said."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcu.clock import DAY
from dcu.model import Capture, Column, Value
from dcu.store.cells import to_json
from dcu.store.segments import SEGMENT_ROWS, Run, Segment, alike
from tests.captures import COLUMNS, capture

VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()


def unpacked(segment: Segment) -> Segment:
    *_, octets, content = segment.row
    return Segment.unpacked(segment.first, octets, content)


def restored(captures: list[Capture]) -> list[Capture]:
    runs = [Run.of(7, 3, 0, piece) for piece in alike(captures)]
    found = unpacked(Segment(1, tuple(runs)))
    return [each for run in found.runs for each in run.captures("M1", "load0", captures[0].columns)]


@given(st.lists(st.tuples(st.integers(-(2**40), 2**40), st.integers(0, 255), VALUES, VALUES), min_size=1, max_size=20))
def test_captures_come_out_as_they_went_in(rows: list[tuple[int, int, Value, Value]]) -> None:
    captures = [
        Capture("M1", "load0", at, status, (first, second), COLUMNS[:2], 5.125, -0.5, trusted=True)
        for at, status, first, second in rows
    ]
    assert restored(captures) == captures


def test_captures_without_columns_keep_their_times() -> None:
    captures = [capture(at, values=()) for at in (1, 2, 2)]
    assert restored(captures) == captures


def test_times_are_kept_to_the_millisecond() -> None:
    odd = Capture("M1", "load0", 1, 0, (), (), 5.12345678, 0.98765432, trusted=False)
    [found] = restored([odd])
    assert (found.read_at, found.offset) == (5.123, 0.988)


def test_a_run_is_of_one_day_one_answer_and_one_shape() -> None:
    other = Capture("M1", "load0", 5, 0, (1,), (Column(1, bytes(6)),), 5.0, None, trusted=True)
    days = [capture(at) for at in (DAY - 2, DAY - 1, DAY)]
    pieces = list(alike([*days, other]))
    # read at different times, as the helper makes them
    assert pieces == [[each] for each in (*days, other)]
    same = [Capture("M1", "load0", at, 0, (), (), 5.0, None, trusted=True) for at in (DAY - 2, DAY - 1, DAY)]
    assert list(alike(same)) == [same[:2], same[2:]]
    assert [len(piece) for piece in alike(same[:1] * (SEGMENT_ROWS + 1))] == [SEGMENT_ROWS, 1]


def test_a_row_tells_what_is_in_it() -> None:
    segment = Segment(5, (Run.of(1, 1, 0, [capture(900)]), Run.of(2, 1, 0, [capture(300, "M2")])))
    rows, read, oldest, newest, octets, _ = segment.row
    assert (rows, read, oldest, newest) == (2, 905, 300, 900)
    assert octets == len(to_json(segment.runs))
    assert [(position, run.meter) for position, run in segment.placed()] == [(5, 1), (6, 2)]


@pytest.mark.parametrize("length", [*range(24), 500])
def test_a_wrong_octet_anywhere_is_noticed_however_short_the_segment(length: int) -> None:
    text = "".join(chr(33 + number * 37 % 90) for number in range(length))
    segment = Segment(1, (Run.of(1, 1, 0, [capture(900, values=(text,))]),))
    *_, octets, content = segment.row
    assert Segment.unpacked(1, octets, content) == segment
    for place in range(len(content)):
        wrong = content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]
        try:
            found = Segment.unpacked(1, octets, wrong)
        except ValueError:
            continue
        assert found == segment  # a bit behind the end of the last symbol


def test_what_an_older_program_left_unpacked_is_read() -> None:
    segment = Segment(1, (Run.of(1, 1, 0, [capture(900, values=())]),))
    text = to_json(segment.runs).encode()
    assert Segment.unpacked(1, len(text), text) == segment


def test_a_packed_segment_is_never_as_long_as_its_text() -> None:
    """By that it is told from one that an older program left unpacked."""
    met = 0
    for number in range(400):
        text = random.Random(number).randbytes(number // 10).hex()
        segment = Segment(1, (Run.of(1, 1, 0, [capture(900 + number, values=(text,))]),))
        *_, octets, content = segment.row
        assert len(content) != octets
        met += content[2] & 7 == 1  # a stored block, the last
        assert Segment.unpacked(1, octets, content) == segment
    assert met


@pytest.mark.parametrize("damaged", [b"", b"\x78\x9c", b"x" * 50, "x" * 1000])
def test_what_is_damaged_is_said(damaged: bytes | str) -> None:
    with pytest.raises(ValueError, match="a segment is damaged"):
        Segment.unpacked(1, 1000, damaged)


def test_a_cut_segment_is_said() -> None:
    *_, octets, content = Segment(1, tuple(Run.of(1, 1, 0, [capture(at)]) for at in range(50))).row
    with pytest.raises(ValueError, match="its end is missing"):
        Segment.unpacked(1, octets, content[:-20])
