"""Keys to sign and to agree by, of us and of a meter, as keys files hold them."""

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from dcu.model import Keys

from .gurux import KEYS

_SHARED = (KEYS.password, KEYS.encryption_key, KEYS.authentication_key)


def signing(suite: int, number: int) -> tuple[bytes, bytes]:
    """A private key and its public one, as keys files hold them."""
    curve, size = ((ec.SECP256R1(), 32), (ec.SECP384R1(), 48))[suite - 1]
    private = ec.derive_private_key(number, curve)
    public = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return number.to_bytes(size), public[1:]


def both_keys(suite: int = 1) -> tuple[Keys, Keys]:
    """Ours and the meter's: secrets are shared, keys to sign and to agree by are not."""
    (ours, our_public), (theirs, their_public) = signing(suite, 0x1234567), signing(suite, 0x89ABCDE)
    (mine, my_public), (its, its_public) = signing(suite, 0x2345678), signing(suite, 0x9ABCDEF)
    return (
        Keys(*_SHARED, ours, their_public, agreement_key=mine, meter_agreement_key=its_public),
        Keys(*_SHARED, theirs, our_public, agreement_key=its, meter_agreement_key=my_public),
    )
