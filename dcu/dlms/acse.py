"""Opening and releasing associations: AARQ, AARE, RLRQ, RLRE and the initiate APDUs in them (IEC 62056-5-3).

Both directions are here. What an association demands of an answer is in `association`; ciphering is `security`.
"""

from dataclasses import dataclass, field, replace
from enum import IntFlag
from typing import Final

from dcu.dlms.axdr import encode_length, read_length
from dcu.errors import MeterError
from dcu.model import Authentication, Referencing

AARQ: Final = 0x60
AARE: Final = 0x61
RLRQ: Final = 0x62
RLRE: Final = 0x63
INITIATE_REQUEST: Final = 0x01
INITIATE_RESPONSE: Final = 0x08
VERSION: Final = 6

ACCEPTED: Final = 0
REJECTED: Final = 1
#: Diagnostics of the ACSE service user (Associate-source-diagnostic); 14 asks for passes 3 and 4 of HLS.
NO_REASON: Final = 1
CONTEXT_NOT_SUPPORTED: Final = 2
MECHANISM_NOT_RECOGNISED: Final = 11
AUTHENTICATION_FAILURE: Final = 13
AUTHENTICATION_REQUIRED: Final = 14
_DIAGNOSTICS: Final = {
    NO_REASON: "no reason given",
    CONTEXT_NOT_SUPPORTED: "application context not supported",
    MECHANISM_NOT_RECOGNISED: "authentication mechanism not recognised",
    12: "authentication mechanism required",
    AUTHENTICATION_FAILURE: "authentication failure",
    AUTHENTICATION_REQUIRED: "authentication required",
}

#: joint-iso-ccitt country country-name identified-organisation DLMS-UA (2.16.756.5.8), then context 1 or mechanism 2.
_OBJECT_IDENTIFIER: Final = bytes.fromhex("60857405 08")
_CONTEXT: Final = 1
_MECHANISM: Final = 2
#: Application context names: which referencing, and whether APDUs may be ciphered (IEC 62056-5-3, 7.2.2.2).
_CONTEXTS: Final = {
    (Referencing.LN, False): 1,
    (Referencing.SN, False): 2,
    (Referencing.LN, True): 3,
    (Referencing.SN, True): 4,
}
_REQUIREMENTS: Final = b"\x07\x80"
_CONFORMANCE: Final = b"\x5f\x1f\x04\x00"
_SHORT_CONFORMANCE: Final = b"\x5f\x04\x00"  # the tag as older meters encode it
#: vaa-name, the last field of InitiateResponse: by short names the base name of the association object.
_OBJECT: Final = {Referencing.LN: b"\x00\x07", Referencing.SN: b"\xfa\x00"}
#: AARQ-apdu has fifteen fields in the ASN.1 of the standard, the others fewer.
_MAX_FIELDS: Final = 16


class Conformance(IntFlag):
    """What one side can do, bit 23 first on the wire (IEC 62056-5-3, Conformance)."""

    ACTION = 1 << 0
    EVENT_NOTIFICATION = 1 << 1
    SELECTIVE_ACCESS = 1 << 2
    SET = 1 << 3
    GET = 1 << 4
    PARAMETERIZED_ACCESS = 1 << 5
    ACCESS = 1 << 6
    DATA_NOTIFICATION = 1 << 7
    INFORMATION_REPORT = 1 << 8
    MULTIPLE_REFERENCES = 1 << 9
    BLOCK_TRANSFER_ACTION = 1 << 10
    BLOCK_TRANSFER_SET = 1 << 11
    BLOCK_TRANSFER_GET = 1 << 12
    ATTRIBUTE_0_GET = 1 << 13
    PRIORITY = 1 << 14
    ATTRIBUTE_0_SET = 1 << 15
    UNCONFIRMED_WRITE = 1 << 18
    WRITE = 1 << 19
    READ = 1 << 20
    GENERAL_BLOCK_TRANSFER = 1 << 21
    GENERAL_PROTECTION = 1 << 22


@dataclass(frozen=True, slots=True)
class Aarq:
    """A request to associate. `secret` is the LLS password or the HLS challenge, `information` the initiate APDU."""

    information: bytes
    ciphered: bool = False
    authentication: Authentication = Authentication.NONE
    title: bytes = b""
    secret: bytes = b""
    referencing: Referencing = Referencing.LN

    def to_bytes(self) -> bytes:
        fields = [_context(self.referencing, ciphered=self.ciphered)]
        if self.title:
            fields.append(_field(0xA6, _field(0x04, self.title)))
        if self.authentication:
            # sender-acse-requirements: the authentication functional unit, without which the next two mean nothing
            fields += [_field(0x8A, _REQUIREMENTS), _field(0x8B, _identifier(_MECHANISM, self.authentication))]
            fields.append(_field(0xAC, _field(0x80, self.secret)))
        fields.append(_field(0xBE, _field(0x04, self.information)))
        return _field(AARQ, b"".join(fields))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Aarq":
        """MeterError when `data` is not a well-formed AARQ."""
        fields = _fields(data, AARQ)
        referencing, ciphered = _context_of(fields)
        return cls(
            information=_inner(fields, 0xBE, 0x04),
            ciphered=ciphered,
            authentication=_mechanism(fields.get(0x8B)),
            title=_inner(fields, 0xA6, 0x04),
            secret=_inner(fields, 0xAC, 0x80),
            referencing=referencing,
        )


@dataclass(frozen=True, slots=True)
class Aare:
    """The answer: `result` 0 accepts; `secret` is the server's HLS challenge, `title` its system title."""

    information: bytes
    result: int = ACCEPTED
    diagnostic: int = 0
    ciphered: bool = False
    authentication: Authentication = Authentication.NONE
    title: bytes = b""
    secret: bytes = b""
    referencing: Referencing = Referencing.LN

    @property
    def reason(self) -> str:
        return _DIAGNOSTICS.get(self.diagnostic, f"diagnostic {self.diagnostic}")

    def to_bytes(self) -> bytes:
        fields = [
            _context(self.referencing, ciphered=self.ciphered),
            _field(0xA2, _field(0x02, bytes((self.result,)))),
            _field(0xA3, _field(0xA1, _field(0x02, bytes((self.diagnostic,))))),
        ]
        if self.title:
            fields.append(_field(0xA4, _field(0x04, self.title)))
        if self.authentication:
            fields += [_field(0x88, _REQUIREMENTS), _field(0x89, _identifier(_MECHANISM, self.authentication))]
        if self.secret:
            fields.append(_field(0xAA, _field(0x80, self.secret)))
        if self.information:
            fields.append(_field(0xBE, _field(0x04, self.information)))
        return _field(AARE, b"".join(fields))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Aare":
        """MeterError when `data` is not a well-formed AARE."""
        fields = _fields(data, AARE)
        diagnostic = _tree(fields.get(0xA3, b""))
        referencing, ciphered = _context_of(fields)
        return cls(
            information=_inner(fields, 0xBE, 0x04),
            result=_number(_inner(fields, 0xA2, 0x02)),
            # from the service user or, with the same numbers meaning less, from the provider
            diagnostic=_number(_inner(diagnostic, 0xA1, 0x02) or _inner(diagnostic, 0xA2, 0x02)),
            ciphered=ciphered,
            authentication=_mechanism(fields.get(0x89)),
            title=_inner(fields, 0xA4, 0x04),
            secret=_inner(fields, 0xAA, 0x80),
            referencing=referencing,
        )


@dataclass(frozen=True, slots=True)
class Initiate:
    """What one side can do: content of InitiateRequest and InitiateResponse. `max_pdu` in octets, 0: no limit.

    Only a request can bring a dedicated key, and only a ciphered one should.
    """

    conformance: Conformance
    max_pdu: int
    dedicated_key: bytes = field(default=b"", repr=False)

    def request(self) -> bytes:
        """Return the InitiateRequest, without quality of service."""
        key = b"\x01" + encode_length(len(self.dedicated_key)) + self.dedicated_key if self.dedicated_key else b"\x00"
        return bytes((INITIATE_REQUEST,)) + key + bytes((0, 0, VERSION)) + self._tail()

    def response(self, referencing: Referencing = Referencing.LN) -> bytes:
        return bytes((INITIATE_RESPONSE, 0, VERSION)) + self._tail() + _OBJECT[referencing]

    def _tail(self) -> bytes:
        return _CONFORMANCE + int(self.conformance).to_bytes(3) + self.max_pdu.to_bytes(2)

    @classmethod
    def from_request(cls, data: bytes) -> "Initiate":
        """MeterError when `data` is not a well-formed InitiateRequest."""
        if data[:1] != bytes((INITIATE_REQUEST,)):
            raise MeterError("not an InitiateRequest")
        try:
            at, key = 1, b""
            # dedicated-key, response-allowed and proposed-quality-of-service are each preceded by a presence octet
            if data[at]:
                length, at = read_length(data, at + 1)
                key, at = data[at : at + length], at + length - 1
            at += 2 + bool(data[at + 1])
            at += 1 + bool(data[at])
        except IndexError:
            raise MeterError("InitiateRequest is truncated") from None
        found = cls._parse(data, at, b"")
        return replace(found, dedicated_key=key) if key else found

    @classmethod
    def from_response(cls, data: bytes, referencing: Referencing = Referencing.LN) -> "Initiate":
        """MeterError when `data` is not a well-formed InitiateResponse of an association with that `referencing`."""
        if data[:1] != bytes((INITIATE_RESPONSE,)) or len(data) < 2:
            raise MeterError("not an InitiateResponse")
        return cls._parse(data, 2 + bool(data[1]), _OBJECT[referencing])

    @classmethod
    def _parse(cls, data: bytes, at: int, end: bytes) -> "Initiate":
        version, tail = data[at : at + 1], data[at + 1 :]
        for head in (_CONFORMANCE, _SHORT_CONFORMANCE):
            body = tail.removeprefix(head)
            if body != tail and len(body) == 5 + len(end) and body.endswith(end) and version == bytes((VERSION,)):
                return cls(Conformance(int.from_bytes(body[:3])), int.from_bytes(body[3:5]))
        raise MeterError(f"malformed initiate APDU {data[:32].hex()}")


def encode_release(tag: int, information: bytes = b"") -> bytes:
    """Return a normal RLRQ or RLRE (`tag`), with `information` (a ciphered initiate APDU) when there is any."""
    body = _field(0x80, b"\x00")
    return _field(tag, body + _field(0xBE, _field(0x04, information)) if information else body)


def _field(tag: int, content: bytes) -> bytes:
    return bytes((tag,)) + encode_length(len(content)) + content


def _identifier(arc: int, number: int) -> bytes:
    return _OBJECT_IDENTIFIER + bytes((arc, number))


def _context(referencing: Referencing, *, ciphered: bool) -> bytes:
    return _field(0xA1, _field(0x06, _identifier(_CONTEXT, _CONTEXTS[referencing, ciphered])))


def _fields(data: bytes, tag: int) -> dict[int, bytes]:
    """Return the fields of the APDU `tag` that fills `data`."""
    outer = _tree(data)
    if list(outer) != [tag]:
        raise MeterError(f"not an APDU {tag:#04x}: {data[:8].hex()}")
    return _tree(outer[tag])


def _tree(data: bytes) -> dict[int, bytes]:
    """Take one level of BER apart; MeterError for a length beyond the data, a repeated tag or too many of them."""
    fields: dict[int, bytes] = {}
    at = 0
    try:
        while at < len(data):
            tag = data[at]
            length, start = read_length(data, at + 1)
            at = start + length
            if at > len(data) or tag in fields or len(fields) == _MAX_FIELDS:
                raise MeterError("malformed ACSE APDU")
            fields[tag] = data[start:at]
    except IndexError:
        raise MeterError("ACSE APDU is truncated") from None
    return fields


def _inner(fields: dict[int, bytes], outer: int, tag: int) -> bytes:
    """Return the content of `tag` inside the field `outer`, b"" where there is none."""
    return _tree(fields.get(outer, b"")).get(tag, b"")


def _number(content: bytes) -> int:
    if len(content) != 1:
        raise MeterError("AARE without a result")
    return content[0]


def _context_of(fields: dict[int, bytes]) -> tuple[Referencing, bool]:
    """Return which referencing the application context in `fields` names, and whether it is a ciphered one."""
    name = _inner(fields, 0xA1, 0x06)
    for context, number in _CONTEXTS.items():
        if name == _identifier(_CONTEXT, number):
            return context
    raise MeterError(f"application context {name.hex()} is not supported")


def _mechanism(name: bytes | None) -> Authentication:
    if name is None:
        return Authentication.NONE
    if name[:-1] != _identifier(_MECHANISM, 0)[:-1] or name[-1] not in set(Authentication):
        raise MeterError(f"authentication mechanism {name.hex()} is not known")
    return Authentication(name[-1])
