"""ECDSA as DLMS has it, for HLS mechanism 7 (IEC 62056-5-3, security suites 1 and 2): the curves and their signatures.

What is signed, and when, is in `authentication`, which imports this only for meters that sign.
"""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, HashAlgorithm

from dcu.errors import Breach, ConfigError, SecurityError
from dcu.model import SIGNING_OCTETS, Keys

#: The suites with signatures: curve and hash.
_CURVES: Final[dict[int, tuple[ec.EllipticCurve, HashAlgorithm]]] = {
    1: (ec.SECP256R1(), SHA256()),
    2: (ec.SECP384R1(), SHA384()),
}


class EllipticSignature:
    """ECDSA with our private and the other's public key; signatures are r and s side by side, as DLMS has them."""

    def __init__(self, suite: int, keys: Keys) -> None:
        if suite not in _CURVES:
            raise ConfigError("ECDSA needs security suite 1 or 2")
        curve, algorithm = _CURVES[suite]
        self._size = SIGNING_OCTETS[suite]
        self._algorithm = ec.ECDSA(algorithm)
        try:
            self._private = ec.derive_private_key(int.from_bytes(keys.signing_key), curve)
            self._public = ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + keys.verifying_key)
        except ValueError:
            raise ConfigError(
                f"suite {suite} needs a signing key of {self._size} and a verifying key of {2 * self._size} octets"
                f" on {curve.name}"
            ) from None

    def sign(self, message: bytes) -> bytes:
        r, s = decode_dss_signature(self._private.sign(message, self._algorithm))
        return r.to_bytes(self._size) + s.to_bytes(self._size)

    def verify(self, proof: bytes, message: bytes) -> None:
        if len(proof) != 2 * self._size:
            raise SecurityError(Breach.PROOF, "malformed answer to the challenge")
        r, s = int.from_bytes(proof[: self._size]), int.from_bytes(proof[self._size :])
        try:
            self._public.verify(encode_dss_signature(r, s), message, self._algorithm)
        except InvalidSignature:
            raise SecurityError(Breach.PROOF, "wrong answer to the challenge") from None
