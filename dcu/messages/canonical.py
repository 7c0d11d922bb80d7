"""What a capture comes to when two sides compare what they hold: one text for each, and sums that know no order.

docs/reference/mqtt.md has the rule and a test vector; who is asked to compare is not known here.
"""

import struct
from hashlib import sha256
from math import isfinite

from dcu.messages.encoding import writable
from dcu.model import Capture, Value
from dcu.obis import format_obis

#: Octets of a SHA-256 that count, and what sums of them are taken modulo.
OCTETS = 16
MODULUS = 1 << 8 * OCTETS


def canonical(capture: Capture) -> bytes:
    """Return the text: meter, time, status, then object, attribute, index, scaler and value of each column."""
    words = [capture.meter, str(capture.at), str(capture.status)]
    # the box's own events have no columns: what they tell is in no value
    for column, value in zip(capture.columns, capture.values, strict=False):
        words += [format_obis(column.name), str(column.index), str(column.data_index), str(column.scaler), word(value)]
    return "\t".join(words).encode()


def word(value: Value) -> str:
    """Return one value so that every language writes it alike: numbers by what they are, text and octets in hex.

    What JSON cannot hold is null, as it is for a head-end that hears JSON; one that hears compact blocks does the same.
    """
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float() if isfinite(value):
            return "f" + struct.pack(">d", value).hex()
        case str() if writable(value):
            return "s" + value.encode().hex()
        case bytes():
            return "x" + value.hex()
        case _:
            return "null"


def number(capture: Capture) -> int:
    """Return what `capture` adds to a sum."""
    return int.from_bytes(sha256(canonical(capture)).digest()[:OCTETS])


def told(total: int) -> str:
    """Return a sum of numbers as it stands in a message: 32 hexadecimal digits."""
    return f"{total % MODULUS:0{2 * OCTETS}x}"
