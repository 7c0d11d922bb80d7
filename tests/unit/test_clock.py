"""UTC arithmetic beyond 32 bits."""

import pytest

from dcu.clock import EPOCH, PLAUSIBLE_SINCE, SETTLED, ClockState, Discipline, SystemClock, iso, seconds, utc


def test_dates_after_2038_and_2106_are_plain_arithmetic() -> None:
    assert iso(2**31) == "2038-01-19T03:14:08Z"
    assert iso(2**32) == "2106-02-07T06:28:16Z"


def test_seconds_is_the_inverse_of_utc() -> None:
    assert seconds(utc(2_500_000_000)) == 2_500_000_000
    assert utc(0) == EPOCH


def test_a_fraction_is_shown_in_milliseconds() -> None:
    assert iso(0.25) == "1970-01-01T00:00:00.250Z"


class Held(SystemClock):
    """A clock whose times tests say; `right` is what the system says of it."""

    wall = 1_800_000_000.0
    ticks = 1000.0
    right = True

    def __init__(self, holdover: float = 3600.0, last: Discipline | None = None) -> None:
        super().__init__(lambda: self.right, holdover, last)

    def now(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.ticks

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.ticks += seconds


def test_a_clock_that_was_never_set_is_not_trusted() -> None:
    clock = Held()
    clock.wall = PLAUSIBLE_SINCE - 1
    assert (clock.state(), clock.trusted()) == (ClockState.UNSET, False)


def test_where_nobody_asks_a_date_that_can_be_right_is_enough() -> None:
    assert SystemClock().state() is ClockState.PLAUSIBLE
    assert SystemClock().trusted()


def test_a_synchronised_clock_is_trusted_for_its_holdover() -> None:
    clock = Held()
    assert clock.state() is ClockState.SYNCHRONISED
    clock.right = False
    clock.passes(3600.0)
    assert (clock.state(), clock.trusted()) == (ClockState.HOLDOVER, True)
    clock.passes(1.0)
    assert (clock.state(), clock.trusted()) == (ClockState.UNSYNCHRONISED, False)
    clock.right = True
    assert clock.state() is ClockState.SYNCHRONISED


def test_a_clock_that_was_never_synchronised_has_no_holdover() -> None:
    clock = Held()
    clock.right = False
    assert clock.state() is ClockState.UNSYNCHRONISED


@pytest.mark.parametrize(("jump", "state"), [(SETTLED / 2, ClockState.HOLDOVER), (86_400.0, ClockState.UNSYNCHRONISED)])
def test_a_clock_that_was_set_by_hand_has_lost_its_holdover(jump: float, state: ClockState) -> None:
    clock = Held()
    clock.trusted()
    clock.right = False
    clock.wall -= jump
    assert clock.state() is state


def test_what_is_remembered_of_this_boot_counts_and_of_another_does_not() -> None:
    clock = Held(last=Discipline(500.0, 1_800_000_000.0 - 1000.0))
    clock.right = False
    assert clock.state() is ClockState.HOLDOVER
    clock.ticks = 100.0  # a boot later: monotonic time has begun anew
    assert clock.state() is ClockState.UNSYNCHRONISED


@pytest.mark.parametrize(
    ("moment", "shown"),
    [(1e18, "9999-12-31T23:59:59Z"), (-1e18, "0001-01-01T00:00:00Z"), (2**62, "9999-12-31T23:59:59Z")],
)
def test_what_has_no_date_is_shown_as_the_nearest_that_has_one(moment: float, shown: str) -> None:
    assert iso(moment) == shown
