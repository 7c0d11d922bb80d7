"""Eight octets of header, streams cut anywhere, and packets that were not for us."""

import pytest
from gurux_dlms.enums import InterfaceType
from gurux_dlms.objects import GXDLMSRegister

from dcu.dlms.link import NEED_DATA, ApduReceived
from dcu.dlms.wrapper import MAX_BUFFER, PacketReader, WrapperLink, encode_packet
from dcu.errors import MeterError

from .gurux import client


def test_header() -> None:
    assert encode_packet(2, 17, b"\xc0\x01").hex() == "0001" + "0002" + "0011" + "0002" + "c001"
    with pytest.raises(ValueError, match="octets"):
        encode_packet(2, 17, bytes(65_536))


def test_a_packet_of_another_implementation() -> None:
    theirs = bytes(client(InterfaceType.WRAPPER).read(GXDLMSRegister("1.0.1.8.0.255"), 2)[0])
    assert WrapperLink(2, 17).send(theirs[8:]) == theirs


def test_packets_from_a_stream_cut_anywhere() -> None:
    reader = PacketReader()
    stream = encode_packet(17, 2, b"first") + encode_packet(17, 2, b"") + encode_packet(17, 2, b"third")
    found = []
    for octet in stream:
        reader.receive_data(bytes((octet,)))
        while (packet := reader.next_packet()) is not None:
            found.append(packet.apdu)
    assert found == [b"first", b"", b"third"]


def test_only_our_ports_are_heard() -> None:
    link = WrapperLink(2, 17)
    assert link.open() == link.close() == b""
    link.receive_data(encode_packet(18, 2, b"other meter") + encode_packet(17, 3, b"other client"))
    assert link.next_event() == NEED_DATA
    assert link.ignored == 2
    link.receive_data(encode_packet(17, 2, b"ours"))
    assert link.next_event() == ApduReceived(b"ours")


def test_another_version_is_not_our_stream() -> None:
    link = WrapperLink(2, 17)
    link.receive_data(b"\x00\x02" + bytes(6))
    with pytest.raises(MeterError, match="version 2"):
        link.next_event()


def test_a_packet_is_heard_while_it_is_not_whole_and_silence_is_final() -> None:
    link = WrapperLink(2, 17)
    packet = encode_packet(17, 2, b"apdu")
    heard = [link.hearing]
    for part in (packet[:3], packet[3:]):
        link.receive_data(part)
        event = link.next_event()
        heard.append(link.hearing)
    assert event == ApduReceived(b"apdu")
    assert heard == [False, True, False]
    link.retry()
    assert link.next_event() == NEED_DATA


@pytest.mark.parametrize("chunk", [4096, 0xFFFF])
def test_the_longest_packets_right_behind_each_other(chunk: int) -> None:
    reader, packets = PacketReader(), 0
    octets = encode_packet(1, 16, bytes(0xFFFF)) * 3
    for at in range(0, len(octets), chunk):
        reader.receive_data(octets[at : at + chunk])
        while reader.next_packet() is not None:
            packets += 1
    assert packets == 3
    assert not reader.begun


def test_the_buffer_is_bounded() -> None:
    with pytest.raises(MeterError, match="without being asked"):
        PacketReader().receive_data(bytes(MAX_BUFFER + 1))
