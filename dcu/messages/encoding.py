"""JSON as this interface writes it: compact, UTF-8, no NaN, octets as {"hex": …}.

What a message means is in `envelope`.
"""

import json
from typing import Any, Final

#: Why there is no answer where there would be one that JSON has no way to write.
UNWRITABLE: Final = "the result cannot be written as JSON"

#: What is raised where a row that should never have been kept is written into a message, whatever is wrong with it.
UNTELLABLE: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def _octets(value: object) -> dict[str, str]:
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    raise TypeError(f"{type(value).__name__} has no place in a message")


_encoder = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_octets)


def encode(message: Any) -> bytes:
    """Return `message` as JSON. Raises TypeError or ValueError for what JSON cannot hold (NaN, lone surrogates)."""
    return _encoder.encode(message).encode()


def writable(value: object) -> bool:
    """Whether JSON can hold `value`: no NaN, no infinity, no text that is none. Raises TypeError as `encode` does."""
    try:
        encode(value)
    except ValueError:
        return False
    return True


def written(message: Any) -> bytes | None:
    """Return `message` as JSON, None when JSON cannot hold it."""
    try:
        return encode(message)
    except (TypeError, ValueError, RecursionError):
        return None
