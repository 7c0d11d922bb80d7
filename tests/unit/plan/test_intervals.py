"""Which interval a moment lies in: multiples, times of day, days of the month; DST nights, 2038, 2040, 2106."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from dcu.clock import iso, seconds
from dcu.model import LAST_DAY, Task
from dcu.plan.intervals import LAST, begin, describe_due, interval

#: 2026-11-21T10:00:00Z
TEN = 1_795_255_200.0
QUARTER = Task("load0", 900.0, 60.0)
ZURICH = ZoneInfo("Europe/Zurich")
HALF_PAST_TWO = Task("daily", at=2.5 * 3600, zone=ZURICH)


def wall(text: str) -> float:
    return seconds(datetime.fromisoformat(text))


def begins(task: Task, first: str, count: int) -> list[str]:
    """Return when the interval that holds `first` and those after it begin."""
    number = interval(task, wall(first))
    return [iso(begin(task, number + more)) for more in range(count)]


@pytest.mark.parametrize(
    ("after", "number"),
    [(0.0, -1), (59.9, -1), (60.0, 0), (61.0, 0), (959.9, 0), (960.0, 1), (-900.0, -2)],
)
def test_intervals_begin_at_the_offset(after: float, number: int) -> None:
    assert interval(QUARTER, TEN + after) == TEN // 900 + number


def test_a_time_of_day_comes_once_a_day() -> None:
    task = Task("daily", at=600.0)
    assert begins(task, "2026-11-21T00:10:00Z", 2) == ["2026-11-21T00:10:00Z", "2026-11-22T00:10:00Z"]
    assert begins(task, "2026-11-21T00:09:59Z", 1) == ["2026-11-20T00:10:00Z"]


def test_an_offset_is_added_to_a_time_of_day() -> None:
    assert begins(Task("daily", at=23.5 * 3600, offset=3600.0), "2026-11-22T00:29:59Z", 2) == [
        "2026-11-21T00:30:00Z",
        "2026-11-22T00:30:00Z",
    ]


def test_a_time_that_is_left_out_in_spring_is_counted_from_midnight_in_winter_time() -> None:
    # in Zurich the clocks go from 02:00 to 03:00 on 2027-03-28, at 01:00Z
    assert begins(HALF_PAST_TWO, "2027-03-27T12:00:00Z", 3) == [
        "2027-03-27T01:30:00Z",
        "2027-03-28T01:30:00Z",  # the clocks show 03:30
        "2027-03-29T00:30:00Z",
    ]


def test_a_time_that_is_shown_twice_in_autumn_comes_once_at_the_first() -> None:
    # in Zurich the clocks go from 03:00 back to 02:00 on 2026-10-25, at 01:00Z
    assert begins(HALF_PAST_TWO, "2026-10-24T12:00:00Z", 3) == [
        "2026-10-24T00:30:00Z",
        "2026-10-25T00:30:00Z",
        "2026-10-26T01:30:00Z",
    ]
    night = [interval(HALF_PAST_TWO, wall("2026-10-25T00:30:00Z") + 600.0 * n) for n in range(144)]
    assert len(set(night)) == 1


def test_a_day_of_the_month() -> None:
    task = Task("billing", at=300.0, day=1)
    assert begins(task, "2026-11-21T00:00:00Z", 3) == [
        f"{month}-01T00:05:00Z" for month in ("2026-11", "2026-12", "2027-01")
    ]
    assert begins(task, "2026-12-01T00:04:59Z", 1) == ["2026-11-01T00:05:00Z"]


def test_the_last_day_of_the_month() -> None:
    task = Task("billing", at=23 * 3600.0, day=LAST_DAY)
    assert begins(task, "2027-12-31T23:00:00Z", 4) == [
        f"{day}T23:00:00Z" for day in ("2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31")
    ]


@pytest.mark.parametrize("year", [2038, 2040, 2107])
def test_dates_beyond_32_bits_are_dates_like_others(year: int) -> None:
    assert begins(Task("load0", 900.0), f"{year}-01-19T03:14:08Z", 2) == [
        f"{year}-01-19T03:00:00Z",
        f"{year}-01-19T03:15:00Z",
    ]
    # Zurich's rule goes on: the last Sunday of March
    sunday = {2038: "28", 2040: "25", 2107: "27"}[year]
    assert begins(HALF_PAST_TWO, f"{year}-03-{sunday}T12:00:00Z", 1) == [f"{year}-03-{sunday}T01:30:00Z"]


@pytest.mark.parametrize("now", [-1e12, -1.0, 0.0, LAST, 1e15])
@pytest.mark.parametrize("day", [None, 28, LAST_DAY])
def test_a_clock_that_is_wrong_by_ages_still_makes_an_interval(now: float, day: int | None) -> None:
    task = Task("daily", at=86_399.0, day=day, zone=ZURICH)
    assert begin(task, interval(task, now)) < begin(task, interval(task, now) + 1)


def test_a_task_says_when_it_is_due() -> None:
    assert describe_due(QUARTER) == "every 900 s, offset 60 s"
    assert describe_due(HALF_PAST_TWO) == "each day at 2:30:00 Europe/Zurich, offset 0 s"
    assert describe_due(Task("billing", at=0.0, day=5)) == "on day 5 of each month at 0:00:00 UTC, offset 0 s"
    assert describe_due(Task("billing", at=60.0, day=LAST_DAY)).startswith("on the last day of each month at 0:01:00")
