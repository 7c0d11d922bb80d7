import dataclasses
import json

from dcu_headend import Block, Dropped, Follower, Gap, State
from dcu_headend.following import MAX_HOLES, MAX_PARTIAL

BLOCK = Block("D", "b", "load0", 1000, ())


def block(seq: int, part: int = 1, parts: int = 1, **more: str) -> Block:
    return dataclasses.replace(BLOCK, seq=seq, part=part, parts=parts, **more)  # type: ignore[arg-type]


def born(**owed: int) -> State:
    return State("D", "b", "online", {}, owed, {})


def following() -> Follower:
    """One that has heard the birth of a DCU whose streams were all empty."""
    follower = Follower()
    follower.heard(born())
    return follower


def test_a_repeat_is_not_new_whatever_boot_it_bears() -> None:
    follower = Follower()
    assert follower.took(block(1000))
    assert not follower.took(block(1000, boot="other"))
    assert follower.took(block(1000, stream="load1"))
    assert follower.took(block(1000, dcu="E"))


def test_what_was_not_kept_is_new_when_it_comes_again() -> None:
    follower = Follower()
    assert all(follower.new(block(1000)) for _ in range(2))
    memory = follower.memory(block(1000, 1, 2))
    assert not follower.positions()
    assert follower.took(block(1000, 1, 2))
    assert follower.memory(block(1000, 1, 2)) == memory
    assert not follower.new(block(1000, 1, 2))
    assert follower.memory(block(1000, 2, 2)) != memory
    assert not follower.positions()


def test_a_gap_is_there_until_it_is_closed() -> None:
    follower = following()
    assert all(follower.took(block(seq)) for seq in (1000, 1001, 1005))
    assert list(follower.gaps()) == [Gap("D", "load0", 1002, 1004)]
    assert next(follower.gaps()).count == 3
    assert follower.positions() == {("D", "load0"): 1001}
    assert all(follower.took(block(seq)) for seq in (1004, 1002, 1003))
    assert not list(follower.gaps())
    assert follower.positions() == {("D", "load0"): 1005}


def test_a_block_is_whole_when_all_its_parts_are_there() -> None:
    follower = following()
    assert follower.took(block(999))
    assert follower.took(block(1000, 2, 2))
    assert follower.positions() == {("D", "load0"): 999}
    assert not follower.took(block(1000, 2, 2))
    assert follower.took(block(1000, 1, 2))
    assert follower.positions() == {("D", "load0"): 1000}
    assert not follower.took(block(1000, 1, 2))


def test_a_follower_that_starts_again_knows_what_it_had() -> None:
    first = following()
    for each in (block(1000), block(1002), block(1003, 1, 2)):
        assert first.took(each)
    second = Follower({("D", "load0"): first.memory(block(1000))})
    assert not any(map(second.new, (block(1000), block(1002), block(1003, 1, 2))))
    assert list(second.gaps()) == [Gap("D", "load0", 1001, 1001)]
    assert second.took(block(1003, 2, 2))
    assert second.took(block(1001))
    assert second.positions() == {("D", "load0"): 1003}


def test_what_is_kept_is_bounded() -> None:
    follower = Follower()
    for seq in range(0, 4 * MAX_HOLES, 2):
        assert follower.took(block(seq))
    assert len(list(follower.gaps())) == MAX_HOLES - 1
    assert follower.given_up() == MAX_HOLES
    for seq in range(10_000, 10_000 + 2 * MAX_PARTIAL):
        follower.took(block(seq, 1, 2))
    assert len(follower._came["D", "load0"].parts) == MAX_PARTIAL


def leap(seq: int, first: int, last: int) -> Block:
    return dataclasses.replace(block(seq), dropped=Dropped("leap", "", 0, 0, 0, (first, last)))


def test_what_was_leapt_over_is_not_waited_for() -> None:
    follower = following()
    assert all(follower.took(block(seq)) for seq in (1000, 1001, 1003))
    assert follower.took(leap(2000, 1004, 1999))
    assert list(follower.gaps()) == [Gap("D", "load0", 1002, 1002)]  # that one is on its way still
    assert not follower.took(leap(2000, 1004, 1999))
    memory = follower.memory(block(1002))
    assert follower.took(block(1002))
    assert follower.positions() == {("D", "load0"): 2000}
    second = Follower({("D", "load0"): memory})
    assert second.took(block(2001))
    assert not list(second.gaps())


def test_a_leap_over_what_came_before_changes_nothing_of_it() -> None:
    """An older copy of the store was put back: it does not know which numbers it gave since."""
    follower = following()
    assert all(follower.took(block(seq)) for seq in (1000, 1001, 1002))
    assert follower.took(leap(2000, 1001, 1999))
    assert follower.positions() == {("D", "load0"): 2000}
    assert not follower.took(block(1002))


def test_what_was_leapt_over_and_comes_all_the_same_is_new() -> None:
    """The broker had it in its queue when the store met with its mishap, or another consumer's turn was slower."""
    follower = following()
    assert follower.took(block(1000))
    assert follower.took(leap(2000, 1001, 1999))
    assert follower.took(block(1001, 1, 2))
    again = Follower({("D", "load0"): follower.memory(block(2000))})
    for each in (follower, again):
        assert not list(each.gaps())
        assert not each.new(block(1001, 1, 2))
        assert each.took(block(1001, 2, 2))
        assert each.took(block(1500))
        assert not each.took(block(1500))
        assert not list(each.gaps())


def test_what_the_dcu_does_not_know_any_more_and_comes_all_the_same_is_new() -> None:
    follower = following()
    assert all(follower.took(block(seq)) for seq in (1000, 1002))
    follower.close(next(follower.gaps()))
    assert follower.positions() == {("D", "load0"): 1002}
    assert follower.took(block(1001))
    assert not follower.took(block(1001))


def test_what_is_kept_of_leaps_is_bounded_and_a_leap_was_not_given_up() -> None:
    follower = following()
    for seq in range(0, 6 * MAX_HOLES, 3):
        assert follower.took(leap(seq + 2, seq, seq))
    assert len(list(follower.gaps())) == MAX_HOLES - 1
    assert follower.given_up() == 2 * MAX_HOLES - (MAX_HOLES - 1), "one number between each leap and its word"
    assert len(follower._came["D", "load0"].gone) == MAX_HOLES


def test_followers_of_one_database_go_on_from_each_others_memory() -> None:
    one, two = following(), Follower()
    assert one.took(block(1000))
    two.adopt(("D", "load0"), one.memory(block(1000)))
    assert two.took(block(1001))
    one.heard(born(load0=1001))
    one.adopt(("D", "load0"), two.memory(block(1001)))
    assert not one.new(block(1001))
    assert one.took(block(1003))
    assert list(one.gaps()) == [Gap("D", "load0", 1002, 1002)]
    deaf = Follower()
    assert deaf.took(block(1003))
    deaf.heard(born(load0=1003))
    deaf.adopt(("D", "load0"), Follower().memory(block(1000)))
    assert list(deaf.gaps()) == [Gap("D", "load0", 1001, 1002, lost=True)], "it keeps the birth that it heard"


def test_a_birth_says_from_where_on_all_will_come() -> None:
    follower = Follower()
    follower.heard(born(load0=1000))
    assert follower.took(block(1002))
    assert follower.positions() == {("D", "load0"): 999}
    assert follower.took(block(1000))
    assert follower.took(block(1001))
    assert follower.positions() == {("D", "load0"): 1002}
    assert {dcu: json.loads(word) for dcu, word in follower.acknowledgements().items()} == {
        "D": {"streams": {"load0": 1002}}
    }


def test_a_hole_below_what_is_owed_is_lost_until_it_is_asked_for() -> None:
    follower = Follower()
    assert all(follower.took(block(seq)) for seq in (1000, 5000))
    follower.heard(born(load0=4000))
    assert list(follower.gaps()) == [Gap("D", "load0", 1001, 3999, lost=True), Gap("D", "load0", 4000, 4999)]
    again = Follower({("D", "load0"): follower.memory(block(1000))})
    again.heard(born(load0=5000))
    assert list(again.gaps()) == [Gap("D", "load0", 1001, 4999, lost=True)]
    assert again.positions() == {("D", "load0"): 5000}
    assert again.took(block(1001)), "it was asked for"
    assert list(again.gaps()) == [Gap("D", "load0", 1002, 4999, lost=True)]


def test_what_died_with_the_broker_behind_the_last_block_is_lost_too_until_the_dcu_does_not_know_it() -> None:
    follower = Follower()
    assert all(follower.took(block(seq)) for seq in (1, 2, 3))
    follower.heard(born(load0=6))
    (gap,) = follower.gaps()
    assert gap == Gap("D", "load0", 4, 5, lost=True)
    assert follower.took(block(6))
    assert list(follower.gaps()) == [gap]
    follower.close(gap)
    assert not list(follower.gaps())
    assert follower.positions() == {("D", "load0"): 6}


def test_a_block_divided_in_another_way_is_whole_by_one_of_the_two_and_not_by_parts_of_both() -> None:
    follower = following()
    assert follower.took(block(999))
    assert follower.took(block(1000, 1, 4))
    assert follower.took(block(1000, 1, 2)), "half of the block, of which a quarter is there"
    assert follower.took(block(1000, 2, 4)), "it was under way for longer"
    again = Follower({("D", "load0"): follower.memory(block(1000, 2, 4))})
    assert again.positions() == {("D", "load0"): 999}
    assert again.took(block(1000, 2, 2))
    assert again.positions() == {("D", "load0"): 1000}
    assert not again.took(block(1000, 3, 4))


def test_as_many_parts_after_a_restart_may_be_cut_elsewhere() -> None:
    follower = following()
    assert follower.took(block(1000, 1, 2))
    assert follower.took(block(1000, 1, 2, boot="other"))
    assert follower.took(block(1000, 2, 2, boot="other"))
    assert follower.positions() == {("D", "load0"): 1000}


def test_a_memory_of_before_divisions_were_kept_apart_has_what_was_whole() -> None:
    follower = Follower({("D", "load0"): '{"spans": [[1, 3]], "parts": {"5": [1]}, "given_up": 0}'})
    follower.heard(born())
    assert follower.positions() == {("D", "load0"): 3}
    assert follower.took(block(5, 1, 2))


def test_nothing_is_acknowledged_before_a_birth_has_told_where_the_stream_begins() -> None:
    """The head-end's memory is new, its session at the broker is not: of what was before it knows nothing."""
    follower = Follower()
    assert follower.took(block(1052))
    follower.heard(State("D", "b", "offline", {}, {}, {}))
    again = Follower({("D", "load0"): follower.memory(block(1052))})
    for each in (follower, again):
        assert not each.acknowledgements()
        each.heard(born(load0=1050))
        assert each.positions() == {("D", "load0"): 1049}
        assert each.took(block(1050))
        assert each.took(block(1051))
        assert each.positions() == {("D", "load0"): 1052}


def test_what_the_broker_refuses_is_not_waited_for_and_new_when_it_comes() -> None:
    follower = following()
    assert all(follower.took(block(seq)) for seq in (1000, 1002))
    refused = dataclasses.replace(block(1001), dropped=Dropped("refused", "", 0, 900, 2))
    assert follower.took(refused)
    again = Follower({("D", "load0"): follower.memory(refused)})
    for each in (follower, again):
        assert not list(each.gaps())
        assert each.positions() == {("D", "load0"): 1002}
        assert each.took(block(1001))
        assert not each.took(block(1001))
