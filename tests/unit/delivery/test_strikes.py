"""Which blocks are suspected, and when so many that it cannot be their fault."""

from dcu.delivery.strikes import MAX_ASIDE, MAX_SUSPECTS, SUSPECT_AFTER, Strikes

BLOCK = ("load0", 7)


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
    strikes.clear(BLOCK)
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
    strikes.clear(BLOCK)
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
    strikes.clear(("load0", 8))
    assert refused(strikes, "load0", MAX_ASIDE) == [True] * MAX_ASIDE


def test_a_refused_stream_has_suspects_enough_at_some_time() -> None:
    strikes = Strikes()
    refused(strikes, "load0", MAX_SUSPECTS - 1)
    assert not strikes.full("load0")
    refused(strikes, "load0", MAX_SUSPECTS)
    assert (strikes.full("load0"), strikes.full("load1")) == (True, False)
    strikes.clear(("load0", 0))
    assert not strikes.full("load0"), "others of it are taken"


def test_everything_is_refused_when_that_includes_what_is_urgent() -> None:
    strikes = Strikes()
    refused(strikes, "load0")
    assert not strikes.everything
    refused(strikes, "load1")
    assert not strikes.everything
    strikes.refuse(("event.dcu", 1))
    assert strikes.everything
