"""What a visit asks of a stream, and what its answer settles."""

from dataclasses import replace

import pytest

from dcu.model import Order, Reason
from dcu.plan.backfill import (
    CLOCK_LOST,
    SETTLED,
    SLICE_APERIODIC,
    SLICE_ROWS,
    Range,
    ahead,
    lost,
    newer,
    next_slice,
    older,
    settles,
    short,
    until,
)
from dcu.plan.ledger import Asked, Gap

NOW = 1_790_000_105
QUARTER = NOW // 900 * 900
DAY = SLICE_ROWS * 900
OLD = Gap(QUARTER - 5 * DAY, QUARTER - 3 * DAY, Reason.PENDING)
OLDER = Gap(QUARTER - 9 * DAY, QUARTER - 9 * DAY, Reason.PENDING)


@pytest.mark.parametrize("order", Order)
def test_a_little_that_is_new_is_asked_at_once(order: Order) -> None:
    assert newer(900, NOW - 899, NOW, order, since=3) == Range(NOW - 899, NOW, more=False, since=3)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        # a slice that would end within the last hour reaches to now instead
        (NOW - SETTLED - DAY + 2, Range(NOW - SETTLED - DAY + 2, NOW, more=False)),
        (NOW - SETTLED - DAY + 1, Range(NOW - SETTLED - DAY + 1, NOW - SETTLED, more=True)),
        (1, Range(1, DAY, more=True)),
    ],
)
def test_oldest_first_goes_forward_slice_by_slice(start: int, expected: Range) -> None:
    assert newer(900, start, NOW, Order.OLDEST) == expected


def test_newest_first_the_latest_slice_comes_at_once_whatever_is_missing_before_it() -> None:
    assert newer(900, 1, NOW) == Range(NOW - DAY + 1, NOW, more=False)


def test_of_what_is_pending_one_slice_is_asked_at_the_end_that_comes_first() -> None:
    end = OLD.end + 449
    assert older(900, (OLDER, OLD)) == Range(end - DAY + 1, end, more=True)
    start = OLDER.start - 450
    assert older(900, (OLDER, OLD), Order.OLDEST) == Range(start, start + 899, more=True)
    assert older(900, (OLDER,)) == Range(start, start + 899, more=True)


def test_a_profile_without_a_period_is_asked_whole() -> None:
    for order in Order:  # as far as the clock may be that writes the rows
        first = NOW - SLICE_APERIODIC + 1
        assert newer(0, first, NOW, order) == Range(first, NOW + CLOCK_LOST, more=False)
    assert newer(0, 1, NOW, Order.OLDEST) == Range(1, SLICE_APERIODIC, more=True)
    seconds = Gap(NOW - 900, NOW - 800, Reason.PENDING)
    assert older(0, (seconds,)) == Range(NOW - 900, NOW - 800, more=True)


def test_the_second_that_runs_and_what_a_slow_clock_has_not_passed_are_left_for_later() -> None:
    span = Range(NOW - 9000, NOW - 10, more=True, since=5)
    assert until(span, NOW, NOW, stray=False) == span
    assert until(span, None, NOW, stray=False) == span
    assert until(span, NOW - 10, NOW, stray=False) == Range(NOW - 9000, NOW - 11, more=False, since=5)
    assert until(span, NOW, NOW, stray=True) == span


def test_what_lies_ahead_of_us_is_over_when_a_clock_that_is_believed_has_passed_it() -> None:
    span = Range(NOW - 9000, ahead(0, NOW), more=False)
    assert ahead(900, NOW) == NOW
    assert until(span, NOW + 100, NOW, stray=False) == replace(span, end=NOW + 99)
    assert until(span, NOW + 2 * CLOCK_LOST, NOW, stray=True) == replace(span, end=NOW)
    assert until(span, None, NOW, stray=False) == replace(span, end=NOW)


def test_while_the_clocks_are_a_week_apart_a_slice_that_one_of_them_has_not_passed_is_not_over() -> None:
    span = Range(NOW - 9000, NOW - 10, more=True, since=5)
    assert until(span, 1000, NOW, stray=True) == replace(span, more=False)
    assert settles(replace(span, more=False), 900, [], 1000, Reason.CLOCK) is None


def test_a_clock_a_week_off_is_lost() -> None:
    assert [lost(offset) for offset in (None, 0.0, -CLOCK_LOST + 1.0, -CLOCK_LOST, CLOCK_LOST)] == [
        False,
        False,
        False,
        True,
        True,
    ]


def test_a_slice_of_the_past_is_settled_where_rows_came_and_by_a_second_answer_without_any() -> None:
    span = Range(NOW - 9000, NOW - 8000, more=True, since=7)
    assert settles(span, 900, [], NOW) == Asked(span.start, span.end, 900, Reason.PENDING, since=7)
    again = replace(span, again=True)
    assert settles(again, 900, [], NOW) == Asked(span.start, span.end, 900, Reason.NO_RECORD, since=7)
    assert settles(span, 900, [], NOW, Reason.CLOCK) == Asked(span.start, span.end, 900, Reason.CLOCK, since=7)
    for each in (span, again):
        assert settles(each, 900, [span.start + 899, span.end - 899], NOW) == Asked(span.start, span.end, 900, since=7)
        cut = [span.start + 900]
        assert settles(each, 900, cut, NOW) == Asked(cut[0], span.end, 900, since=7)
        assert settles(each, 900, [span.end - 900], NOW) == Asked(span.start, span.end - 900, 900, since=7)
        assert settles(each, 900, cut, NOW, Reason.CLOCK) == Asked(span.start, span.end, 900, Reason.CLOCK, since=7)
    assert settles(span, 0, [], NOW) == Asked(span.start, span.end, 0, since=7)


def test_an_answer_is_short_where_rows_are_to_come_behind_it() -> None:
    span = Range(QUARTER - 9000, NOW, more=False)
    assert short(span, Asked(span.start, NOW - SETTLED - 900, 900), NOW)
    assert not short(span, Asked(span.start, NOW - SETTLED - 899, 900), NOW)
    assert not short(span, Asked(span.start, span.start, 0), NOW)


def test_what_came_empty_is_asked_for_as_such() -> None:
    for order, left in ((Order.NEWEST, [(OLDER, False), (OLD, True)]), (Order.OLDEST, [(OLD, True), (OLDER, False)])):
        assert next_slice(900, left, order) == replace(older(900, [OLD], order), again=True)


def test_near_to_now_the_newest_row_says_up_to_when_all_has_come() -> None:
    span = Range(QUARTER - 1799, NOW, more=False)
    assert settles(span, 900, [QUARTER - 900], NOW) == Asked(span.start, QUARTER - 900, 900)
    assert settles(span, 900, [], NOW) is None


def test_what_is_long_past_and_did_not_come_is_still_to_be_asked_for() -> None:
    span = Range(QUARTER - 9000, NOW, more=False)
    assert settles(span, 900, [], NOW) == Asked(span.start, NOW - SETTLED, 900, Reason.PENDING)
    assert settles(replace(span, again=True), 900, [], NOW) == Asked(span.start, NOW - SETTLED, 900)
    assert settles(span, 900, [QUARTER - 8101], NOW) == Asked(span.start, QUARTER - 8101, 900)
    assert settles(replace(span, start=NOW - SETTLED - 898), 900, [], NOW) is None
    # where nobody knows what is expected, nothing is missing
    assert settles(span, 0, [], NOW) is None
    assert settles(span, 0, [QUARTER - 8100], NOW) == Asked(span.start, QUARTER - 8100, 0)
