"""The client's side of one HDLC connection: SNRM, numbered I frames in segments, DISC (IEC 62056-46, clause 6.4).

Frames are made and found in `hdlc`. Waiting, and repeating a visit that failed, belongs to the session.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, ClassVar, Final

from dcu.dlms import hdlc
from dcu.dlms.hdlc import Frame, FrameReader, Parameters, ServerAddress
from dcu.dlms.link import NEED_DATA, ApduReceived, LinkClosed, LinkEvent, LinkOpened, Transmit
from dcu.errors import MeterError

#: The longest APDU that a meter can be told it may send (max-receive-pdu-size has two octets).
MAX_APDU: Final = 0xFFFF
#: How often one answer may be put off with RR or RNR before the meter is taken to be stuck.
MAX_POLLS: Final = 20
#: The longest information fields there are, one frame at a time: half-duplex lines gain nothing from a window.
OFFER: Final = Parameters(transmit=hdlc.MAX_INFO, receive=hdlc.MAX_INFO)


class _State(Enum):
    CLOSED = auto()
    OPENING = auto()  # SNRM is out
    OPEN = auto()  # our turn
    SENDING = auto()  # a segment is out and others follow it
    AWAITING = auto()  # the last segment is out
    CLOSING = auto()  # DISC is out
    FAILED = auto()  # the meter broke the rules


_Action = Callable[[Any, Frame], LinkEvent | None]


class HdlcLink:
    """A `Link` over HDLC. `ignored` counts whole frames that were not for us now, `rejected` the damaged ones."""

    def __init__(self, client: int, server: ServerAddress, offer: Parameters = OFFER) -> None:
        self.ignored = 0
        self._client = hdlc.client_address(client)
        self._server = server.to_bytes()
        self._offer = offer
        self._info = offer.transmit
        self._reader = FrameReader()
        self._state = _State.CLOSED
        self._send = 0  # N(S) of our next I frame
        self._receive = 0  # N(S) we expect next
        self._polls = 0
        self._segments: deque[bytes] = deque()  # of the APDU being sent
        self._answer = bytearray()

    @property
    def rejected(self) -> int:
        return self._reader.rejected

    def open(self) -> bytes:
        self._state = _State.OPENING
        self._send = self._receive = 0
        return self._frame(hdlc.control(hdlc.SNRM), self._offer.to_bytes())

    def send(self, apdu: bytes) -> bytes:
        if self._state is not _State.OPEN:
            raise RuntimeError(f"HDLC link is {self._state.name}, it cannot send")
        data = hdlc.LLC_COMMAND + apdu
        self._segments.extend(data[at : at + self._info] for at in range(0, len(data), self._info))
        self._answer.clear()
        self._polls = 0
        return self._next_segment()

    def receive_data(self, data: bytes) -> None:
        self._reader.receive_data(data)

    def next_event(self) -> LinkEvent:
        while (frame := self._reader.next_frame()) is not None:
            event = self._take(frame)
            if event is not None:
                return event
        return NEED_DATA

    def close(self) -> bytes:
        if self._state is _State.CLOSED:
            return b""
        self._state = _State.CLOSING
        self._segments.clear()
        return self._frame(hdlc.control(hdlc.DISC))

    def _take(self, frame: Frame) -> LinkEvent | None:
        action = self._TABLE[self._state].get(frame.kind)
        if (frame.destination, frame.source) != (self._client, self._server) or action is None:
            self.ignored += 1
            return None
        return action(self, frame)

    def _frame(self, control: int, payload: bytes = b"", *, segmented: bool = False) -> bytes:
        return hdlc.encode_frame(self._server, self._client, control, payload, segmented=segmented)

    def _next_segment(self) -> bytes:
        payload = self._segments.popleft()
        control = hdlc.control(hdlc.I, send=self._send, receive=self._receive)
        self._send = self._send + 1 & 7
        self._state = _State.SENDING if self._segments else _State.AWAITING
        return self._frame(control, payload, segmented=bool(self._segments))

    def _ready(self) -> Transmit:
        return Transmit(self._frame(hdlc.control(hdlc.RR, receive=self._receive)))

    def _fail(self, reason: str) -> MeterError:
        self._state = _State.FAILED
        return MeterError(f"HDLC: {reason}")

    def _opened(self, frame: Frame) -> LinkEvent:
        try:
            granted = Parameters.from_bytes(frame.payload)
        except MeterError:
            self._state = _State.FAILED
            raise
        self._info = min(self._offer.transmit, granted.receive)
        self._state = _State.OPEN
        return LinkOpened()

    def _acknowledged(self, frame: Frame) -> LinkEvent:
        if frame.receive != self._send:
            raise self._fail(f"acknowledged frame {frame.receive}, we sent up to {self._send}")
        return Transmit(self._next_segment())

    def _postponed(self, _: Frame) -> LinkEvent:
        self._polls += 1
        if self._polls > MAX_POLLS:
            raise self._fail(f"put off its answer {MAX_POLLS} times")
        return self._ready()

    def _information(self, frame: Frame) -> LinkEvent | None:
        if frame.send == self._receive - 1 & 7:
            self.ignored += 1  # a repeat of the frame before
            return None
        if (frame.send, frame.receive) != (self._receive, self._send):
            raise self._fail(f"frame {frame.send}/{frame.receive}, expected {self._receive}/{self._send}")
        self._receive = self._receive + 1 & 7
        self._answer += frame.payload
        if not frame.payload or len(self._answer) > MAX_APDU + len(hdlc.LLC_RESPONSE):
            raise self._fail(f"answer is empty or longer than {MAX_APDU} octets")
        if frame.segmented:
            return self._ready() if frame.final else None
        if not self._answer.startswith(hdlc.LLC_RESPONSE):
            raise self._fail("answer without LLC header")
        self._state = _State.OPEN
        return ApduReceived(bytes(self._answer[len(hdlc.LLC_RESPONSE) :]))

    def _closed(self, _: Frame) -> LinkEvent:
        self._state = _State.CLOSED
        return LinkClosed()

    def _refused(self, frame: Frame) -> LinkEvent:
        name = {hdlc.DM: "disconnected", hdlc.FRMR: "refused a frame (FRMR)", hdlc.REJ: "rejected a frame (REJ)"}
        raise self._fail(f"the meter {name[frame.kind]}")

    _REFUSALS: ClassVar[dict[int, _Action]] = dict.fromkeys((hdlc.DM, hdlc.FRMR, hdlc.REJ), _refused)

    #: Which frame means something in which state; any other is ignored: late, repeated, or an echo (clause 6.4.4).
    _TABLE: ClassVar[dict[_State, dict[int, _Action]]] = {
        _State.CLOSED: {},
        _State.OPENING: {hdlc.UA: _opened, hdlc.DM: _refused},
        _State.OPEN: _REFUSALS,
        _State.SENDING: {hdlc.RR: _acknowledged, hdlc.RNR: _postponed, **_REFUSALS},
        _State.AWAITING: {hdlc.I: _information, hdlc.RR: _postponed, hdlc.RNR: _postponed, **_REFUSALS},
        _State.CLOSING: {hdlc.UA: _closed, hdlc.DM: _closed},
        _State.FAILED: {},
    }
