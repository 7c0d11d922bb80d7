"""Wall-clock boundaries on monotonic time: once per interval, whatever the wall clock does."""

import pytest

from dcu.model import Task
from dcu.plan.timetable import Timetable, interval

#: 2026-11-21T10:00:00Z
TEN = 1_795_255_200.0
QUARTER = Task("load0", 900.0, 60.0)


@pytest.mark.parametrize(
    ("after", "number"),
    [(0.0, -1), (59.9, -1), (60.0, 0), (61.0, 0), (959.9, 0), (960.0, 1), (-900.0, -2)],
)
def test_intervals_begin_at_the_offset(after: float, number: int) -> None:
    assert interval(QUARTER, TEN + after) == TEN // 900 + number


def test_boundaries_after_2106() -> None:
    table = Timetable([QUARTER], now=0.0, wall=2.0**32)
    table.ring(0.0)
    assert table.next_ring() == 2**32 // 900 * 900 + 900 + 60.0 - 2**32


def test_everything_is_due_at_the_start_and_then_at_its_boundary() -> None:
    table = Timetable([QUARTER, Task("instant", 300.0)], now=50.0, wall=TEN + 10)
    assert [task.stream for task in table.ring(50.0)] == ["load0", "instant"]
    assert table.next_ring() == 100.0
    assert table.ring(99.9) == []
    assert [task.stream for task in table.ring(100.0)] == ["load0"]
    assert table.next_ring() == 340.0


def test_boundaries_that_were_slept_through_ring_once() -> None:
    table = Timetable([QUARTER], now=0.0, wall=TEN)
    table.ring(0.0)
    assert table.ring(10_000.0) == [QUARTER]
    assert table.ring(10_000.0) == []
    assert table.next_ring() == 10_860.0


def test_without_tasks_nothing_rings() -> None:
    assert Timetable([], now=0.0, wall=TEN).next_ring() is None


def test_a_clock_that_is_merely_disciplined_changes_nothing() -> None:
    table = Timetable([QUARTER], now=0.0, wall=TEN)
    table.ring(0.0)
    table.align(10.0, TEN + 10.4)
    assert table.next_ring() == 60.0


def test_a_clock_set_forward_rings_what_it_jumped_over_once() -> None:
    table = Timetable([QUARTER], now=0.0, wall=0.0)  # 1970: no clock yet
    table.ring(0.0)
    table.align(5.0, TEN)
    assert table.ring(5.0) == [QUARTER]
    assert table.next_ring() == 65.0


def test_a_clock_set_back_a_little_does_not_repeat_the_interval() -> None:
    table = Timetable([QUARTER], now=0.0, wall=TEN)
    table.ring(0.0)
    assert table.ring(60.0) == [QUARTER]  # the interval of TEN + 60
    table.align(70.0, TEN - 30)
    assert table.next_ring() == 70.0 + 990.0  # TEN + 960, and not TEN + 60 again


def test_a_clock_that_was_far_ahead_does_not_hold_the_task_up() -> None:
    table = Timetable([QUARTER], now=0.0, wall=TEN + 1e9)
    table.ring(0.0)
    table.align(10.0, TEN)
    due = table.next_ring()
    assert due is not None
    assert due <= 10.0 + 2 * 900.0
