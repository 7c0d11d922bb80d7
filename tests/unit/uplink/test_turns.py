"""How long is rested: not at all while a way is left, then as the backoff or the timetable of a channel says."""

import pytest

from dcu.uplink.backoff import BASE
from dcu.uplink.channels import Channels, Way
from dcu.uplink.turns import Turns

WAYS = (Way("eth", "a", 1), Way("gprs", "a", 1))


def tried(spread: float = 0.0) -> tuple[Channels, Turns]:
    """Return channels by all of whose ways no connection could be had."""
    channels = Channels(WAYS, return_after=300.0)
    for _ in WAYS:
        channels.failed()
    return channels, Turns(channels, spread)


def asleep(turns: Turns) -> tuple[bool, float | None]:
    return turns.asleep, turns.sleep


def test_the_next_way_is_taken_at_once_and_a_round_of_all_is_followed_by_a_rest() -> None:
    channels = Channels(WAYS, return_after=300.0)
    turns = Turns(channels, spread=0.0)
    assert turns.delay() == 0.0
    channels.failed()
    assert turns.delay() == 0.0
    channels.failed()
    assert turns.delay() >= BASE
    assert channels.at_once, "another round begins"


def test_a_fleet_is_kept_apart_by_its_share_of_the_spread() -> None:
    delays = [turns.delay() for _, turns in (tried(spread=1000.0) for _ in range(100))]
    assert max(delays) <= 1000.0 + 3 * BASE
    assert max(delays) - min(delays) > 500.0


@pytest.mark.parametrize("spread", [0.0, 60.0])
def test_a_sleep_by_the_timetable_comes_once_instead_of_the_rest(spread: float) -> None:
    channels, turns = tried(spread)
    turns.sleep = 5000.0
    assert 5000.0 <= turns.delay() <= 5000.0 + spread
    assert asleep(turns) == (True, None)
    for _ in WAYS:
        channels.failed()
    assert turns.delay() < 5000.0


def test_a_sleep_waits_until_every_way_was_tried() -> None:
    channels = Channels(WAYS, return_after=300.0)
    turns = Turns(channels, spread=0.0)
    turns.sleep = 5000.0
    assert turns.delay() == 0.0
    assert asleep(turns) == (False, 5000.0)
