"""What meters say on a line where nobody has asked: octets in, whole APDUs out, with the address they came from.

HDLC carries such APDUs in UI frames (IEC 62056-46, 6.4.3.11), WRAPPER in packets. What is done about them is in
`dcu.polling.pushes`.
"""

from dataclasses import dataclass

from dcu.dlms.hdlc import LLC_COMMAND, LLC_RESPONSE, UI, FrameReader, ServerAddress, control, encode_frame
from dcu.dlms.wrapper import PacketReader, encode_packet
from dcu.errors import MeterError
from dcu.model import Framing


@dataclass(frozen=True, slots=True)
class Told:
    """An APDU that nobody asked for. `server` is the address of the device; the last two are its address fields.

    `logical` is the logical device in it that spoke, None where the address has no room for one.
    """

    server: int
    logical: int | None
    apdu: bytes
    source: bytes
    destination: bytes


class Listener:
    """Hears one line. What is no UI frame, as the late answer of a visit, is nobody's word and is passed over."""

    def __init__(self, framing: Framing) -> None:
        self._framing = framing
        self._frames = FrameReader()
        self._packets = PacketReader()

    def receive_data(self, data: bytes) -> None:
        """Take what was read from the line; of a stream that is no stream of packets nothing is believed."""
        if self._framing is Framing.HDLC:
            self._frames.receive_data(data)
            return
        try:
            self._packets.receive_data(data)
        except MeterError:
            self.forget()

    def next_told(self) -> Told | None:
        """Return the next whole APDU, None when there is none."""
        return self._of_frame() if self._framing is Framing.HDLC else self._of_packet()

    def forget(self) -> None:
        """Drop what has begun: a conversation comes between."""
        self._frames = FrameReader()
        self._packets = PacketReader()

    def answer(self, told: Told, apdu: bytes) -> bytes:
        """Return the octets that carry `apdu` back to who told."""
        if self._framing is Framing.WRAPPER:
            source, destination = (int.from_bytes(field) for field in (told.source, told.destination))
            return encode_packet(destination, source, apdu)
        return encode_frame(told.source, told.destination, control(UI, final=False), LLC_COMMAND + apdu)

    def _of_frame(self) -> Told | None:
        while (frame := self._frames.next_frame()) is not None:
            whole = frame.kind == UI and not frame.segmented and frame.payload.startswith(LLC_RESPONSE)
            if whole and len(frame.destination) == 1:
                address = ServerAddress.from_bytes(frame.source)
                whole_device = address.size == 1
                server, logical = (address.logical, None) if whole_device else (address.physical, address.logical)
                return Told(server, logical, frame.payload[len(LLC_RESPONSE) :], frame.source, frame.destination)
        return None

    def _of_packet(self) -> Told | None:
        try:
            packet = self._packets.next_packet()
        except MeterError:
            self.forget()
            return None
        if packet is None:
            return None
        return Told(packet.source, None, packet.apdu, packet.source.to_bytes(2), packet.destination.to_bytes(2))
