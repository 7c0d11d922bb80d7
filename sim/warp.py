"""Simulated time: an event loop and a wall clock that run faster than the world, the same in every process of a show.

    python -m sim.warp --speed 60 --origin 1790000000 -- dcu run -c dcu.yaml

runs a program of this project unchanged inside faster time: every wait, time-out and schedule of it is on the loop's
clock. Nothing of the daemon knows of it.
"""

import argparse
import asyncio
import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass

from dcu.cli.dcu import cli
from dcu.clock import ClockState
from dcu.serving import TimeBase


@dataclass(frozen=True)
class WarpClock:
    """A `dcu.clock.Clock` that runs `speed` times as fast since the real instant `origin` (Unix seconds)."""

    speed: float = 1.0
    origin: float = 0.0

    @classmethod
    def starting_now(cls, speed: float) -> "WarpClock":
        """Return a clock that agrees with real time at this moment."""
        return cls(speed, time.time())

    def now(self) -> float:
        return self.origin + (time.time() - self.origin) * self.speed

    def monotonic(self) -> float:
        return time.monotonic() * self.speed

    def trusted(self) -> bool:
        return True

    def state(self) -> ClockState:
        return ClockState.SYNCHRONISED


class _WarpSelector(selectors.DefaultSelector):  # type: ignore[misc, valid-type, unused-ignore] # chosen at run time
    """Waits a loop's seconds, which are shorter than real ones."""

    speed = 1.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(timeout if timeout is None else timeout / self.speed)


class WarpLoop(asyncio.SelectorEventLoop):
    """An event loop whose seconds are `speed` times shorter than real ones."""

    def __init__(self, speed: float) -> None:
        selector = _WarpSelector()
        selector.speed = speed
        self._speed = speed
        super().__init__(selector)

    def time(self) -> float:
        return time.monotonic() * self._speed


def loop_factory(speed: float) -> Callable[[], asyncio.AbstractEventLoop]:
    """Return what `asyncio.Runner(loop_factory=…)` takes."""
    return lambda: WarpLoop(speed)


def main() -> None:
    """Run `dcu …` in warped time."""
    parser = argparse.ArgumentParser(prog="python -m sim.warp", description=__doc__)
    parser.add_argument("--speed", type=float, default=1.0, help="simulated seconds per real second (default 1)")
    parser.add_argument("--origin", type=float, default=0.0, help="Unix time at which simulated and real time agree")
    parser.add_argument("program", nargs=argparse.REMAINDER, metavar="-- dcu …", help="the command line to run")
    arguments = parser.parse_args()
    words = [word for word in arguments.program if word != "--"]
    if words[:1] != ["dcu"]:
        parser.error("expected `-- dcu …` at the end")
    base = TimeBase(WarpClock(arguments.speed, arguments.origin), loop_factory(arguments.speed))
    cli(words[1:], prog_name="dcu", obj=base)


if __name__ == "__main__":
    main()
