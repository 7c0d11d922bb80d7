"""Which blocks are suspected, and when so many that it cannot be their fault."""

from dcu.delivery.strikes import MAX_ASIDE, SUSPECT_AFTER, Strikes

BLOCK = ("load0", 7)


def test_a_block_is_suspected_when_it_was_the_oldest_of_some_connections_that_broke() -> None:
    strikes = Strikes()
    for _ in range(SUSPECT_AFTER - 1):
        strikes.blame(BLOCK)
    assert not strikes.suspect(BLOCK)
    strikes.blame(BLOCK)
    assert strikes.suspect(BLOCK)
    assert not strikes.suspect(("load0", 8))


def test_a_connection_that_breaks_with_nothing_under_way_blames_nobody() -> None:
    strikes = Strikes()
    for _ in range(SUSPECT_AFTER):
        strikes.blame(None)
    assert not strikes.suspect(BLOCK)


def test_what_was_refused_is_suspected_at_once_until_it_is_acknowledged() -> None:
    strikes = Strikes()
    assert strikes.refuse(BLOCK)
    assert strikes.suspect(BLOCK)
    strikes.clear(BLOCK)
    assert not strikes.suspect(BLOCK)


def test_a_broker_that_refuses_everything_is_not_the_blocks_fault() -> None:
    strikes = Strikes()
    refused = [("load0", number) for number in range(MAX_ASIDE + 1)]
    assert [strikes.refuse(block) for block in refused] == [True] * MAX_ASIDE + [False]
    assert not any(strikes.suspect(block) for block in refused)
