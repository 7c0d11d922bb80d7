"""UTC arithmetic beyond 32 bits."""

from dcu.clock import EPOCH, PLAUSIBLE_SINCE, SystemClock, iso, seconds, utc


def test_dates_after_2038_and_2106_are_plain_arithmetic() -> None:
    assert iso(2**31) == "2038-01-19T03:14:08Z"
    assert iso(2**32) == "2106-02-07T06:28:16Z"


def test_seconds_is_the_inverse_of_utc() -> None:
    assert seconds(utc(2_500_000_000)) == 2_500_000_000
    assert utc(0) == EPOCH


def test_a_fraction_is_shown_in_milliseconds() -> None:
    assert iso(0.25) == "1970-01-01T00:00:00.250Z"


def test_a_clock_that_was_never_set_is_not_trusted() -> None:
    class Unset(SystemClock):
        def now(self) -> float:
            return PLAUSIBLE_SINCE - 1

    assert not Unset().trusted()
    assert SystemClock().trusted()
