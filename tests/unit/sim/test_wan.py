"""One direction of the WAN link by the clock of the test; the link as a whole stands in tests/faults/test_wan.py."""

import random

import pytest

from sim.wan import QUEUE, Pipe


def test_a_packet_takes_its_octets_time_and_the_delay() -> None:
    pipe = Pipe(rate=20_000, delay=0.3)
    pipe.offer(10.0, bytes(1250))
    assert pipe.next() == pytest.approx(10.8)
    assert pipe.arrived(10.79) == []
    assert pipe.arrived(10.81) == [bytes(1250)]
    assert pipe.next() is None


def test_packets_follow_one_another_in_their_order() -> None:
    pipe = Pipe(rate=8_000, delay=1.0)
    for number in range(5):
        pipe.offer(0.0, bytes([number]) * 100)
    for number in range(5):
        at = pipe.next()
        assert at == pytest.approx(1.0 + 0.1 * (number + 1))
        assert pipe.arrived(at or 0.0) == [bytes([number]) * 100]


def test_a_full_queue_drops_what_comes() -> None:
    pipe = Pipe(rate=8_000)
    for _ in range(100):
        pipe.offer(0.0, bytes(1000))
    assert pipe.carried == QUEUE // 1000 + 1
    assert pipe.dropped == 100 - pipe.carried
    assert len(pipe.arrived(1e9)) == pipe.carried


def test_the_share_that_is_lost_and_the_same_each_time() -> None:
    def through() -> list[bytes]:
        pipe = Pipe(loss=0.3, dice=random.Random(7))
        for number in range(1000):
            pipe.offer(0.0, number.to_bytes(2, "big"))
        assert pipe.lost + pipe.carried == 1000
        return pipe.arrived(0.0)

    assert 650 < len(through()) < 750
    assert through() == through()


def test_what_is_under_way_when_the_line_is_cut_is_lost() -> None:
    pipe = Pipe(delay=1.0)
    pipe.offer(0.0, b"a")
    pipe.cut = True
    pipe.offer(0.5, b"b")
    assert pipe.arrived(2.0) == []
    pipe.cut = False
    pipe.offer(3.0, b"c")
    assert pipe.arrived(4.0) == [b"c"]
    assert (pipe.carried, pipe.lost) == (2, 2)
