"""The client's side of an application association: open, prove, ask, and believe only what was checked.

Octets on the line are the link's business, waiting and counters that survive a crash the session's. Every violation of
IEC 62056-5-3 raises MeterError or SecurityError, and the association gives no value after it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache, partial
from itertools import cycle
from secrets import token_bytes
from typing import Any, Final

from dcu.dlms import axdr
from dcu.dlms.acse import RLRE, RLRQ, Aare, Conformance, Initiate, encode_release
from dcu.dlms.apdu import (
    CONFIRMED_SERVICE_ERROR,
    EXCEPTION_RESPONSE,
    decode_response,
    encode_request,
)
from dcu.dlms.general_blocks import GeneralBlock, GeneralGathering, GeneralSending, is_general_block
from dcu.dlms.link import NEED_DATA, ApduReceived, Link, LinkClosed, LinkOpened, NeedData, Transmit
from dcu.dlms.notifications import Notification, decode_notification, is_notification
from dcu.dlms.protection import Protection
from dcu.dlms.security import Heard
from dcu.dlms.services import (
    AccessError,
    Action,
    ActionResponse,
    Answer,
    ConfirmedServiceError,
    ExceptionResponse,
    ReadResponse,
    Request,
)
from dcu.dlms.transfer import Transfer
from dcu.errors import Breach, MeterError, NotServedError, RefusedError, SecurityError, SpentError
from dcu.model import Access, Keys, Referencing

#: What this client can do with an answer; the meter's own set comes back in Associated.
CONFORMANCE: Final = (
    Conformance.GET
    | Conformance.SET
    | Conformance.ACTION
    | Conformance.SELECTIVE_ACCESS
    | Conformance.MULTIPLE_REFERENCES
    | Conformance.BLOCK_TRANSFER_GET
    | Conformance.BLOCK_TRANSFER_SET
    | Conformance.BLOCK_TRANSFER_ACTION
    | Conformance.EVENT_NOTIFICATION
    | Conformance.DATA_NOTIFICATION
    | Conformance.PRIORITY
)
#: The same where attributes have short names.
SHORT_CONFORMANCE: Final = (
    Conformance.READ
    | Conformance.WRITE
    | Conformance.PARAMETERIZED_ACCESS
    | Conformance.MULTIPLE_REFERENCES
    | Conformance.BLOCK_TRANSFER_GET
)
#: The longest APDU we take, which is the longest that can be named.
MAX_PDU: Final = 0xFFFF
_REPLY_TO_HLS: Final = (15, b"\x00\x00\x28\x00\x00\xff", 1)
_ERRORS: Final = {EXCEPTION_RESPONSE, CONFIRMED_SERVICE_ERROR}
#: What a meter may tell unasked while we wait for one answer; more is a flood that would keep us for ever.
MAX_NOTIFICATIONS: Final = 16


@dataclass(frozen=True, slots=True)
class Associated:
    """The meter accepted us (and proved itself, under HLS). `max_pdu`: octets of one request it takes, 0: no limit."""

    conformance: Conformance
    max_pdu: int
    server_title: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """The results of the request: one, or one per item of a list; None for a SET or ACTION that returns nothing."""

    results: list[Any | AccessError]


@dataclass(frozen=True, slots=True)
class Released:
    """The association has ended as agreed."""


@dataclass(frozen=True, slots=True)
class Notified:
    """The meter said something unasked; what was asked is still to be answered."""

    notification: Notification


Event = NeedData | Transmit | Associated | Response | Notified | Released


class _State(Enum):
    CLOSED = auto()
    LINKING = auto()  # the link is being opened
    ASSOCIATING = auto()  # AARQ is out
    PROVING = auto()  # f(StoC) is out
    OPEN = auto()  # our turn
    AWAITING = auto()  # a request, or one of its blocks, is out
    RELEASING = auto()


#: The numbers of requests, four bits of Invoke-Id-And-Priority.
_INVOKES: Final = (*range(1, 16), 0)


@cache
def _proposal(max_pdu: int, referencing: Referencing, *, protection: bool, blocks: bool) -> Initiate:
    """Return what we propose, with general protection and general block transfer where they are wanted."""
    proposed = SHORT_CONFORMANCE if referencing is Referencing.SN else CONFORMANCE
    if protection:
        proposed |= Conformance.GENERAL_PROTECTION
    if blocks:
        proposed |= Conformance.GENERAL_BLOCK_TRANSFER
    return Initiate(proposed, max_pdu)


class Association:
    """One association with one meter over `link`. ConfigError when access and keys do not fit together.

    `client_title` is our system title (8 octets; some mechanisms and ciphering need it), `take_counter` gives an
    invocation counter never used before, `heard` remembers those of meters, `challenge` gives random octets.
    """

    def __init__(
        self,
        link: Link,
        access: Access,
        keys: Keys,
        *,
        client_title: bytes,
        take_counter: Callable[[], int],
        heard: Heard | None = None,
        challenge: Callable[[int], bytes] = token_bytes,
    ) -> None:
        #: Numbers the requests, 0 to 15. Where it goes on over the associations with a meter, an answer to the last
        #: request of one is none to the first of the next.
        self.take_invoke: Callable[[], int] = partial(next, cycle(_INVOKES))
        self._link = link
        self._ciphered = access.ciphered
        self._protection = Protection(access, keys, client_title, take_counter, challenge, heard)
        # where every APDU is a turn of the line, blocks in a row are impossible and those of the service are shorter
        self._proposed = _proposal(
            MAX_PDU, access.referencing, protection=self._protection.general, blocks=link.run > 1
        )
        self._numbered = access.referencing is Referencing.LN
        self._state = _State.CLOSED
        self._agreed = self._proposed
        self._invoke = 0
        self._transfer: Transfer | None = None
        self._notified = 0
        self._told: Notified | None = None
        self._general: GeneralGathering | None = None
        self._sending: GeneralSending | None = None

    def rest(self) -> bool:
        """Whether the association can be left as it is until a later `send`; what was heard beside it is forgotten."""
        return self._state is _State.OPEN and self._link.rest()

    def connect(self) -> bytes:
        """Return the first octets to write; Associated follows."""
        self._state = _State.LINKING
        return self._link.open() or self._associate()

    @property
    def hearing(self) -> bool:
        """Whether an answer has begun (see `Link`)."""
        return self._link.hearing

    @property
    def overhead(self) -> int:
        """How many octets protection adds to a request at most."""
        return self._protection.overhead

    def retry(self) -> bytes | None:
        """Return what asks again after a silence, None when it was asked often enough (see `Link`)."""
        return self._link.retry()

    def receive_data(self, data: bytes) -> None:
        self._link.receive_data(data)

    def next_event(self) -> Event:
        """Return the next event, NEED_DATA when there is none.

        NotServedError leaves the association open for the next request; any other MeterError ends it.
        """
        if self._told is not None:
            told, self._told = self._told, None
            return told
        while True:
            match self._link.next_event():
                case NeedData():
                    return NEED_DATA
                case Transmit() as transmit:
                    return transmit
                case LinkOpened():
                    return Transmit(self._associate())
                case LinkClosed():
                    self._state = _State.CLOSED
                    return Released()
                case ApduReceived(apdu):
                    if (event := self._received(apdu)) is not None:
                        return event

    def send(self, request: Request) -> bytes:
        """Return the first octets of `request` to write; Response or NotServedError follows, perhaps after Notified.

        NotServedError at once, with nothing sent, when it is longer than the meter takes.
        """
        if self._state is not _State.OPEN:
            raise RuntimeError(f"association is {self._state.name}, it cannot send")
        self._invoke = self.take_invoke()
        general = Conformance.GENERAL_BLOCK_TRANSFER in self._agreed.conformance & self._proposed.conformance
        self._transfer = Transfer(request, self._agreed, self._protection.overhead, whole=general)
        self._notified = 0
        self._general = GeneralGathering(self._link.run) if general else None
        self._sending = None
        try:
            first = self._ask(self._transfer.first())
        except SpentError:  # no request of any length can be sent any more
            raise
        except MeterError as error:
            raise NotServedError(str(error)) from error
        self._state = _State.AWAITING
        return first

    def release(self) -> bytes:
        """Return what ends the association, b"" when nothing need be said; else Released follows.

        Over HDLC the DISC ends both layers in one round trip; WRAPPER has only the RLRQ.
        """
        was, self._state = self._state, _State.RELEASING
        if closing := self._link.close():
            return closing
        if was in {_State.OPEN, _State.AWAITING}:
            # a meter in a ciphered context takes a release only with a protected InitiateRequest in it
            information = self._protection.initiate(self._proposed) if self._ciphered else b""
            return self._link.send(encode_release(RLRQ, information))
        self._state = _State.CLOSED
        return b""

    def _associate(self) -> bytes:
        self._state = _State.ASSOCIATING
        return self._link.send(self._protection.aarq(self._proposed).to_bytes())

    def _ask(self, request: Request) -> bytes:
        apdu = self._protection.protect(encode_request(request, self._invoke))
        if not 0 < self._agreed.max_pdu < len(apdu):
            return self._link.send(apdu)
        if self._general is None:
            raise MeterError(f"request of {len(apdu)} octets, the meter takes {self._agreed.max_pdu}")
        self._sending = GeneralSending(apdu, self._agreed.max_pdu, self._link.run)
        return self._row(self._sending.burst())

    def _row(self, blocks: list[bytes]) -> bytes:
        return b"".join(map(self._link.send, blocks))

    def _received(self, apdu: bytes) -> Event | None:
        """Let the state look at `apdu`; until that has proved good we are closed, so no error leaves us open."""
        state, self._state = self._state, _State.CLOSED
        if is_general_block(apdu) and state is _State.AWAITING and self._general:
            whole, row = self._in_blocks(apdu)
            if whole is None:
                self._state = state
                return Transmit(row) if row else None
            apdu = whole
        elif self._sending is not None and self._sending.unsent and apdu[:1] and apdu[0] not in _ERRORS:
            raise MeterError("the meter answers before it has the whole request")
        match state:
            case _State.ASSOCIATING:
                return self._associated(apdu)
            case _State.PROVING:
                return self._proved(self._check(self._plain(apdu)))
            case _State.OPEN | _State.AWAITING:
                return self._heard(self._plain(apdu), state)
            case _State.RELEASING if apdu[:1] == bytes((RLRE,)):
                return Released()
            case _:
                raise MeterError(f"unasked APDU {apdu[:8].hex()}")

    def _in_blocks(self, apdu: bytes) -> tuple[bytes | None, bytes]:
        """Take a general block; return the whole answer once it is there, else what to send now, if anything."""
        assert self._general is not None
        if self._sending is not None:
            block = GeneralBlock.from_bytes(apdu)
            if not block.content:
                return None, self._row(self._sending.take(block))
            if block.acknowledged != self._sending.count:
                raise MeterError(f"an answer to {block.acknowledged} of {self._sending.count} blocks")
            self._general = GeneralGathering(self._link.run, self._sending.count)
            self._sending = None
        whole, acknowledgement = self._general.take(apdu)
        return whole, self._link.send(acknowledgement) if acknowledgement else b""

    def _associated(self, apdu: bytes) -> Event:
        if apdu[:1] and apdu[0] in _ERRORS:
            raise RefusedError(f"association refused: {decode_response(apdu)[0]}")
        aare = Aare.from_bytes(apdu)
        if aare.result:
            raise RefusedError(f"association refused: {aare.reason}")
        self._agreed = self._protection.accept(aare)
        if not self._protection.proving:
            return self._opened()
        self._state = _State.PROVING
        self._invoke = self.take_invoke()
        proof = axdr.octets(self._protection.prove())
        if self._numbered:
            return Transmit(self._ask(Action(*_REPLY_TO_HLS, proof)))
        from dcu.dlms.short_names import reply_to_hls  # noqa: PLC0415 - for old meters only

        return Transmit(self._ask(reply_to_hls(proof)))

    def _opened(self) -> Associated:
        self._state = _State.OPEN
        agreed = self._agreed.conformance & self._proposed.conformance
        return Associated(agreed, self._agreed.max_pdu, self._protection.title)

    def _proved(self, answer: Answer) -> Associated:
        match answer:
            case ActionResponse(AccessError() as error) | ReadResponse((AccessError() as error,)):
                raise RefusedError(f"the meter did not accept our proof: {error}")
            case ActionResponse(None, bytes(proof)) | ReadResponse((bytes(proof),)):
                self._protection.check_proof(proof)
                return self._opened()
        raise SecurityError(Breach.PROOF, f"the meter did not prove itself: {answer}")

    def _plain(self, apdu: bytes) -> bytes:
        if not apdu or apdu[0] not in _ERRORS:
            return self._protection.unprotect(apdu)
        # the error APDUs have no protected form, so anybody can make them: a question is asked again, but a change
        # that somebody else says was refused may have been carried out
        if self._ciphered and self._transfer is not None and self._transfer.changes:
            raise SecurityError(Breach.PLAIN, f"a change was refused without protection: {decode_response(apdu)[0]}")
        return apdu

    def _check(self, apdu: bytes) -> Answer:
        """Return the answer in `apdu` once it is known to answer our request."""
        answer, invoke = decode_response(apdu)
        if isinstance(answer, ExceptionResponse | ConfirmedServiceError):
            # not protected, so perhaps not the meter's: it costs us this answer, and no value comes of it
            if self._transfer is None:
                raise RefusedError(f"the meter refused our proof: {answer}")
            if answer.ends:
                raise MeterError(f"the meter refused: {answer}")
            self._state = _State.OPEN
            raise NotServedError(f"the meter refused: {answer}")
        # by short names nothing but the order, and under HDLC its numbers, tells which request is answered
        if invoke != (self._invoke if self._numbered else None):
            raise MeterError(f"answer to request {invoke}, not {self._invoke}")
        return answer

    def _heard(self, apdu: bytes, state: _State) -> Event:
        if is_notification(apdu):
            self._notified += 1
            if self._notified > MAX_NOTIFICATIONS:
                raise MeterError(f"more than {MAX_NOTIFICATIONS} notifications before the answer")
            notified = Notified(decode_notification(apdu))
            self._state = state
            if state is _State.AWAITING and (turn := self._link.resume()):
                self._told = notified
                return Transmit(turn)
            return notified
        if state is _State.OPEN:
            raise MeterError(f"unasked APDU {apdu[:8].hex()}")
        return self._answered(self._check(apdu))

    def _answered(self, answer: Answer) -> Event:
        assert self._transfer is not None
        step = self._transfer.take(answer)
        if isinstance(step, list):
            self._state = _State.OPEN
            return Response(step)
        self._state = _State.AWAITING
        return Transmit(self._ask(step))
