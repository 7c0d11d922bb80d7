"""Waiting times between tries to connect: decorrelated jitter, so that a fleet that fell does not rise at once.

Only arithmetic; whoever waits does so on the loop's clock.
"""

from dataclasses import dataclass, field
from random import Random, SystemRandom

#: Seconds before the first new try, at least; and between tries, at most.
BASE = 1.0
CAP = 60.0

#: A connection that lived for so long (s) was no mistake, and its loss is worth a try soon; one that is lost sooner
#: may be lost again at once, by whatever way, and however much was acknowledged meanwhile: a broker that refuses after
#: all, or a second unit under our name, of which a broker of MQTT 3.1.1 (and mosquitto in any version) does not tell.
STEADY = 10.0


@dataclass(slots=True)
class Backoff:
    """Each delay is drawn from `base` to three times the one before, up to `cap` seconds."""

    base: float = BASE
    cap: float = CAP
    dice: Random = field(default_factory=SystemRandom)
    #: Whether the rest is no failure's but a sleep by the timetable, which ends for what is urgent.
    asleep: bool = False
    _last: float = 0.0

    def delay(self) -> float:
        """Return the seconds to wait before the next try."""
        self._last = min(self.cap, self.dice.uniform(self.base, 3 * max(self.base, self._last)))
        return self._last

    def hold(self) -> None:
        """Draw the next delay from the whole range: the broker asked for time, or two are fighting for one name."""
        self._last = self.cap / 3

    def reset(self) -> None:
        """Begin again at `base`: the connection lived for STEADY seconds."""
        self._last = 0.0
