"""Security suite 0: AES-GCM-128 protection of APDUs and the GMAC of HLS (IEC 62056-5-3; NIST SP 800-38D).

Where protection is demanded is decided in `association`; keys and invocation counters are kept elsewhere, handed in.
"""

from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher as BlockCipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM
from cryptography.hazmat.primitives.constant_time import bytes_eq

from dcu.dlms.axdr import encode_length, read_length
from dcu.errors import ConfigError, MeterError, SecurityError
from dcu.model import Keys

TITLE_SIZE: Final = 8
KEY_SIZE: Final = 16
TAG_SIZE: Final = 12
MAX_COUNTER: Final = 0xFFFF_FFFF
#: Security control octets of suite 0 under the global unicast key.
AUTHENTICATED: Final = 0x10
AUTHENTICATED_ENCRYPTED: Final = 0x30
#: Security control and invocation counter, before what is protected.
_HEADER_SIZE: Final = 5

#: glo-ciphered tag of each plain one: initiate request and response, then get, set, action with their responses.
GLO: Final = {0x01: 0x21, 0x08: 0x28} | {tag: tag + 8 for tag in (0xC0, 0xC1, 0xC3, 0xC4, 0xC5, 0xC7)}
_PLAIN: Final = {ciphered: plain for plain, ciphered in GLO.items()}


class Cipher:
    """One end of a ciphered conversation; client and server differ only in their titles.

    `title` is our system title and `peer` the other's, learnt from its AARQ or AARE; `heard` is the last invocation
    counter accepted from it. `take_counter` gives a counter never given before under this key, 0 to MAX_COUNTER.
    ConfigError when keys or title have the wrong size.
    """

    def __init__(self, keys: Keys, title: bytes, take_counter: Callable[[], int]) -> None:
        if not len(keys.encryption_key) == len(keys.authentication_key) == KEY_SIZE:
            raise ConfigError("security suite 0 needs an encryption and an authentication key of 16 octets")
        if len(title) != TITLE_SIZE:
            raise ConfigError("a system title has 8 octets")
        self.peer = b""
        self.heard = -1
        self._title = title
        self._take_counter = take_counter
        self._authentication_key = keys.authentication_key
        self._gcm = AESGCM(keys.encryption_key)
        self._aes = AES(keys.encryption_key)

    def protect(self, apdu: bytes) -> bytes:
        """Return `apdu` authenticated and encrypted inside its glo-ciphered APDU."""
        header = self._header(AUTHENTICATED_ENCRYPTED)
        # nonce: system title and invocation counter; authenticated with it: control octet and authentication key
        sealed = self._gcm.encrypt(self._title + header[1:], apdu, header[:1] + self._authentication_key)
        body = header + sealed[: TAG_SIZE - 16]
        return bytes((GLO[apdu[0]],)) + encode_length(len(body)) + body

    def unprotect(self, apdu: bytes) -> bytes:
        """Return the plain APDU inside the glo-ciphered `apdu` of our peer.

        SecurityError unless the security control is as ours, the counter grows, the tag agrees with the peer's title,
        and the service inside is the one named outside. Nothing is remembered of an APDU that fails.
        """
        header, body = _open(apdu)
        counter = int.from_bytes(header[1:])
        if header[0] != AUTHENTICATED_ENCRYPTED:
            raise SecurityError(f"security control {header[0]:#04x}, not {AUTHENTICATED_ENCRYPTED:#04x}")
        if counter <= self.heard:
            raise SecurityError(f"invocation counter {counter} after {self.heard}")
        # the one-shot AESGCM only takes tags of 16 octets, suite 0 has 12
        mode = GCM(self._nonce(header), body[-TAG_SIZE:], min_tag_length=TAG_SIZE)
        decryptor = BlockCipher(self._aes, mode).decryptor()
        decryptor.authenticate_additional_data(header[:1] + self._authentication_key)
        try:
            plain = decryptor.update(body[:-TAG_SIZE]) + decryptor.finalize()
        except InvalidTag:
            raise SecurityError("authentication tag is wrong") from None
        if plain[:1] != bytes((_PLAIN[apdu[0]],)):
            raise SecurityError("ciphered service differs from the one announced")
        self.heard = counter  # only now: a forged counter must not shut out the true ones
        return plain

    def gmac(self, challenge: bytes) -> bytes:
        """Return f(challenge) of HLS-GMAC: security control, invocation counter, tag."""
        header = self._header(AUTHENTICATED)
        return header + self._tag(self._title + header[1:], header, challenge)

    def check_gmac(self, proof: bytes, challenge: bytes) -> None:
        """Accept the peer's f(challenge); SecurityError otherwise. The challenge, being fresh, stops any replay."""
        header = proof[:_HEADER_SIZE]
        if len(proof) != _HEADER_SIZE + TAG_SIZE or header[0] != AUTHENTICATED:
            raise SecurityError("malformed answer to the challenge")
        if not bytes_eq(proof[_HEADER_SIZE:], self._tag(self._nonce(header), header, challenge)):
            raise SecurityError("wrong answer to the challenge")

    def _header(self, control: int) -> bytes:
        return bytes((control,)) + self._take_counter().to_bytes(4)

    def _nonce(self, header: bytes) -> bytes:
        if len(self.peer) != TITLE_SIZE:
            raise SecurityError("the peer has not given its system title")
        return self.peer + header[1:]

    def _tag(self, nonce: bytes, header: bytes, challenge: bytes) -> bytes:
        return self._gcm.encrypt(nonce, b"", header[:1] + self._authentication_key + challenge)[:TAG_SIZE]


def _open(apdu: bytes) -> tuple[bytes, bytes]:
    """Split a glo-ciphered APDU into header and protected body with its tag."""
    if apdu[:1] and apdu[0] not in _PLAIN:
        raise SecurityError(f"APDU {apdu[0]:#04x} is not ciphered")
    try:
        length, start = read_length(apdu, 1)
    except (IndexError, MeterError):
        raise SecurityError("ciphered APDU is truncated") from None
    if len(apdu) != start + length or length < _HEADER_SIZE + TAG_SIZE:
        raise SecurityError("ciphered APDU has the wrong length")
    return apdu[start : start + _HEADER_SIZE], apdu[start + _HEADER_SIZE :]
