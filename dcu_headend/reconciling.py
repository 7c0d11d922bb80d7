"""Comparing what the head-end keeps with what a DCU holds: the same sums, and which meters differ.

The rule is in docs/reference/mqtt.md under `dcu.reconcile`; how the answer is asked for is in `commands`.
"""

import hashlib
import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from dcu_headend.decoding import Capture, Value

_OCTETS: Final = 16


@dataclass(slots=True)
class Sums:
    """Captures and their sum, in all and by meter. Add each capture once, in any order."""

    captures: int = 0
    total: int = 0
    meters: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, captures: Iterable[Capture]) -> None:
        for capture in captures:
            adds = int.from_bytes(hashlib.sha256(_text(capture)).digest()[:_OCTETS], "big")
            count, total = self.meters.get(capture.meter, (0, 0))
            self.meters[capture.meter] = count + 1, total + adds
            self.captures += 1
            self.total += adds

    @property
    def hash(self) -> str:
        return _hash(self.total)

    def differences(self, answer: Mapping[str, Any]) -> Iterator[str]:
        """Yield the meters of which the DCU holds something else; `answer` is the result of `dcu.reconcile`.

        Of a meter on a later page (`more`) nothing is said.
        """
        told = {name: (each["captures"], each["hash"]) for name, each in answer["meters"].items()}
        last = answer["more"]
        for name in sorted(told.keys() | self.meters.keys()):
            count, total = self.meters.get(name, (0, 0))
            if (last is None or name <= last) and told.get(name, (0, _hash(0))) != (count, _hash(total)):
                yield name


def _hash(total: int) -> str:
    return f"{total % (1 << 8 * _OCTETS):0{2 * _OCTETS}x}"


def _text(capture: Capture) -> bytes:
    words = [capture.meter, str(capture.at), str(capture.status)]
    for column, value in zip(capture.columns, capture.values, strict=True):
        words += [column.object, str(column.attribute), str(column.index), str(column.scaler), _word(value)]
    return "\t".join(words).encode()


def _word(value: Value) -> str:
    """Return the word of a value; what JSON cannot hold is null, however it came."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, bytes):
        return "x" + value.hex()
    if isinstance(value, float):
        return "f" + struct.pack(">d", value).hex() if math.isfinite(value) else "null"
    return "null" if value is None else _text_word(value)


def _text_word(value: str) -> str:
    try:
        return "s" + value.encode().hex()
    except UnicodeEncodeError:
        return "null"
