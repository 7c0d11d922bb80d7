"""Logical names (OBIS codes, IEC 62056-61): six value groups A-B:C.D.E.F as bytes, and their text form."""

import re
from functools import lru_cache

_TEXT = re.compile(r"(\d{1,3})[-.](\d{1,3})[:.](\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:[.*](\d{1,3}))?")


@lru_cache(maxsize=1024)
def parse_obis(text: str) -> bytes:
    """Return the six bytes of `text` ("1-0:1.8.0.255", "1.0.1.8.0.255"; group F is 255 when left out).

    Raises ValueError when it is not six numbers of 0..255.
    """
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        message = f"{text!r} is not an OBIS code such as 1-0:1.8.0.255"
        raise ValueError(message)
    groups = [int(group) if group is not None else 255 for group in match.groups()]
    if max(groups) > 255:
        message = f"{text!r}: each group of an OBIS code is 0 to 255"
        raise ValueError(message)
    return bytes(groups)


def format_obis(name: bytes) -> str:
    """Return the text form of a six-byte logical name: A-B:C.D.E.F."""
    a, b, c, d, e, f = name
    return f"{a}-{b}:{c}.{d}.{e}.{f}"
