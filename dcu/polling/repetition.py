"""Pushes that a meter says again because it did not hear that they were kept: recognised, and answered as before.

Which pushes are believed, and what confirms one, is in `pushes`.
"""

import hashlib
import math
from dataclasses import dataclass, field
from typing import Final

#: Pushes of one meter that are known again: what it may say before it has heard one confirmation.
KNOWN: Final = 8

#: Seconds within which one that bears neither a time nor a counter is a repetition: later the same happened anew.
ANEW: Final = 60.0


@dataclass(slots=True)
class Repetition:
    """What was kept of late, by meter: the digest of each push, what answers it, and until when (monotonic s)."""

    _known: dict[str, dict[bytes, tuple[bytes, float]]] = field(default_factory=dict)

    def answer(self, meter: str, apdu: bytes, now: float) -> bytes | None:
        """Return what `apdu` was answered when `meter` said it before, b"" for nothing; None when it is no repetition.

        A meter that says another thing has done with what it said before, as far as that may happen anew.
        """
        known = self._known.get(meter, {})
        digest = hashlib.sha256(apdu).digest()
        answer, until = known.get(digest, (b"", -math.inf))
        if now < until:
            return answer
        for each in [each for each, (_, until) in known.items() if until < math.inf]:
            del known[each]
        return None

    def note(self, meter: str, apdu: bytes, answer: bytes, until: float) -> None:
        """Remember that `apdu` was answered with `answer`; the oldest of more than KNOWN is forgotten."""
        known = self._known.setdefault(meter, {})
        known[hashlib.sha256(apdu).digest()] = answer, until
        if len(known) > KNOWN:
            del known[next(iter(known))]
