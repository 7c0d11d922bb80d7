"""Sequences followed: which message is new, which is a repeat, what is missing, and up to where a stream is whole.

No connection and no clock; what a message holds is in `decoding`. Everything kept is bounded.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from dcu_headend.decoding import Block, Result, State

#: Holes of one stream that are kept apart, and blocks of it of which parts are missing.
MAX_HOLES: Final = 1000
MAX_PARTIAL: Final = 100

#: A stream of a DCU: (dcu, stream).
Stream = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Gap:
    """Blocks `first` to `last` of a stream have not come; they may, for a DCU sends until it is acknowledged."""

    dcu: str
    stream: str
    first: int
    last: int

    @property
    def count(self) -> int:
        return self.last - self.first + 1


@dataclass(slots=True)
class _Came:
    """What came of one stream: spans of whole blocks in ascending order, and the parts of blocks that are not whole."""

    spans: list[tuple[int, int]] = field(default_factory=list)
    parts: dict[int, set[int]] = field(default_factory=dict)
    given_up: int = 0
    owed: int = 0

    def has(self, seq: int, part: int) -> bool:
        return part in self.parts.get(seq, ()) or any(first <= seq <= last for first, last in self.spans)

    @classmethod
    def remembered(cls, memory: str) -> Self:
        """Return what `memory` wrote down."""
        kept = json.loads(memory)
        parts = {int(seq): set(own) for seq, own in kept["parts"].items()}
        spans = [(first, last) for first, last in kept["spans"]]
        return cls(spans, parts, kept["given_up"], kept.get("owed", 0))

    def memory(self) -> str:
        parts = {seq: sorted(own) for seq, own in self.parts.items()}
        return json.dumps({"spans": self.spans, "parts": parts, "given_up": self.given_up, "owed": self.owed})

    @property
    def whole(self) -> int | None:
        """Up to which number nothing is missing that may still come; None: nothing is known."""
        last = self.owed - 1 if self.owed else None
        for first, end in self.spans:
            if last is not None and first > last + 1:
                break
            last = end if last is None else max(last, end)
        return last

    def add(self, seq: int, part: int, parts: int) -> None:
        self.parts.setdefault(seq, set()).add(part)
        if len(self.parts[seq]) == parts:
            del self.parts[seq]
            self._join(seq)
        if len(self.parts) > MAX_PARTIAL:
            del self.parts[min(self.parts)]

    def _join(self, seq: int) -> None:
        """Put `seq` into the spans; those that touch become one."""
        joined: list[tuple[int, int]] = []
        for first, last in sorted([*self.spans, (seq, seq)]):
            if joined and first <= joined[-1][1] + 1:
                joined[-1] = joined[-1][0], max(last, joined[-1][1])
            else:
                joined.append((first, last))
        if len(joined) > MAX_HOLES:
            (first, end), (start, last), *rest = joined
            self.given_up += start - end - 1
            joined = [(first, last), *rest]
        self.spans = joined


class Follower:
    """Follows any number of DCUs. `known` has the memory of each stream, as another follower had it.

    Keep `memory` where the readings are kept, in the same transaction, and a restart changes nothing.
    """

    def __init__(self, known: Mapping[Stream, str] | None = None) -> None:
        self._came = {stream: _Came.remembered(memory) for stream, memory in (known or {}).items()}

    def new(self, message: Block | Result) -> bool:
        """Whether `message` has not come before; it counts as come from now on."""
        came = self._came.setdefault((message.dcu, message.stream), _Came())
        if came.has(message.seq, message.part):
            return False
        came.add(message.seq, message.part, message.parts)
        return True

    def memory(self, dcu: str, stream: str) -> str:
        """Return what has come of a stream, as short text."""
        return self._came[dcu, stream].memory()

    def positions(self) -> dict[Stream, int]:
        """Return up to which number each stream is whole: what may be acknowledged."""
        return {stream: last for stream, came in self._came.items() if (last := came.whole) is not None}

    def heard(self, state: State) -> None:
        """Take note of a birth: what is below its numbers comes only when it is asked for (`dcu.resend`)."""
        for stream, seq in state.owed.items():
            self._came.setdefault((state.dcu, stream), _Came()).owed = seq

    def acknowledgements(self) -> dict[str, bytes]:
        """Return by DCU what tells it up to where it was heard: for its topic `ack`, when it waits for that."""
        streams: dict[str, dict[str, int]] = {}
        for (dcu, stream), seq in self.positions().items():
            streams.setdefault(dcu, {})[stream] = seq
        return {dcu: json.dumps({"streams": of}).encode() for dcu, of in streams.items()}

    def gaps(self) -> Iterator[Gap]:
        """Yield what is missing between blocks that came, and may still come unasked."""
        for (dcu, stream), came in self._came.items():
            for (_, end), (start, _) in zip(came.spans, came.spans[1:], strict=False):
                if start > came.owed:
                    yield Gap(dcu, stream, max(end + 1, came.owed), start - 1)

    def given_up(self) -> int:
        """Return how many blocks are not waited for any more, because a stream had more than MAX_HOLES holes."""
        return sum(came.given_up for came in self._came.values())
