"""What came empty once rests for an hour or two, is then asked for as such, and never grows without end."""

from dcu.model import Reason
from dcu.plan.ledger import Gap
from dcu.plan.unconfirmed import CONFIRM_AFTER, MAX_UNCONFIRMED, Empty, askable, noted, still

HOUR = float(CONFIRM_AFTER)
GAP = Gap(9000, 18_000, Reason.PENDING)


def gap(start: int, end: int) -> Gap:
    return Gap(start, end, Reason.PENDING)


def test_two_answers_lie_an_hour_apart_at_least_and_two_at_most() -> None:
    for now in (0.0, 1.0, HOUR - 1, HOUR, 1.5 * HOUR):
        [empty] = noted((), 1, 2, now)
        assert HOUR <= empty.due - now <= 2 * HOUR


def test_neighbours_of_the_same_hour_wait_together_and_others_apart() -> None:
    known = noted(noted((), 900, 1799, 5.0), 0, 899, 6.0)
    assert known == (Empty(0, 1799, 2 * HOUR),)
    assert noted(known, 1800, 2699, HOUR) == (*known, Empty(1800, 2699, 3 * HOUR))
    assert noted(known, 1801, 2699, 0.0) == (*known, Empty(1801, 2699, 2 * HOUR))


def test_what_waits_already_keeps_its_time() -> None:
    known = (Empty(900, 1799, HOUR),)
    assert noted(known, 900, 1799, HOUR) == known
    assert noted(known, 1000, 1500, HOUR) == known
    assert noted(known, 1000, 2000, HOUR) == (*known, Empty(1800, 2000, 3 * HOUR))
    assert noted(known, 500, 1000, HOUR) == (Empty(500, 899, 3 * HOUR), *known)


def test_there_are_never_more_than_are_allowed_and_none_is_asked_for_earlier() -> None:
    known: tuple[Empty, ...] = ()
    for number in range(3 * MAX_UNCONFIRMED):
        known = noted(known, number * 100, number * 100 + 10, number * HOUR)
        assert len(known) <= MAX_UNCONFIRMED
    assert known[0] == Empty(0, (2 * MAX_UNCONFIRMED) * 100 + 10, (2 * MAX_UNCONFIRMED + 2) * HOUR)


def test_what_is_no_more_pending_is_forgotten() -> None:
    known = (Empty(0, 899, HOUR), Empty(9000, 9899, HOUR))
    assert still(known, [GAP]) == known[1:]
    assert still(known, []) == ()


def test_what_came_empty_is_left_out_until_it_is_due() -> None:
    known = (Empty(10_000, 11_699, HOUR), Empty(17_000, 30_000, 2 * HOUR))
    assert [*askable([GAP], (), 900, 0.0)] == [(GAP, False)]
    # points of the grid that lie in them
    open_ = [(gap(9000, 9900), False), (gap(11_700, 16_200), False)]
    assert [*askable([GAP], known, 900, HOUR - 1)] == [open_[0], open_[1]]
    assert [*askable([GAP], known, 900, HOUR)] == [open_[0], (gap(10_800, 10_800), True), open_[1]]
    assert [*askable([GAP], known, 900, 2 * HOUR)][-1] == (gap(17_100, 18_000), True)
    assert [*askable([gap(10_800, 10_800)], known, 900, 0.0)] == []
    assert [*askable([gap(0, 900), gap(10_800, 11_700)], known, 900, 0.0)] == [
        (gap(0, 900), False),
        (gap(11_700, 11_700), False),
    ]
    assert [*askable([gap(5, 7)], [Empty(6, 6, HOUR)], 0, 0.0)] == [(gap(5, 5), False), (gap(7, 7), False)]
