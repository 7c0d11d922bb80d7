"""What is lost is asked for: when it was so for a while, once, and until the DCU does not know it."""

import json

import pytest

from dcu_headend import Asking, Block, Follower, Result, State
from dcu_headend.asking import FIRST_WAIT, LAST_WAIT


def block(seq: int) -> Block:
    return Block("D1", "b", "load0", seq, ())


def answer(wish: bytes, state: str, **result: object) -> Result:
    return Result("D1", "b", 1, json.loads(wish)["id"], "dcu.resend", (), state, 0.0, result or None, None)


def losing(*came: int, owed: int) -> tuple[Follower, Asking]:
    follower = Follower()
    for seq in came:
        follower.took(block(seq))
    follower.heard(State("D1", "b", "online", {}, {"load0": owed}, {}))
    return follower, Asking(follower)


def test_what_is_still_lost_at_the_second_look_is_asked_for_once() -> None:
    _, asking = losing(10, 14, owed=20)
    assert list(asking.wishes()) == []
    wishes = list(asking.wishes())
    assert [(dcu, json.loads(wish)["name"], json.loads(wish)["args"]) for dcu, wish in wishes] == [
        ("D1", "dcu.resend", {"stream": "load0", "from_seq": 11, "to_seq": 13}),
        ("D1", "dcu.resend", {"stream": "load0", "from_seq": 15, "to_seq": 19}),
    ]
    assert list(asking.wishes()) == []


def test_what_came_meanwhile_and_what_may_come_unasked_is_not_asked_for() -> None:
    follower, asking = losing(10, 12, 15, owed=13)
    assert list(asking.wishes()) == []
    follower.took(block(11))
    assert list(asking.wishes()) == []
    assert [(gap.first, gap.lost) for gap in follower.gaps()] == [(13, False)]


def test_what_the_dcu_does_not_know_is_waited_for_no_more() -> None:
    follower, asking = losing(10, 12, owed=13)
    list(asking.wishes())
    ((_, wish),) = asking.wishes()
    asking.heard(block(12))
    asking.heard(answer(wish, "running"))
    asking.heard(answer(b'{"id": "another"}', "done", blocks=0))
    assert [gap.first for gap in follower.gaps()] == [11]
    asking.heard(answer(wish, "done", blocks=0))
    assert list(follower.gaps()) == []
    assert list(asking.wishes()) == []


def test_what_comes_in_part_is_asked_for_further() -> None:
    follower, asking = losing(10, 14, owed=15)
    list(asking.wishes())
    ((_, wish),) = asking.wishes()
    asking.heard(answer(wish, "done", blocks=2))
    follower.took(block(11))
    assert list(asking.wishes()) == []
    ((_, wish),) = asking.wishes()
    assert json.loads(wish)["args"]["from_seq"] == 12


@pytest.mark.parametrize("state", ["rejected", "failed", "expired", "running", "done", None])
def test_a_gap_that_stays_is_asked_for_again_and_ever_more_seldom(state: str | None) -> None:
    _, asking = losing(10, 12, owed=13)
    asked = []
    for look in range(5 * LAST_WAIT):
        for _, wish in asking.wishes():
            asked.append((look, json.loads(wish)["id"]))
            if state is not None:
                asking.heard(answer(wish, state))
    looks = [look for look, _ in asked]
    assert looks[:4] == [1, 1 + FIRST_WAIT, 1 + 3 * FIRST_WAIT, 1 + 7 * FIRST_WAIT]
    assert looks[-1] - looks[-2] == LAST_WAIT
    assert len({identity for _, identity in asked}) == len(asked), "the same id would be answered as before"


def test_a_gap_that_grew_shorter_waits_for_nothing() -> None:
    follower, asking = losing(10, 14, owed=15)
    for _ in range(FIRST_WAIT):
        list(asking.wishes())
    follower.took(block(11))
    assert list(asking.wishes()) == []
    assert [json.loads(wish)["args"]["from_seq"] for _, wish in asking.wishes()] == [12]
