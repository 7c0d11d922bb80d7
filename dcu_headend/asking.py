"""What is lost is asked for: which blocks, when, when again, and what it means when a DCU does not know them.

What is missing is found in `following`, how a wish looks is in `commands`; sending it is the caller's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dcu_headend.commands import resend
from dcu_headend.decoding import Message, Result
from dcu_headend.following import Follower, Gap

#: Looks after which a gap is asked for again that stays as it is, the first time and at last; in between twice as many
#: each time, for what a DCU does not fetch for a day waits for it at the broker.
FIRST_WAIT: Final = 10
LAST_WAIT: Final = 1440


@dataclass(frozen=True, slots=True)
class _Asked:
    """Under which id a gap was asked for last, at which look it will be again, and how many that are after the last."""

    identity: str
    again: int
    wait: int


class Asking:
    """Asks for what `follower` finds `lost`; what comes of it is shorter gaps, or none.

    A gap that stays as it is is asked for again, whatever was said: the wish may have been refused or lost, and a DCU
    that starts again forgets what it was to send. A restart here forgets who was asked: a DCU that is asked again sends
    again, and the follower knows it for repeats.
    """

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._looks = 0
        self._seen: set[Gap] = set()
        self._asked: dict[Gap, _Asked] = {}

    def wishes(self) -> Iterator[tuple[str, bytes]]:
        """Yield the commands to be sent now, each with its DCU.

        A gap is asked for that was there at the call before: call it as seldom as a broker may take to hand out its
        queue to a head-end that was away, a minute at least.
        """
        self._looks += 1
        lost = [gap for gap in self._follower.gaps() if gap.lost]
        self._asked = {gap: self._asked[gap] for gap in lost if gap in self._asked}
        for gap in lost:
            if gap in self._seen and self._due(gap):
                yield gap.dcu, self._ask(gap)
        self._seen = set(lost)

    def _due(self, gap: Gap) -> bool:
        return gap not in self._asked or self._asked[gap].again <= self._looks

    def _ask(self, gap: Gap) -> bytes:
        wait = min(2 * self._asked[gap].wait, LAST_WAIT) if gap in self._asked else FIRST_WAIT
        identity, wish = resend(gap.stream, gap.first, gap.last)
        self._asked[gap] = _Asked(identity, self._looks + wait, wait)
        return wish

    def heard(self, message: Message) -> None:
        """Take whatever a DCU says: one that answers that it knows none of these numbers (any more) closes the gap."""
        if not isinstance(message, Result) or (message.result or {}).get("blocks") != 0:
            return
        for gap, asked in self._asked.items():
            if asked.identity == message.id:
                self._follower.close(gap)
