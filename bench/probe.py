"""`python -m bench.probe FILE dcu …`: runs a program of this project and writes how late its event loop was to FILE.

A timer every few milliseconds notes by how much it was missed; at the end FILE holds these seconds as a JSON list.
"""

import asyncio
import json
import sys
from pathlib import Path

from dcu.cli.dcu import cli
from dcu.clock import SystemClock
from dcu.serving import TimeBase

#: Between two looks, in seconds.
INTERVAL = 0.005


class ProbedLoop(asyncio.SelectorEventLoop):
    """An event loop that notes in `lags` how late its timers are."""

    def __init__(self) -> None:
        super().__init__()
        self.lags: list[float] = []
        self._next()

    def _next(self) -> None:
        self.call_later(INTERVAL, self._look, self.time() + INTERVAL)

    def _look(self, due: float) -> None:
        self.lags.append(self.time() - due)
        self._next()


def main() -> None:
    """Run `dcu …` on a probed loop."""
    loop = ProbedLoop()
    try:
        cli(sys.argv[3:], prog_name="dcu", obj=TimeBase(SystemClock(), lambda: loop))
    finally:
        Path(sys.argv[1]).write_text(json.dumps(loop.lags))


if __name__ == "__main__":
    main()
