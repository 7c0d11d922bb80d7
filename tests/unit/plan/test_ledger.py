"""What answers do to an account, in cases people meet; that it always adds up is in tests/property/test_ledger.py."""

from dataclasses import replace

from dcu.model import Reason
from dcu.plan.ledger import Account, Asked, Gap, absent, bounded, entered, forgone, given_up, reopened, repeated

DAY, HOUR, QUARTER = 86_400, 3600, 900
#: A day that begins at midnight UTC.
MIDNIGHT = 20_000 * DAY


def quarters(first: int, last: int) -> list[int]:
    return list(range(first, last + 1, QUARTER))


def enter(account: Account | None, asked: Asked, times: list[int]) -> tuple[Account, list[int]]:
    found, news = entered(account, [asked], times)
    assert found is not None
    return found, [times[at] for at in sorted(news)]


def day(start: int, reason: Reason = Reason.NO_RECORD) -> Asked:
    return Asked(start + 1, start + DAY, QUARTER, reason)


def test_a_whole_answer_leaves_nothing_but_a_watermark() -> None:
    rows = quarters(MIDNIGHT + QUARTER, MIDNIGHT + DAY)
    account, news = enter(None, day(MIDNIGHT), rows)
    assert account == Account(MIDNIGHT + QUARTER, QUARTER, MIDNIGHT + DAY)
    assert news == rows


def test_rows_that_did_not_come_are_a_gap_and_stay_one_when_asked_again() -> None:
    rows = [at for at in quarters(MIDNIGHT + QUARTER, MIDNIGHT + DAY) if not 5 * HOUR < at - MIDNIGHT <= 6 * HOUR]
    hole = Gap(MIDNIGHT + 5 * HOUR + QUARTER, MIDNIGHT + 6 * HOUR, Reason.NO_RECORD)
    account, _ = enter(None, day(MIDNIGHT), rows)
    assert account.gaps == (hole,)
    again, news = enter(account, day(MIDNIGHT), rows)
    assert (again, news) == (account, [])


def test_what_cannot_be_asked_for_any_more_is_no_record_and_the_rest_begins_behind_it() -> None:
    waits = Gap(MIDNIGHT, MIDNIGHT + HOUR, Reason.PENDING)
    account = Account(MIDNIGHT, QUARTER, MIDNIGHT + 2 * HOUR, (waits,))
    lost = replace(waits, reason=Reason.NO_RECORD)
    assert forgone(account, MIDNIGHT) == replace(account, gaps=(lost,))
    since = MIDNIGHT + 3 * HOUR + 1
    later = forgone(account, since)
    assert later.gaps == (lost, Gap(MIDNIGHT + 2 * HOUR + QUARTER, MIDNIGHT + 3 * HOUR - QUARTER, Reason.NO_RECORD))
    _, news = enter(later, Asked(since, since + HOUR, QUARTER), [MIDNIGHT + 3 * HOUR + QUARTER])
    assert news == [MIDNIGHT + 3 * HOUR + QUARTER]
    assert forgone(Account(MIDNIGHT, 0, MIDNIGHT), since) == Account(MIDNIGHT, 0, since - 1)


def test_what_counted_as_read_beyond_the_present_is_open_again_with_what_is_missing_up_to_it() -> None:
    holes = (
        Gap(MIDNIGHT, MIDNIGHT, Reason.NO_RECORD),
        Gap(MIDNIGHT + HOUR, MIDNIGHT + 2 * HOUR, Reason.CLOCK),
        Gap(MIDNIGHT + 2 * HOUR + QUARTER, MIDNIGHT + DAY, Reason.NO_RECORD),
    )
    account = Account(MIDNIGHT, QUARTER, MIDNIGHT + DAY, holes)
    now = MIDNIGHT + 3 * HOUR
    for sure in (False, True):
        again = reopened(account, now, sure=sure)
        assert (again.gaps, again.top) == (holes[:1], MIDNIGHT + HOUR - QUARTER)
    rows = quarters(MIDNIGHT + HOUR, now)
    assert enter(again, Asked(MIDNIGHT + HOUR, now, QUARTER), rows)[1] == rows
    assert reopened(account, MIDNIGHT + DAY, sure=True) is account


def test_what_comes_a_second_time_under_one_time_is_missing_once() -> None:
    hole = Gap(MIDNIGHT + HOUR, MIDNIGHT + HOUR, Reason.NO_RECORD)
    account = Account(MIDNIGHT, QUARTER, MIDNIGHT + 2 * HOUR, (hole,))
    again = repeated(account, MIDNIGHT + HOUR)
    twice = Gap(MIDNIGHT + HOUR + QUARTER, MIDNIGHT + 2 * HOUR, Reason.CLOCK)
    assert again == replace(account, gaps=(hole, twice))
    assert repeated(again, MIDNIGHT + HOUR + QUARTER) == again
    assert repeated(account, MIDNIGHT + 2 * HOUR + 1) == account
    events = Account(MIDNIGHT, 0, MIDNIGHT + HOUR)
    assert repeated(events, MIDNIGHT) == events


def test_what_is_here_is_given_up_only_when_every_clock_denies_it() -> None:
    account = Account(MIDNIGHT, QUARTER, MIDNIGHT + DAY, ())
    now = MIDNIGHT + 3 * HOUR + 100
    assert reopened(account, now, sure=False) is account
    again = reopened(account, now, sure=True)
    assert (again.top, again.gaps) == (MIDNIGHT + 3 * HOUR - QUARTER, ())
    assert reopened(Account(MIDNIGHT, 0, now + DAY), now, sure=True) == Account(MIDNIGHT, 0, now)


def test_only_the_place_of_a_row_that_could_not_be_used_says_so() -> None:
    rows = quarters(MIDNIGHT + QUARTER, MIDNIGHT + 4 * HOUR)
    bad = MIDNIGHT + 5 * HOUR
    account, _ = enter(None, replace(day(MIDNIGHT), dropped=(rows[0], bad, bad + QUARTER)), rows)
    assert account.gaps == (
        Gap(MIDNIGHT + 4 * HOUR + QUARTER, bad - QUARTER, Reason.NO_RECORD),
        Gap(bad, bad + QUARTER, Reason.DROPPED),
        Gap(bad + 2 * QUARTER, MIDNIGHT + DAY - QUARTER, Reason.NO_RECORD),
    )


def test_a_row_that_comes_after_all_splits_its_gap() -> None:
    asked = Asked(MIDNIGHT - 450, MIDNIGHT + HOUR + 449, QUARTER, Reason.CLOCK)
    account, _ = enter(Account(MIDNIGHT, QUARTER), asked, [])
    assert account.gaps == (Gap(MIDNIGHT, MIDNIGHT + HOUR, Reason.CLOCK),)
    late = MIDNIGHT + QUARTER
    account, news = enter(account, Asked(late, late, QUARTER), [late])
    assert news == [late]
    assert account.gaps == (
        Gap(MIDNIGHT, MIDNIGHT, Reason.CLOCK),
        Gap(late + QUARTER, MIDNIGHT + HOUR, Reason.CLOCK),
    )
    assert enter(account, Asked(late, late, QUARTER), [late]) == (account, [])


def test_what_a_newest_first_visit_skips_is_pending_until_it_is_asked_for() -> None:
    account = Account(MIDNIGHT, QUARTER)
    newest = Asked(MIDNIGHT + 9 * DAY + 1, MIDNIGHT + 10 * DAY, QUARTER)
    account, _ = enter(account, newest, quarters(MIDNIGHT + 9 * DAY + QUARTER, MIDNIGHT + 10 * DAY))
    # the row of the slice's first second was asked for in part only: it is asked for again
    assert account.gaps == (Gap(MIDNIGHT, MIDNIGHT + 9 * DAY, Reason.PENDING),)
    rows = quarters(MIDNIGHT + 8 * DAY + QUARTER, MIDNIGHT + 9 * DAY)
    account, news = enter(account, Asked(MIDNIGHT + 8 * DAY + 451, MIDNIGHT + 9 * DAY + 449, QUARTER), rows)
    assert news == rows
    assert account.gaps == (Gap(MIDNIGHT, MIDNIGHT + 8 * DAY, Reason.PENDING),)
    assert account.watermark == MIDNIGHT + 10 * DAY


def test_rows_out_of_a_buffer_that_was_overrun_are_no_more() -> None:
    """The meter remembers two days of the five that were asked for."""
    rows = quarters(MIDNIGHT + 3 * DAY + QUARTER, MIDNIGHT + 5 * DAY)
    account, _ = enter(Account(MIDNIGHT + QUARTER, QUARTER), Asked(MIDNIGHT, MIDNIGHT + 5 * DAY, QUARTER), rows)
    assert account.gaps == (Gap(MIDNIGHT + QUARTER, MIDNIGHT + 3 * DAY, Reason.NO_RECORD),)


def test_daily_rows_at_local_midnight_fit_over_both_changes_of_the_clock() -> None:
    """Paris: 22:00 UTC in summer, 23:00 in winter; and Auckland, where both are near to noon UTC."""
    for summer in (22 * HOUR, 11 * HOUR):
        times = [MIDNIGHT + n * DAY + summer + (HOUR if 5 <= n < 12 else 0) for n in range(20)]
        account: Account | None = None
        for earlier, at in zip([MIDNIGHT, *times], times, strict=False):
            account, news = enter(account, Asked(earlier + 1, at, DAY), [at])
            assert news == [at]
        assert account is not None
        assert account.gaps == ()
        assert account.grid.count(account.since, account.top) == len(times)


def test_of_the_autumn_hour_of_a_meter_that_tells_no_deviation_the_first_rows_are_kept_and_it_is_clock() -> None:
    rows = [*quarters(MIDNIGHT + HOUR, MIDNIGHT + 2 * HOUR - 1), *quarters(MIDNIGHT + HOUR, MIDNIGHT + 3 * HOUR)]
    asked = Asked(MIDNIGHT, MIDNIGHT + 3 * HOUR, QUARTER)
    account, news = entered(Account(MIDNIGHT + HOUR, QUARTER), [asked, asked], rows)
    assert account is not None
    assert news == {*range(4), *range(8, len(rows))}
    assert account.gaps == (Gap(MIDNIGHT + HOUR, MIDNIGHT + 2 * HOUR - QUARTER, Reason.CLOCK),)


def test_the_spring_hour_of_such_a_meter_is_told_as_missing() -> None:
    rows = [at for at in quarters(MIDNIGHT, MIDNIGHT + 5 * HOUR) if not 2 * HOUR <= at - MIDNIGHT < 3 * HOUR]
    account, _ = enter(Account(MIDNIGHT, QUARTER), Asked(MIDNIGHT, MIDNIGHT + 5 * HOUR, QUARTER), rows)
    assert account.gaps == (Gap(MIDNIGHT + 2 * HOUR, MIDNIGHT + 3 * HOUR - QUARTER, Reason.NO_RECORD),)


def test_the_first_rows_say_where_the_captures_are_expected() -> None:
    """India captures its hours at half past in UTC."""
    rows = [MIDNIGHT + n * HOUR + 1800 for n in range(1, 5)]
    account, _ = enter(Account(MIDNIGHT + 100, 0), Asked(MIDNIGHT, rows[-1], HOUR), rows)
    assert account == Account(
        MIDNIGHT + 1800, HOUR, rows[-1], (Gap(MIDNIGHT + 1800, MIDNIGHT + 1800, Reason.NO_RECORD),)
    )


def test_a_stream_that_comes_back_keeps_the_points_of_what_is_still_to_be_read() -> None:
    """Its account begins anew at the second behind the watermark, which is no point of the grid."""
    mark = MIDNIGHT + DAY
    pending = Gap(MIDNIGHT, MIDNIGHT + HOUR, Reason.PENDING)
    again = Account(mark + 1, QUARTER, mark, (pending,))
    rows = quarters(pending.start, pending.end)
    account, news = enter(again, Asked(pending.start - 450, pending.end + 449, QUARTER), rows)
    assert news == rows
    assert account == Account(mark + QUARTER, QUARTER, mark)


def test_another_capture_period_begins_anew_and_gives_up_what_was_pending() -> None:
    old = Account(MIDNIGHT, QUARTER, MIDNIGHT + DAY, (Gap(MIDNIGHT, MIDNIGHT + HOUR, Reason.PENDING),))
    rows = [MIDNIGHT + DAY + 1800, MIDNIGHT + DAY + HOUR]
    account, news = enter(old, Asked(MIDNIGHT + DAY + 1, rows[-1], 1800), rows)
    assert news == rows
    assert account == Account(rows[0], 1800, rows[-1], (Gap(MIDNIGHT, MIDNIGHT + HOUR, Reason.NO_RECORD),))


def test_a_meter_that_was_never_asked_begins_where_it_is_wanted_from() -> None:
    asked = Asked(MIDNIGHT + DAY, MIDNIGHT + 2 * DAY, QUARTER, since=MIDNIGHT + 7)
    account, _ = enter(None, asked, quarters(MIDNIGHT + DAY, MIDNIGHT + 2 * DAY))
    assert account.since == MIDNIGHT + QUARTER
    assert account.pending == (Gap(MIDNIGHT + QUARTER, MIDNIGHT + DAY - QUARTER, Reason.PENDING),)


def test_two_questions_of_one_visit_are_entered_one_after_the_other() -> None:
    account = Account(MIDNIGHT, QUARTER, MIDNIGHT + DAY, (Gap(MIDNIGHT, MIDNIGHT + HOUR, Reason.PENDING),))
    new, old = MIDNIGHT + DAY + QUARTER, quarters(MIDNIGHT, MIDNIGHT + HOUR)
    asked = [Asked(MIDNIGHT + DAY + 1, new, QUARTER), Asked(MIDNIGHT - 450, MIDNIGHT + HOUR + 449, QUARTER)]
    found, news = entered(account, asked, [new, *old])
    assert len(news) == 6
    assert found == Account(MIDNIGHT, QUARTER, new)


def test_events_have_no_gaps_and_one_of_the_last_second_comes_once() -> None:
    account, _ = enter(None, Asked(1, 100, 0, since=1), [40, 100, 100])
    assert account == Account(1, 0, 100)
    account, news = enter(account, Asked(101, 200, 0), [150, 200])
    assert (account, news) == (Account(1, 0, 200), [150, 200])
    assert enter(account, Asked(90, 200, 0), [100, 150, 200])[1] == []


def test_gaps_beyond_the_bound_are_joined_from_the_oldest_on() -> None:
    holes = tuple(Gap(10 * n, 10 * n, Reason.NO_RECORD) for n in range(4))
    assert bounded(holes, 3) == (Gap(0, 10, Reason.NO_RECORD), *holes[2:])
    waiting = tuple(Gap(10 * n, 10 * n, Reason.PENDING) for n in range(3))
    assert bounded((*waiting, *holes), 6) == (*waiting, Gap(0, 10, Reason.NO_RECORD), *holes[2:])
    assert bounded(waiting, 2) == (Gap(0, 10, Reason.DROPPED), waiting[2])


def test_what_is_in_no_segment_and_counts_as_present_is_absent() -> None:
    account = Account(900, 900, 7200, (Gap(3600, 4500, Reason.NO_RECORD),))
    assert absent(account, 0, 90_000, [901, 1799, 7190]) == [2700, 5400, 6300]
    assert absent(account, 2700, 2700, []) == [2700]
    assert absent(account, 5000, 5300, [5400]) == []
    assert absent(Account(900, 0, 7200), 0, 9000, []) == []
    assert absent(Account(900, 900), 0, 9000, []) == []


def test_what_was_lost_is_asked_for_again() -> None:
    account = given_up(Account(900, 900, 7200), [2700, 3600, 5400], Reason.PENDING)
    assert account.pending == (Gap(2700, 3600, Reason.PENDING), Gap(5400, 5400, Reason.PENDING))
    assert not account.knows(3601)
    assert account.knows(4500)
