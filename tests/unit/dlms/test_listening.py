"""What is heard on a line where nobody asked: UI frames and packets, and nothing else."""

import pytest

from dcu.dlms.hdlc import LLC_COMMAND, LLC_RESPONSE, UI, FrameReader, I, ServerAddress, client_address, control
from dcu.dlms.hdlc import encode_frame as frame
from dcu.dlms.listening import Listener, Told
from dcu.dlms.wrapper import PacketReader, encode_packet
from dcu.model import Framing

APDU = b"\x0f\x00\x00\x00\x01\x00\x11\x05"
METER = ServerAddress(1, 17, 4).to_bytes()
US = client_address(64)


def heard(*pieces: bytes, framing: Framing = Framing.HDLC) -> list[tuple[int, bytes]]:
    listener = Listener(framing)
    found = []
    for piece in pieces:
        listener.receive_data(piece)
        while (told := listener.next_told()) is not None:
            found.append((told.server, told.apdu))
    return found


def ui(payload: bytes = LLC_RESPONSE + APDU, source: bytes = METER, kind: int = UI) -> bytes:
    return frame(US, source, control(kind, final=False), payload)


@pytest.mark.parametrize(
    ("source", "server", "logical"),
    [
        (METER, 17, 1),
        (ServerAddress(2, 17, 4).to_bytes(), 17, 2),
        (ServerAddress(1, 18, 2).to_bytes(), 18, 1),
        (ServerAddress(5, size=1).to_bytes(), 5, None),
    ],
)
def test_a_ui_frame_is_heard_in_pieces_of_any_size(source: bytes, server: int, logical: int | None) -> None:
    data = b"\x00" + ui(source=source)
    assert heard(data) == heard(*(data[at : at + 1] for at in range(len(data)))) == [(server, APDU)]
    listener = Listener(Framing.HDLC)
    listener.receive_data(data)
    told = listener.next_told()
    assert told is not None
    assert told.logical == logical


@pytest.mark.parametrize(
    "data",
    [
        ui(kind=I),
        ui(payload=APDU),
        ui(payload=LLC_COMMAND + APDU),
        frame(US, METER, control(UI), LLC_RESPONSE + APDU, segmented=True),
        frame(METER, US, control(UI), LLC_RESPONSE + APDU)[:-3],
        bytes((*ui()[:12], ui()[12] ^ 1, *ui()[13:])),
        b"\x7e" * 100,
    ],
)
def test_nothing_else_is(data: bytes) -> None:
    assert heard(data, ui()) == [(17, APDU)]
    assert heard(data) == []


def test_packets_are_heard_and_what_is_no_stream_of_them_costs_itself() -> None:
    packet = encode_packet(17, 64, APDU)
    assert heard(packet[:5], packet[5:] + packet, framing=Framing.WRAPPER) == [(17, APDU)] * 2
    assert heard(b"garbage!", packet, framing=Framing.WRAPPER) == [(17, APDU)]
    endless = encode_packet(17, 64, bytes(65_535))[:-1]
    # an octet too many: what follows it at once is no packet any more, the next one is
    assert heard(endless, b"xx", packet, packet, framing=Framing.WRAPPER)[1:] == [(17, APDU)]


def test_a_conversation_between_makes_it_forget_what_had_begun() -> None:
    listener = Listener(Framing.HDLC)
    listener.receive_data(ui()[:9])
    listener.forget()
    listener.receive_data(ui()[9:])
    assert listener.next_told() is None


def test_an_answer_goes_back_the_way_it_came() -> None:
    told = Told(17, 1, APDU, METER, US)
    reader = FrameReader()
    reader.receive_data(Listener(Framing.HDLC).answer(told, b"\x10"))
    answer = reader.next_frame()
    assert answer is not None
    assert (answer.destination, answer.source, answer.kind, answer.payload) == (METER, US, UI, LLC_COMMAND + b"\x10")
    packets = PacketReader()
    packets.receive_data(Listener(Framing.WRAPPER).answer(Told(17, None, APDU, b"\x00\x11", b"\x00\x40"), b"\x10"))
    packet = packets.next_packet()
    assert packet is not None
    assert (packet.source, packet.destination, packet.apdu) == (64, 17, b"\x10")
