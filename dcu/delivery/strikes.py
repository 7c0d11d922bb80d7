"""Which blocks break connections or are refused, and of which streams, over all connections.

What becomes of them is in `sending`, how long a stream rests in `resting`.
"""

import math
from dataclasses import dataclass, field

from dcu.clock import DAY
from dcu.messages.envelope import urgent

#: A block's stream and sequence number.
Key = tuple[str, int]

#: A block that was the oldest under way when that many connections broke, or that was refused, is set aside: it is
#: tried again ASIDE_PERIOD seconds later when nothing else is under way, and does not hold up its stream.
SUSPECT_AFTER = 3
ASIDE_PERIOD = 300.0

#: Blocks of one stream refused, or connections that broke at them, one after the other; with one more it is not the
#: blocks' fault. As many that connections broke at are suspected.
MAX_ASIDE = 8

#: Suspects of a stream that is refused itself: with more no new block asks whether it is taken now, but one of them.
MAX_SUSPECTS = 32

#: A block that was refused so often for what it is, over a day, while the broker took others of its stream, is given
#: up. In a day somebody may mend what the broker has against it. A restart of the box begins anew.
HOPELESS_AFTER = 24


@dataclass(slots=True)
class _Refusals:
    """Of one block for what it is: how many, and when the first and the last came (time of the loop)."""

    count: int = 0
    first: float = math.inf
    last: float = -math.inf

    def add(self, now: float) -> None:
        self.count += 1
        self.first, self.last = min(self.first, now), now


@dataclass(slots=True)
class Strikes:
    """Which blocks broke connections or were refused, over all connections."""

    _broken: dict[Key, int] = field(default_factory=dict)
    _refused: dict[Key, _Refusals] = field(default_factory=dict)
    _taken: dict[str, float] = field(default_factory=dict)
    _in_a_row: dict[str, int] = field(default_factory=dict)

    def suspect(self, key: Key) -> bool:
        """Whether the block `key` is to be kept from holding up the others."""
        return key in self._refused or self._broken.get(key, 0) >= SUSPECT_AFTER

    def blame(self, oldest: Key) -> bool:
        """A connection broke with `oldest` under way; say whether that may be its own fault or nobody's, as `refuse`.

        Some brokers end the connection at what we may not publish. What is urgent never rests for a bad line.
        """
        self._broken[oldest] = self._broken.get(oldest, 0) + 1
        if len(self._broken) > MAX_ASIDE:
            self._broken.clear()
        return urgent(oldest[0]) or self._counted(oldest[0])

    def refuse(self, key: Key, for_good: float | None = None) -> bool:
        """The broker refused the block `key`; say whether that may be its own fault, not its stream's.

        `for_good` is when (time of the loop), where it was refused for what it is.
        """
        known = key in self._refused
        refusals = self._refused.setdefault(key, _Refusals())
        if for_good is not None:
            refusals.add(for_good)
        return self._in_a_row.get(key[0], 0) <= MAX_ASIDE if known else self._counted(key[0])

    def hopeless(self, key: Key) -> bool:
        """Whether the broker will not take the block `key`, as far as can be told: see HOPELESS_AFTER."""
        refusals = self._refused.get(key, _Refusals())
        often = refusals.count >= HOPELESS_AFTER and refusals.last - refusals.first >= DAY
        return often and self._taken.get(key[0], -math.inf) > refusals.first

    def _counted(self, stream: str) -> bool:
        self._in_a_row[stream] = self._in_a_row.get(stream, 0) + 1
        return self._in_a_row[stream] <= MAX_ASIDE

    def full(self, stream: str) -> bool:
        """Whether `stream` is refused, and has suspects enough to ask by."""
        refused = self._in_a_row.get(stream, 0) > MAX_ASIDE
        return refused and sum(name == stream for name, _ in self._refused) >= MAX_SUSPECTS

    @property
    def everything(self) -> bool:
        """Whether several streams are refused, and what is urgent among them."""
        refused = max(self._in_a_row.values(), default=0) > MAX_ASIDE
        return refused and len(self._in_a_row) > 1 and any(map(urgent, self._in_a_row))

    def clear(self, key: Key, now: float) -> None:
        """The broker took the block `key`, at `now` (time of the loop)."""
        self._in_a_row.pop(key[0], None)
        self._taken[key[0]] = now
        self.forget(key)

    def forget(self, key: Key) -> None:
        """The block `key` waits no more."""
        self._broken.pop(key, None)
        self._refused.pop(key, None)

    def released(self, stream: str, seq: int) -> None:
        """The head-end has the blocks of `stream` up to `seq`."""
        for key in [key for key in {*self._refused, *self._broken} if key[0] == stream and key[1] <= seq]:
            self.forget(key)
