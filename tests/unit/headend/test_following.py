import dataclasses
import json

from dcu_headend import Block, Follower, Gap, State
from dcu_headend.following import MAX_HOLES, MAX_PARTIAL

BLOCK = Block("D", "b", "load0", 1000, ())


def block(seq: int, part: int = 1, parts: int = 1, **more: str) -> Block:
    return dataclasses.replace(BLOCK, seq=seq, part=part, parts=parts, **more)  # type: ignore[arg-type]


def test_a_repeat_is_not_new_whatever_boot_it_bears() -> None:
    follower = Follower()
    assert follower.new(block(1000))
    assert not follower.new(block(1000, boot="other"))
    assert follower.new(block(1000, stream="load1"))
    assert follower.new(block(1000, dcu="E"))


def test_a_gap_is_there_until_it_is_closed() -> None:
    follower = Follower()
    assert all(follower.new(block(seq)) for seq in (1000, 1001, 1005))
    assert list(follower.gaps()) == [Gap("D", "load0", 1002, 1004)]
    assert next(follower.gaps()).count == 3
    assert follower.positions() == {("D", "load0"): 1001}
    assert all(follower.new(block(seq)) for seq in (1004, 1002, 1003))
    assert not list(follower.gaps())
    assert follower.positions() == {("D", "load0"): 1005}


def test_a_block_is_whole_when_all_its_parts_are_there() -> None:
    follower = Follower()
    assert follower.new(block(999))
    assert follower.new(block(1000, 2, 2))
    assert follower.positions() == {("D", "load0"): 999}
    assert not follower.new(block(1000, 2, 2))
    assert follower.new(block(1000, 1, 2))
    assert follower.positions() == {("D", "load0"): 1000}
    assert not follower.new(block(1000, 1, 2))


def test_a_follower_that_starts_again_knows_what_it_had() -> None:
    first = Follower()
    for each in (block(1000), block(1002), block(1003, 1, 2)):
        assert first.new(each)
    second = Follower({("D", "load0"): first.memory("D", "load0")})
    assert not any(map(second.new, (block(1000), block(1002), block(1003, 1, 2))))
    assert list(second.gaps()) == [Gap("D", "load0", 1001, 1001)]
    assert second.new(block(1003, 2, 2))
    assert second.new(block(1001))
    assert second.positions() == {("D", "load0"): 1003}


def test_what_is_kept_is_bounded() -> None:
    follower = Follower()
    for seq in range(0, 4 * MAX_HOLES, 2):
        assert follower.new(block(seq))
    assert len(list(follower.gaps())) == MAX_HOLES - 1
    assert follower.given_up() == MAX_HOLES
    for seq in range(10_000, 10_000 + 2 * MAX_PARTIAL):
        follower.new(block(seq, 1, 2))
    assert len(follower._came["D", "load0"].parts) == MAX_PARTIAL


def born(**owed: int) -> State:
    return State("D", "b", "online", {}, owed, {})


def test_a_birth_says_from_where_on_all_will_come() -> None:
    follower = Follower()
    follower.heard(born(load0=1000))
    assert follower.new(block(1002))
    assert follower.positions() == {("D", "load0"): 999}
    assert follower.new(block(1000))
    assert follower.new(block(1001))
    assert follower.positions() == {("D", "load0"): 1002}
    assert {dcu: json.loads(word) for dcu, word in follower.acknowledgements().items()} == {
        "D": {"streams": {"load0": 1002}}
    }


def test_a_hole_below_what_is_owed_is_waited_for_no_more_and_what_comes_there_is_new() -> None:
    follower = Follower()
    assert all(follower.new(block(seq)) for seq in (1000, 5000))
    follower.heard(born(load0=4000))
    assert list(follower.gaps()) == [Gap("D", "load0", 4000, 4999)]
    again = Follower({("D", "load0"): follower.memory("D", "load0")})
    again.heard(born(load0=5000))
    assert not list(again.gaps())
    assert again.positions() == {("D", "load0"): 5000}
    assert again.new(block(1001)), "it was asked for"
