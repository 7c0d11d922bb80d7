"""Two network namespaces, a unit's and a head-end's, and the WAN links between them as processes of their own.

Needs root and the tools of iproute2; `missing` says what is not there. What a link does to a packet is in `sim.wan`.
"""

import asyncio
import asyncio.subprocess as processes
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

#: Where the broker is, by whatever link; an address of the far loopback.
BROKER = "10.90.0.1"

_numbers = itertools.count()


def missing() -> str | None:
    """Return what is not there for namespaces and TUN devices, None when all is."""
    if os.geteuid() != 0:
        return "it takes root to make network namespaces"
    if shutil.which("ip") is None:
        return "iproute2 is not installed"
    if not Path("/dev/net/tun").exists():
        return "there is no /dev/net/tun"
    return None if _ip("netns", "list", check=False) == 0 else "network namespaces are not allowed here"


def _ip(*words: str, check: bool = True) -> int:
    return subprocess.run(["ip", *words], check=check, capture_output=True).returncode  # noqa: S603, S607 - our own words


@dataclass(frozen=True, slots=True)
class Networks:
    """The names of the unit's namespace and the head-end's."""

    unit: str
    head: str

    def within(self, namespace: str, *command: str) -> list[str]:
        """Return the command line that runs `command` in one of them."""
        return ["ip", "netns", "exec", namespace, *command]


@contextmanager
def networks() -> Iterator[Networks]:
    """Make both namespaces, each with its loopback; the broker's address is the head-end's."""
    stem = f"dcu{os.getpid()}n{next(_numbers)}"
    made = Networks(f"{stem}u", f"{stem}h")
    try:
        for name in (made.unit, made.head):
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", made.head, "addr", "add", f"{BROKER}/32", "dev", "lo")
        yield made
    finally:
        for name in (made.unit, made.head):
            _ip("netns", "del", name, check=False)


class WanLink:
    """`async with WanLink(networks, 0, rate=…, delay=…, loss=…) as link:` the way number `number` to the broker.

    The device is `wan{number}` on both sides; `rate` in bit/s and `delay` in seconds are those of one direction.
    """

    def __init__(
        self, between: Networks, number: int, *, rate: float = 0.0, delay: float = 0.0, loss: float = 0.0
    ) -> None:
        self.device = f"wan{number}"
        self._between = between
        self._near, self._far = f"10.90.{number + 1}.2", f"10.90.{number + 1}.1"
        self._metric = str(number + 1)
        self._options = [f"--rate={rate}", f"--delay={delay}", f"--loss={loss}"]
        self._process: processes.Process | None = None

    async def __aenter__(self) -> Self:
        ends = f"{self._between.unit}={self._near}", f"{self._between.head}={self._far}"
        command = [sys.executable, "-m", "sim.wan", self.device, *ends, *self._options]
        self._process = await asyncio.create_subprocess_exec(*command, stdout=processes.PIPE)
        assert self._process.stdout is not None
        if await self._process.stdout.readline() != b"ready\n":
            raise OSError("the link does not stand")
        route = ("route", "add", BROKER, "dev", self.device, "src", self._near, "metric", self._metric)
        _ip("-n", self._between.unit, *route)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            await self.end()

    async def end(self) -> dict[str, Sequence[int]]:
        """End the link; return what was carried, up and down: packets `carried`, their `octets`, `lost`, `dropped`."""
        assert self._process is not None
        self._process.terminate()
        said, _ = await self._process.communicate()
        found: dict[str, Any] = json.loads(said or b"{}")
        return found

    def unplug(self) -> None:
        """Take the carrier away; nothing passes."""
        self._tell(signal.SIGUSR1)

    def silence(self) -> None:
        """Let everything vanish, and nobody know."""
        self._tell(signal.SIGUSR2)

    def mend(self) -> None:
        self._tell(signal.SIGHUP)

    def _tell(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)
