"""Which meter was there the last time, and what the next visit has to ask it so that no other is taken for it.

What is asked is in `recognition`, and what follows when it is another one is `dcu.archive`'s.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from dcu.conversation.recognition import RECOGNISE_EVERY, SERIAL, TITLE, Asking
from dcu.conversation.session import Session

#: Seconds within which nobody takes a meter down and puts another one up: who answered so short a time ago, and to
#: every question since, is asked nothing. After it a meter without ciphering is asked for its serial number, some 20
#: octets in a list asked anyway.
EXCHANGE_TAKES: Final = 120.0


@dataclass(slots=True)
class _Known:
    """What a meter said when it was `recognised`, and when it was `heard` last (monotonic s); b"", "": not told.

    `looked` is when it was asked all, which a doubt does not change.
    """

    recognised: float
    heard: float
    serial: str
    title: bytes
    looked: float


class Acquaintance:
    """The meters that were recognised since the start."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}

    def asking(self, meter: str, now: float, session: Session) -> Asking:
        """Return what to ask the meter of itself in a visit over `session` at `now` (monotonic s).

        All, once a day, after a start and after a doubt, also when its system title is not the one that is known. Else
        its serial number, unless something proves who it is: its title, an association that it goes on with, or that
        it answered a moment ago.
        """
        known = self._known.get(meter)
        if known is None or now - known.recognised >= RECOGNISE_EVERY:
            return Asking.ALL
        if session.title:
            return Asking.NOTHING if session.title == known.title else Asking.ALL
        proven = session.resumed or now - known.heard < EXCHANGE_TAKES
        return Asking.NOTHING if proven or not known.serial else Asking.SERIAL

    def fits(self, meter: str, serial: str | None) -> bool:
        """Whether a meter that gives its `serial` number so (None: it gives none) is the one that is known."""
        known = self._known.get(meter)
        return known is None or known.serial == (serial or "")

    def recognised(self, meter: str, now: float, said: Mapping[str, str]) -> None:
        """Remember what a meter that was asked all `said` at `now`: not every client is told all."""
        before = self._known.get(meter)
        title = bytes.fromhex(said[TITLE]) if TITLE in said else before.title if before else b""
        serial = said.get(SERIAL) or (before.serial if before else "")
        self._known[meter] = _Known(now, now, serial, title, now)

    def heard(self, meter: str, now: float) -> None:
        """Remember that the one that is known answered at `now`."""
        if meter in self._known:
            self._known[meter].heard = now

    def missed(self, meters: Iterable[str]) -> None:
        """Remember that `meters` did not answer, or not as those who know us: others may hang there by now."""
        for known in filter(None, map(self._known.get, meters)):
            known.heard = -math.inf

    def title(self, meter: str) -> bytes:
        """Return the system title that the meter bore when it was recognised, b"" where none is known."""
        return self._known[meter].title if meter in self._known else b""

    def looked(self, meter: str) -> float | None:
        """Return when the meter was asked all the last time (monotonic s), None when not since the start."""
        return self._known[meter].looked if meter in self._known else None

    def doubt(self, meter: str) -> None:
        """Ask a meter all the next time, and believe nothing of what it said."""
        if meter in self._known:
            self._known[meter] = _Known(-math.inf, -math.inf, "", b"", self._known[meter].looked)

    def forget(self, meter: str) -> None:
        """Forget a meter that is gone, or another one."""
        self._known.pop(meter, None)
