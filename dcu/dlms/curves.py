"""The elliptic curves of security suites 1 and 2 (IEC 62056-5-3), and how keys files write keys on them.

What is signed is in `signature`, what is agreed on in `agreement`; both are imported for the meters that need them.
"""

from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, HashAlgorithm

from dcu.errors import ConfigError
from dcu.model import CURVE_OCTETS


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve, and the hash of its suite. A number has `size` octets; a point is x and y side by side."""

    curve: ec.EllipticCurve
    algorithm: HashAlgorithm
    size: int

    def private(self, number: bytes) -> ec.EllipticCurvePrivateKey:
        """Return the private key that is `number`; ValueError when it is none."""
        return ec.derive_private_key(int.from_bytes(number), self.curve)

    def public(self, point: bytes) -> ec.EllipticCurvePublicKey:
        """Return the public key at `point`; ValueError when that is not on the curve."""
        return ec.EllipticCurvePublicKey.from_encoded_point(self.curve, b"\x04" + point)

    def point(self, key: ec.EllipticCurvePublicKey) -> bytes:
        """Return where the public `key` is."""
        numbers = key.public_numbers()
        return numbers.x.to_bytes(self.size) + numbers.y.to_bytes(self.size)


#: By suite; suite 0 has none.
CURVES: Final = {
    1: Curve(ec.SECP256R1(), SHA256(), CURVE_OCTETS[1]),
    2: Curve(ec.SECP384R1(), SHA384(), CURVE_OCTETS[2]),
}


def keys_on(
    suite: int, ours: bytes, theirs: bytes, names: tuple[str, str]
) -> tuple[ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey]:
    """Return our private and the other's public key, as the file of keys writes them.

    Raises ConfigError, which calls them by their `names`, when `suite` has no curve or they are no keys on it.
    """
    if suite not in CURVES:
        raise ConfigError(f"{names[0]} needs security suite 1 or 2")
    curve = CURVES[suite]
    try:
        return curve.private(ours), curve.public(theirs)
    except ValueError:
        raise ConfigError(
            f"suite {suite} needs {names[0]} of {curve.size} and {names[1]} of {2 * curve.size} octets"
            f" on {curve.curve.name}"
        ) from None
