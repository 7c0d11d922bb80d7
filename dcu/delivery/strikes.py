"""Which blocks break connections or are refused, over all connections; what becomes of them is in `sending`."""

from dataclasses import dataclass, field

#: A block's stream and sequence number.
Key = tuple[str, int]

#: A block that was the oldest under way when that many connections broke, or that was refused, is set aside: it is
#: tried again ASIDE_PERIOD seconds later when nothing else is under way, and does not hold up its stream.
SUSPECT_AFTER = 3

#: Blocks set aside at most; when the broker refuses more it is not the blocks' fault.
MAX_ASIDE = 8
ASIDE_PERIOD = 300.0


@dataclass(slots=True)
class Strikes:
    """Which blocks broke connections or were refused, over all connections. At most MAX_ASIDE blocks are suspected."""

    _counted: dict[Key, int] = field(default_factory=dict)

    def suspect(self, key: Key) -> bool:
        """Whether the block `key` is to be kept from holding up the others."""
        return self._counted.get(key, 0) >= SUSPECT_AFTER

    def blame(self, oldest: Key | None) -> None:
        """A connection broke: count it against the block that was `oldest` under way."""
        if oldest is not None:
            self._counted[oldest] = self._counted.get(oldest, 0) + 1
        self._bound()

    def refuse(self, key: Key) -> bool:
        """The broker refused the block `key`; say whether that may still be the block's own fault."""
        self._counted[key] = SUSPECT_AFTER
        return self._bound()

    def clear(self, key: Key) -> None:
        """The block `key` was acknowledged."""
        self._counted.pop(key, None)

    def _bound(self) -> bool:
        within = len(self._counted) <= MAX_ASIDE
        if not within:
            self._counted.clear()
        return within
