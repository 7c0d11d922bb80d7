"""How a way to open meters is written: in the configuration, and in a companion profile that has its own.

Which keys it needs, and whether they are there, is the business of `dcu.config.check`.
"""

from typing import Any

from dcu.forms import words
from dcu.forms.shape import Place, Shape
from dcu.model import AGREED, CURVE_OCTETS, KEY_OCTETS, Access, Authentication, Ciphering, Referencing

#: The mechanisms that this version can prove itself by.
AUTHENTICATIONS = {each.name.lower().replace("_", "-"): each for each in Authentication}

# HDLC client addresses are one octet with seven bits of address (IEC 62056-46, 6.4.2.2).
ACCESS: Shape[dict[str, Any]] = Shape(
    dict,
    {"client": words.number(1, 127)},
    {
        "authentication": words.choice(AUTHENTICATIONS),
        "ciphered": words.boolean,
        "suite": words.choice({str(suite): suite for suite in KEY_OCTETS}),
        "ciphering": words.choice({form.value: form for form in Ciphering}),
        "invocation_counter": words.logical_name,
        "referencing": words.choice({each.value: each for each in Referencing}),
    },
)


def access(name: str, place: Place) -> Access:
    """Return the access that stands under `name`; faults are reported."""
    found = Access(words.named(name, place), **ACCESS(place))
    if found.authentication is Authentication.HLS_ECDSA and found.suite not in CURVE_OCTETS:
        place.key("suite").fault("1 or 2, for hls-ecdsa")
    if found.ciphering in AGREED and found.suite not in CURVE_OCTETS:
        place.key("suite").fault(f"1 or 2, for {found.ciphering}")
    if found.ciphering is not Ciphering.GLO and not found.ciphered:
        place.key("ciphering").fault("ciphered: true beside it")
    return found
