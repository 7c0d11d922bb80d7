"""ECDSA as DLMS has it (IEC 62056-5-3, security suites 1 and 2): signatures of one party, checked by the other.

What is signed, and when, is in `authentication` and `agreement`, which import this only for meters that sign.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from dcu.dlms.curves import CURVES, keys_on
from dcu.errors import Breach, SecurityError
from dcu.model import Keys


class EllipticSignature:
    """ECDSA with our private and the other's public key; signatures are r and s side by side, as DLMS has them."""

    def __init__(self, suite: int, keys: Keys) -> None:
        names = ("a signing key", "a verifying key")
        self._private, self._public = keys_on(suite, keys.signing_key, keys.verifying_key, names)
        self._size = CURVES[suite].size
        self._algorithm = ec.ECDSA(CURVES[suite].algorithm)

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
