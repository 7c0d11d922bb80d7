"""The server side of an association with one simulated meter: APDUs in, APDUs out, sans-I/O.

It uses the words of `dcu.dlms` in the other direction. Frames and packets around the APDUs are in `sim.stations`.
"""

from typing import Any, Final

from dcu.dlms import axdr
from dcu.dlms.acse import (
    AARQ,
    ACCEPTED,
    AUTHENTICATION_FAILURE,
    AUTHENTICATION_REQUIRED,
    CONTEXT_NOT_SUPPORTED,
    MECHANISM_NOT_RECOGNISED,
    REJECTED,
    RLRE,
    RLRQ,
    Aare,
    Aarq,
    Conformance,
    Initiate,
    encode_release,
)
from dcu.dlms.apdu import decode_request, encode_response, encode_results
from dcu.dlms.security import Cipher
from dcu.dlms.services import (
    AccessError,
    Action,
    ActionResponse,
    Answer,
    ExceptionResponse,
    Get,
    GetBlock,
    GetList,
    GetListResponse,
    GetNext,
    GetResponse,
    Request,
    Set,
    SetResponse,
)
from dcu.errors import MeterError, SecurityError
from dcu.model import Access, Authentication
from sim import objects
from sim.household import INSTALLED, noise
from sim.meter import DEVICE_NAME, SERIAL_NUMBER, SimMeter
from sim.profiles import CLOCK

#: How every simulated meter can be reached; the client's address chooses.
PUBLIC: Final = Access("public", 16)
READER: Final = Access("reader", 2, Authentication.LLS)
MANAGEMENT: Final = Access("management", 1, Authentication.HLS_GMAC, ciphered=True)
ACCESS: Final = {access.client: access for access in (PUBLIC, READER, MANAGEMENT)}

#: All that the public client may read.
_PUBLIC_OBJECTS: Final = {CLOCK, DEVICE_NAME, SERIAL_NUMBER, objects.INVOCATION_COUNTER, objects.ASSOCIATION}

CONFORMANCE: Final = (
    Conformance.GET
    | Conformance.SET
    | Conformance.ACTION
    | Conformance.SELECTIVE_ACCESS
    | Conformance.MULTIPLE_REFERENCES
    | Conformance.BLOCK_TRANSFER_GET
    | Conformance.PRIORITY
)

#: The longest APDU that the meter takes, as small meters have it; what it sends, the client's own limit bounds.
MAX_PDU: Final = 1024
#: Octets of an APDU that are not the block's content: block header, and what ciphering adds.
_BLOCK_OVERHEAD: Final = 14
_CIPHER_OVERHEAD: Final = 22

_CHALLENGE_SIZE: Final = 16
_REPLY_TO_HLS: Final = 1
#: A meter that lost its memory starts its invocation counter where its clock puts it, beyond all it used before.
_COUNTS_PER_SECOND: Final = 4

_NOT_ALLOWED: Final = ExceptionResponse(1, 1)
_NOT_SUPPORTED: Final = ExceptionResponse(2, 2)
_DECIPHERING_ERROR: Final = ExceptionResponse(1, 5)
_BLOCK_UNAVAILABLE: Final = AccessError(14)
_BLOCK_NUMBER_INVALID: Final = AccessError(19)


class ServerAssociation:
    """What one client has with one meter. `answer` never raises: a meter on a line says no, or nothing."""

    def __init__(self, meter: SimMeter, access: Access) -> None:
        self._meter = meter
        self._access = access
        self._forget()

    def answer(self, apdu: bytes, now: float) -> bytes:
        """Return the answer to `apdu` at `now` (UTC seconds); all of it is of one second of the meter's clock."""
        tag = apdu[0] if apdu else 0
        if tag == AARQ:
            return self._associate(apdu, now)
        if tag == RLRQ:
            self._forget()
            return encode_release(RLRE)
        # a challenge given and not yet answered: only the proof is heard (`_prove`)
        if not self._open and not self._server_challenge:
            return encode_response(_NOT_ALLOWED, 0)
        return self._serve(apdu, now)

    def _forget(self) -> None:
        self._open = False
        self._cipher: Cipher | None = None
        self._server_challenge = b""
        self._client_challenge = b""
        self._limit = 0
        self._conformance = Conformance(0)
        self._rest = b""
        self._block = 0

    def _associate(self, apdu: bytes, now: float) -> bytes:
        self._forget()
        try:
            request = Aarq.from_bytes(apdu)
            refusal = self._refusal(request)
            if refusal:
                return self._aare(REJECTED, refusal)
            initiate = self._initiate(request, now)
        except MeterError:
            # malformed, or not under our keys: who cannot be deciphered is not told which it was
            self._forget()
            return self._aare(REJECTED, AUTHENTICATION_FAILURE)
        self._limit = initiate.max_pdu
        self._conformance = initiate.conformance & CONFORMANCE
        information = self._protect(Initiate(self._conformance, MAX_PDU).response())
        if self._access.authentication is not Authentication.HLS_GMAC:
            self._open = True
            return self._aare(ACCEPTED, 0, information)
        self._client_challenge = request.secret
        self._server_challenge = self._challenge()
        return self._aare(ACCEPTED, AUTHENTICATION_REQUIRED, information)

    def _refusal(self, request: Aarq) -> int:
        """Return the diagnostic that refuses `request`, or 0."""
        access, keys = self._access, self._meter.plate.keys
        if request.ciphered != access.ciphered:
            return CONTEXT_NOT_SUPPORTED
        if request.authentication is not access.authentication:
            return MECHANISM_NOT_RECOGNISED
        if access.authentication is Authentication.LLS and request.secret != keys.password:
            return AUTHENTICATION_FAILURE
        return AUTHENTICATION_FAILURE if access.ciphered and not keys.encryption_key else 0

    def _initiate(self, request: Aarq, now: float) -> Initiate:
        """Return the client's InitiateRequest; from here on a ciphered association ciphers."""
        if not self._access.ciphered:
            return Initiate.from_request(request.information)
        meter = self._meter
        meter.spoken = max(meter.spoken, int((now - INSTALLED) * _COUNTS_PER_SECOND))
        self._cipher = Cipher(meter.plate.keys, meter.title, meter.take_counter)
        self._cipher.peer = request.title
        self._cipher.heard = meter.heard
        return Initiate.from_request(self._unprotect(request.information))

    def _aare(self, result: int, diagnostic: int, information: bytes = b"") -> bytes:
        access = self._access
        return Aare(
            information,
            result,
            diagnostic,
            access.ciphered,
            access.authentication,
            self._meter.title if access.ciphered else b"",
            self._server_challenge,
        ).to_bytes()

    def _challenge(self) -> bytes:
        """Return StoC; that it differs each time is enough here, the meter's secrets are nobody's."""
        plate = self._meter.plate
        parts = (noise(plate.seed, plate.id, "challenge", self._meter.take_counter(), half) for half in (0, 1))
        return b"".join(part.to_bytes(_CHALLENGE_SIZE // 2) for part in parts)

    def _unprotect(self, apdu: bytes) -> bytes:
        if self._cipher is None:
            return apdu
        plain = self._cipher.unprotect(apdu)
        # the meter remembers over associations and clients, or a recorded request could be played again
        self._meter.heard = self._cipher.heard
        return plain

    def _protect(self, apdu: bytes) -> bytes:
        return self._cipher.protect(apdu) if self._cipher else apdu

    def _serve(self, apdu: bytes, now: float) -> bytes:
        try:
            request, invoke = decode_request(self._unprotect(apdu))
        except SecurityError:
            return encode_response(_DECIPHERING_ERROR, 0)
        except MeterError:
            return encode_response(_NOT_SUPPORTED, 0)
        response = self._respond(request, self._meter.clock_at(now))
        # an exception goes out plain: exception-response has no glo- form (IEC 62056-5-3)
        if isinstance(response, ExceptionResponse):
            return encode_response(response, invoke)
        return self._protect(self._bounded(response, invoke))

    def _respond(self, request: Request, at: int) -> Answer | ExceptionResponse:
        if not self._open:
            return self._prove(request)
        match request:
            case Get(attribute, selection):
                return GetResponse(self._read(Get(attribute, selection), at))
            case GetList(items):
                return GetListResponse(tuple(self._read(item, at) for item in items if isinstance(item, Get)))
            case GetNext(block):
                return self._next_block(block)
            case Set(attribute):
                known = attribute.name in objects.CLASSES[self._meter.plate.phases]
                return SetResponse(objects.READ_WRITE_DENIED if known else objects.OBJECT_UNDEFINED)
            case Action():
                return ActionResponse(self._invoke(request, at))

    def _read(self, item: Get, at: int) -> axdr.Typed | AccessError:
        if self._access is PUBLIC and item.attribute.name not in _PUBLIC_OBJECTS:
            return objects.READ_WRITE_DENIED
        result = objects.read(self._meter, item.attribute, at, item.selection)
        if not isinstance(result, AccessError):
            self._meter.give(item.attribute, result)
        return result

    def _invoke(self, action: Action, at: int) -> AccessError | None:
        if self._access is not MANAGEMENT:
            return objects.READ_WRITE_DENIED
        return objects.invoke(self._meter, action.name, action.method, at)

    def _prove(self, request: Request) -> Answer | ExceptionResponse:
        """Passes 3 and 4 of HLS (IEC 62056-5-3); nothing else is served before them."""
        target = (objects.ASSOCIATION_LN, objects.ASSOCIATION, _REPLY_TO_HLS)
        if not isinstance(request, Action) or (request.class_id, request.name, request.method) != target:
            return _NOT_ALLOWED
        assert self._cipher is not None
        proof: Any = request.argument
        try:
            self._cipher.check_gmac(proof if isinstance(proof, bytes) else b"", self._server_challenge)
        except SecurityError:
            return ActionResponse(objects.READ_WRITE_DENIED)
        self._open = True
        return ActionResponse(None, axdr.octets(self._cipher.gmac(self._client_challenge)))

    def _bounded(self, response: Answer, invoke: int) -> bytes:
        """Return the APDU of `response`, or its first block when it is longer than the client takes."""
        apdu = encode_response(response, invoke)
        if isinstance(response, GetBlock):
            return apdu
        overhead = _CIPHER_OVERHEAD if self._cipher else 0
        # any new answer ends a block transfer that the client gave up
        self._rest, self._block = b"", 0
        if not self._limit or len(apdu) + overhead <= self._limit:
            return apdu
        if isinstance(response, GetResponse):
            self._rest = axdr.encode(response.result)
        elif isinstance(response, GetListResponse):
            self._rest = encode_results(response.results)
        return encode_response(self._next_block(0), invoke)

    def _next_block(self, block: int) -> GetBlock:
        """Return the block after `block`, which the client says it has."""
        if not self._rest or Conformance.BLOCK_TRANSFER_GET not in self._conformance:
            return GetBlock(block, last=True, content=_BLOCK_UNAVAILABLE)
        if block != self._block:
            self._rest = b""
            return GetBlock(block, last=True, content=_BLOCK_NUMBER_INVALID)
        size = max(self._limit - _BLOCK_OVERHEAD - (_CIPHER_OVERHEAD if self._cipher else 0), 1)
        content, self._rest = self._rest[:size], self._rest[size:]
        self._block += 1
        return GetBlock(self._block, not self._rest, content)
