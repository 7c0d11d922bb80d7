"""Which secrets an access needs of a meter. Whether it has them is judged in `meters`; their file is read in `keys`.

The daemon asks it for each conversation, and is to have nothing of the configuration's forms in memory for that.
"""

from dcu.model import AGREED, CURVE_OCTETS, KEY_OCTETS, Access, Authentication, Ciphering

#: Passwords and HLS secrets are as long as they are.
ANY_LENGTH = 0

#: The keys that all associations of a meter share, and that are renewed over the line.
GLOBAL_KEYS = ("encryption_key", "authentication_key")

#: The mechanisms that share a password or secret with the meter.
_SECRETS = {Authentication.LLS, Authentication.HLS_MD5, Authentication.HLS_SHA1, Authentication.HLS_SHA256}


def needed_keys(access: Access) -> dict[str, int]:
    """Return the fields of `Keys` that an access cannot do without, and how many octets each must have."""
    needed: dict[str, int] = {}
    if access.authentication in _SECRETS:
        needed["password"] = ANY_LENGTH
    if access.ciphered or access.authentication is Authentication.HLS_GMAC:
        needed |= dict.fromkeys(GLOBAL_KEYS, KEY_OCTETS[access.suite])
    octets = CURVE_OCTETS.get(access.suite, ANY_LENGTH)
    agreed = access.ciphering if access.ciphered else None
    if octets and (access.authentication is Authentication.HLS_ECDSA or agreed is Ciphering.GENERAL_ONE_PASS):
        needed |= {"signing_key": octets, "verifying_key": 2 * octets}
    if octets and agreed in AGREED:
        needed |= {"agreement_key": octets, "meter_agreement_key": 2 * octets}
    return needed
