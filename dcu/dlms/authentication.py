"""Passes 3 and 4 of high level security: what proves to each side that the other knows the secret (IEC 62056-5-3).

When they are due, and in which APDUs they travel, is in `association`; ciphering is `security`.
"""

import hashlib
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol

from cryptography.hazmat.primitives.constant_time import bytes_eq

from dcu.dlms.security import Cipher
from dcu.errors import Breach, SecurityError
from dcu.model import Access, Authentication, Keys

HIGH_LEVEL: Final = frozenset(Authentication) - {Authentication.NONE, Authentication.LLS}
#: Mechanisms whose proof depends on the system titles, so that AARQ and AARE must carry them.
TITLED: Final = {Authentication.HLS_GMAC, Authentication.HLS_SHA256, Authentication.HLS_ECDSA}
#: Mechanisms that share a secret of any length with the meter: `Keys.password`.
SECRET: Final = {Authentication.LLS, Authentication.HLS_MD5, Authentication.HLS_SHA1, Authentication.HLS_SHA256}

#: Octets of a challenge, ours and the sizes we take (Authentication-value: 8 to 64, ECDSA 32 to 64).
_CHALLENGE_SIZE: Final = dict.fromkeys(HIGH_LEVEL, 16) | {Authentication.HLS_ECDSA: 32}
_CHALLENGE_SIZES: Final = dict.fromkeys(HIGH_LEVEL, range(8, 65)) | {Authentication.HLS_ECDSA: range(32, 65)}


class Party(NamedTuple):
    """One side after pass 2: its system title and the challenge it gave."""

    title: bytes
    challenge: bytes


class Signature(Protocol):
    """What signs for us and checks the other's signatures."""

    def sign(self, message: bytes) -> bytes:
        """Return our signature of `message`."""

    def verify(self, proof: bytes, message: bytes) -> None:
        """Accept the other's signature of `message`; SecurityError otherwise."""


class Authenticator:
    """One side's part in the mechanism of `access`: it proves itself, and checks the other's proof.

    `cipher` is needed for GMAC. ConfigError when `keys` lack what the mechanism needs.
    """

    def __init__(self, access: Access, keys: Keys, cipher: Cipher | None = None) -> None:
        self._mechanism = access.authentication
        self._secret = keys.password
        self._cipher = cipher
        self._signature: Signature | None = None
        if access.authentication is Authentication.HLS_ECDSA:
            from dcu.dlms.signature import EllipticSignature  # noqa: PLC0415 - a megabyte, for meters that sign

            self._signature = EllipticSignature(access.suite, keys)

    @property
    def challenge_size(self) -> int:
        """How many octets our challenge has."""
        return _CHALLENGE_SIZE[self._mechanism]

    def check_challenge(self, me: Party, other: Party) -> None:
        """Refuse a challenge of the wrong size, or our own: its proof could be asked of ourselves."""
        if len(other.challenge) not in _CHALLENGE_SIZES[self._mechanism] or other.challenge == me.challenge:
            raise SecurityError(Breach.CHALLENGE, "the other's challenge is too short or long, or our own")

    def prove(self, me: Party, other: Party) -> bytes:
        """Return f(other's challenge)."""
        if self._cipher is not None and self._mechanism is Authentication.HLS_GMAC:
            return self._cipher.gmac(other.challenge)
        if self._signature is not None:
            return self._signature.sign(_titled(me, other))
        return _DIGESTS[self._mechanism](self._secret, me, other)

    def check(self, proof: bytes, me: Party, other: Party) -> None:
        """Accept f(our challenge), made by `other`; SecurityError otherwise."""
        if self._cipher is not None and self._mechanism is Authentication.HLS_GMAC:
            self._cipher.check_gmac(proof, me.challenge)
        elif self._signature is not None:
            self._signature.verify(proof, _titled(other, me))
        elif not bytes_eq(proof, _DIGESTS[self._mechanism](self._secret, other, me)):
            raise SecurityError(Breach.PROOF, "wrong answer to the challenge")


def _titled(prover: Party, checker: Party) -> bytes:
    """Return what SHA-256 and ECDSA cover: the titles, the prover's first, and the challenges, the checker's first."""
    return prover.title + checker.title + checker.challenge + prover.challenge


def _digest(algorithm: Callable[..., Any]) -> Callable[[bytes, Party, Party], bytes]:
    def digest(secret: bytes, _prover: Party, checker: Party) -> bytes:
        return bytes(algorithm(checker.challenge + secret, usedforsecurity=False).digest())

    return digest


_DIGESTS: Final[dict[Authentication, Callable[[bytes, Party, Party], bytes]]] = {
    Authentication.HLS_MD5: _digest(hashlib.md5),
    Authentication.HLS_SHA1: _digest(hashlib.sha1),
    Authentication.HLS_SHA256: lambda secret, prover, checker: hashlib.sha256(
        secret + _titled(prover, checker)
    ).digest(),
}
