import socket

import pytest

from dcu.uplink.traffic import Pulse, Sign, Traffic, idle_octets, noticed_within, traffic


def test_the_kernel_counts_both_ways_and_what_is_not_taken_yet() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as ours,
        listening.accept()[0] as theirs,
    ):
        ours.sendall(bytes(1000))
        assert len(theirs.recv(1000, socket.MSG_WAITALL)) == 1000
        theirs.sendall(bytes(10))
        assert len(ours.recv(10, socket.MSG_WAITALL)) == 10
        counted = traffic(ours)
        assert counted is not None
        # the SYN counts as one octet
        assert (counted.acknowledged, counted.received, counted.waiting) == (1001, 10, False)
        assert 1010 + 4 * 52 <= counted.octets <= 1010 + 10 * 52
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        ours.setblocking(False)
        while True:
            try:
                ours.send(bytes(1 << 20))
            except BlockingIOError:
                break
        full = traffic(ours)
        assert full is not None
        assert full.waiting


def test_what_is_closed_or_no_connection_has_no_count() -> None:
    line = socket.socket()
    line.close()
    assert traffic(line) is None
    assert traffic(None) is None
    with socket.socket(socket.AF_UNIX) as other:
        assert traffic(other) is None


def test_silence_is_asked_once_and_then_ends_the_connection() -> None:
    pulse = Pulse(8.0, now=100.0)
    still = Traffic(1, 4)
    assert pulse.look(100, still) is Sign.FINE
    signs = [pulse.look(now, still) for now in range(101, 109)]
    assert signs == [Sign.FINE] * 3 + [Sign.PING] + [Sign.FINE] * 3 + [Sign.LOST]


def test_an_answer_begins_the_silence_anew() -> None:
    pulse = Pulse(8.0, now=0.0)
    for now in range(0, 400, 4):
        # the ping of 4 s ago was answered
        assert pulse.look(now, Traffic(1, 4 + now)) is Sign.FINE


def test_a_slow_line_that_takes_octets_lives() -> None:
    pulse = Pulse(8.0, now=0.0)
    assert all(pulse.look(now, Traffic(7 * now, 4, waiting=True)) is not Sign.LOST for now in range(200))


def test_a_broker_whose_system_takes_pings_and_which_answers_none_is_lost() -> None:
    pulse, taken, signs = Pulse(8.0, now=0.0), 1, []
    for now in range(20):
        signs.append(pulse.look(now, Traffic(taken, 0)))
        taken += 2 * (signs[-1] is Sign.PING)
    assert signs.index(Sign.LOST) == 8


@pytest.mark.parametrize(
    ("keepalive", "silence", "tls", "within", "octets"),
    [
        (30.0, None, True, 60.0, 587_520),
        (30.0, None, False, 60.0, 460_800),
        (30.0, 3.0, True, 3.75, 11_750_400),
        (300.0, 60.0, True, 75.0, 587_520),
        (900.0, None, True, 1800.0, 19_584),
    ],
)
def test_what_signs_of_life_cost(
    keepalive: float, silence: float | None, tls: bool, within: float, octets: int
) -> None:
    assert noticed_within(keepalive, silence) == within
    assert idle_octets(keepalive, silence, tls=tls) == octets
