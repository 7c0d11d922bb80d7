"""Which blocks are suspected, and when so many that it cannot be their fault."""

import pytest

from dcu.delivery.strikes import HOPELESS_AFTER, MAX_ASIDE, MAX_SUSPECTS, SUSPECT_AFTER, Strikes

BLOCK = ("load0", 7)
HOUR = 3600.0


def refused(strikes: Strikes, stream: str, count: int = MAX_ASIDE + 1) -> list[bool]:
    return [strikes.refuse((stream, number)) for number in range(count)]


def test_a_block_is_suspected_when_it_was_the_oldest_of_some_connections_that_broke() -> None:
    strikes = Strikes()
    for _ in range(SUSPECT_AFTER - 1):
        strikes.blame(BLOCK)
    assert not strikes.suspect(BLOCK)
    strikes.blame(BLOCK)
    assert strikes.suspect(BLOCK)
    assert not strikes.suspect(("load0", 8))
    strikes.clear(BLOCK, 0.0)
    assert not strikes.suspect(BLOCK)


def test_connections_that_break_at_too_many_blocks_acquit_all() -> None:
    strikes = Strikes()
    for number in range(MAX_ASIDE + 1):
        for _ in range(SUSPECT_AFTER):
            strikes.blame(("load0", number))
    assert not any(strikes.suspect(("load0", number)) for number in range(MAX_ASIDE))


def test_a_stream_at_which_connections_break_again_and_again_is_not_the_blocks_fault_unless_it_is_urgent() -> None:
    strikes = Strikes()
    assert [strikes.blame(("load0", number)) for number in range(MAX_ASIDE + 1)] == [True] * MAX_ASIDE + [False]
    assert all(strikes.blame(("event.fraud", number)) for number in range(MAX_ASIDE + 1))


def test_what_was_refused_is_suspected_at_once_until_it_is_acknowledged() -> None:
    strikes = Strikes()
    assert strikes.refuse(BLOCK)
    assert strikes.suspect(BLOCK)
    strikes.clear(BLOCK, 0.0)
    assert not strikes.suspect(BLOCK)


def test_what_the_head_end_has_is_suspected_no_more() -> None:
    strikes = Strikes()
    for key in (("load0", 7), ("load0", 9), ("load1", 7)):
        strikes.refuse(key)
    strikes.released("load0", 8)
    assert [strikes.suspect(key) for key in (("load0", 7), ("load0", 9), ("load1", 7))] == [False, True, True]


def test_so_many_of_a_stream_in_a_row_are_not_the_blocks_fault() -> None:
    strikes = Strikes()
    assert refused(strikes, "load1") == [True] * MAX_ASIDE + [False]
    assert strikes.refuse(("load0", 1)), "another stream is counted on its own"
    assert not strikes.refuse(("load1", 0))


def test_the_same_block_again_is_one_and_one_that_is_taken_in_between_begins_anew() -> None:
    strikes = Strikes()
    assert all(strikes.refuse(BLOCK) for _ in range(MAX_ASIDE + 1))
    strikes.clear(("load0", 8), 0.0)
    assert refused(strikes, "load0", MAX_ASIDE) == [True] * MAX_ASIDE


def test_a_refused_stream_has_suspects_enough_at_some_time() -> None:
    strikes = Strikes()
    refused(strikes, "load0", MAX_SUSPECTS - 1)
    assert not strikes.full("load0")
    refused(strikes, "load0", MAX_SUSPECTS)
    assert (strikes.full("load0"), strikes.full("load1")) == (True, False)
    strikes.clear(("load0", 0), 0.0)
    assert not strikes.full("load0"), "others of it are taken"


def give_up(strikes: Strikes, *at: float) -> bool:
    for moment in at:
        strikes.refuse(BLOCK, moment)
    return strikes.hopeless(BLOCK)


HOURLY = [HOUR * number for number in range(HOPELESS_AFTER + 1)]


def test_a_block_refused_for_what_it_is_over_a_day_while_others_are_taken_is_given_up() -> None:
    strikes = Strikes()
    assert not give_up(strikes, *HOURLY)
    strikes.clear(("load1", 1), 0.5)
    assert not give_up(strikes), "of its stream nothing was taken"
    strikes.clear(("load0", 8), 0.5)
    assert give_up(strikes)
    strikes.forget(BLOCK)
    assert not give_up(strikes)


@pytest.mark.parametrize(
    "refusals", [HOURLY[:-1], HOURLY[::2], [0.0], [None for _ in HOURLY]], ids=["not a day", "few", "one", "of us"]
)
def test_less_gives_up_nothing(refusals: list[float | None]) -> None:
    strikes = Strikes()
    for moment in refusals:
        strikes.refuse(BLOCK, moment)
        strikes.clear(("load0", 8), HOURLY[-1])
    assert not strikes.hopeless(BLOCK)


def test_everything_is_refused_when_that_includes_what_is_urgent() -> None:
    strikes = Strikes()
    refused(strikes, "load0")
    assert not strikes.everything
    refused(strikes, "load1")
    assert not strikes.everything
    strikes.refuse(("event.dcu", 1))
    assert strikes.everything
