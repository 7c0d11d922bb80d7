"""What an HDLC link does about windows, losses and silences."""

import pytest

from dcu.dlms import hdlc
from dcu.dlms.hdlc import Frame, Parameters, ServerAddress
from dcu.dlms.hdlc_link import ANSWER_REPEATS, MAX_APDU, MAX_POLLS, OPEN_REPEATS, HdlcLink
from dcu.dlms.link import NEED_DATA, ApduReceived, LinkOpened, Transmit
from dcu.errors import MeterError
from tests.unit.dlms.link_talk import CLIENT, METER, frame_of, frames_of, opened, retried, say, told

WINDOW = Parameters(2030, 64, 3, 3)
ASKING = Parameters(2030, 2030, 4, 4)


def test_a_window_goes_out_in_one_turn_as_far_as_both_allow() -> None:
    link = opened(WINDOW, ASKING)
    apdu = bytes(range(250))
    first = frames_of(link.send(apdu))
    assert [(part.send, part.final, part.segmented) for part in first] == [
        (0, False, True),
        (1, False, True),
        (2, True, True),
    ]
    say(link, hdlc.RR, receive=3)
    (last,) = told(link)
    assert (last.send, last.final, last.segmented) == (3, True, False)
    assert b"".join(part.payload for part in [*first, last]) == b"\xe6\xe6\x00" + apdu
    say(link, hdlc.I, b"\xe6\xe7\x00ok", receive=4)
    assert link.next_event() == ApduReceived(b"ok")


def test_a_request_longer_than_the_sequence_numbers_go_round() -> None:
    link = opened(Parameters(128, 32, 1, 7), Parameters(2030, 2030, 7, 7))
    apdu = bytes(range(256)) * 3
    sent = frames_of(link.send(apdu))
    while sent[-1].segmented:
        say(link, hdlc.RR, receive=sent[-1].send + 1 & 7)
        sent += told(link)
    assert [part.send for part in sent] == [number & 7 for number in range(len(sent))]
    assert b"".join(part.payload for part in sent) == b"\xe6\xe6\x00" + apdu


@pytest.mark.parametrize("kind", [hdlc.RR, hdlc.REJ])
def test_the_meter_says_from_where_on_it_lacks_frames_and_gets_them_again(kind: int) -> None:
    link = opened(WINDOW, ASKING)
    sent = frames_of(link.send(bytes(250)))
    say(link, kind, receive=1)
    event = link.next_event()
    assert isinstance(event, Transmit)
    assert event.asks
    again = frames_of(event.data)
    assert again[:2] == [
        sent[1],
        Frame(METER, CLIENT, hdlc.control(hdlc.I, send=2, final=False), sent[2].payload, True),
    ]
    assert [part.send for part in again] == [1, 2, 3]


def test_a_meter_that_is_busy_is_polled_until_it_takes_the_rest() -> None:
    link = opened(WINDOW, ASKING)
    link.send(bytes(250))
    say(link, hdlc.RNR, receive=2)
    (poll,) = told(link)
    assert (poll.kind, poll.final) == (hdlc.RR, True)
    say(link, hdlc.RR, receive=2)
    assert [part.send for part in told(link)] == [2, 3]


def test_an_acknowledgement_before_the_answer_leaves_the_word_to_the_meter() -> None:
    link = opened()
    link.send(b"request")
    say(link, hdlc.RR, receive=1, final=False)
    assert link.next_event() == NEED_DATA
    assert link.hearing
    say(link, hdlc.I, b"\xe6\xe7\x00answer", receive=1)
    assert link.next_event() == ApduReceived(b"answer")


def test_an_answer_to_half_a_request() -> None:
    link = opened(Parameters())
    link.send(bytes(300))
    say(link, hdlc.I, b"\xe6\xe7\x00hasty", receive=1)
    with pytest.raises(MeterError, match="whole request"):
        link.next_event()


def test_a_silence_while_opening_repeats_snrm_once() -> None:
    link = HdlcLink(2, ServerAddress(1, 17))
    snrm = link.open()
    assert [link.retry() for _ in range(OPEN_REPEATS + 1)] == [snrm, None]
    say(link, hdlc.UA)
    assert link.next_event() == LinkOpened()


def test_a_silence_after_a_request_is_a_poll_and_the_poll_finds_what_was_lost() -> None:
    link = opened()
    request = link.send(b"request")
    poll = retried(link)
    assert (poll.kind, poll.receive, poll.final) == (hdlc.RR, 0, True)
    say(link, hdlc.RR, receive=0)  # the request was lost
    assert link.next_event() == Transmit(request, asks=True)
    assert retried(link).kind == hdlc.RR
    say(link, hdlc.I, b"\xe6\xe7\x00answer", receive=1)  # only the answer was lost
    assert link.next_event() == ApduReceived(b"answer")
    assert frame_of(link.send(b"next")).send == 1


def test_silence_is_not_answered_for_ever_but_each_step_has_its_own_patience() -> None:
    link = opened()
    link.send(b"request")
    for _ in range(3):
        assert all(retried(link).kind == hdlc.RR for _ in range(ANSWER_REPEATS))
        say(link, hdlc.RR, receive=1)
        told(link)
    for _ in range(ANSWER_REPEATS):
        link.retry()
    assert link.retry() is None


@pytest.mark.parametrize("state", ["closed", "open", "closing", "failed"])
def test_there_is_nothing_to_repeat_outside_of_a_question(state: str) -> None:
    link = HdlcLink(2, ServerAddress(1, 17)) if state == "closed" else opened()
    if state == "closing":
        link.close()
    if state == "failed":
        say(link, hdlc.DM)
        with pytest.raises(MeterError):
            link.next_event()
    assert link.retry() is None


def test_a_frame_missing_in_a_window_is_fetched_when_the_window_ends() -> None:
    link = opened(WINDOW, ASKING)
    link.send(b"request")
    say(link, hdlc.I, b"\xe6\xe7\x00one", send=0, receive=1, segmented=True, final=False)
    say(link, hdlc.I, b"three", send=2, receive=1, segmented=True)
    (ready,) = told(link)
    assert (ready.kind, ready.receive) == (hdlc.RR, 1)
    for number, part in enumerate((b"two", b"three", b"four"), start=1):
        say(link, hdlc.I, part, send=number, receive=1, segmented=number < 3, final=number == 3)
    assert link.next_event() == ApduReceived(b"onetwothreefour")


def test_frames_behind_a_lost_one_wait_for_the_end_of_the_window() -> None:
    link = opened(Parameters(2030, 64, 4, 3), ASKING)
    link.send(b"request")
    say(link, hdlc.I, b"two", send=1, receive=1, segmented=True, final=False)
    assert link.next_event() == NEED_DATA
    assert link.hearing
    say(link, hdlc.I, b"three", send=2, receive=1, segmented=True)
    (ready,) = told(link)
    assert ready.receive == 0


def test_a_repeated_window_is_not_an_answer_and_not_a_violation() -> None:
    link = opened(WINDOW, ASKING)
    link.send(b"request")
    parts = [b"\xe6\xe7\x00one", b"two", b"three"]
    for _ in range(2):
        for number, part in enumerate(parts):
            say(link, hdlc.I, part, send=number, receive=1, segmented=True, final=number == 2)
    (ready,) = told(link)
    assert ready.receive == 3
    assert link.next_event() == NEED_DATA
    assert link.ignored == 3


def test_a_meter_that_always_skips_a_frame_is_given_up() -> None:
    link = opened(WINDOW, ASKING)
    link.send(b"request")
    for _ in range(MAX_POLLS):
        say(link, hdlc.I, b"two", send=1, receive=1)
        told(link)
    say(link, hdlc.I, b"two", send=1, receive=1)
    with pytest.raises(MeterError, match="skipped frame 0"):
        link.next_event()


def test_an_answer_is_heard_from_its_first_octets_on_and_nobody_elses_is() -> None:
    link = opened()
    request = link.send(b"request")
    other = hdlc.encode_frame(CLIENT, ServerAddress(1, 18).to_bytes(), hdlc.control(hdlc.I, receive=1), b"x")
    for octets in (request, other, b"\x7e\x00noise"):
        for octet in octets[:-1]:
            link.receive_data(bytes((octet,)))
            assert link.next_event() == NEED_DATA
        assert not link.hearing
        link.receive_data(octets[-1:])
    answer = hdlc.encode_frame(CLIENT, METER, hdlc.control(hdlc.I, receive=1), b"\xe6\xe7\x00answer")
    link.receive_data(answer[:2])
    assert link.next_event() == NEED_DATA
    assert link.hearing
    link.receive_data(answer[2:])
    assert link.next_event() == ApduReceived(b"answer")
    assert not link.hearing


def test_a_damaged_answer_needs_no_second_time_out() -> None:
    link = opened()
    link.send(b"request")
    answer = bytearray(hdlc.encode_frame(CLIENT, METER, hdlc.control(hdlc.I, receive=1), b"\xe6\xe7\x00answer"))
    answer[-5] ^= 1
    link.receive_data(bytes(answer))
    assert link.next_event() == NEED_DATA
    assert link.hearing
    assert retried(link).kind == hdlc.RR
    assert not link.hearing


def test_an_answer_hidden_behind_a_frame_cut_short_is_found_when_the_line_falls_silent() -> None:
    link = opened()
    request = link.send(bytes(200))
    link.receive_data(request[:50])  # an adapter that lost the rest of our echo
    say(link, hdlc.I, b"\xe6\xe7\x00answer", receive=1)
    assert link.next_event() == NEED_DATA
    assert link.retry() == b""
    assert link.next_event() == ApduReceived(b"answer")


def test_a_meter_that_does_not_open() -> None:
    link = HdlcLink(2, ServerAddress(1, 17))
    link.open()
    say(link, hdlc.DM)
    with pytest.raises(MeterError, match="disconnected"):
        link.next_event()


def test_impossible_parameters() -> None:
    link = HdlcLink(2, ServerAddress(1, 17))
    link.open()
    say(link, hdlc.UA, b"\x81\x80\x03\x06\x01\x05")
    with pytest.raises(MeterError, match="impossible"):
        link.next_event()


def test_the_answer_is_bounded() -> None:
    link = opened()
    link.send(b"request")
    part = b"\xe6\xe7\x00".ljust(hdlc.MAX_INFO, b"x")
    full = MAX_APDU // hdlc.MAX_INFO
    for number in range(full):
        say(link, hdlc.I, part, send=number & 7, receive=1, segmented=True)
        assert isinstance(link.next_event(), Transmit)
    say(link, hdlc.I, part, send=full & 7, receive=1, segmented=True)
    with pytest.raises(MeterError, match="longer"):
        link.next_event()
