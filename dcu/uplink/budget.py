"""Octets that each metered channel has taken today (UTC), kept in a file over restarts.

They are counted in `traffic`; what waits when the budget is spent is decided in `ways`.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from dcu.clock import DAY
from dcu.errors import StoreError


class Budget:
    """Counts by channel. `now` are UTC seconds, None while the clock cannot be trusted.

    A day begins with a later date, and in any case 24 h by `monotonic` after the one before began: a clock that nobody
    sets must not make one day of a life, nor one that goes back over midnight two of one.
    """

    def __init__(self, path: Path, monotonic: Callable[[], float]) -> None:
        self._path = path
        self._monotonic = monotonic
        self._seen = monotonic()
        self._day, self._lasted = 0, 0.0
        self._taken: dict[str, int] = {}
        self._saved: dict[str, int] = {}
        with suppress(
            OSError, ValueError, TypeError, AttributeError, KeyError
        ):  # nothing yet, or nothing that can be read
            kept = json.loads(path.read_text())
            self._day, self._taken = int(kept["day"]), {str(name): int(taken) for name, taken in kept["taken"].items()}
            self._lasted = float(kept["lasted"])
            self._saved = dict(self._taken)

    def take(self, channel: str, octets: int, now: float | None) -> None:
        """Count `octets` of `channel`."""
        self._begin(now)
        self._taken[channel] = self._taken.get(channel, 0) + octets

    def taken(self, channel: str, now: float | None) -> int:
        """Return the octets of `channel` on the day of `now`."""
        self._begin(now)
        return self._taken.get(channel, 0)

    def save(self) -> None:
        """Keep what was counted. Raises StoreError."""
        if self._saved == self._taken:
            return
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_text(json.dumps({"day": self._day, "lasted": round(self._lasted), "taken": self._taken}))
            fresh.replace(self._path)
        except OSError as error:
            raise StoreError(f"{self._path}: cannot be written: {error.strerror}") from error
        self._saved = dict(self._taken)

    def _begin(self, now: float | None) -> None:
        seen = self._monotonic()
        self._lasted, self._seen = self._lasted + seen - self._seen, seen
        day = self._day if now is None else int(now // DAY)
        if day > self._day or self._lasted >= DAY:
            # the time of day that has passed already is of the day that begins
            self._day, self._taken, self._lasted = day, {}, 0.0 if now is None else now % DAY
