"""The client's side of one HDLC connection: SNRM, numbered I frames in segments, DISC (IEC 62056-46, clause 6.4).

Frames are made and found in `hdlc`. Waiting, and repeating a visit that failed, belongs to the session.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from itertools import islice
from typing import Any, ClassVar, Final

from dcu.dlms import hdlc
from dcu.dlms.hdlc import Frame, FrameReader, Parameters, ServerAddress
from dcu.dlms.link import NEED_DATA, ApduReceived, LinkClosed, LinkEvent, LinkOpened, Transmit
from dcu.errors import MeterError

#: The longest APDU that a meter can be told it may send (max-receive-pdu-size has two octets).
MAX_APDU: Final = 0xFFFF
#: How often in a row the meter may answer without bringing us further (RR, RNR, gaps) before it is taken to be stuck.
MAX_POLLS: Final = 20
#: How often SNRM is repeated: who never answered is most likely not there, and costs the line a time-out each time.
OPEN_REPEATS: Final = 1
#: How often in a row silence is answered with a poll while the connection is open.
ANSWER_REPEATS: Final = 3
#: The longest information fields there are, one frame at a time: a window pays only where the meter's fields are
#: short, and naming it costs every visit six octets.
OFFER: Final = Parameters(transmit=hdlc.MAX_INFO, receive=hdlc.MAX_INFO)


class _State(Enum):
    CLOSED = auto()
    OPENING = auto()  # SNRM is out
    OPEN = auto()  # our turn
    AWAITING = auto()  # a window of the request is out, or all of it
    CLOSING = auto()  # DISC is out
    FAILED = auto()  # the meter broke the rules


_Action = Callable[[Any, Frame], LinkEvent | None]


class HdlcLink:
    """A `Link` over HDLC. `ignored` counts whole frames that were not for us now, `rejected` the damaged ones.

    After a silence nothing is sent twice blindly: a poll (RR, P=1) lets the meter repeat its answer, or say by N(R)
    what it lacks, so that a request is never carried out twice (ISO/IEC 13239, recovery by P/F checkpoint).
    """

    # the segments of one APDU come in windows; after it the line is ours
    run: ClassVar[int] = 1

    def __init__(self, client: int, server: ServerAddress, offer: Parameters = OFFER) -> None:
        self.ignored = 0
        self._client = hdlc.client_address(client)
        self._server = server.to_bytes()
        self._offer = offer
        self._granted = Parameters()  # in our own sense: `transmit` is what we may send
        self._reader = FrameReader()
        self._state = _State.CLOSED
        self._segments: deque[bytes] = deque()  # of the APDU being sent, from the first that the meter lacks
        self._first = 0  # N(S) of that segment
        self._out = 0  # how many of the segments were sent
        self._receive = 0  # N(S) we expect next
        self._answer = bytearray()
        self._more = False  # within a window of the answer
        self._silences = self._polls = 0

    @property
    def rejected(self) -> int:
        return self._reader.rejected

    @property
    def hearing(self) -> bool:
        return self._more or self._reader.begun(self._client + self._server)

    def open(self) -> bytes:
        self._state = _State.OPENING
        self._segments.clear()
        self._first = self._out = self._receive = 0
        self._progress()
        return self._frame(hdlc.control(hdlc.SNRM), self._offer.to_bytes())

    def send(self, apdu: bytes) -> bytes:
        if self._state is not _State.OPEN:
            raise RuntimeError(f"HDLC link is {self._state.name}, it cannot send")
        data = hdlc.LLC_COMMAND + apdu
        size = self._granted.transmit
        self._segments.extend(data[at : at + size] for at in range(0, len(data), size))
        self._answer.clear()
        self._state = _State.AWAITING
        self._progress()
        return self._turn()

    def receive_data(self, data: bytes) -> None:
        self._reader.receive_data(data)

    def next_event(self) -> LinkEvent:
        while (frame := self._reader.next_frame()) is not None:
            event = self._take(frame)
            if event is not None:
                return event
        return NEED_DATA

    def retry(self) -> bytes | None:
        if self._reader.break_off():
            return b""
        self._more = False
        self._silences += 1
        if self._state is _State.OPENING and self._silences <= OPEN_REPEATS:
            return self._frame(hdlc.control(hdlc.SNRM), self._offer.to_bytes())
        if self._state is _State.AWAITING and self._silences <= ANSWER_REPEATS:
            return self._ready()
        return None

    def resume(self) -> bytes:
        if self._state is not _State.OPEN:  # it came in a UI frame, which moved nothing
            return b""
        self._state = _State.AWAITING
        self._answer.clear()
        # within a window the meter has not given us the word yet
        return b"" if self._more else self._ready()

    def rest(self) -> bool:
        # other meters speak meanwhile, and nothing of this line may be taken for the beginning of an answer
        self._reader = FrameReader()
        return self._state is _State.OPEN

    def close(self) -> bytes:
        if self._state is _State.CLOSED:
            return b""
        self._state = _State.CLOSING
        return self._frame(hdlc.control(hdlc.DISC))

    def _take(self, frame: Frame) -> LinkEvent | None:
        action = self._TABLE[self._state].get(frame.kind)
        if (frame.destination, frame.source) != (self._client, self._server) or action is None:
            self.ignored += 1
            return None
        self._more = not frame.final
        return action(self, frame)

    def _frame(self, control: int, payload: bytes = b"", *, segmented: bool = False) -> bytes:
        return hdlc.encode_frame(self._server, self._client, control, payload, segmented=segmented)

    def _turn(self) -> bytes:
        """Return a window of frames from the first that the meter lacks on; the last one gives it the word."""
        self._out = min(self._granted.transmit_window, len(self._segments))
        return b"".join(
            self._frame(
                hdlc.control(hdlc.I, send=self._first + at & 7, receive=self._receive, final=at == self._out - 1),
                payload,
                segmented=at < len(self._segments) - 1,
            )
            for at, payload in enumerate(islice(self._segments, self._out))
        )

    def _ready(self) -> bytes:
        return self._frame(hdlc.control(hdlc.RR, receive=self._receive))

    def _progress(self) -> None:
        self._silences = self._polls = 0
        self._more = False

    def _acknowledge(self, receive: int) -> None:
        """Drop what the meter has, which N(R) names the end of; it cannot have what was not sent."""
        count = receive - self._first & 7
        if count > self._out:
            raise self._fail(f"acknowledged frame {receive}, we sent up to {self._first + self._out & 7}")
        for _ in range(count):
            self._segments.popleft()
        self._first = receive
        self._out -= count
        if count:
            self._polls = 0

    def _insist(self, reason: str) -> None:
        """Count an answer that brings us no further: silence is another matter from here on."""
        self._silences = 0
        self._polls += 1
        if self._polls > MAX_POLLS:
            raise self._fail(f"{reason} {MAX_POLLS} times")

    def _fail(self, reason: str) -> MeterError:
        self._state = _State.FAILED
        return MeterError(f"HDLC: {reason}")

    def _opened(self, frame: Frame) -> LinkEvent:
        try:
            granted = Parameters.from_bytes(frame.payload)
        except MeterError:
            self._state = _State.FAILED
            raise
        offer = self._offer
        self._granted = Parameters(
            min(offer.transmit, granted.receive),
            min(offer.receive, granted.transmit),
            min(offer.transmit_window, granted.receive_window),
            min(offer.receive_window, granted.transmit_window),
        )
        self._state = _State.OPEN
        return LinkOpened()

    def _acknowledged(self, frame: Frame) -> LinkEvent | None:
        """RR, REJ: go on with what the meter lacks, new or lost; when it has all, its answer is not ready yet."""
        self._acknowledge(frame.receive)
        if not frame.final:
            return None
        self._insist("put off its answer")
        return Transmit(self._turn(), asks=True) if self._segments else Transmit(self._ready())

    def _busy(self, frame: Frame) -> LinkEvent | None:
        self._acknowledge(frame.receive)
        self._insist("put off its answer")
        return Transmit(self._ready(), asks=bool(self._segments)) if frame.final else None

    def _information(self, frame: Frame) -> LinkEvent | None:
        if ahead := frame.send - self._receive & 7:
            return self._out_of_sequence(frame, ahead)
        self._acknowledge(frame.receive)
        if self._segments:
            raise self._fail("answered before it had the whole request")
        self._receive = self._receive + 1 & 7
        self._answer += frame.payload
        self._silences = self._polls = 0
        if not frame.payload or len(self._answer) > MAX_APDU + len(hdlc.LLC_RESPONSE):
            raise self._fail(f"answer is empty or longer than {MAX_APDU} octets")
        if frame.segmented:
            return Transmit(self._ready()) if frame.final else None
        if not self._answer.startswith(hdlc.LLC_RESPONSE):
            raise self._fail("answer without LLC header")
        self._state = _State.OPEN
        return ApduReceived(bytes(self._answer[len(hdlc.LLC_RESPONSE) :]))

    def _out_of_sequence(self, frame: Frame, ahead: int) -> LinkEvent | None:
        """Drop a frame behind a lost one, and let the meter go back at the end of its window; or drop a repeat."""
        window = self._granted.receive_window
        if ahead < window:
            if not frame.final:
                return None
            self._insist(f"skipped frame {self._receive}")
            return Transmit(self._ready())
        if ahead < 8 - window:
            raise self._fail(f"frame {frame.send}, expected {self._receive}")
        self.ignored += 1
        return None

    def _told(self, frame: Frame) -> LinkEvent | None:
        """UI: something the meter says of its own accord; it answers nothing and moves no number."""
        if not frame.payload.startswith(hdlc.LLC_RESPONSE):
            self.ignored += 1
            return None
        return ApduReceived(frame.payload[len(hdlc.LLC_RESPONSE) :])

    def _closed(self, _: Frame) -> LinkEvent:
        self._state = _State.CLOSED
        return LinkClosed()

    def _refused(self, frame: Frame) -> LinkEvent:
        name = {hdlc.DM: "disconnected", hdlc.FRMR: "refused a frame (FRMR)"}
        raise self._fail(f"the meter {name[frame.kind]}")

    #: Which frame means something in which state; any other is ignored: late, repeated, or an echo. The clauses are
    #: those of IEC 62056-46; the procedures, with segmentation and windows, are its 6.4.4.
    _TABLE: ClassVar[dict[_State, dict[int, _Action]]] = {
        _State.CLOSED: {},
        _State.OPENING: {
            hdlc.UA: _opened,  # 6.4.3.8: the parameters granted
            hdlc.DM: _refused,  # 6.4.3.9: no connection to be had
        },
        _State.OPEN: {
            hdlc.UI: _told,  # 6.4.3.11: events
            hdlc.DM: _refused,  # 6.4.3.9: the meter lost the connection
            hdlc.FRMR: _refused,  # 6.4.3.10: only SNRM or DISC helps
        },
        _State.AWAITING: {
            hdlc.I: _information,  # 6.4.3.3: N(S) in sequence, N(R) acknowledges
            hdlc.RR: _acknowledged,  # 6.4.3.4: has all before N(R)
            hdlc.RNR: _busy,  # 6.4.3.5: has all before N(R), takes no more now
            hdlc.REJ: _acknowledged,  # ISO/IEC 13239, not in the repertoire of 6.4.3.1: go back to N(R)
            hdlc.UI: _told,
            hdlc.DM: _refused,
            hdlc.FRMR: _refused,
        },
        _State.CLOSING: {
            hdlc.UA: _closed,  # 6.4.3.8
            hdlc.DM: _closed,  # 6.4.3.9: was closed already
        },
        _State.FAILED: {},
    }
