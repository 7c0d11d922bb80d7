"""Invocation counters of both sides, by key and system title: ours are handed out, the meters' are remembered.

Where they outlive a restart is the store's business; what they protect is `dcu.dlms.security`'s.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Mapping
from typing import Protocol

from dcu.errors import Breach, SecurityError, SpentError
from dcu.model import Keys

#: Counters fetched from the store at a time, and the fewest a visit may start with: a visit of 256 requests is hostile.
COUNTER_BLOCK = 1024
COUNTER_RESERVE = 256

#: How far ours follows meters that say they heard a higher one, in all the time of a key. Nobody has proved those
#: numbers, and whoever can make a meter's refusal can make one again and again: forged ones must not use up the 2^32
#: counters that a key has.
MAX_JUMP = 1 << 28

#: How often it follows them under one key within so many seconds: each time is a commit. Meters that share a key after
#: a re-installation need a few in a row, for the one whose counter is highest is seldom the first.
MAX_JUMPS, JUMPS_IN = 16, 86_400.0


class CounterStore(Protocol):
    """Where counters outlive a restart."""

    async def reserve(self, key: str, count: int, above: int = -1) -> range:
        """Return `count` counters of `key` above `above`, never given before, committed as given.

        MeterError when there are none left. Raises StoreError.
        """

    async def last(self) -> Mapping[str, int]:
        """Return the highest counter of each key that is known to have been used."""

    async def believe(self, key: str, counter: int) -> None:
        """Keep `counter` as the last one of `key`, though a higher one may be known. Raises StoreError."""


def counter_name(keys: Keys, title: bytes) -> str:
    """Return the name of the counters that the owner of `title` uses with `keys`.

    Meters may share a key, and then share our counters: a counter that two meters had under one key and one title would
    give the key's ciphering away.
    """
    return hashlib.sha256(keys.encryption_key + title).hexdigest()[:32]


def _moved_name(keys: Keys, title: bytes) -> str:
    """Return the name under which it is kept by how much meters have moved ours: a number that only grows, as those."""
    return counter_name(keys, title + b" moved")  # nobody has so long a title


class Invocations:
    """All counters of the box. `prepare` before a visit, then a `Ledger` serves it without waiting.

    Our counters come from `store`, which commits a block before it returns it, so that a crash skips counters and never
    repeats one (IEC 62056-5-3, 5.3.3.3.1: the initialization vector must be unique per key).
    """

    def __init__(self, counters: CounterStore) -> None:
        self._counters = counters
        self._ranges: dict[str, range] = {}
        self._heard: dict[str, int] = {}
        self._loaded = False
        self._jumped: set[str] = set()
        #: When (s of the loop's clock) the latest jumps were.
        self._jumps: dict[str, deque[float]] = {}

    async def prepare(self, keys: Keys, title: bytes, news: dict[str, int]) -> "Ledger":
        """Return the ledger of a visit under `keys` by us, who are `title`; what it hears is noted in `news` too.

        MeterError when the key has none left for us. Raises StoreError.
        """
        if not self._loaded:
            # another line may have loaded them meanwhile, and heard higher ones
            for known, counter in (await self._counters.last()).items():
                self._heard.setdefault(known, counter)
            self._loaded = True
        name = counter_name(keys, title)
        if len(self._ranges.get(name, ())) < COUNTER_RESERVE:
            self._ranges[name] = await self._counters.reserve(name, COUNTER_BLOCK)
        return Ledger(keys, name, self._ranges, self._heard, news)

    async def jump(self, keys: Keys, title: bytes, heard: int) -> bool:
        """Go above `heard`, the counter that a meter says was used last; False when ours is above it already.

        SecurityError when that is too far with all that went before, or too often, or when the last jump has not led to
        an association. MeterError when the key has none left above it. Raises StoreError.
        """
        name, total = counter_name(keys, title), _moved_name(keys, title)
        ours = self._ranges[name].start
        if heard < ours:
            return False
        moved = self._heard.get(total, 0) + heard + 1 - ours
        if moved > MAX_JUMP or name in self._jumped or not self._rested(name):
            raise SecurityError(Breach.COUNTER, f"invocation counter {heard} is not believed, ours is {ours}")
        self._jumped.add(name)
        # kept first: a jump that is not counted could be made again after each restart
        await self._counters.believe(total, moved)
        self._heard[total] = moved
        self._ranges[name] = await self._counters.reserve(name, COUNTER_BLOCK, above=heard)
        return True

    def _rested(self, name: str) -> bool:
        """Whether ours may jump again, which counts as a jump."""
        now = asyncio.get_running_loop().time()
        jumps = self._jumps.setdefault(name, deque(maxlen=MAX_JUMPS))
        if len(jumps) == MAX_JUMPS and now - jumps[0] < JUMPS_IN:
            return False
        jumps.append(now)
        return True

    async def believe(self, keys: Keys, title: bytes, counter: int, news: dict[str, int]) -> int:
        """Take `counter` for the last one that `title` used, also a lower one; return what was held for it, or -1.

        `title` is a meter's, never ours, and has just proved that it is alive. Raises StoreError.
        """
        name = counter_name(keys, title)
        await self._counters.believe(name, counter)
        news.pop(name, None)
        before = self._heard.get(name, -1)
        self._heard[name] = counter
        return before

    def agreed(self, keys: Keys, title: bytes) -> None:
        """An association has opened: the meter takes our counters."""
        self._jumped.discard(counter_name(keys, title))


class Ledger:
    """The counters of one visit: `take` ours; `get` and set the meter's by its system title, as `Cipher` wants them.

    `news` gathers what was heard and is not stored yet, by name.
    """

    def __init__(
        self, keys: Keys, name: str, ranges: dict[str, range], heard: dict[str, int], news: dict[str, int]
    ) -> None:
        self._keys = keys
        self._name = name
        self._ranges = ranges
        self._heard = heard
        self._names: dict[bytes, str] = {}
        self._news = news

    def take(self) -> int:
        """Return a counter never given before; SpentError when the visit has used up what was reserved."""
        left = self._ranges[self._name]
        if not left:
            raise SpentError("the visit used up its reserved invocation counters")
        self._ranges[self._name] = left[1:]
        return left[0]

    def get(self, title: bytes, default: int) -> int:
        """Return the highest counter that `title` was heard to use under these keys."""
        if title not in self._names:
            self._names = {title: counter_name(self._keys, title)}  # an association has one peer
        return self._heard.get(self._names[title], default)

    def __setitem__(self, title: bytes, counter: int) -> None:
        name = self._names[title]
        self._heard[name] = self._news[name] = counter
