"""Virtual time: an event loop that never waits. When nothing is ready, its clock jumps to the next timer.

For programs that live in one process without sockets or children: what is outside does not jump along. Of threads, the
loop waits for those whose work it was told of (`VirtualLoop.outside`): a database on a real disk.
"""

import asyncio
import selectors
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from dcu.clock import ClockState


class _JumpSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type, unused-ignore] # chosen at run time
    """Looks at descriptors without waiting, and lets the time that would have been waited pass at once.

    While anything is under way `outside`, time runs no faster than the world's: a slow disk must not cost a day.
    """

    now = 0.0
    outside = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(timeout if self.outside else 0)
        if not ready and timeout is None and not self.outside:
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

    @contextmanager
    def outside(self) -> Iterator[None]:
        """Let time jump no more meanwhile: what is awaited inside depends on the world."""
        self._jumps.outside += 1
        try:
            yield
        finally:
            self._jumps.outside -= 1

    async def shutdown_default_executor(self, *args: Any) -> None:
        """Wait for threads as the world does: they end in its time."""
        with self.outside():
            await super().shutdown_default_executor(*args)


class Outside:
    """Stands for `thing`; while anybody awaits one of its methods, the time of `loop` does not jump."""

    def __init__(self, thing: Any, loop: VirtualLoop) -> None:
        self._thing = thing
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._thing, name)
        if not iscoroutinefunction(found):
            return found

        @wraps(found)
        async def held(*args: Any, **named: Any) -> Any:
            with self._loop.outside():
                return await found(*args, **named)

        return held


@dataclass(frozen=True)
class LoopClock:
    """A `dcu.clock.Clock` on the time of `loop`; wall time is `origin` when that is 0."""

    loop: asyncio.AbstractEventLoop
    origin: float

    def now(self) -> float:
        return self.origin + self.loop.time()

    def monotonic(self) -> float:
        return self.loop.time()

    def trusted(self) -> bool:
        return True

    def state(self) -> ClockState:
        return ClockState.SYNCHRONISED


@dataclass(frozen=True)
class VirtualClock(LoopClock):
    """The same on a virtual loop: wall time is `origin` when the loop starts."""

    loop: VirtualLoop
