"""What the broker has and the head-end has not acknowledged yet, over all connections, and when it is sent again.

    published, PUBACK ──► awaited ──word of the head-end──► released
                             └──not a word for `patience`──► the oldest of the stream is sent again, then twice as
                                                             patiently; a word makes it as patient as it was
Only arithmetic: what is published and released, and when, is decided in `sending`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

#: Blocks of one stream that may be awaited: with one more nothing of the stream is sent that was not yet. Of a block
#: each half a minute these are those of a day, after which one that the broker refuses is given up.
MAX_AWAITED: Final = 3000

#: Seconds between two repeats at most, for a head-end that is away for days.
CAP: Final = 3600.0


@dataclass(slots=True)
class Awaiting:
    """Of all streams. `patience` in seconds; None: the PUBACK is all that is waited for."""

    patience: float | None = None
    _sent: dict[str, dict[int, float]] = field(default_factory=dict)
    _patience: dict[str, float] = field(default_factory=dict)
    _word: dict[str, int] = field(default_factory=dict)

    def add(self, stream: str, seq: int, now: float) -> None:
        """The broker has this block, or has it again."""
        if self.lacks(stream, seq):
            self._sent.setdefault(stream, {})[seq] = now

    def acknowledge(self, stream: str, seq: int) -> None:
        """The head-end has all of `stream` up to `seq`."""
        if not self.lacks(stream, seq):
            return
        self._word[stream] = seq
        self._patience.pop(stream, None)
        for each in [each for each in self._sent.get(stream, ()) if each <= seq]:
            del self._sent[stream][each]

    def lacks(self, stream: str, seq: int) -> bool:
        """Whether the head-end has not said yet that it has `seq`."""
        return seq > self._word.get(stream, -1)

    def holds(self, stream: str, seq: int) -> bool:
        """Whether the broker has this block, or the head-end."""
        return not self.lacks(stream, seq) or seq in self._sent.get(stream, ())

    def full(self, stream: str) -> bool:
        return len(self._sent.get(stream, ())) >= MAX_AWAITED

    def overdue(self, now: float, admits: Callable[[str], bool] = lambda _: True) -> tuple[str, int] | None:
        """Return a block to send again, of a stream that the connection `admits`; it counts as sent now."""
        if self.patience is None:
            return None
        for stream, sent in self._sent.items():
            patience = self._patience.get(stream, self.patience)
            oldest = next(iter(sent), None)
            if oldest is not None and admits(stream) and now - sent[oldest] >= patience:
                sent[oldest] = now
                self._patience[stream] = max(self.patience, min(2 * patience, CAP))
                return stream, oldest
        return None

    def forget(self) -> None:
        """The broker has lost our session, so it may have lost what the head-end had not fetched."""
        self._sent.clear()

    def __len__(self) -> int:
        return sum(map(len, self._sent.values()))
