"""Sequences followed: which message is new, which is a repeat, what is missing, and up to where a stream is whole.

No connection and no clock; what a message holds is in `decoding`. Everything kept is bounded.
"""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from dcu_headend.decoding import REFUSED, Block, Result, State

#: Holes of one stream that are kept apart, and what it was told of numbers that do not come; and divisions of its
#: blocks of which parts are missing.
MAX_HOLES: Final = 1000
MAX_PARTIAL: Final = 100

#: How a birth differs from the words of a DCU that goes.
BORN: Final = "online"

#: A stream of a DCU: (dcu, stream).
Stream = tuple[str, str]

#: First and last of numbers that follow each other.
_Span = tuple[int, int]

#: How a block is divided: (seq, boot, parts). Sent again to a broker that takes more or less, or after a change of the
#: configuration, it has other parts, and what the first division lacks cannot be made up from the second.
_Division = tuple[int, str, int]


@dataclass(frozen=True, slots=True)
class Gap:
    """Blocks `first` to `last` of a stream have not come; they may, for a DCU sends until it is acknowledged.

    Of those that are `lost` the DCU was told that they had come, by a broker that did not hand them on: they come when
    `dcu.resend` asks for them.
    """

    dcu: str
    stream: str
    first: int
    last: int
    lost: bool = False

    @property
    def count(self) -> int:
        return self.last - self.first + 1


@dataclass(slots=True)
class _Came:
    """What came of one stream: spans of whole blocks in ascending order, and the parts of blocks that are not whole.

    `gone` are spans that do not come, as the DCU says. It does not know what of them the broker still holds: that is
    new when it comes. `bounded`: a birth has told where the stream begins. Until then nobody knows what is missing
    before the first block.
    """

    spans: list[_Span] = field(default_factory=list)
    gone: list[_Span] = field(default_factory=list)
    parts: dict[_Division, set[int]] = field(default_factory=dict)
    given_up: int = 0
    owed: int = 0
    bounded: bool = False

    def has(self, division: _Division, part: int) -> bool:
        return part in self.parts.get(division, ()) or any(first <= division[0] <= last for first, last in self.spans)

    @classmethod
    def remembered(cls, memory: str) -> Self:
        """Return what `memory` wrote down."""
        kept = json.loads(memory)
        parts = {(seq, boot, parts): set(own) for seq, boot, parts, own in kept.get("divided", ())}
        spans, gone = ([(first, last) for first, last in kept.get(name, ())] for name in ("spans", "gone"))
        owed = kept.get("owed", 0)
        return cls(spans, gone, parts, kept["given_up"], owed, kept.get("bounded", owed > 0))

    def memory(self) -> str:
        divided = [[*division, sorted(own)] for division, own in self.parts.items()]
        kept = {"spans": self.spans, "gone": self.gone, "divided": divided, "given_up": self.given_up}
        return json.dumps(kept | {"owed": self.owed, "bounded": self.bounded})

    @property
    def whole(self) -> int | None:
        """Up to which number nothing is missing that may still come; None: nothing is known."""
        if not self.bounded:
            return None
        last = self.owed - 1 if self.owed else None
        for first, end in _joined(self.spans + self.gone):
            if last is not None and first > last + 1:
                break
            last = end if last is None else max(last, end)
        return last

    def holes(self) -> Iterator[_Span]:
        """Yield what is missing between the whole blocks, and from the last of them to what is owed."""
        after: int | None = None
        for first, end in [*_joined(self.spans + self.gone), (self.owed, self.owed - 1)]:
            if after is not None and first > after:
                yield after, first - 1
            after = end + 1 if after is None else max(after, end + 1)

    def copy(self) -> Self:
        parts = {division: set(own) for division, own in self.parts.items()}
        return dataclasses.replace(self, spans=[*self.spans], gone=[*self.gone], parts=parts)

    def add(self, division: _Division, part: int) -> None:
        seq, _, parts = division
        self.parts.setdefault(division, set()).add(part)
        if len(self.parts[division]) == parts:
            self.parts = {each: own for each, own in self.parts.items() if each[0] != seq}
            self.join(seq, seq)
        if len(self.parts) > MAX_PARTIAL:
            del self.parts[min(self.parts)]

    def join(self, first: int, last: int) -> None:
        """Count `first` to `last` as come."""
        self.spans = _joined([*self.spans, (first, last)])
        if len(self.spans) > MAX_HOLES:
            (begin, end), (start, until), *rest = self.spans
            self.given_up += sum(last - first + 1 for first, last in self.holes() if end < first < start)
            self.spans = [(begin, until), *rest]

    def leave(self, first: int, last: int) -> None:
        """Wait for `first` to `last` no more."""
        self.gone = _joined([*self.gone, (first, last)])
        if len(self.gone) > MAX_HOLES:
            self.join(*self.gone.pop(0))


def _joined(spans: Iterable[_Span]) -> list[_Span]:
    """Return `spans` in ascending order; those that touch are one."""
    joined: list[_Span] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    return joined


class Follower:
    """Follows any number of DCUs. `known` has the memory of each stream, as another follower had it.

    Keep `memory` where the readings are kept, in the same transaction, and a restart changes nothing; then say `took`.
    """

    def __init__(self, known: Mapping[Stream, str] | None = None) -> None:
        self._came = {stream: _Came.remembered(memory) for stream, memory in (known or {}).items()}
        #: DCUs that a birth was heard of: a stream that it did not name begins with its first block.
        self._born: set[str] = set()

    def adopt(self, stream: Stream, memory: str) -> None:
        """Go on from the `memory` of a stream that another follower may have written since, of which births are kept.

        Where several processes keep into one database: in the transaction, before `new`, from the row that it locks.
        """
        came = _Came.remembered(memory)
        if (own := self._came.get(stream)) is not None:
            came.owed, came.bounded = max(own.owed, came.owed), own.bounded or came.bounded
        self._came[stream] = came

    def new(self, message: Block | Result) -> bool:
        """Whether `message` has not come before: then keep it with its `memory`, commit, and say that you `took` it.

        Of a block that comes divided in another way all parts are new: some of its captures are there already. What the
        DCU says it leapt over, or the broker refuses, is not waited for any more, but new if it comes.
        """
        came = self._came.get((message.dcu, message.stream))
        return came is None or not came.has((message.seq, message.boot, message.parts), message.part)

    def memory(self, message: Block | Result) -> str:
        """Return what has come of the stream of `message`, this among it, as short text."""
        return self._with(message).memory()

    def took(self, message: Block | Result) -> bool:
        """Count `message` as come, from now on; return whether it was new.

        Say it after the commit. What could not be committed comes again, and has to be new then.
        """
        if not self.new(message):
            return False
        self._came[message.dcu, message.stream] = self._with(message)
        return True

    def _with(self, message: Block | Result) -> _Came:
        came = self._came.get((message.dcu, message.stream), _Came(bounded=message.dcu in self._born)).copy()
        dropped = message.dropped if isinstance(message, Block) else None
        if dropped is not None and dropped.reason == REFUSED:
            came.leave(message.seq, message.seq)
        elif self.new(message):
            came.add((message.seq, message.boot, message.parts), message.part)
            if dropped is not None and dropped.numbers is not None:
                came.leave(*dropped.numbers)
        return came

    def positions(self) -> dict[Stream, int]:
        """Return up to which number each stream is whole: what may be acknowledged."""
        return {stream: last for stream, came in self._came.items() if (last := came.whole) is not None}

    def heard(self, state: State) -> None:
        """Take note of a birth: what is below its numbers comes only when it is asked for (`dcu.resend`).

        Before the first one of a DCU nothing of it is acknowledged: what came before its first block is not known.
        """
        if state.state != BORN:
            return
        self._born.add(state.dcu)
        for stream, seq in state.owed.items():
            self._came.setdefault((state.dcu, stream), _Came()).owed = seq
        for (dcu, _), came in self._came.items():
            came.bounded |= dcu == state.dcu

    def acknowledgements(self) -> dict[str, bytes]:
        """Return by DCU what tells it up to where it was heard: for its topic `ack`, when it waits for that."""
        streams: dict[str, dict[str, int]] = {}
        for (dcu, stream), seq in self.positions().items():
            streams.setdefault(dcu, {})[stream] = seq
        return {dcu: json.dumps({"streams": of}).encode() for dcu, of in streams.items()}

    def gaps(self) -> Iterator[Gap]:
        """Yield what is missing behind the first block that came: what may still come unasked, and what is lost."""
        for (dcu, stream), came in self._came.items():
            for first, last in came.holes():
                if first < came.owed:
                    yield Gap(dcu, stream, first, min(last, came.owed - 1), lost=True)
                if last >= came.owed:
                    yield Gap(dcu, stream, max(first, came.owed), last)

    def close(self, gap: Gap) -> None:
        """Wait for `gap` no more: the DCU does not know these numbers (any more). What of it comes is new still."""
        self._came[gap.dcu, gap.stream].leave(gap.first, gap.last)

    def given_up(self) -> int:
        """Return how many blocks are not waited for any more, because a stream had more than MAX_HOLES holes."""
        return sum(came.given_up for came in self._came.values())
