"""The WRAPPER sublayer: eight octets before each APDU on TCP and UDP (IEC 62056-47, clause 6), and the link over it.

Which TCP connection it runs on, and reconnecting it, belongs to `dcu.bus`.
"""

from dataclasses import dataclass
from struct import Struct
from typing import ClassVar, Final

from dcu.dlms.link import NEED_DATA, ApduReceived, LinkEvent
from dcu.errors import MeterError

_HEADER: Final = Struct(">HHHH")
_VERSION: Final = 1
#: Twice one header and the longest APDU its length field can state: such a packet that lacks its last octet, and what
#: one read brings behind it.
MAX_BUFFER: Final = 2 * (_HEADER.size + 0xFFFF)


@dataclass(frozen=True, slots=True)
class Packet:
    """One APDU with the wPorts it travels between."""

    source: int
    destination: int
    apdu: bytes


def encode_packet(source: int, destination: int, apdu: bytes) -> bytes:
    """Return the header and `apdu`; ValueError above 65535 octets."""
    if len(apdu) > 0xFFFF:
        raise ValueError(f"APDU of {len(apdu)} octets")
    return _HEADER.pack(_VERSION, source, destination, len(apdu)) + apdu


class PacketReader:
    """Cuts a stream into packets. TCP loses nothing, so a wrong version means the stream is not ours: MeterError."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def receive_data(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > MAX_BUFFER:
            raise MeterError(f"more than {MAX_BUFFER} octets without being asked")

    @property
    def begun(self) -> bool:
        """Whether part of a packet is here."""
        return bool(self._buffer)

    def next_packet(self) -> Packet | None:
        """Return the next whole packet, or None until more data is received."""
        buffer = self._buffer
        if len(buffer) < _HEADER.size:
            return None
        version, source, destination, length = _HEADER.unpack_from(buffer)
        if version != _VERSION:
            raise MeterError(f"wrapper version {version}")
        end = _HEADER.size + length
        if len(buffer) < end:
            return None
        packet = Packet(source, destination, bytes(buffer[_HEADER.size : end]))
        del buffer[:end]
        return packet


class WrapperLink:
    """A `Link` over WRAPPER: always open, one packet per APDU. `ignored` counts packets between other wPorts."""

    # both sides may speak at any time over TCP, and a turn costs a round trip through the network
    run: ClassVar[int] = 8

    def __init__(self, client: int, server: int) -> None:
        self.ignored = 0
        self._client = client
        self._server = server
        self._reader = PacketReader()

    def open(self) -> bytes:
        return b""

    def send(self, apdu: bytes) -> bytes:
        return encode_packet(self._client, self._server, apdu)

    def receive_data(self, data: bytes) -> None:
        self._reader.receive_data(data)

    def next_event(self) -> LinkEvent:
        while (packet := self._reader.next_packet()) is not None:
            if (packet.source, packet.destination) == (self._server, self._client):
                return ApduReceived(packet.apdu)
            self.ignored += 1
        return NEED_DATA

    @property
    def hearing(self) -> bool:
        return self._reader.begun

    def retry(self) -> None:
        """TCP has repeated whatever was lost: who is silent has nothing to say."""

    def resume(self) -> bytes:
        return b""

    def rest(self) -> bool:
        return not self._reader.begun

    def close(self) -> bytes:
        return b""
