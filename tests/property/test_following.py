"""Sequences in any order, with repeats and restarts: what is new is so once, and missing is what did not come."""

from hypothesis import given
from hypothesis import strategies as st

from dcu.messages.envelope import Envelopes
from dcu_headend import Block, Follower, State, decode
from tests.outbox import capture

STREAM = ("D", "load0")

#: The DCU had nothing in any stream yet.
BIRTH = State("D", "b", "online", {}, {}, {})


def block(seq: int, part: int, parts: int) -> Block:
    return Block("D", "b", "load0", seq, (), part, parts)


@given(
    st.lists(st.integers(1, 3), min_size=1, max_size=15),
    st.randoms(use_true_random=False),
    st.integers(0, 20),
    st.integers(0, 20),
)
def test_any_order_any_repeats(parts: list[int], dice: object, left_out: int, restart: int) -> None:
    blocks = [block(1000 + n, part + 1, of) for n, of in enumerate(parts) for part in range(of)]
    coming = blocks[left_out:] + blocks[::2] if left_out < len(blocks) else blocks * 2
    dice.shuffle(coming)  # type: ignore[attr-defined]  # random.Random
    follower = Follower()
    new: list[Block] = []
    for number, each in enumerate(coming):
        if number == restart:
            memory = {STREAM: follower.memory(coming[number - 1])} if number else None
            follower = Follower(memory)
        follower.heard(BIRTH)
        if follower.took(each):
            new.append(each)
    assert len(new) == len(set(map(str, new)))
    assert {str(each) for each in new} == {str(each) for each in coming}
    came = {each.seq for each in blocks if {other for other in blocks if other.seq == each.seq} <= set(new)}
    missing = {seq for gap in follower.gaps() for seq in range(gap.first, gap.last + 1)}
    assert missing == (set(range(min(came), max(came))) - came if came else set())
    if came:
        position = follower.positions()[STREAM]
        assert position in came
        assert position + 1 not in came
    assert follower.given_up() == 0


#: A block of captures whose sizes differ much, so that the two encodings divide it at different places.
ROWS = [capture(f"M{n:02}", values=("x" * (n % 7) * 40,)) for n in range(40)]


@given(
    st.lists(st.tuples(st.integers(600, 9000), st.booleans(), st.integers(1, 40)), max_size=6),
    st.integers(600, 9000),
    st.booleans(),
)
def test_sent_again_under_other_limits_nothing_is_taken_for_whole_that_is_not(
    broken: list[tuple[int, bool, int]], limit: int, compact: bool
) -> None:
    """Each connection but the last breaks after some messages; each has its own limit, each start its encoding."""
    follower, kept = Follower(), set()
    follower.heard(BIRTH)
    for number, (own, encoding, sent) in enumerate([*broken, (limit, compact, len(ROWS))]):
        for payload in Envelopes("D", f"b{number}").block("load0", 7, ROWS, own, compact=encoding)[:sent]:
            block = decode(payload)
            assert isinstance(block, Block)
            if follower.took(block):
                kept |= {row.meter for row in block.captures}
            assert not follower.positions() or len(kept) == len(ROWS)
    assert follower.positions() == {STREAM: 7}
    assert len(kept) == len(ROWS)
