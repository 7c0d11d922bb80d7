"""Meters that told something and are to be read for it at once, each once in a while: one may never stop telling.

What of their words is kept is in `pushes`; what is read for them says `dcu.events`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

#: Seconds within which a meter is read once for what it tells: what it tells meanwhile is read for when they are over.
PAUSE: Final = 60.0


@dataclass(slots=True)
class Urged:
    """Who told something, and until when (monotonic s) those rest that were read for it."""

    _waiting: dict[str, None] = field(default_factory=dict)
    _resting: dict[str, float] = field(default_factory=dict)

    def put(self, meters: Iterable[str]) -> None:
        """Have `meters` read, as soon as each may be."""
        self._waiting |= dict.fromkeys(meters)

    def due(self, now: float) -> list[str]:
        """Return, and forget, who is to be read now."""
        if not self._waiting:
            return []
        self._resting = {meter: until for meter, until in self._resting.items() if now < until}
        found = [meter for meter in self._waiting if meter not in self._resting]
        for meter in found:
            del self._waiting[meter]
            self._resting[meter] = now + PAUSE
        return found
