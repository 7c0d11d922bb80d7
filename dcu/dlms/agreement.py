"""Keys that two parties agree on for one APDU: Diffie-Hellman on a curve, and the key derived from what is shared.

The schemes are those of IEC 62056-5-3, key agreement, after NIST SP 800-56A. Where they are written is in
`general_ciphering`, when a key of them is taken in `security`, which imports this for meters that agree.
"""

from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash

from dcu.dlms.curves import CURVES, keys_on
from dcu.dlms.general_ciphering import AgreedKey, GeneralHeader, Scheme, sized
from dcu.dlms.signature import EllipticSignature
from dcu.errors import Breach, SecurityError
from dcu.model import KEY_OCTETS, Keys

#: What the key is for: AES-GCM-128 and AES-GCM-256 (IEC 62056-5-3, COSEM cryptographic algorithm ids, as DER content).
ALGORITHM_IDS: Final = {1: bytes.fromhex("60857405080300"), 2: bytes.fromhex("60857405080301")}


class Agreement:
    """One party's part in `scheme`. ConfigError when `keys` lack what it needs, or the suite has no curve.

    Party U is who sends the APDU, party V who opens it. In C(1e, 1s) U has a key pair for this APDU alone, which it
    signs, and V its own; in C(0e, 2s) both have their own, and the transaction, never the same again, tells keys apart.
    """

    def __init__(self, scheme: Scheme, suite: int, keys: Keys) -> None:
        names = ("an agreement key", "a meter's agreement key")
        self._ours, self._theirs = keys_on(suite, keys.agreement_key, keys.meter_agreement_key, names)
        self._scheme = scheme
        self._suite = suite
        self._curve = CURVES[suite]
        self._signature = EllipticSignature(suite, keys) if scheme is Scheme.ONE_PASS else None

    def originate(self, header: GeneralHeader) -> tuple[bytes, AgreedKey]:
        """Return the key of an APDU of ours with `header`, and what to write of it there."""
        if self._signature is None:
            return self._derive(self._ours, self._theirs, header), AgreedKey(self._scheme, b"")
        ephemeral = ec.generate_private_key(self._curve.curve)
        point = self._curve.point(ephemeral.public_key())
        key = self._derive(ephemeral, self._theirs, header)
        return key, AgreedKey(self._scheme, point + self._signature.sign(point))

    def follow(self, header: GeneralHeader, exchanged: bytes) -> bytes:
        """Return the key of an APDU of the other's with `header`; SecurityError when `exchanged` is not from them."""
        if self._signature is None:
            if exchanged:
                raise SecurityError(Breach.LENGTH, f"{len(exchanged)} octets beside a key of two static ones")
            return self._derive(self._ours, self._theirs, header)
        half = 2 * self._curve.size
        if len(exchanged) != 2 * half:
            raise SecurityError(Breach.LENGTH, f"an ephemeral key with its signature of {len(exchanged)} octets")
        point, proof = exchanged[:half], exchanged[half:]
        try:
            self._signature.verify(proof, point)
            ephemeral = self._curve.public(point)
        except (SecurityError, ValueError):
            raise SecurityError(Breach.KEY, "the ephemeral key is not signed by the other, or is none") from None
        return self._derive(self._ours, ephemeral, header)

    def _derive(
        self, private: ec.EllipticCurvePrivateKey, public: ec.EllipticCurvePublicKey, header: GeneralHeader
    ) -> bytes:
        """Return the key (SP 800-56A rev. 2, 5.8.1.1; OtherInfo: IEC 62056-5-3, algorithm, PartyUInfo, PartyVInfo)."""
        nonce = sized(header.transaction) if self._scheme is Scheme.STATIC else b""
        other = ALGORITHM_IDS[self._suite] + header.originator + nonce + header.recipient
        shared = private.exchange(ec.ECDH(), public)
        return ConcatKDFHash(self._curve.algorithm, KEY_OCTETS[self._suite], other).derive(shared)
