"""The client's side of an application association: open, prove, ask, and believe only what was checked.

Octets on the line are the link's business, waiting and counters that survive a crash the session's. Every violation of
IEC 62056-5-3 raises MeterError or SecurityError, and the association gives no value after it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from secrets import token_bytes
from typing import Any, Final

from dcu.dlms import axdr
from dcu.dlms.acse import AUTHENTICATION_REQUIRED, RLRE, RLRQ, Aare, Aarq, Conformance, Initiate, encode_release
from dcu.dlms.apdu import (
    CONFIRMED_SERVICE_ERROR,
    EXCEPTION_RESPONSE,
    decode_response,
    encode_request,
)
from dcu.dlms.link import NEED_DATA, ApduReceived, Link, LinkClosed, LinkOpened, NeedData, Transmit
from dcu.dlms.security import TITLE_SIZE, Cipher
from dcu.dlms.services import (
    AccessError,
    Action,
    ActionResponse,
    Answer,
    ConfirmedServiceError,
    ExceptionResponse,
    Request,
)
from dcu.dlms.transfer import Transfer
from dcu.errors import ConfigError, MeterError, SecurityError
from dcu.model import Access, Authentication, Keys

#: What this client can do with an answer; the meter's own set comes back in Associated.
CONFORMANCE: Final = (
    Conformance.GET
    | Conformance.SET
    | Conformance.ACTION
    | Conformance.SELECTIVE_ACCESS
    | Conformance.MULTIPLE_REFERENCES
    | Conformance.BLOCK_TRANSFER_GET
    | Conformance.PRIORITY
)
#: The longest APDU we take, which is the longest that can be named.
MAX_PDU: Final = 0xFFFF
CHALLENGE_SIZE: Final = 16
#: Sizes the standard allows the meter's challenge (Authentication-value of HLS).
_CHALLENGE_SIZES: Final = range(8, 65)
_SUPPORTED: Final = {Authentication.NONE, Authentication.LLS, Authentication.HLS_GMAC}
_REPLY_TO_HLS: Final = (15, b"\x00\x00\x28\x00\x00\xff", 1)
_ERRORS: Final = {EXCEPTION_RESPONSE, CONFIRMED_SERVICE_ERROR}


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


Event = NeedData | Transmit | Associated | Response | Released


class _State(Enum):
    CLOSED = auto()
    LINKING = auto()  # the link is being opened
    ASSOCIATING = auto()  # AARQ is out
    PROVING = auto()  # f(StoC) is out
    OPEN = auto()  # our turn
    AWAITING = auto()  # a request, or one of its blocks, is out
    RELEASING = auto()


class Association:
    """One association with one meter over `link`. ConfigError when access and keys do not fit together.

    `client_title` is our system title (8 octets; only GMAC and ciphering need it), `take_counter` gives an invocation
    counter never used before, `challenge` random octets.
    """

    def __init__(
        self,
        link: Link,
        access: Access,
        keys: Keys,
        *,
        client_title: bytes,
        take_counter: Callable[[], int],
        challenge: Callable[[int], bytes] = token_bytes,
    ) -> None:
        if access.authentication not in _SUPPORTED:
            raise ConfigError(f"access {access.name}: authentication {access.authentication.name} is not supported")
        if access.authentication is Authentication.LLS and not keys.password:
            raise ConfigError(f"access {access.name}: no password for LLS")
        self._link = link
        self._access = access
        self._keys = keys
        self._hls = access.authentication is Authentication.HLS_GMAC
        self._title = client_title
        self._cipher = Cipher(keys, client_title, take_counter) if self._hls or access.ciphered else None
        self._challenge = challenge(CHALLENGE_SIZE) if self._hls else b""
        self._state = _State.CLOSED
        self._agreed = Initiate(CONFORMANCE, MAX_PDU)
        self._invoke = 0
        self._transfer: Transfer | None = None

    def connect(self) -> bytes:
        """Return the first octets to write; Associated follows."""
        self._state = _State.LINKING
        return self._link.open() or self._associate()

    def receive_data(self, data: bytes) -> None:
        self._link.receive_data(data)

    def next_event(self) -> Event:
        """Return the next event, NEED_DATA when there is none. MeterError or SecurityError ends the association."""
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
                    return self._received(apdu)

    def send(self, request: Request) -> bytes:
        """Return the first octets of `request` to write; Response follows."""
        if self._state is not _State.OPEN:
            raise RuntimeError(f"association is {self._state.name}, it cannot send")
        self._invoke = self._invoke + 1 & 0x0F
        self._transfer = Transfer(request)
        self._state = _State.AWAITING
        return self._ask(request)

    def release(self) -> bytes:
        """Return what ends the association, b"" when nothing need be said; else Released follows.

        Over HDLC the DISC ends both layers in one round trip; WRAPPER has only the RLRQ.
        """
        was, self._state = self._state, _State.RELEASING
        if closing := self._link.close():
            return closing
        if was is _State.OPEN:
            # a meter in a ciphered context takes a release only with a protected InitiateRequest in it
            return self._link.send(encode_release(RLRQ, self._initiate() if self._access.ciphered else b""))
        self._state = _State.CLOSED
        return b""

    def _initiate(self) -> bytes:
        request = Initiate(CONFORMANCE, MAX_PDU).request()
        return self._cipher.protect(request) if self._cipher and self._access.ciphered else request

    def _associate(self) -> bytes:
        self._state = _State.ASSOCIATING
        aarq = Aarq(
            information=self._initiate(),
            ciphered=self._access.ciphered,
            authentication=self._access.authentication,
            title=self._title if self._cipher else b"",
            secret=self._challenge or self._keys.password,
        )
        return self._link.send(aarq.to_bytes())

    def _ask(self, request: Request) -> bytes:
        apdu = encode_request(request, self._invoke)
        if self._cipher and self._access.ciphered:
            apdu = self._cipher.protect(apdu)
        if 0 < self._agreed.max_pdu < len(apdu):
            raise MeterError(f"request of {len(apdu)} octets, the meter takes {self._agreed.max_pdu}")
        return self._link.send(apdu)

    def _received(self, apdu: bytes) -> Event:
        """Let the state look at `apdu`; until that has proved good we are closed, so no error leaves us open."""
        state, self._state = self._state, _State.CLOSED
        match state:
            case _State.ASSOCIATING:
                return self._associated(apdu)
            case _State.PROVING:
                return self._proved(self._open(apdu))
            case _State.AWAITING:
                return self._answered(self._open(apdu))
            case _State.RELEASING if apdu[:1] == bytes((RLRE,)):
                return Released()
            case _:
                raise MeterError(f"unasked APDU {apdu[:8].hex()}")

    def _associated(self, apdu: bytes) -> Event:
        if apdu[:1] and apdu[0] in _ERRORS:
            raise MeterError(f"association refused: {decode_response(apdu)[0]}")
        aare = Aare.from_bytes(apdu)
        if aare.result:
            raise MeterError(f"association refused: {aare.reason}")
        self._check_security(aare)
        information = aare.information
        if self._cipher:
            # believed from here on because every tag depends on it: another title fails the first check below
            self._cipher.peer = aare.title
            information = self._cipher.unprotect(information) if self._access.ciphered else information
        self._agreed = Initiate.from_response(information)
        if not self._hls:
            return self._opened()
        assert self._cipher is not None
        self._state = _State.PROVING
        self._invoke = 1  # ours to choose; the requests after it count on
        proof = axdr.octets(self._cipher.gmac(aare.secret))
        return Transmit(self._ask(Action(*_REPLY_TO_HLS, proof)))

    def _check_security(self, aare: Aare) -> None:
        """Refuse an AARE that grants less security than we asked for, or mirrors our own part of it."""
        if aare.ciphered is not self._access.ciphered:
            raise SecurityError("the meter changed the application context")
        if (aare.diagnostic == AUTHENTICATION_REQUIRED) is not self._hls:
            raise SecurityError("the meter changed the authentication mechanism")
        if self._cipher and (len(aare.title) != TITLE_SIZE or aare.title == self._title):
            raise SecurityError(f"system title {aare.title.hex()} cannot be the meter's")
        if not self._hls:
            return
        if aare.authentication is not self._access.authentication:
            raise SecurityError("the meter changed the authentication mechanism")
        if len(aare.secret) not in _CHALLENGE_SIZES or aare.secret == self._challenge:
            raise SecurityError("the meter's challenge is too short or our own")

    def _opened(self) -> Associated:
        self._state = _State.OPEN
        title = self._cipher.peer if self._cipher else b""
        return Associated(self._agreed.conformance & CONFORMANCE, self._agreed.max_pdu, title)

    def _proved(self, answer: Answer) -> Associated:
        assert self._cipher is not None
        if not isinstance(answer, ActionResponse) or answer.error or not isinstance(answer.result, bytes):
            raise SecurityError(f"the meter did not accept our proof: {answer}")
        self._cipher.check_gmac(answer.result, self._challenge)
        return self._opened()

    def _open(self, apdu: bytes) -> Answer:
        """Return the answer in `apdu`, unprotected, once it is known to answer our request."""
        if self._cipher and self._access.ciphered and not (apdu[:1] and apdu[0] in _ERRORS):
            apdu = self._cipher.unprotect(apdu)
        answer, invoke = decode_response(apdu)
        if isinstance(answer, ExceptionResponse | ConfirmedServiceError):
            raise MeterError(f"the meter refused: {answer}")
        if invoke != self._invoke:
            raise MeterError(f"answer to request {invoke}, not {self._invoke}")
        return answer

    def _answered(self, answer: Answer) -> Event:
        assert self._transfer is not None
        step = self._transfer.take(answer)
        if isinstance(step, list):
            self._state = _State.OPEN
            return Response(step)
        self._state = _State.AWAITING
        return Transmit(self._ask(step))
