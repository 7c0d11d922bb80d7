"""One JSON object of a message, read field by field with a check of what stands there. DecodeError otherwise.

What passes can be kept by any database and written by any encoder; which fields a message has is in `decoding`.
"""

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar, cast

from dcu_headend.block import MAX_PAYLOAD, DecodeError

T = TypeVar("T")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

#: Numbers that are no values lie within 64 bits, so that every database can hold them.
_BOUND: Final = 1 << 63


def json_object(payload: bytes) -> Mapping[str, Any]:
    """Return the object that `payload` is in UTF-8."""
    if len(payload) > MAX_PAYLOAD:
        raise DecodeError(f"{len(payload)} octets are no message")
    try:
        message = json.loads(payload.decode())
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"neither a block nor JSON: {error}") from error
    if not isinstance(message, dict):
        raise DecodeError("no JSON object")
    return message


class Fields:
    """The keys of one JSON object."""

    def __init__(self, fields: object) -> None:
        if not isinstance(fields, dict):
            raise DecodeError("no JSON object where one should be")
        self.all: Mapping[str, Any] = fields

    def of(self, key: str, *kinds: type[T]) -> T:
        """Return the value of `key`, which has to be of one of `kinds`: bool is no int here."""
        value = self.all.get(key)
        if type(value) not in kinds:
            raise DecodeError(f"{key}: {str(value)[:40]!r}")
        return cast("T", value)

    def text(self, key: str) -> str:
        return utf8(key, self.of(key, str))

    def maybe(self, key: str) -> str | None:
        return None if self.all.get(key) is None else self.text(key)

    def whole(self, key: str, default: int | None = None) -> int:
        return default if default is not None and key not in self.all else bounded(key, self.of(key, int))

    def decimal(self, key: str) -> float:
        """Return a number that is finite."""
        return finite(key, self.of(key, int, float))

    def some(self, key: str, make: Callable[["Fields"], T]) -> tuple[T, ...]:
        """Return what `make` makes of each object of a list."""
        return tuple(make(Fields(each)) for each in self.of(key, list))

    def moment(self, key: str) -> float:
        """Return UTC seconds of an ISO 8601 time."""
        word = self.text(key)
        try:
            return (datetime.fromisoformat(word) - _EPOCH) / timedelta(seconds=1)
        except (ValueError, TypeError, OverflowError):
            raise DecodeError(f"{key}: {word[:40]!r} is no time with a zone") from None


def utf8(key: str, text: str) -> str:
    """Return `text`, which is a name or tells of something: JSON can write halves of characters, UTF-8 cannot."""
    if not text.isascii() and any("\ud800" <= each <= "\udfff" for each in text):
        raise DecodeError(f"{key}: no text: {text[:40]!r}")
    return text


def bounded(key: str, number: int) -> int:
    """Return `number`, which is of at most 64 bits."""
    if not -_BOUND <= number < _BOUND:
        raise DecodeError(f"{key}: a number of more than 64 bits")
    return number


def finite(key: str, number: float) -> float:
    """Return `number`, which is neither infinite nor none."""
    if isinstance(number, int):
        return float(bounded(key, number))
    if not math.isfinite(number):
        raise DecodeError(f"{key}: {number}")
    return number
