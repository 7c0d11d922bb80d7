"""Whatever is asked, in any order, however often: every expected capture time is present, in one gap, or still open.

The other side is a meter that holds some of the captures it should, and a model that goes point by point.
"""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from dcu.model import Reason
from dcu.plan.ledger import Account, Asked, Gap, Grid, bounded, forgone, opened, reopened, repeated, settled

PERIODS = st.sampled_from([1, 2, 3, 10, 15])
MOMENTS = st.integers(0, 200)
ASKS = st.lists(
    st.tuples(MOMENTS, st.integers(0, 60), st.sampled_from([Reason.NO_RECORD, Reason.CLOCK])), min_size=1, max_size=12
)


@given(st.integers(-50, 50), PERIODS, MOMENTS)
def test_every_time_belongs_to_one_point(since: int, period: int, at: int) -> None:
    grid = Grid(since, period)
    point = grid.nearest(at)
    first, last = grid.times(point, point)
    assert first <= at <= last
    assert first <= point <= last
    assert last - first + 1 == period
    assert grid.first_whole(first) == grid.last_whole(last) == point
    assert grid.first_whole(first + 1) == point + period
    assert grid.last_whole(last - 1) == point - period
    assert grid.count(point, point + 3 * period) == 4


def answer(account: Account | None, asked: Asked, held: list[int]) -> tuple[Account, list[int]]:
    """Return the account after a meter that holds the rows `held` was asked, and what was taken of its answer."""
    came = [at for at in held if asked.start <= at <= asked.end]
    account = opened(account, asked, came)
    taken = [at for at in came if not account.knows(at)]
    return settled(account, asked, taken), taken


@settings(deadline=None, max_examples=300)
@given(PERIODS, st.sets(MOMENTS, min_size=1, max_size=60), st.integers(0, 14), ASKS)
def test_every_interval_is_present_missing_or_open(
    period: int, held_numbers: set[int], phase: int, asks: list[tuple[int, int, Reason]]
) -> None:
    held = sorted(number * period + phase % period for number in held_numbers)
    account: Account | None = None
    taken: list[int] = []
    asked_for: set[int] = set()
    for start, length, reason in asks:
        asked = Asked(start, start + length, period, reason)
        account, news = answer(account, asked, held)
        taken += news
        asked_for |= set(range(start, start + length + 1))
    assert account is not None
    assert len(taken) == len(set(taken)), "a capture was taken twice"
    grid = account.grid
    in_gaps = [point for gap in account.gaps for point in range(gap.start, gap.end + 1, period)]
    assert len(in_gaps) == len(set(in_gaps)), "two gaps overlap"
    expected = set(range(account.since, account.top + 1, period))
    assert set(in_gaps) <= expected
    present = {grid.nearest(at) for at in taken}
    assert present.isdisjoint(in_gaps)
    assert expected <= present | set(in_gaps), "neither present nor missing"
    for earlier, later in zip(account.gaps, account.gaps[1:], strict=False):
        assert earlier.end < later.start
        assert earlier.reason is not later.reason or later.start > earlier.end + period, "not joined"
    for gap in account.gaps:
        for point in range(gap.start, gap.end + 1, period):
            first, last = grid.times(point, point)
            whole = set(range(first, last + 1)) <= asked_for
            if gap.reason is not Reason.PENDING:
                assert whole, "missing, and was never asked for"


@settings(deadline=None, max_examples=200)
@given(PERIODS, st.sets(MOMENTS, max_size=60), st.integers(0, 14), st.booleans(), st.integers(1, 40))
def test_asking_for_what_is_pending_ends_and_finds_every_row(
    period: int, held_numbers: set[int], phase: int, newest: bool, length: int
) -> None:
    """Newest first or oldest first: when nothing is pending any more, every row the meter holds has been taken once."""
    now = 205 * period
    held = sorted(number * period + phase % period for number in held_numbers)
    account, taken = answer(Account(0, period), Asked(now - (length + 1) * period, now, period), held)
    steps = 0
    while account.pending:
        steps += 1
        assert steps < 500
        gap = account.pending[-1 if newest else 0]
        start, end = account.grid.times(gap.start, gap.end)
        asked = (
            Asked(max(start, end - length * period), end, period)
            if newest
            else Asked(start, min(end, start + length * period), period)
        )
        account, news = answer(account, asked, held)
        taken += news
    reachable = [at for at in held if account.grid.nearest(at) >= account.since]
    assert sorted(at for at in taken if account.grid.nearest(at) >= account.since) == reachable
    assert all(gap.reason is Reason.NO_RECORD for gap in account.gaps)


@settings(deadline=None, max_examples=200)
@given(
    PERIODS,
    st.sets(MOMENTS, max_size=60),
    st.integers(0, 14),
    st.booleans(),
    st.integers(1, 40),
    st.sets(st.integers(0, 8), min_size=1),
)
def test_a_stream_that_goes_and_comes_back_misses_no_row_that_was_still_to_be_read(
    period: int, held_numbers: set[int], phase: int, newest: bool, length: int, leaves: set[int]
) -> None:
    """It begins anew behind its watermark, at any second: what is pending from before is where it was."""
    now = 205 * period
    held = sorted(number * period + phase % period for number in held_numbers)
    account, taken = answer(Account(0, period), Asked(now - (length + 1) * period, now, period), held)
    since, step = account.since, 0
    while account.pending or step in leaves:
        if step in leaves and account.watermark is not None:
            begins = account.watermark + 1
            account = replace(account, since=begins)
            account, news = answer(account, Asked(begins, now + (step + 1) * period, period), held)
            taken += news
        step += 1
        assert step < 500
        if not account.pending:
            continue
        gap = account.pending[-1 if newest else 0]
        first, last = gap.start - period // 2, gap.end + period - 1 - period // 2
        account, news = answer(account, Asked(first, min(last, first + length * period), period), held)
        taken += news
    assert sorted(taken) == [at for at in held if Grid(since, period).nearest(at) >= since]


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    """Draw an account with a period that some answers have been entered into."""
    period = draw(PERIODS)
    held = sorted(number * period for number in draw(st.sets(MOMENTS, min_size=1, max_size=60)))
    account: Account | None = None
    for start, length, reason in draw(ASKS):
        account, _ = answer(account, Asked(start, start + length, period, reason), held)
    assert account is not None
    return account


def missing(account: Account) -> dict[int, Reason]:
    return {point: gap.reason for gap in account.gaps for point in range(gap.start, gap.end + 1, account.period)}


def present(account: Account) -> set[int]:
    return set(range(account.since, account.top + 1, account.period)) - missing(account).keys()


@given(accounts(), MOMENTS)
def test_what_is_open_again_is_what_lies_beyond_and_what_was_missing_up_to_it(account: Account, at: int) -> None:
    again = reopened(account, at, sure=True)
    if account.watermark is None or account.watermark <= at:
        assert again is account
        return
    assert present(again) == {point for point in present(account) if account.grid.times(point, point)[1] <= at}
    assert missing(again).items() <= missing(account).items()
    assert again.top < account.since or again.top in present(again)
    cautious = reopened(account, at, sure=False)
    assert cautious in {account, again}


@given(accounts(), MOMENTS)
def test_what_is_forgone_is_never_asked_for_and_what_is_here_stays(account: Account, since: int) -> None:
    after = forgone(account, since)
    assert present(after) == present(account)
    assert after.pending == ()
    assert after.top == max(account.top, account.grid.last_whole(since - 1))


@given(accounts(), MOMENTS)
def test_what_comes_twice_is_missing_for_its_clock_and_nothing_else_changes(account: Account, start: int) -> None:
    after = repeated(account, start)
    twice = {point for point in present(account) if point >= start}
    assert missing(after) == missing(account) | dict.fromkeys(twice, Reason.CLOCK)
    assert present(after) == present(account) - twice


@settings(deadline=None)
@given(st.sets(MOMENTS, max_size=40), st.lists(st.tuples(MOMENTS, st.integers(0, 60)), max_size=10))
def test_without_a_period_only_time_that_was_not_asked_for_is_pending(
    held: set[int], asks: list[tuple[int, int]]
) -> None:
    account, taken = answer(Account(0, 0), Asked(150, 200, 0), sorted(held))
    asked_for = set(range(150, 201))
    for start, length in asks:
        asked = Asked(start, min(start + length, 200), 0)
        account, news = answer(account, asked, sorted(held))
        taken += news
        asked_for |= set(range(asked.start, asked.end + 1))
    assert sorted(taken) == sorted(held & asked_for)
    pending = {at for gap in account.gaps for at in range(gap.start, gap.end + 1)}
    assert pending == set(range(201)) - asked_for - set(range(account.since))
    assert {gap.reason for gap in account.gaps} <= {Reason.PENDING}


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9), st.sampled_from(Reason)), max_size=30), st.integers(2, 9)
)
def test_gaps_are_bounded_and_nothing_that_was_missing_is_forgotten(
    shapes: list[tuple[int, int, Reason]], bound: int
) -> None:
    gaps: list[Gap] = []
    at = 0
    for distance, length, reason in shapes:
        gaps.append(Gap(at + distance, at + distance + length, reason))
        at += distance + length + 1
    kept = bounded(tuple(gaps), bound)
    assert len(kept) == min(len(gaps), bound)
    assert all(any(k.start <= gap.start and gap.end <= k.end for k in kept) for gap in gaps)
    pending = [gap for gap in kept if gap.reason is Reason.PENDING]
    assert all(gap in gaps for gap in pending), "what is still to be read must stay as it was"
    if len(gaps) <= bound:
        assert list(kept) == gaps
