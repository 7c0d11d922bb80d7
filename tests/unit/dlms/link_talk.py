"""One HdlcLink and the frames a test says to it in the meter's place."""

from dcu.dlms import hdlc
from dcu.dlms.hdlc import Frame, FrameReader, Parameters, ServerAddress
from dcu.dlms.hdlc_link import OFFER, HdlcLink
from dcu.dlms.link import LinkOpened, Transmit

CLIENT = hdlc.client_address(2)
METER = ServerAddress(1, 17).to_bytes()


def frame_of(octets: bytes) -> Frame:
    reader = FrameReader()
    reader.receive_data(octets)
    frame = reader.next_frame()
    assert frame is not None
    return frame


def say(link: HdlcLink, kind: int, payload: bytes = b"", *, send: int = 0, receive: int = 0, **more: bool) -> None:
    """Let the meter say one frame."""
    segmented = more.pop("segmented", False)
    control = hdlc.control(kind, send=send, receive=receive, **more)
    link.receive_data(hdlc.encode_frame(CLIENT, METER, control, payload, segmented=segmented))


def frames_of(octets: bytes) -> list[Frame]:
    reader = FrameReader()
    reader.receive_data(octets)
    return list(iter(reader.next_frame, None))


def opened(granted: Parameters | None = None, offer: Parameters = OFFER) -> HdlcLink:
    link = HdlcLink(2, ServerAddress(1, 17), offer)
    snrm = frame_of(link.open())
    assert (snrm.destination, snrm.source, snrm.kind) == (METER, CLIENT, hdlc.SNRM)
    assert Parameters.from_bytes(snrm.payload) == offer
    say(link, hdlc.UA, (granted or Parameters(2030, 2030)).to_bytes())
    assert link.next_event() == LinkOpened()
    return link


def told(link: HdlcLink) -> list[Frame]:
    """Return the frames of the Transmit that results."""
    event = link.next_event()
    assert isinstance(event, Transmit)
    return frames_of(event.data)


def retried(link: HdlcLink) -> Frame:
    again = link.retry()
    assert again
    return frame_of(again)
