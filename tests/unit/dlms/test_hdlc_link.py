"""The HDLC state table from the client's side: every state, segments both ways, and what is ignored or refused."""

import pytest

from dcu.dlms import hdlc
from dcu.dlms.hdlc import Parameters, ServerAddress
from dcu.dlms.hdlc_link import MAX_POLLS, HdlcLink
from dcu.dlms.link import NEED_DATA, ApduReceived, LinkClosed, LinkOpened, Transmit
from dcu.errors import MeterError
from tests.unit.dlms.link_talk import CLIENT, METER, frame_of, opened, say


def test_one_frame_each_way() -> None:
    link = opened()
    request = frame_of(link.send(b"request"))
    assert (request.kind, request.send, request.receive, request.final) == (hdlc.I, 0, 0, True)
    assert request.payload == b"\xe6\xe6\x00request"
    assert link.next_event() == NEED_DATA
    say(link, hdlc.I, b"\xe6\xe7\x00answer", receive=1)
    assert link.next_event() == ApduReceived(b"answer")
    second = frame_of(link.send(b"second"))
    assert (second.send, second.receive) == (1, 1)


def test_sequence_numbers_wrap() -> None:
    link = opened()
    for number in range(20):
        request = frame_of(link.send(b"request"))
        assert (request.send, request.receive) == (number & 7, number & 7)
        say(link, hdlc.I, b"\xe6\xe7\x00answer", send=number & 7, receive=number + 1 & 7)
        assert link.next_event() == ApduReceived(b"answer")


def test_an_empty_ua_means_128_octets() -> None:
    link = opened(Parameters())
    request = frame_of(link.send(bytes(200)))
    assert (len(request.payload), request.segmented) == (128, True)


def test_a_long_request_goes_out_in_segments() -> None:
    link = opened(Parameters(2030, 64))
    apdu = bytes(range(150))
    first = frame_of(link.send(apdu))
    say(link, hdlc.RR, receive=1)
    event = link.next_event()
    assert isinstance(event, Transmit)
    second = frame_of(event.data)
    say(link, hdlc.RR, receive=2)
    event = link.next_event()
    assert isinstance(event, Transmit)
    third = frame_of(event.data)
    assert first.payload + second.payload + third.payload == b"\xe6\xe6\x00" + apdu
    assert [part.segmented for part in (first, second, third)] == [True, True, False]
    assert [part.send for part in (first, second, third)] == [0, 1, 2]
    say(link, hdlc.I, b"\xe6\xe7\x00ok", receive=3)
    assert link.next_event() == ApduReceived(b"ok")


def test_a_long_answer_comes_in_segments() -> None:
    link = opened()
    link.send(b"request")
    say(link, hdlc.I, b"\xe6\xe7\x00one", send=0, receive=1, segmented=True)
    event = link.next_event()
    assert isinstance(event, Transmit)
    ready = frame_of(event.data)
    assert (ready.kind, ready.receive, ready.final) == (hdlc.RR, 1, True)
    say(link, hdlc.I, b"two", send=1, receive=1)
    assert link.next_event() == ApduReceived(b"onetwo")


def test_a_window_is_acknowledged_at_its_end() -> None:
    link = opened(Parameters(2030, 2030, 3, 1))
    link.send(b"request")
    say(link, hdlc.I, b"\xe6\xe7\x00one", send=0, receive=1, segmented=True, final=False)
    say(link, hdlc.I, b"two", send=1, receive=1, segmented=True, final=True)
    event = link.next_event()
    assert isinstance(event, Transmit)
    assert frame_of(event.data).receive == 2
    say(link, hdlc.I, b"three", send=2, receive=1)
    assert link.next_event() == ApduReceived(b"onetwothree")


def test_a_meter_that_needs_time_is_polled_but_not_for_ever() -> None:
    link = opened()
    link.send(b"request")
    for number in range(MAX_POLLS):
        say(link, hdlc.RR if number else hdlc.RNR, receive=1)
        event = link.next_event()
        assert isinstance(event, Transmit)
        assert frame_of(event.data).kind == hdlc.RR
    say(link, hdlc.RNR, receive=1)
    with pytest.raises(MeterError, match="put off"):
        link.next_event()


def test_what_the_meter_says_unasked_comes_between_and_moves_no_number() -> None:
    link = opened()
    link.send(b"request")
    say(link, hdlc.UI, b"\xe6\xe7\x00event", final=False)
    assert link.next_event() == ApduReceived(b"event")
    say(link, hdlc.UI, b"no header", final=False)
    assert link.next_event() == NEED_DATA
    assert link.ignored == 1
    say(link, hdlc.I, b"\xe6\xe7\x00answer", receive=1)
    assert link.next_event() == ApduReceived(b"answer")
    say(link, hdlc.UI, b"\xe6\xe7\x00another")
    assert link.next_event() == ApduReceived(b"another")
    assert frame_of(link.send(b"next")).receive == 1


def test_close() -> None:
    link = opened()
    assert frame_of(link.close()).kind == hdlc.DISC
    say(link, hdlc.UA)
    assert link.next_event() == LinkClosed()
    assert link.close() == b""


@pytest.mark.parametrize("answer", [hdlc.UA, hdlc.DM])
def test_a_link_that_was_gone_is_closed_too(answer: int) -> None:
    link = opened()
    link.close()
    say(link, answer)
    assert link.next_event() == LinkClosed()


def test_frames_between_others_are_ignored() -> None:
    link = opened()
    request = link.send(b"request")
    link.receive_data(request)  # our own echo
    control = hdlc.control(hdlc.I, receive=1)
    for destination, source in (
        (CLIENT, ServerAddress(1, 18).to_bytes()),
        (CLIENT, ServerAddress(2, 17).to_bytes()),
        (CLIENT, ServerAddress(1, 17, 4).to_bytes()),
        (hdlc.client_address(1), METER),
    ):
        link.receive_data(hdlc.encode_frame(destination, source, control, b"\xe6\xe7\x00wrong"))
    assert link.next_event() == NEED_DATA
    assert link.ignored == 5
    say(link, hdlc.I, b"\xe6\xe7\x00right", receive=1)
    assert link.next_event() == ApduReceived(b"right")


def test_a_late_answer_is_not_taken_for_the_link_being_opened() -> None:
    link = HdlcLink(2, ServerAddress(1, 17))
    link.open()
    say(link, hdlc.I, b"\xe6\xe7\x00late")
    assert link.next_event() == NEED_DATA
    say(link, hdlc.UA)
    assert link.next_event() == LinkOpened()


def test_damage_is_counted() -> None:
    link = opened()
    link.receive_data(hdlc.encode_frame(CLIENT, METER, hdlc.control(hdlc.UA))[:-3] + b"\x00\x00\x7e")
    assert link.next_event() == NEED_DATA
    assert link.rejected == 1


def test_a_repeated_frame_is_not_an_answer() -> None:
    link = opened()
    link.send(b"first")
    say(link, hdlc.I, b"\xe6\xe7\x00one", send=0, receive=1)
    link.next_event()
    link.send(b"second")
    say(link, hdlc.I, b"\xe6\xe7\x00one", send=0, receive=1)
    assert link.next_event() == NEED_DATA
    say(link, hdlc.I, b"\xe6\xe7\x00two", send=1, receive=2)
    assert link.next_event() == ApduReceived(b"two")


@pytest.mark.parametrize(
    ("send", "receive", "payload"),
    [
        (1, 1, b"\xe6\xe7\x00lost one"),
        (0, 0, b"\xe6\xe7\x00before our request"),
        (0, 2, b"\xe6\xe7\x00acknowledges what we never sent"),
        (0, 1, b""),
        (0, 1, b"\xe6\xe6\x00command"),
        (0, 1, b"no header"),
    ],
)
def test_answers_that_break_the_rules(send: int, receive: int, payload: bytes) -> None:
    link = opened()
    link.send(b"request")
    say(link, hdlc.I, payload, send=send, receive=receive)
    with pytest.raises(MeterError, match="HDLC"):
        link.next_event()
    with pytest.raises(RuntimeError):
        link.send(b"more")
    say(link, hdlc.I, b"\xe6\xe7\x00too late", receive=1)
    assert link.next_event() == NEED_DATA
    assert frame_of(link.close()).kind == hdlc.DISC


@pytest.mark.parametrize("kind", [hdlc.DM, hdlc.FRMR])
def test_refusals_by_the_meter(kind: int) -> None:
    link = opened()
    link.send(b"request")
    say(link, kind)
    with pytest.raises(MeterError, match="the meter"):
        link.next_event()


def test_what_was_never_sent_cannot_be_acknowledged() -> None:
    link = opened(Parameters())
    link.send(bytes(300))
    say(link, hdlc.RR, receive=2)
    with pytest.raises(MeterError, match="acknowledged"):
        link.next_event()


def test_what_was_no_answer_gives_the_meter_the_word_again() -> None:
    link = opened()
    link.send(b"request")
    say(link, hdlc.I, b"\xe6\xe7\x00push", receive=1)
    assert link.next_event() == ApduReceived(b"push")
    ready = frame_of(link.resume())
    assert (ready.kind, ready.receive, ready.final) == (hdlc.RR, 1, True)
    say(link, hdlc.I, b"\xe6\xe7\x00answer", send=1, receive=1)
    assert link.next_event() == ApduReceived(b"answer")
    assert frame_of(link.send(b"next")).send == 1


def test_within_a_window_the_meter_goes_on_without_a_word_from_us() -> None:
    granted = Parameters(2030, 2030, 7, 7)
    link = opened(granted, granted)
    link.send(b"request")
    say(link, hdlc.I, b"\xe6\xe7\x00push", receive=1, final=False)
    say(link, hdlc.I, b"\xe6\xe7\x00answer", send=1, receive=1)
    assert link.next_event() == ApduReceived(b"push")
    assert link.resume() == b""
    assert link.next_event() == ApduReceived(b"answer")


def test_an_unnumbered_frame_moves_nothing_and_needs_no_word() -> None:
    link = opened()
    link.send(b"request")
    say(link, hdlc.UI, b"\xe6\xe7\x00push")
    assert link.next_event() == ApduReceived(b"push")
    assert link.resume() == b""
    say(link, hdlc.I, b"\xe6\xe7\x00answer", receive=1)
    assert link.next_event() == ApduReceived(b"answer")
