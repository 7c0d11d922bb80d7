"""How a simulated meter hangs on a line: HDLC frames or WRAPPER packets around the APDUs of `sim.server`, sans-I/O.

When the octets pass is `sim.line`'s business.
"""

from collections.abc import Iterable
from typing import Final

from dcu.dlms.hdlc import (
    DISC,
    DM,
    FRMR,
    LLC_COMMAND,
    LLC_RESPONSE,
    RR,
    SNRM,
    UA,
    Frame,
    I,
    Parameters,
    ServerAddress,
    control,
    encode_frame,
)
from dcu.dlms.wrapper import Packet, encode_packet
from dcu.errors import MeterError
from sim.meter import SimMeter
from sim.server import ACCESS, ServerAssociation

LOGICAL_DEVICE: Final = 1

#: The longest request reassembled from segments; a longer one is forgotten.
MAX_REQUEST: Final = 65_536

#: Bit y of a frame reject: the information field was longer than what was granted (IEC 62056-46, 6.4.3.10).
_TOO_LONG: Final = 0x04


class HdlcServer:
    """One meter on an HDLC line: one connection per client, each with its association, or one for all.

    Frames for other stations must not be given to it.
    """

    def __init__(self, meter: SimMeter) -> None:
        self.meter = meter
        self._connections: dict[int, _Connection] = {}

    @property
    def addresses(self) -> list[bytes]:
        """The address fields that reach this meter: the two-octet form where it fits, and the four-octet form."""
        address = self.meter.plate.address
        sizes = (2, 4) if address < 0x80 else (4,)
        return [ServerAddress(LOGICAL_DEVICE, address, size).to_bytes() for size in sizes]

    def receive_frame(self, frame: Frame, now: float) -> list[bytes]:
        """Return the frames that answer `frame` at `now` (UTC seconds), in one turn."""
        client = frame.source[0] >> 1
        if frame.kind == SNRM and client in ACCESS:
            return self._connect(client, frame, now)
        connection = self._connections.get(client)
        if connection is not None and now - connection.heard_at > self.meter.plate.inactivity:
            connection = None
            del self._connections[client]
        if connection is None:
            return [_unnumbered(frame, DM)]
        if frame.kind == DISC:
            del self._connections[client]
            return [_unnumbered(frame, UA)]
        if len(frame.payload) > connection.granted.receive:
            del self._connections[client]
            return [_unnumbered(frame, FRMR, bytes((frame.control, 0, _TOO_LONG)))]
        connection.heard_at = now
        return connection.receive_frame(frame, now)

    def _connect(self, client: int, frame: Frame, now: float) -> list[bytes]:
        # SNRM also ends what was: the client starts anew when it lost the thread
        try:
            asked = Parameters.from_bytes(frame.payload)
        except MeterError:
            return []
        plate = self.meter.plate
        others = [each for other, each in self._connections.items() if other != client]
        if plate.single and any(now - each.heard_at <= plate.inactivity for each in others):
            return [_unnumbered(frame, DM)]
        granted = Parameters(
            min(asked.receive, plate.max_info),
            min(asked.transmit, plate.max_info),
            min(asked.receive_window, plate.window),
            min(asked.transmit_window, plate.window),
        )
        self._connections[client] = _Connection(ServerAssociation(self.meter, ACCESS[client]), granted, now)
        return [_unnumbered(frame, UA, granted.to_bytes())]


def _unnumbered(to: Frame, kind: int, payload: bytes = b"") -> bytes:
    return encode_frame(to.source, to.destination, control(kind), payload)


class _Connection:
    """The numbered conversation after SNRM: V(S), V(R), a request being collected, an answer being sent.

    `heard_at` is when (UTC seconds) the latest frame of its client came.
    """

    def __init__(self, association: ServerAssociation, granted: Parameters, heard_at: float) -> None:
        self.granted = granted
        self.heard_at = heard_at
        self._association = association
        self._expected = 0  # V(R)
        self._first = 0  # N(S) of the first segment not acknowledged
        self._out = 0  # how many of the segments were sent
        self._segments: list[bytes] = []
        self._request = b""

    def receive_frame(self, frame: Frame, now: float) -> list[bytes]:
        if frame.kind not in {I, RR}:
            return []
        self._acknowledge(frame.receive)
        if frame.kind == I and frame.send == self._expected:
            self._expected = (self._expected + 1) & 7
            self._collect(frame, now)
        # a repeated I frame, or one behind a lost one, is like RR: what is still unacknowledged goes out again, and
        # N(R) says what is missing
        return self._turn(frame) if frame.final else []

    def _acknowledge(self, receive: int) -> None:
        count = (receive - self._first) & 7
        # an N(R) outside what was sent is from another conversation: nothing is released
        if count <= self._out:
            del self._segments[:count]
            self._first = receive
            self._out -= count

    def _collect(self, frame: Frame, now: float) -> None:
        self._request = (self._request + frame.payload)[:MAX_REQUEST]
        if frame.segmented:
            return
        request, self._request = self._request, b""
        # without the LLC header it is no APDU of ours, and RR is all it gets
        if not request.startswith(LLC_COMMAND):
            return
        said = self._association.answer(request[len(LLC_COMMAND) :], now)
        if not said:
            return
        answer = LLC_RESPONSE + said
        size = self.granted.transmit
        self._out = 0
        self._segments = [answer[start : start + size] for start in range(0, len(answer), size)]

    def _turn(self, frame: Frame) -> list[bytes]:
        """Return up to a window of segments, or RR when there is nothing to send."""
        if not self._segments:
            return [encode_frame(frame.source, frame.destination, control(RR, receive=self._expected))]
        window = self._segments[: self.granted.transmit_window]
        self._out = len(window)
        return [
            encode_frame(
                frame.source,
                frame.destination,
                control(I, send=(self._first + index) & 7, receive=self._expected, final=index == len(window) - 1),
                segment,
                segmented=index < len(self._segments) - 1,
            )
            for index, segment in enumerate(window)
        ]


class WrapperServer:
    """Meters behind one TCP connection, told apart by their wPort."""

    def __init__(self, meters: Iterable[SimMeter]) -> None:
        self._meters = {meter.plate.address: meter for meter in meters}
        #: By wPorts: the association, and when its client was heard.
        self._associations: dict[tuple[int, int], tuple[ServerAssociation, float]] = {}

    def addressed(self, packet: Packet) -> SimMeter | None:
        """Return the meter that `packet` is for."""
        return self._meters.get(packet.destination)

    def receive_packet(self, packet: Packet, now: float) -> bytes | None:
        """Return the packet that answers `packet` at `now` (UTC seconds); None when nobody has that wPort."""
        meter = self.addressed(packet)
        if meter is None or packet.source not in ACCESS:
            return None
        key = packet.destination, packet.source
        association, heard_at = self._associations.get(key, (None, 0.0))
        if association is None or now - heard_at > meter.plate.inactivity:
            association = ServerAssociation(meter, ACCESS[packet.source])
        self._associations[key] = association, now
        answer = association.answer(packet.apdu, now)
        # in the middle of a row of general blocks it is not our turn
        return encode_packet(packet.destination, packet.source, answer) if answer else None
