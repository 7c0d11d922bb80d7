"""Virtual time: an event loop that never waits. When nothing is ready, its clock jumps to the next timer.

For programs that live in one process without sockets, threads or children: what is outside does not jump along.
"""

import asyncio
import selectors
from dataclasses import dataclass


class _JumpSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type, unused-ignore] # chosen at run time
    """Looks at descriptors without waiting, and lets the time that would have been waited pass at once."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("virtual time has stopped: nothing is ready and no timer is set")
        if not ready and timeout is not None:
            self.now += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose `time()` starts at 0 and moves only when there is nothing to do."""

    def __init__(self) -> None:
        self._jumps = _JumpSelector()
        super().__init__(self._jumps)

    def time(self) -> float:
        return self._jumps.now


@dataclass(frozen=True)
class VirtualClock:
    """A `dcu.clock.Clock` on the running virtual loop; wall time is `origin` when the loop starts."""

    loop: VirtualLoop
    origin: float

    def now(self) -> float:
        return self.origin + self.loop.time()

    def monotonic(self) -> float:
        return self.loop.time()

    def trusted(self) -> bool:
        return True
