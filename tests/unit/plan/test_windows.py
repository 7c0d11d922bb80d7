"""Which captures are due: those of the last interval whose time is up."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from dcu.clock import seconds
from dcu.model import LAST_DAY, Task
from dcu.plan.windows import closed, round_of

DAY = 86_400


def at(year: int, month: int, day: int, hour: int = 0) -> float:
    return seconds(datetime(year, month, day, hour, tzinfo=UTC))


NOON = int(at(2026, 11, 21, 12))


@pytest.mark.parametrize(
    ("now", "until"),
    [(NOON + 905, NOON), (NOON + 904, NOON - 900), (NOON + 905 + 899, NOON), (NOON + 905 + 900, NOON + 900)],
)
def test_an_interval_is_over_when_the_next_one_begins(now: float, until: int) -> None:
    assert closed(Task("load0", 900.0, offset=5.0), 900, now) == (until - 900, until)


def test_an_interval_is_over_when_its_deadline_has_passed() -> None:
    task = Task("load0", 900.0, offset=5.0, deadline=300.0)
    assert closed(task, 900, NOON + 304) == (NOON - 1800, NOON - 900)
    assert closed(task, 900, NOON + 305) == (NOON - 900, NOON)
    # a deadline may be longer than an interval
    assert closed(Task("load0", 900.0, deadline=1800.0), 900, NOON + 1) == (NOON - 2700, NOON - 1800)


def test_a_task_more_frequent_than_the_captures_is_judged_by_whole_periods() -> None:
    assert closed(Task("load0", 300.0), 900, NOON + 301) == (NOON - 900, NOON)
    assert closed(Task("load0", 3600.0), 900, NOON + 3601) == (NOON - 3600, NOON)


def test_a_task_at_a_time_of_day_is_judged_by_its_days() -> None:
    zurich = ZoneInfo("Europe/Zurich")
    task = Task("daily", at=3600.0, offset=60.0, zone=zurich)
    # one o'clock in Zurich is midnight in UTC
    assert closed(task, DAY, NOON) == (NOON - DAY // 2 - 2 * DAY, NOON - DAY // 2 - DAY)
    monthly = Task("billing", at=0.0, day=LAST_DAY, deadline=7200.0)
    assert closed(monthly, 0, at(2026, 12, 1)) == (int(at(2026, 10, 31)), int(at(2026, 11, 30)))


@pytest.mark.parametrize(
    ("deadline", "now", "start", "end"),
    [
        (None, NOON + 904, NOON - 895, NOON + 5),
        (None, NOON + 905, NOON + 5, NOON + 905),
        (60.0, NOON + 64, NOON - 895, NOON - 835),
        (60.0, NOON + 65, NOON + 5, NOON + 65),
        (2000.0, NOON + 5 + 2000, NOON + 5, NOON + 905),
    ],
)
def test_a_round_of_moments_is_over_at_its_deadline_or_when_the_next_begins(
    deadline: float | None, now: float, start: float, end: float
) -> None:
    assert round_of(Task("instant", 900.0, offset=5.0, deadline=deadline), now) == (start, end)
