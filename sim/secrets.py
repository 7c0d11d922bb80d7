"""How a simulated meter takes new secrets: keys under its master key, the password of whoever has proved to know it.

The answer still goes under the old keys, and so does the rest of the association; the next one has to use the new, or,
where the meter is not prompt, one after its turn.
"""

from typing import Any, Final

from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from dcu.dlms.authentication import SECRET as PASSWORDS
from dcu.dlms.renewal import ASSOCIATION, CHANGE_HLS_SECRET, KEY_TRANSFER, SECRET, SECURITY_SETUP, KeyId
from dcu.dlms.services import AccessError, Action, Set
from dcu.model import KEY_OCTETS, Access, Attribute, Authentication
from sim.meter import SimMeter

_DENIED: Final = AccessError(3)
_UNMATCHED: Final = AccessError(12)
_PASSWORD_SIZES: Final = range(1, 65)
_FIELDS: Final = {
    KeyId.UNICAST_ENCRYPTION: "encryption_key",
    KeyId.AUTHENTICATION: "authentication_key",
    KeyId.MASTER: "master_key",
}


def concerns(request: Set | Action) -> bool:
    """Whether a request is about secrets; then `take` answers it."""
    if isinstance(request, Set):
        return request.attribute == Attribute(*ASSOCIATION, SECRET)
    return (request.class_id, request.name, request.method) in {
        (*SECURITY_SETUP, KEY_TRANSFER),
        (*ASSOCIATION, CHANGE_HLS_SECRET),
    }


def take(meter: SimMeter, access: Access, request: Set | Action) -> AccessError | None:
    """Take the secrets in `request` from a client of `access`, all of them or none; None when they were taken."""
    if isinstance(request, Action) and request.method == KEY_TRANSFER and request.class_id == SECURITY_SETUP[0]:
        return _keys(meter, access, request.argument)
    lls = access.authentication is Authentication.LLS
    if access.authentication not in PASSWORDS or lls is not isinstance(request, Set):
        return _DENIED
    return _password(meter, request.value if isinstance(request, Set) else request.argument)


def _password(meter: SimMeter, value: Any) -> AccessError | None:
    if not isinstance(value, bytes) or len(value) not in _PASSWORD_SIZES:
        return _UNMATCHED
    meter.renew(password=value)
    return None


def _keys(meter: SimMeter, access: Access, value: Any) -> AccessError | None:
    if not (access.ciphered or access.authentication is Authentication.HLS_GMAC):
        return _DENIED
    try:
        wrapped = {_FIELDS[KeyId(key_id)]: octets for key_id, octets in value}
        found = {name: aes_key_unwrap(meter.keys.master_key, octets) for name, octets in wrapped.items()}
    except InvalidUnwrap:
        return _DENIED
    except (LookupError, TypeError, ValueError):
        return _UNMATCHED
    if any(len(key) != KEY_OCTETS[meter.plate.suite] for key in found.values()):
        return _UNMATCHED
    meter.renew(**found)
    return None
