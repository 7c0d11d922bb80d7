"""What goes before the protected text of a general-ciphering APDU: the transaction, both parties, and which key.

The form is that of IEC 62056-5-3, General-Ciphering; how the text is protected is in `security`.
"""

from dataclasses import dataclass
from typing import Final, Self

from dcu.dlms.axdr import encode_length, read_length
from dcu.errors import MeterError

GENERAL_CIPHERING: Final = 0xDD
#: Transaction, both titles and no more text, each with its length, and the identified key.
GENERAL_OCTETS: Final = 9 + 9 + 9 + 1 + 1 + 3

_IDENTIFIED, _WRAPPED = 0, 1
#: Key-Id: the global unicast encryption key; Kek-Id: the master key.
_UNICAST, _MASTER = 0, 0


@dataclass(frozen=True, slots=True)
class GeneralHeader:
    """`transaction` is the same in question and answer, `originator` and `recipient` are system titles or empty.

    `wrapped`: the key of this APDU, wrapped under the master key (RFC 3394); empty: it is the global unicast key.
    """

    transaction: bytes
    originator: bytes
    recipient: bytes
    date_time: bytes = b""
    other: bytes = b""
    wrapped: bytes = b""

    def authenticated(self) -> bytes:
        """Return what is authenticated together with the text: each field with its length."""
        fields = (self.transaction, self.originator, self.recipient, self.date_time, self.other)
        return b"".join(map(_sized, fields))

    def to_bytes(self) -> bytes:
        wrapped = bytes((1, _WRAPPED, _MASTER)) + _sized(self.wrapped)
        return self.authenticated() + (wrapped if self.wrapped else bytes((1, _IDENTIFIED, _UNICAST)))

    @classmethod
    def from_bytes(cls, data: bytes, at: int) -> tuple[Self, int]:
        """Return the header at `at` and the offset behind it; IndexError where `data` ends, MeterError for other keys.

        A key that the parties agree on (ECDH), and the broadcast key, are not supported.
        """
        transaction, at = octets(data, at)
        originator, at = octets(data, at)
        recipient, at = octets(data, at)
        date_time, at = octets(data, at)
        other, at = octets(data, at)
        wrapped, at = _key_info(data, at + 1) if data[at] else (b"", at + 1)
        return cls(transaction, originator, recipient, date_time, other, wrapped), at


def _key_info(data: bytes, at: int) -> tuple[bytes, int]:
    if data[at : at + 2] == bytes((_IDENTIFIED, _UNICAST)):
        return b"", at + 2
    if data[at : at + 2] == bytes((_WRAPPED, _MASTER)):
        wrapped, end = octets(data, at + 2)
        if wrapped:
            return wrapped, end
    raise MeterError(f"protected under a key that is not known: {data[at : at + 2].hex()}")


def _sized(octets: bytes) -> bytes:
    return encode_length(len(octets)) + octets


def octets(data: bytes, at: int) -> tuple[bytes, int]:
    """Return the octet string whose length is at `at`, and the offset behind it; IndexError when it is not whole."""
    length, start = read_length(data, at)
    if start + length > len(data):
        raise IndexError
    return data[start : start + length], start + length
