"""What is lost is asked for once more: which blocks, when, and what it means when a DCU does not know them.

What is missing is found in `following`, how a wish looks is in `commands`; sending it is the caller's.
"""

from collections.abc import Iterator

from dcu_headend.commands import resend
from dcu_headend.decoding import Message, Result
from dcu_headend.following import Follower, Gap


class Asking:
    """Asks for what `follower` finds `lost`, each gap once; what comes of it is shorter gaps, or none.

    A restart forgets who was asked: a DCU that is asked again sends again, and the follower knows it for repeats.
    """

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._seen: set[Gap] = set()
        self._asked: dict[str, Gap] = {}

    def wishes(self) -> Iterator[tuple[str, bytes]]:
        """Yield the commands to be sent now, each with its DCU.

        A gap is asked for that was there at the call before: call it as seldom as a broker may take to hand out its
        queue to a head-end that was away, a minute at least.
        """
        lost = [gap for gap in self._follower.gaps() if gap.lost]
        self._asked = {identity: gap for identity, gap in self._asked.items() if gap in lost}
        for gap in lost:
            if gap in self._seen and gap not in self._asked.values():
                identity, wish = resend(gap.stream, gap.first, gap.last)
                self._asked[identity] = gap
                yield gap.dcu, wish
        self._seen = set(lost)

    def heard(self, message: Message) -> None:
        """Take whatever a DCU says: one that answers that it knows none of these numbers (any more) closes the gap."""
        if not isinstance(message, Result) or message.id not in self._asked:
            return
        if (message.result or {}).get("blocks") == 0:
            self._follower.close(self._asked[message.id])
