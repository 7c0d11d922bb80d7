"""Frames octet by octet: check sequences, addresses, parameters, and a reader that noise cannot hold up."""

import pytest
from gurux_dlms.enums import InterfaceType
from gurux_dlms.objects import GXDLMSRegister

from dcu.dlms import hdlc
from dcu.dlms.apdu import encode_request
from dcu.dlms.hdlc import Frame, FrameReader, Parameters, ServerAddress
from dcu.dlms.services import Get
from dcu.errors import MeterError
from dcu.model import Attribute

from .gurux import client

CLIENT = hdlc.client_address(2)
METER = ServerAddress(1, 17).to_bytes()
FRAME = hdlc.encode_frame(CLIENT, METER, hdlc.control(hdlc.I, send=3, receive=4), b"\xe6\xe7\x00hello \x7e")


def frames(*chunks: bytes) -> tuple[list[Frame], int]:
    reader = FrameReader()
    found = []
    for chunk in chunks:
        reader.receive_data(chunk)
        while (frame := reader.next_frame()) is not None:
            found.append(frame)
    return found, reader.rejected


def test_published_check_value() -> None:
    assert hdlc.fcs16(b"123456789") == bytes.fromhex("6e90")  # CRC-16/X-25 is 0x906E, low octet first


def test_a_frame_of_another_implementation() -> None:
    theirs = bytes(client(InterfaceType.HDLC).read(GXDLMSRegister("1.0.1.8.0.255"), 2)[0])
    request = encode_request(Get(Attribute(3, b"\x01\x00\x01\x08\x00\xff")), 1)
    read = frames(theirs)[0][0]
    assert (read.destination, read.source, read.kind) == (METER, CLIENT, hdlc.I)
    assert read.payload[3:] == bytes((*request[:2], read.payload[5], *request[3:]))
    assert hdlc.encode_frame(read.destination, read.source, read.control, read.payload) == theirs


@pytest.mark.parametrize(
    ("address", "octets"),
    [
        (ServerAddress(1, 0, 1), "03"),
        (ServerAddress(1, 17), "0223"),
        (ServerAddress(1, 17, 4), "00020023"),
        (ServerAddress(1, 1000), "00020ed1"),
        (ServerAddress(0x3FFF, 0x3FFF), "fefefeff"),
    ],
)
def test_addresses(address: ServerAddress, octets: str) -> None:
    field = address.to_bytes()
    assert field.hex() == octets
    assert ServerAddress.from_bytes(field) == ServerAddress(address.logical, address.physical, len(field))


@pytest.mark.parametrize(
    "address", [ServerAddress(1, 1, 1), ServerAddress(1, 128, 2), ServerAddress(1, 1 << 14), ServerAddress(1, 1, 3)]
)
def test_addresses_that_do_not_fit(address: ServerAddress) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        address.to_bytes()


@pytest.mark.parametrize("address", [ServerAddress(1, 0, 1), ServerAddress(1, 17), ServerAddress(1, 1000)])
@pytest.mark.parametrize("kind", [hdlc.SNRM, hdlc.UA, hdlc.DISC, hdlc.DM, hdlc.FRMR, hdlc.RR, hdlc.RNR, hdlc.REJ])
def test_kinds_and_address_sizes(address: ServerAddress, kind: int) -> None:
    octets = hdlc.encode_frame(address.to_bytes(), CLIENT, hdlc.control(kind))
    (frame,), rejected = frames(octets)
    assert (frame.destination, frame.source, frame.kind, rejected) == (address.to_bytes(), CLIENT, kind, 0)
    assert frame.final


def test_sequence_numbers_and_segmentation() -> None:
    control = hdlc.control(hdlc.I, send=5, receive=6, final=False)
    (frame,), _ = frames(hdlc.encode_frame(CLIENT, METER, control, b"part", segmented=True))
    assert (frame.kind, frame.send, frame.receive, frame.final, frame.segmented) == (hdlc.I, 5, 6, False, True)


def test_the_longest_frame_and_one_more() -> None:
    (frame,), _ = frames(hdlc.encode_frame(METER, CLIENT, 0, bytes(hdlc.MAX_INFO)))
    assert len(frame.payload) == hdlc.MAX_INFO
    with pytest.raises(ValueError, match="octets"):
        hdlc.encode_frame(METER, CLIENT, 0, bytes(2048))


def test_one_octet_at_a_time_with_a_shared_flag() -> None:
    found, rejected = frames(*(bytes((octet,)) for octet in FRAME + FRAME[1:]))
    assert [frame.payload for frame in found] == [b"\xe6\xe7\x00hello \x7e"] * 2
    assert not rejected


@pytest.mark.parametrize("at", range(1, len(FRAME) - 1))
def test_every_flipped_octet_costs_only_its_frame(at: int) -> None:
    damaged = bytearray(FRAME)
    damaged[at] ^= 0x04
    found, _ = frames(bytes(damaged), FRAME)
    assert len(found) == 1


@pytest.mark.parametrize("noise", ["7e", "7e7e7e", "7ea7ff", "7ea01e2103", "a0a0a0", "7ea0080223", "00ff7ea7ff010101"])
def test_noise_does_not_hold_up_the_next_frame(noise: str) -> None:
    assert len(frames(bytes.fromhex(noise), FRAME)[0]) == 1


def test_damage_is_counted() -> None:
    assert frames(FRAME[:-3] + b"\x00\x00\x7e")[1] == 1  # frame check
    assert frames(FRAME[:6] + b"\x00" + FRAME[7:])[1] == 1  # header check
    assert frames(FRAME[:-1] + b"\x00")[1] == 1  # closing flag


def test_a_truncated_frame_gives_way_to_the_next() -> None:
    found, _ = frames(FRAME[:-5], FRAME, FRAME)
    assert len(found) == 2


def test_silence_ends_the_wait_for_a_frame_cut_short() -> None:
    reader = FrameReader()
    reader.receive_data(FRAME[:-5] + FRAME[:12])
    assert reader.next_frame() is None
    assert not reader.break_off()
    assert reader.rejected == 2
    assert not reader._buffer
    reader.receive_data(hdlc.encode_frame(CLIENT, METER, 0, bytes(500))[:-400] + FRAME + FRAME)
    assert reader.next_frame() is None
    assert reader.break_off()
    assert [reader.next_frame(), reader.next_frame()] == frames(FRAME + FRAME)[0]
    assert reader.next_frame() is None


def test_a_closing_flag_is_nothing_that_breaks_off() -> None:
    reader = FrameReader()
    reader.receive_data(FRAME)
    assert reader.next_frame() is not None
    assert not reader.break_off()
    assert reader.rejected == 0


def test_the_buffer_is_bounded() -> None:
    reader = FrameReader()
    reader.receive_data(b"\x7e" * (hdlc.MAX_BUFFER + 5))
    assert len(reader._buffer) == hdlc.MAX_BUFFER
    assert reader.rejected == 1
    assert reader.next_frame() is None
    assert len(reader._buffer) < 3


def test_parameters() -> None:
    assert Parameters.from_bytes(b"") == Parameters(128, 128, 1, 1)
    offer = Parameters(2030, 200, 1, 7)
    assert offer.to_bytes().hex() == "81800d" + "050207ee" + "0601c8" + "080400000007"
    assert Parameters.from_bytes(offer.to_bytes()) == offer
    assert Parameters().to_bytes() == b""


def test_gurux_names_the_same_parameters() -> None:
    theirs = client(InterfaceType.HDLC)
    theirs.hdlcSettings.maxInfoTX = theirs.hdlcSettings.maxInfoRX = 1024
    (frame,), _ = frames(bytes(theirs.snrmRequest()))
    assert Parameters.from_bytes(frame.payload) == Parameters(1024, 1024, 1, 1)


def test_more_than_the_standard_allows_is_cut_to_it() -> None:
    assert Parameters.from_bytes(bytes.fromhex("81800e0502ffff0602ffff0701090801 09")) == Parameters(2030, 2030, 7, 7)


@pytest.mark.parametrize(
    "field", ["8180", "818103050180", "81800305028 0", "8180030501 10", "818003070100", "81800205"]
)
def test_malformed_parameters(field: str) -> None:
    with pytest.raises(MeterError, match="parameters"):
        Parameters.from_bytes(bytes.fromhex(field.replace(" ", "")))
