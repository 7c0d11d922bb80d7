"""Which channel and broker the next connection takes, and when one that works is left for a better: a pure machine.

Nothing is connected here and no clock is read; who asks brings the time (monotonic seconds). `ways` acts on it.

    state     event                                     next         the connection after it goes
    AWAY      opened                                    ON
    AWAY      failed, ways of this round are left       AWAY         at once, by the next way
    AWAY      failed, that was the last of the round    AWAY         after a rest, by the best way
    AWAY      failed where somebody was looked for      AWAY         after a rest, by the way before
    ON        lost, having lived for STEADY             AWAY         at once, by the next way
    ON        lost earlier than that                    AWAY         after a rest, by the next way
    ON        a better channel answered long enough     LEAVING      at once, by that channel
    ON        the operator named another channel        LEAVING      at once, by that channel
    ON        the certificates were renewed             LEAVING      at once, by the same channel
    ON        nobody is there, having lived for STEADY  LEAVING      at once, by a free way to another broker
    ON        nobody is there, earlier, or no such way  LEAVING      after a rest, by such a way, or the same
    ON        all is said on a channel with a timetable LEAVING      after a sleep, by the best way
    LEAVING   lost                                      AWAY

The ways are the brokers of the best channel, then those of the next; which is best is the order of the configuration,
behind the channel that the operator named. A round is a try of each way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dcu.uplink.backoff import STEADY

#: Seconds that a better channel has to answer for, at most: twice as long after each return that did not hold.
LONGEST_STABLE = 3600.0


class State(StrEnum):
    """Where the uplink is. There is one connection in ON and in LEAVING, and none in AWAY."""

    AWAY = "away"
    ON = "on"
    LEAVING = "leaving"


@dataclass(frozen=True, slots=True)
class Way:
    """A broker by a channel."""

    channel: str
    host: str
    port: int


class Channels:
    """Decides for `ways`, the best first; those of a channel follow one another.

    A better channel than that in use is gone back to when it has answered for `return_after` seconds.
    """

    def __init__(self, ways: Sequence[Way], return_after: float) -> None:
        self._ways = tuple(ways)
        self._return_after = return_after
        self._stable, self._reluctance = return_after, 0.0
        self._place = 0
        self._left = len(ways)
        self._opened = 0.0
        self._returned = False
        self._goal = self._ways[0]
        self._deserted: Way | None = None
        self._rests = False
        self._answers: dict[str, float] = {}
        self.state = State.AWAY
        self.preferred: str | None = None

    @property
    def names(self) -> list[str]:
        """The channels as they are preferred."""
        return list(dict.fromkeys(way.channel for way in self._order()))

    @property
    def way(self) -> Way:
        """What the connection takes: the one there is, or the next."""
        return self._order()[self._place]

    @property
    def at_once(self) -> bool:
        """Whether the next try needs no rest before it."""
        return self._left > 0

    @property
    def better(self) -> dict[str, list[Way]]:
        """The channels that would be better than the one in use, each with its ways."""
        used = self.names.index(self.way.channel)
        return {name: [way for way in self._ways if way.channel == name] for name in self.names[:used]}

    def opened(self, now: float, reluctance: float = 0.0) -> None:
        """The connection stands; a better channel has to answer for `reluctance` seconds more than it would."""
        self.state, self._opened, self._reluctance = State.ON, now, reluctance
        self._deserted = None
        self._answers.clear()

    def failed(self) -> None:
        """The connection could not be had."""
        if self._deserted is not None:  # which works: what costs money is not for looking around
            self._place, self._left, self._deserted = self._order().index(self._deserted), 0, None
            return
        self._left -= 1
        self._judge(held=False)
        self._next()

    def lost(self, now: float) -> None:
        """The connection is gone, for whatever reason."""
        held = now - self._opened >= self._stable
        if self.state is State.LEAVING:
            if (
                held and self._goal.channel == self.way.channel
            ):  # made anew: what comes of that says nothing of the return
                self._judge(held=True)
            self._place, self._left = self._order().index(self._goal), 0 if self._rests else len(self._ways)
            self._rests = False
        else:
            steady = now - self._opened >= STEADY
            self._left = len(self._ways) - 1 if steady else 0
            self._judge(held=held)
            self._next()
        self.state = State.AWAY

    def rested(self) -> None:
        """A rest is over: another round may begin, by the best way when all were tried."""
        if self._left <= 0:
            self._left = len(self._ways)

    def answered(self, channel: str, now: float, *, well: bool) -> None:
        """A better channel was asked whether it is there. When it has been for long enough, this one is left."""
        if not well:
            self._answers.pop(channel, None)
            return
        since = self._answers.setdefault(channel, now)
        if self.state is State.ON and now - since >= self._stable + self._reluctance:
            self.state, self._returned = State.LEAVING, True
            self._goal = next(way for way in self._ways if way.channel == channel)

    def renew(self) -> None:
        """The connection is to be made anew by the same way."""
        if self.state is State.ON:
            self.state, self._goal, self._rests = State.LEAVING, self.way, False

    def walk(self, ways: Sequence[Way], now: float) -> None:
        """Nobody is there at this broker: the next connection takes that of `ways` which follows the one in use.

        It may be the same, then after a rest.
        """
        if self.state is State.ON:
            used = self.way
            goal = ways[(ways.index(used) + 1) % len(ways)]
            self._deserted = None if goal == used else used
            self.state, self._goal, self._rests = State.LEAVING, goal, goal == used or now - self._opened < STEADY

    def sleep(self) -> None:
        """All is said; the connection ends until the timetable, or something urgent, asks for the next."""
        if self.state is State.ON:
            self.state, self._goal, self._rests = State.LEAVING, self._order()[0], True

    def prefer(self, channel: str | None) -> None:
        """Put `channel` before all others, None: as the configuration has it; one that is in use is left for it."""
        way, self._deserted = self.way, None
        self.preferred, self._stable, self._returned = channel, self._return_after, False
        self._place = self._order().index(way)
        if self.state is State.AWAY:
            self._place, self._left = 0, len(self._ways)
        elif self.state is State.LEAVING or way.channel != self.names[0]:
            self.state, self._goal, self._rests = State.LEAVING, self._order()[0], False

    def _order(self) -> list[Way]:
        return sorted(self._ways, key=lambda way: way.channel != self.preferred)

    def _next(self) -> None:
        self._place = (self._place + 1) % len(self._ways) if self._left > 0 or self.state is State.ON else 0

    def _judge(self, *, held: bool) -> None:
        """A channel that was gone back to and did not hold has to answer for longer the next time."""
        if self._returned and not held:
            self._stable = min(LONGEST_STABLE, 2 * self._stable)
        elif held:
            self._stable = self._return_after
        self._returned = False
