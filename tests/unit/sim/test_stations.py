import pytest

from dcu.dlms.acse import Aarq, Initiate
from dcu.dlms.apdu import encode_request
from dcu.dlms.hdlc import (
    DISC,
    DM,
    FRMR,
    LLC_COMMAND,
    RR,
    SNRM,
    UA,
    Frame,
    FrameReader,
    I,
    Parameters,
    ServerAddress,
    client_address,
    control,
)
from dcu.dlms.services import Get
from dcu.dlms.wrapper import Packet
from dcu.model import Attribute
from sim import objects
from sim.meter import SimMeter
from sim.server import CONFORMANCE, PUBLIC, READER
from sim.stations import HdlcServer, WrapperServer
from tests.unit.sim.conversation import KEYS, NOW, hdlc, meter

HERE = ServerAddress(1, 17, 4).to_bytes()
READER_FIELD = client_address(READER.client)
AARQ = Aarq(Initiate(CONFORMANCE, 0).request(), authentication=READER.authentication, secret=KEYS.password)
OBJECTS = Get(Attribute(15, objects.ASSOCIATION))


def sent(
    server: HdlcServer, kind: int, payload: bytes = b"", send: int = 0, receive: int = 0, *, now: float = NOW
) -> list[Frame]:
    """Return the frames that answer one frame of the reader."""
    reader = FrameReader()
    frame = Frame(HERE, READER_FIELD, control(kind, send=send, receive=receive), payload)
    for answer in server.receive_frame(frame, now):
        reader.receive_data(answer)
    frames = []
    while found := reader.next_frame():
        frames.append(found)
    return frames


def kinds(frames: list[Frame]) -> list[int]:
    return [frame.kind for frame in frames]


def test_what_is_granted_is_the_less_of_both() -> None:
    offer = Parameters(transmit=512, receive=700, transmit_window=3, receive_window=5)
    (ua,) = sent(HdlcServer(meter(max_info=600, window=4)), SNRM, offer.to_bytes())
    assert ua.kind == UA
    assert Parameters.from_bytes(ua.payload) == Parameters(600, 512, 4, 3)


def test_an_empty_snrm_means_128_octets() -> None:
    (ua,) = sent(HdlcServer(meter()), SNRM)
    assert ua.payload == b""


def test_without_snrm_there_is_no_connection() -> None:
    server = HdlcServer(meter())
    assert kinds(sent(server, I, LLC_COMMAND)) == [DM]
    assert kinds(sent(server, DISC)) == [DM]
    sent(server, SNRM)
    assert kinds(sent(server, DISC)) == [UA]
    assert kinds(sent(server, DISC)) == [DM]


def test_nobody_but_known_clients_gets_a_connection() -> None:
    frame = Frame(HERE, client_address(99), control(SNRM))
    reader = FrameReader()
    for answer in HdlcServer(meter()).receive_frame(frame, NOW):
        reader.receive_data(answer)
    assert kinds([found for found in [reader.next_frame()] if found]) == [DM]


def test_a_malformed_snrm_gets_no_answer() -> None:
    assert sent(HdlcServer(meter()), SNRM, b"\x81\x80\x7f") == []


def test_a_lost_answer_is_repeated_when_the_request_is() -> None:
    server = HdlcServer(meter())
    sent(server, SNRM)
    request = LLC_COMMAND + encode_request(OBJECTS, 1)
    first = sent(server, I, request)
    assert kinds(first) == [I]
    assert sent(server, I, request) == first


def test_a_window_of_segments_comes_in_one_turn() -> None:
    simulated = meter(phases=3, window=3)
    server = HdlcServer(simulated)
    sent(server, SNRM, Parameters(128, 128, 1, 3).to_bytes())
    assert kinds(sent(server, I, LLC_COMMAND + AARQ.to_bytes())) == [I]
    frames = sent(server, I, LLC_COMMAND + encode_request(OBJECTS, 1), send=1, receive=1)
    assert [(frame.send, frame.final, frame.segmented) for frame in frames] == [
        (1, False, True),
        (2, False, True),
        (3, True, True),
    ]
    again = sent(server, RR, receive=2)
    assert [frame.send for frame in again] == [2, 3, 4]
    assert [frame.payload for frame in again[:2]] == [frame.payload for frame in frames[1:]]


def test_a_window_of_a_request_with_a_gap_is_asked_for_from_the_gap_on() -> None:
    server = HdlcServer(meter(window=3))
    sent(server, SNRM, Parameters(2030, 2030, 3, 3).to_bytes())
    request = LLC_COMMAND + AARQ.to_bytes()
    parts = [request[:20], request[20:40], request[40:]]

    def say(number: int) -> list[Frame]:
        reader = FrameReader()
        frame = Frame(HERE, READER_FIELD, control(I, send=number, final=number == 2), parts[number], number < 2)
        for answer in server.receive_frame(frame, NOW):
            reader.receive_data(answer)
        return list(iter(reader.next_frame, None))

    assert say(0) == []
    (missing,) = say(2)
    assert (missing.kind, missing.receive) == (RR, 1)
    assert say(1) == []
    (answer,) = say(2)
    assert (answer.kind, answer.receive) == (I, 3)


def test_what_was_not_sent_cannot_be_acknowledged() -> None:
    server = HdlcServer(meter(phases=3))
    sent(server, SNRM)
    sent(server, I, LLC_COMMAND + AARQ.to_bytes())
    (first,) = sent(server, I, LLC_COMMAND + encode_request(OBJECTS, 1), send=1, receive=1)
    assert first.segmented
    assert sent(server, RR, receive=4) == [first]


def test_an_information_field_longer_than_granted_ends_the_connection() -> None:
    server = HdlcServer(meter(max_info=64))
    sent(server, SNRM, Parameters(2030, 2030).to_bytes())
    assert kinds(sent(server, I, bytes(65))) == [FRMR]
    assert kinds(sent(server, I, bytes(64))) == [DM]


@pytest.mark.parametrize("window", [1, 2, 7])
@pytest.mark.parametrize("info", [32, 128, 2030])
def test_our_own_client_reads_a_long_answer(window: int, info: int) -> None:
    simulated = meter(phases=3, max_info=info, window=window)
    offer = Parameters(info, info, window, window)
    talk = hdlc(simulated, READER, offer=offer)
    talk.open()
    (listed,) = talk.ask(OBJECTS)
    assert len(listed) == len(objects.CLASSES["idis", 3])
    talk.close()


def test_both_sizes_of_address_reach_a_low_meter_and_one_a_high_one() -> None:
    assert HdlcServer(meter(address=17)).addresses == [b"\x02\x23", b"\x00\x02\x00\x23"]
    assert [len(address) for address in HdlcServer(meter(address=300)).addresses] == [4]


def gateway(*meters: SimMeter) -> WrapperServer:
    return WrapperServer(meters)


def test_a_gateway_tells_its_meters_apart_by_port() -> None:
    one, other = meter(address=17), meter(id="M0002", address=18)
    server = gateway(one, other)
    assert server.addressed(Packet(16, 18, b"")) is other
    assert server.receive_packet(Packet(PUBLIC.client, 19, b"\xc0"), NOW) is None
    assert server.receive_packet(Packet(99, 17, b"\xc0"), NOW) is None
    answer = server.receive_packet(Packet(PUBLIC.client, 17, b"\xc0"), NOW)
    assert answer is not None
    assert answer[2:6] == bytes((0, 17, 0, PUBLIC.client))


def test_a_connection_that_nobody_uses_ends_by_itself() -> None:
    server = HdlcServer(meter(inactivity=60.0))
    sent(server, SNRM)
    assert kinds(sent(server, RR, now=NOW + 60)) == [RR]
    assert kinds(sent(server, RR, now=NOW + 120)) == [RR]
    assert kinds(sent(server, RR, now=NOW + 181)) == [DM]
    assert kinds(sent(server, RR, now=NOW + 182)) == [DM]


def test_an_association_over_tcp_that_nobody_uses_ends_by_itself() -> None:
    server = gateway(meter(inactivity=60.0))

    def said(apdu: bytes, now: float) -> int:
        answer = server.receive_packet(Packet(READER.client, 17, apdu), now)
        assert answer is not None
        return answer[8]

    assert said(AARQ.to_bytes(), NOW) == 0x61
    request = encode_request(OBJECTS, 1)
    assert [said(request, NOW + after) for after in (60, 120, 181)] == [0xC4, 0xC4, 0xD8]
