"""The server side of an association with one simulated meter: APDUs in, APDUs out, sans-I/O.

It uses the words of `dcu.dlms` in the other direction. Frames and packets around the APDUs are in `sim.stations`.
"""

from dataclasses import replace
from functools import partial
from typing import Any, Final

from dcu.dlms import axdr
from dcu.dlms.acse import AARQ, AUTHENTICATION_FAILURE, RLRE, RLRQ, Aarq, Conformance, Initiate, encode_release
from dcu.dlms.apdu import decode_request, encode_response
from dcu.dlms.general_blocks import is_general_block
from dcu.dlms.services import (
    AccessError,
    Action,
    ActionResponse,
    Answer,
    ExceptionResponse,
    Get,
    GetList,
    GetListResponse,
    GetResponse,
    Read,
    ReadResponse,
    Request,
    Selection,
    Set,
    SetList,
    SetListResponse,
    SetResponse,
    Variable,
    Write,
    WriteResponse,
)
from dcu.dlms.short_names import INVOKE, OBJECT_LIST, OWN_NAME, REPLY_TO_HLS
from dcu.errors import Breach, ConfigError, MeterError, SecurityError
from dcu.model import Access, Authentication, Referencing
from sim import objects, secrets
from sim.blocks import Blocks, GeneralBlocks
from sim.guard import Guard
from sim.meter import DEVICE_NAME, SERIAL_NUMBER, SimMeter
from sim.profiles import CLOCK
from sim.short_names import ATTRIBUTES, object_list

#: How every simulated meter can be reached; the client's address chooses.
PUBLIC: Final = Access("public", 16)
READER: Final = Access("reader", 2, Authentication.LLS)
#: The same client of a meter whose attributes have short names.
OLD_READER: Final = replace(READER, name="old-reader", referencing=Referencing.SN)
MANAGEMENT: Final = Access("management", 1, Authentication.HLS_GMAC, ciphered=True)
#: Who may set an Indian meter (IS 15959).
SETTING: Final = Access("setting", 48, Authentication.HLS_GMAC, ciphered=True)
#: One more client for each mechanism there is.
OTHERS: Final = (
    Access("md5", 3, Authentication.HLS_MD5),
    Access("sha1", 4, Authentication.HLS_SHA1),
    Access("gmac", 5, Authentication.HLS_GMAC),
    Access("sha256", 6, Authentication.HLS_SHA256),
    Access("ecdsa", 7, Authentication.HLS_ECDSA, ciphered=True),
    Access("sealed", 8, Authentication.LLS, ciphered=True),
    SETTING,
)
ACCESS: Final = {access.client: access for access in (PUBLIC, READER, MANAGEMENT, *OTHERS)}

#: All that the public client may read.
_PUBLIC_OBJECTS: Final = {CLOCK, DEVICE_NAME, SERIAL_NUMBER, objects.INVOCATION_COUNTER, objects.ASSOCIATION}

CONFORMANCE: Final = (
    Conformance.GET
    | Conformance.SET
    | Conformance.ACTION
    | Conformance.SELECTIVE_ACCESS
    | Conformance.MULTIPLE_REFERENCES
    | Conformance.BLOCK_TRANSFER_GET
    | Conformance.BLOCK_TRANSFER_SET
    | Conformance.BLOCK_TRANSFER_ACTION
    | Conformance.PRIORITY
    | Conformance.GENERAL_PROTECTION
    | Conformance.GENERAL_BLOCK_TRANSFER
)
#: The same of an old meter.
SHORT_CONFORMANCE: Final = (
    Conformance.READ
    | Conformance.WRITE
    | Conformance.PARAMETERIZED_ACCESS
    | Conformance.MULTIPLE_REFERENCES
    | Conformance.BLOCK_TRANSFER_GET
)

#: The longest APDU that the meter takes, as small meters have it; what it sends, the client's own limit bounds.
MAX_PDU: Final = 1024

_REPLY_TO_HLS: Final = 1

_NOT_ALLOWED: Final = ExceptionResponse(1, 1)
_NOT_SUPPORTED: Final = ExceptionResponse(2, 2)
_DECIPHERING_ERROR: Final = 5
_COUNTER_ERROR: Final = 6


class ServerAssociation:
    """What one client has with one meter. `answer` never raises: a meter on a line says no, or nothing (b"")."""

    def __init__(self, meter: SimMeter, access: Access) -> None:
        self._meter = meter
        self._access = access
        self._short = meter.plate.referencing is Referencing.SN
        self._guard = Guard(meter, access)
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
        if not self._open and not self._guard.proving:
            return encode_response(_NOT_ALLOWED, 0)
        reply = self._serve(apdu, now)
        if not self._meter.behind:
            return reply
        owed, self._meter.owed = self._meter.owed, reply
        return owed or encode_response(_NOT_ALLOWED, 0)

    def _forget(self) -> None:
        self._open = False
        self._guard.forget()
        self._conformance = Conformance(0)
        self._blocks = Blocks(0, self._conformance)
        self._general = GeneralBlocks(0)

    def _associate(self, apdu: bytes, now: float) -> bytes:
        self._forget()
        try:
            request = Aarq.from_bytes(apdu)
            refusal = self._guard.refusal(request)
            if refusal:
                return self._guard.rejected(refusal)
            initiate = self._guard.admit(request, now)
        except (ConfigError, MeterError) as error:
            # malformed, or not under our keys: who cannot be deciphered is not told which it was
            self._forget()
            if isinstance(error, SecurityError) and error.breach is Breach.COUNTER:
                if self._meter.plate.mute:
                    return b""
                return encode_response(self._refused(error), 0)
            return self._guard.rejected(AUTHENTICATION_FAILURE)
        self._conformance = initiate.conformance & (SHORT_CONFORMANCE if self._short else CONFORMANCE)
        limit = max(initiate.max_pdu - self._guard.overhead, 1) if initiate.max_pdu else 0
        # what goes in general blocks is cut when it is protected, once for all services
        general = Conformance.GENERAL_BLOCK_TRANSFER in self._conformance
        self._blocks = Blocks(0 if general else limit, self._conformance)
        self._general = GeneralBlocks(initiate.max_pdu if general else 0)
        self._open = not self._guard.proving
        return self._guard.accepted(Initiate(self._conformance, MAX_PDU))

    def _refused(self, error: SecurityError) -> ExceptionResponse:
        if error.breach is Breach.COUNTER:
            return ExceptionResponse(1, _COUNTER_ERROR, max(self._meter.heard, 0))
        return ExceptionResponse(1, _DECIPHERING_ERROR)

    def _serve(self, apdu: bytes, now: float) -> bytes:
        try:
            if is_general_block(apdu):
                whole, said = self._general.take(apdu)
                if whole is None:
                    return said
                apdu = whole
            request, invoke = decode_request(self._guard.unprotect(apdu))
        except SecurityError as error:
            return encode_response(self._refused(error), 0)
        except MeterError:
            return encode_response(_NOT_SUPPORTED, 0)
        respond = self._respond_short if self._short else self._respond
        serve = partial(respond, at=self._meter.clock_at(now)) if self._open else self._prove
        response = self._blocks.respond(request, serve)
        # an exception goes out plain: exception-response has no glo- form (IEC 62056-5-3)
        if isinstance(response, ExceptionResponse):
            return encode_response(response, invoke)
        return self._general.cut(self._guard.protect(encode_response(response, invoke)))

    def _respond(self, request: Request, at: int) -> Answer | ExceptionResponse:
        match request:
            case Get(attribute, selection):
                return GetResponse(self._read(Get(attribute, selection), at))
            case GetList(items):
                return GetListResponse(tuple(self._read(item, at) for item in items if isinstance(item, Get)))
            case Set():
                return SetResponse(self._write(request, at))
            case SetList(items):
                return SetListResponse(tuple(self._write(item, at) for item in items))
            case Action():
                return ActionResponse(self._invoke(request, at))
            case _:
                return _NOT_SUPPORTED

    def _respond_short(self, request: Request, at: int) -> Answer | ExceptionResponse:
        match request:
            case Read(items):
                return ReadResponse(tuple(self._read_variable(item, at) for item in items))
            case Write(items):
                return WriteResponse(tuple(self._write_variable(variable, value, at) for variable, value in items))
            case _:
                return _NOT_SUPPORTED

    def _read_variable(self, item: Variable, at: int) -> axdr.Typed | AccessError:
        phases = self._meter.plate.phases
        if item.name == OBJECT_LIST.name:
            return object_list(phases)
        if item == OWN_NAME:
            return axdr.octets(objects.ASSOCIATION)
        attribute = ATTRIBUTES[phases].get(item.name)
        return self._read(Get(attribute, item.selection), at) if attribute else objects.OBJECT_UNDEFINED

    def _write_variable(self, item: Variable, value: Any, at: int) -> AccessError | None:
        attribute = ATTRIBUTES[self._meter.plate.phases].get(item.name)
        return self._write(Set(attribute, value), at) if attribute else objects.OBJECT_UNDEFINED

    def _read(self, item: Get, at: int) -> axdr.Typed | AccessError:
        if self._access is PUBLIC and item.attribute.name not in _PUBLIC_OBJECTS:
            return objects.READ_WRITE_DENIED
        result = objects.read(self._meter, item.attribute, at, item.selection)
        if not isinstance(result, AccessError):
            self._meter.give(item.attribute, result)
        return result

    def _write(self, item: Set, at: int) -> AccessError | None:
        if secrets.concerns(item):
            return secrets.take(self._meter, self._access, item)
        # many an old meter has no better secret than its password
        if self._access not in ((READER, MANAGEMENT) if self._short else (MANAGEMENT, SETTING)):
            return objects.READ_WRITE_DENIED
        return objects.write(self._meter, item.attribute, item.value, at)

    def _invoke(self, action: Action, at: int) -> AccessError | None:
        if secrets.concerns(action):
            return secrets.take(self._meter, self._access, action)
        if self._access not in (MANAGEMENT, SETTING):
            return objects.READ_WRITE_DENIED
        return objects.invoke(self._meter, action.name, action.method, at, action.argument)

    def _prove(self, request: Request) -> Answer | ExceptionResponse:
        """Passes 3 and 4 of HLS (IEC 62056-5-3); nothing else is served before them."""
        match request:
            case Action(objects.ASSOCIATION_LN, objects.ASSOCIATION, method, proof) if method == _REPLY_TO_HLS:
                said = self._proved(proof)
                return ActionResponse(said) if isinstance(said, AccessError) else ActionResponse(None, said)
            case Read((Variable(name, Selection(selector, proof)),)) if (name, selector) == (REPLY_TO_HLS, INVOKE):
                return ReadResponse((self._proved(proof),))
            case _:
                return _NOT_ALLOWED

    def _proved(self, proof: Any) -> axdr.Typed | AccessError:
        try:
            ours = self._guard.prove(proof)
        except SecurityError:
            return objects.READ_WRITE_DENIED
        self._open = True
        return axdr.octets(ours)
