"""What goes before the protected text of a general-ciphering APDU: the transaction, both parties, and which key.

The form is that of IEC 62056-5-3, General-Ciphering; how the text is protected is in `security`.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

from dcu.dlms.axdr import encode_length, read_length
from dcu.errors import MeterError
from dcu.model import AGREED, CURVE_OCTETS, Ciphering

GENERAL_CIPHERING: Final = 0xDD
#: Transaction, both titles and no more text, each with its length, and the identified key.
GENERAL_OCTETS: Final = 9 + 9 + 9 + 1 + 1 + 3

_IDENTIFIED, _WRAPPED, _AGREED = 0, 1, 2
#: Kek-Id: the master key.
_MASTER = 0


class GlobalKey(IntEnum):
    """Key-Id: which of the keys that both parties have."""

    UNICAST = 0
    BROADCAST = 1


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """The key of this APDU, wrapped under the master key (RFC 3394)."""

    wrapped: bytes


class Scheme(IntEnum):
    """Key-parameters: how a key is agreed on (NIST SP 800-56A): C(1e, 1s, ECC CDH), C(0e, 2s, ECC CDH)."""

    ONE_PASS = 1
    STATIC = 2


@dataclass(frozen=True, slots=True)
class AgreedKey:
    """A key that both parties can compute; `exchanged` is what the recipient has to know for that, if anything."""

    scheme: Scheme
    exchanged: bytes


KeyInfo = GlobalKey | WrappedKey | AgreedKey

#: In which form an APDU travels whose key is agreed on by which scheme.
SCHEMES: Final = {Ciphering.GENERAL_ONE_PASS: Scheme.ONE_PASS, Ciphering.GENERAL_STATIC: Scheme.STATIC}
#: All forms with a header as this one.
INFORMED: Final = AGREED | {Ciphering.GENERAL}


@dataclass(frozen=True, slots=True)
class GeneralHeader:
    """`transaction` is the same in question and answer, `originator` and `recipient` are system titles or empty."""

    transaction: bytes
    originator: bytes
    recipient: bytes
    date_time: bytes = b""
    other: bytes = b""
    key: KeyInfo = GlobalKey.UNICAST

    def authenticated(self) -> bytes:
        """Return what is authenticated together with the text: each field with its length."""
        fields = (self.transaction, self.originator, self.recipient, self.date_time, self.other)
        return b"".join(map(sized, fields))

    def to_bytes(self) -> bytes:
        match self.key:
            case WrappedKey(wrapped):
                key = bytes((_WRAPPED, _MASTER)) + sized(wrapped)
            case AgreedKey(scheme, exchanged):
                key = bytes((_AGREED, 1, scheme)) + sized(exchanged)
            case identified:
                key = bytes((_IDENTIFIED, identified))
        return self.authenticated() + b"\x01" + key

    @classmethod
    def from_bytes(cls, data: bytes, at: int) -> tuple[Self, int]:
        """Return the header at `at` and the offset behind it; IndexError where `data` ends, MeterError for no key."""
        transaction, at = octets(data, at)
        originator, at = octets(data, at)
        recipient, at = octets(data, at)
        date_time, at = octets(data, at)
        other, at = octets(data, at)
        key, at = read_key_info(data, at)
        return cls(transaction, originator, recipient, date_time, other, key), at


def general_octets(form: Ciphering, suite: int) -> int:
    """Return how long the header of an APDU in `form` is, 0 where there is none."""
    if form not in INFORMED:
        return 0
    if form is Ciphering.GENERAL_ONE_PASS:  # its length in two octets, a point and a signature
        return GENERAL_OCTETS + 3 + 4 * CURVE_OCTETS[suite]
    return GENERAL_OCTETS + (2 if form is Ciphering.GENERAL_STATIC else 0)


def read_key_info(data: bytes, at: int) -> tuple[KeyInfo, int]:
    """Return the optional Key-Info at `at`, the global unicast key where there is none, and the offset behind it.

    IndexError where `data` ends, MeterError for a key that is not known.
    """
    if not data[at]:
        return GlobalKey.UNICAST, at + 1
    choice, which = data[at + 1], data[at + 2]
    if choice == _IDENTIFIED and which in set(GlobalKey):
        return GlobalKey(which), at + 3
    if (choice, which) == (_WRAPPED, _MASTER):
        wrapped, end = octets(data, at + 3)
        if wrapped:
            return WrappedKey(wrapped), end
    if (choice, which) == (_AGREED, 1) and data[at + 3] in set(Scheme):
        exchanged, end = octets(data, at + 4)
        return AgreedKey(Scheme(data[at + 3]), exchanged), end
    raise MeterError(f"protected under a key that is not known: {data[at + 1 : at + 4].hex()}")


def sized(content: bytes) -> bytes:
    """Return `content` as an octet string, its length before it."""
    return encode_length(len(content)) + content


def octets(data: bytes, at: int) -> tuple[bytes, int]:
    """Return the octet string whose length is at `at`, and the offset behind it; IndexError when it is not whole."""
    length, start = read_length(data, at)
    if start + length > len(data):
        raise IndexError
    return data[start : start + length], start + length
