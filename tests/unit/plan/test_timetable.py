"""Wall-clock boundaries on monotonic time: once per interval, whatever the wall clock does."""

from dataclasses import replace

import pytest

from dcu.model import Task
from dcu.plan.timetable import Timetable

#: 2026-11-21T10:00:00Z
TEN = 1_795_255_200.0
QUARTER = Task("load0", 900.0, 60.0)


def streams(table: Timetable, now: float) -> list[str]:
    return [ring.task.stream for ring in table.ring(now)]


def test_boundaries_after_2106() -> None:
    table = Timetable([QUARTER], now=0.0, wall=2.0**32)
    table.ring(0.0)
    assert table.next_ring() == 2**32 // 900 * 900 + 900 + 60.0 - 2**32


def test_everything_is_due_at_the_start_and_then_at_its_boundary() -> None:
    table = Timetable([QUARTER, Task("instant", 300.0)], now=50.0, wall=TEN + 10)
    assert streams(table, 50.0) == ["load0", "instant"]
    assert table.next_ring() == 100.0
    assert table.ring(99.9) == []
    assert streams(table, 100.0) == ["load0"]
    assert table.next_ring() == 340.0


def test_boundaries_that_were_slept_through_ring_once() -> None:
    table = Timetable([QUARTER], now=0.0, wall=TEN)
    table.ring(0.0)
    assert streams(table, 10_000.0) == ["load0"]
    assert table.ring(10_000.0) == []
    assert table.next_ring() == 10_860.0


def test_without_tasks_nothing_rings() -> None:
    assert Timetable([], now=0.0, wall=TEN).next_ring() is None


def test_a_clock_that_is_merely_disciplined_changes_nothing() -> None:
    table = Timetable([QUARTER], now=0.0, wall=TEN)
    table.ring(0.0)
    table.align(10.0, TEN + 10.4)
    assert table.next_ring() == 60.0


def test_a_clock_set_back_a_little_does_not_repeat_the_interval() -> None:
    table = Timetable([QUARTER], now=0.0, wall=TEN)
    table.ring(0.0)
    assert streams(table, 60.0) == ["load0"]  # the interval of TEN + 60
    table.align(70.0, TEN - 30)
    assert table.next_ring() == 70.0 + 990.0  # TEN + 960, and not TEN + 60 again


@pytest.mark.parametrize("days", [-20_000, -1, 1, 20_000])
def test_a_clock_set_by_whole_days_changes_nothing_but_the_label(days: int) -> None:
    table = Timetable([QUARTER], now=0.0, wall=TEN)
    rung = []
    for minute in range(60):
        table.align(60.0 * minute, TEN + 60.0 * minute + (86_400.0 * days if minute > 20 else 0.0))
        rung += [ring.since for ring in table.ring(60.0 * minute)]
    assert rung == [0.0, 60.0, 960.0, 1860.0, 2760.0]


@pytest.mark.parametrize("jump", [-86_400.0 - 300.0, -2000.0, 2000.0, 86_400.0 + 300.0, 1e9 + 0.25])
def test_a_jump_by_more_than_an_interval_moves_the_next_boundary_by_half_of_one_at_most(jump: float) -> None:
    table = Timetable([QUARTER], now=0.0, wall=TEN)
    table.ring(0.0)
    table.ring(60.0)
    table.align(500.0, TEN + 500.0 + jump)
    due = table.next_ring()
    assert due is not None
    assert abs(due - 960.0) <= 450.0
    assert (TEN + due + jump - 60.0) % 900.0 == pytest.approx(0.0, abs=1e-3)


def test_what_is_due_at_the_start_stays_so_when_the_clock_is_set_before() -> None:
    table = Timetable([QUARTER], now=0.0, wall=0.0, delay=30.0)
    table.align(5.0, TEN)
    assert streams(table, 29.0) == []
    assert streams(table, 30.0) == ["load0"]
    assert table.next_ring() == 5.0 + 60.0 + 30.0


def test_a_delay_is_added_to_each_boundary() -> None:
    table = Timetable([QUARTER], now=0.0, wall=TEN, delay=7.0)
    assert (streams(table, 6.9), streams(table, 7.0)) == ([], ["load0"])
    assert table.next_ring() == 67.0
    assert [ring.since for ring in table.ring(70.0)] == [67.0]


def test_a_window_is_counted_from_the_boundary() -> None:
    table = Timetable([replace(QUARTER, window=120.0)], now=0.0, wall=TEN + 70)
    assert [ring.expires for ring in table.ring(0.0)] == [110.0]
    assert [(ring.since, ring.expires) for ring in table.ring(900.0)] == [(890.0, 1010.0)]


def test_a_window_that_is_over_at_the_start_waits_for_the_next() -> None:
    table = Timetable([replace(QUARTER, window=120.0)], now=0.0, wall=TEN + 60 + 121)
    assert table.ring(0.0) == []
    assert table.next_ring() == 900.0 - 121.0
