"""The machine that chooses between channels, event by event; the table is in its docstring."""

import pytest

from dcu.uplink.backoff import STEADY
from dcu.uplink.channels import LONGEST_STABLE, Channels, State, Way

MAIN, SPARE, STANDBY = Way("eth", "a", 1), Way("eth", "b", 1), Way("gprs", "a", 1)


def three() -> Channels:
    return Channels([MAIN, SPARE, STANDBY], return_after=300.0)


def state(channels: Channels) -> State:
    return channels.state


def on(channels: Channels, way: Way, now: float = 0.0) -> Channels:
    """Bring a machine to where `way` works and all before it do not."""
    while channels.way != way:
        channels.failed()
    channels.opened(now)
    return channels


def test_a_round_tries_every_way_at_once_and_then_rests() -> None:
    channels, tried = three(), []
    for _ in range(3):
        assert channels.at_once
        tried.append(channels.way)
        channels.failed()
    assert tried == [MAIN, SPARE, STANDBY]
    assert (channels.at_once, channels.way) == (False, MAIN)
    channels.rested()
    assert (channels.at_once, channels.way) == (True, MAIN)


@pytest.mark.parametrize(("way", "following"), [(MAIN, SPARE), (SPARE, STANDBY), (STANDBY, MAIN)])
def test_a_connection_that_lived_is_followed_at_once_by_the_next_way(way: Way, following: Way) -> None:
    channels = on(three(), way)
    channels.lost(STEADY)
    assert (channels.state, channels.at_once, channels.way) == (State.AWAY, True, following)


def test_what_is_lost_by_all_ways_rests_before_the_first_of_them_comes_again() -> None:
    channels = on(three(), MAIN)
    channels.lost(STEADY)
    for _ in range(2):
        assert channels.at_once
        channels.failed()
    assert (channels.at_once, channels.way) == (False, MAIN)


@pytest.mark.parametrize("way", [MAIN, SPARE, STANDBY])
def test_who_is_thrown_out_as_soon_as_it_is_in_rests(way: Way) -> None:
    channels = on(three(), way)
    channels.lost(STEADY - 0.1)
    assert not channels.at_once
    assert channels.way != way


def test_a_single_way_rests_after_each_loss() -> None:
    channels = Channels([MAIN], 300.0)
    channels.opened(0.0)
    channels.lost(1000.0)
    assert (channels.at_once, channels.way) == (False, MAIN)
    channels.rested()
    channels.failed()
    assert (channels.at_once, channels.way, channels.better) == (False, MAIN, {})


def test_the_better_channel_is_gone_back_to_when_it_has_answered_for_long_enough() -> None:
    channels = on(three(), STANDBY)
    assert channels.better == {"eth": [MAIN, SPARE]}
    for now in range(10, 310, 10):
        channels.answered("eth", now, well=True)
        assert state(channels) is State.ON
    channels.answered("eth", 310, well=True)
    assert state(channels) is State.LEAVING
    channels.lost(311)
    assert (channels.at_once, channels.way) == (True, MAIN)
    channels.opened(312)
    assert channels.better == {}


def test_one_question_without_an_answer_begins_the_time_anew() -> None:
    channels = on(three(), STANDBY)
    channels.answered("eth", 10, well=True)
    channels.answered("eth", 200, well=False)
    channels.answered("eth", 320, well=True)
    assert state(channels) is State.ON
    channels.answered("eth", 620, well=True)
    assert state(channels) is State.LEAVING


def back(channels: Channels, now: float, stable: float) -> None:
    """Go back to the main channel after `stable` seconds of answers."""
    channels.answered("eth", now, well=True)
    channels.answered("eth", now + stable - 1, well=True)
    assert state(channels) is State.ON
    channels.answered("eth", now + stable, well=True)
    assert state(channels) is State.LEAVING
    channels.lost(now + stable)


@pytest.mark.parametrize("opens", [True, False])
def test_a_main_channel_that_does_not_hold_has_to_prove_itself_for_longer_each_time(opens: bool) -> None:
    channels, now, stable = on(three(), STANDBY), 0.0, 300.0
    for _ in range(6):
        back(channels, now, stable)
        now += stable
        if opens:
            channels.opened(now)
            channels.lost(now + STEADY)
        on(channels, STANDBY, now + STEADY)
        stable = min(LONGEST_STABLE, 2 * stable)
    assert stable == LONGEST_STABLE
    back(channels, now, stable)
    channels.opened(now + stable)
    channels.lost(now + 3 * stable)
    on(channels, STANDBY, now + 3 * stable)
    back(channels, now + 4 * stable, 300.0)


def test_the_operator_names_a_channel_and_takes_the_word_back() -> None:
    channels = on(three(), MAIN)
    channels.prefer("gprs")
    assert (channels.state, channels.way) == (State.LEAVING, MAIN)
    channels.lost(1)
    assert (channels.at_once, channels.way, channels.names) == (True, STANDBY, ["gprs", "eth"])
    channels.opened(2)
    assert channels.better == {}
    channels.prefer(None)
    assert state(channels) is State.LEAVING
    channels.lost(3)
    assert (channels.way, channels.names) == (MAIN, ["eth", "gprs"])


def test_a_channel_that_was_named_and_is_dead_does_not_cut_the_unit_off() -> None:
    channels = on(three(), MAIN)
    channels.prefer("gprs")
    channels.lost(1)
    channels.failed()
    assert (channels.at_once, channels.way) == (True, MAIN)
    channels.opened(2)
    assert channels.better == {"gprs": [STANDBY]}


@pytest.mark.parametrize("way", [MAIN, STANDBY])
def test_a_connection_made_anew_stays_with_its_channel(way: Way) -> None:
    channels = on(three(), way)
    channels.renew()
    assert state(channels) is State.LEAVING
    channels.lost(1)
    assert (channels.at_once, channels.way) == (True, way)


@pytest.mark.parametrize("way", [MAIN, STANDBY])
def test_one_made_anew_together_with_a_fleet_rests_before(way: Way) -> None:
    channels = on(three(), way)
    channels.walk([way], STEADY)
    channels.lost(STEADY)
    assert (channels.at_once, channels.way) == (False, way)
    channels.rested()
    assert (channels.at_once, channels.way) == (True, way)
    channels.opened(STEADY)
    channels.renew()
    channels.lost(2 * STEADY)
    assert channels.at_once, "that rest was once"


def test_a_channel_with_a_timetable_is_left_for_a_sleep_and_then_the_best_way_comes_first() -> None:
    channels = on(three(), STANDBY)
    channels.sleep()
    assert state(channels) is State.LEAVING
    channels.lost(60)
    assert (channels.at_once, channels.way) == (False, MAIN)
    channels.rested()
    assert channels.at_once


def test_naming_the_channel_in_use_changes_nothing_now() -> None:
    channels = on(three(), SPARE)
    channels.prefer("eth")
    assert (channels.state, channels.way) == (State.ON, SPARE)


def test_naming_one_while_away_begins_with_it() -> None:
    channels = three()
    for _ in range(3):
        channels.failed()
    channels.prefer("gprs")
    assert (channels.at_once, channels.way) == (True, STANDBY)


def returned(held: float) -> Channels:
    """Return a machine that went back to its main channel, where it has been for `held` seconds."""
    channels = on(three(), STANDBY)
    back(channels, 0.0, 300.0)
    channels.opened(300.0)
    channels.renew()
    channels.lost(300.0 + held)
    return channels


@pytest.mark.parametrize(("held", "stable"), [(300.0, 300.0), (STEADY, 600.0)])
@pytest.mark.parametrize("opens", [True, False])
def test_a_return_that_held_is_not_held_against_the_connection_made_anew(
    held: float, stable: float, *, opens: bool
) -> None:
    channels = returned(held)
    if opens:
        channels.opened(1000.0)
        channels.lost(1000.0 + STEADY)
    on(channels, STANDBY, 2000.0)
    back(channels, 2000.0, stable)
    assert (channels.at_once, channels.way) == (True, MAIN)


def test_a_channel_that_was_named_was_not_gone_back_to() -> None:
    channels = returned(STEADY)
    channels.opened(400.0)
    channels.prefer("gprs")
    channels.lost(400.0 + STEADY)
    channels.opened(500.0)
    channels.lost(500.0 + STEADY)
    on(channels, MAIN, 600.0)
    channels.answered("gprs", 600.0, well=True)
    channels.answered("gprs", 900.0, well=True)
    assert state(channels) is State.LEAVING


def test_the_channel_in_use_is_kept_when_it_is_named_while_it_is_left() -> None:
    channels = on(three(), STANDBY)
    channels.answered("eth", 0.0, well=True)
    channels.answered("eth", 300.0, well=True)
    assert state(channels) is State.LEAVING
    channels.prefer("gprs")
    channels.lost(301.0)
    assert (channels.at_once, channels.way) == (True, STANDBY)


def test_who_is_looked_for_is_looked_for_at_once_by_a_connection_that_lived_and_then_after_rests() -> None:
    channels = on(three(), MAIN)
    channels.walk([MAIN, SPARE], STEADY)
    channels.lost(STEADY)
    assert (channels.at_once, channels.way) == (True, SPARE)
    for way in (MAIN, SPARE, MAIN):
        channels.opened(100.0)
        channels.walk([MAIN, SPARE], 101.0)
        channels.lost(101.0)
        assert (channels.at_once, channels.way) == (False, way)
        channels.rested()


def test_a_broker_that_is_away_while_somebody_is_looked_for_leads_back_and_not_to_what_costs() -> None:
    channels = on(three(), MAIN)
    channels.walk([MAIN, SPARE], STEADY)
    channels.lost(STEADY)
    channels.failed()
    assert (channels.at_once, channels.way) == (False, MAIN)
    channels.rested()
    channels.failed()
    assert (channels.at_once, channels.way) == (True, SPARE), "one that does not work any more is an outage"
    channels.failed()
    assert channels.way == STANDBY
