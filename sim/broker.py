"""A broker that can be taken away: a real mosquitto where it is installed, otherwise amqtt in a process of its own.

It listens on a free loopback port that stays the same over `stop` and `start`. What messages mean is not known here.
"""

import asyncio
import asyncio.subprocess as processes
import os
import random
import shutil
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

#: Seconds for a broker to listen.
START_TIMEOUT = 30.0

#: SIGTERM is repeated after so many seconds: mosquitto forgets one that comes just after it began to listen.
STOP_PAUSE = 0.3
STOP_TRIES = 30

#: Somebody else may take the port between our look and the broker's bind.
PORT_TRIES = 5

#: Below those that the system gives to whoever connects (ip_local_port_range): while a broker is away, no connection of
#: anybody else gets its port.
PORTS = range(10_000, 32_768)

_SBIN = "/usr/sbin:/usr/local/sbin"
_LISTENING = {"mosquitto": b" running", "amqtt": b"listening"}


def mosquitto() -> str | None:
    """Path of the installed mosquitto, or None."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:{_SBIN}")


def free_port() -> int:
    """A loopback port of PORTS that is nobody's now. Raises OSError."""
    # a seed that a test has set must not lead two processes to the same ports
    for port in random.SystemRandom().sample(PORTS, 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no port is free")


class Broker:
    """`async with Broker(directory) as broker:` a broker on `broker.host`, `broker.port`, its files in `directory`.

    `options` are further lines of mosquitto.conf; `embedded` forces amqtt (MQTT 3.1.1 only, nothing survives a stop).
    """

    host = "127.0.0.1"

    def __init__(self, directory: Path, options: Sequence[str] = (), *, embedded: bool | None = None) -> None:
        self.directory = directory
        self.port = 0
        self.kind = "amqtt" if embedded or mosquitto() is None else "mosquitto"
        self._options = tuple(options)
        self._process: processes.Process | None = None
        self._log: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        for left in reversed(range(PORT_TRIES)):
            self.port = free_port()
            try:
                await self.start()
            except OSError:
                if not left:
                    raise
            else:
                break
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start it and return when it listens. Raises OSError with what it said when it does not."""
        command = self._mosquitto() if self.kind == "mosquitto" else self._embedded()
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=processes.DEVNULL,
            stderr=processes.PIPE,
            start_new_session=True,  # Ctrl-C is not for it
        )
        self._process = process
        assert process.stderr is not None
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await _until(process.stderr, _LISTENING[self.kind])
        except BaseException:
            await self.kill()
            raise
        self._log = asyncio.create_task(_drain(process.stderr, self.directory / "broker.log"))

    async def stop(self) -> None:
        """End it in order (SIGTERM): mosquitto then saves its sessions and retained messages."""
        if self._process is not None and self._process.returncode is None:
            await self._terminate(self._process)
        await self._ended()

    async def _terminate(self, process: processes.Process) -> None:
        for _ in range(STOP_TRIES):
            process.terminate()
            try:
                async with asyncio.timeout(STOP_PAUSE):
                    await process.wait()
            except TimeoutError:
                # it may have ended just when the patience did
                if process.returncode is None:
                    continue
            return
        process.kill()

    async def kill(self) -> None:
        """End it as a power cut does (SIGKILL)."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        await self._ended()

    async def _ended(self) -> None:
        if self._process is not None:
            await self._process.wait()
            self._process = None
        if self._log is not None:
            await self._log
            self._log = None

    def _mosquitto(self) -> Sequence[str]:
        configuration = self.directory / "mosquitto.conf"
        lines = [
            f"listener {self.port} {self.host}",
            "allow_anonymous true",
            "log_dest stderr",
            "persistence true",
            f"persistence_location {self.directory}/",
            # As root mosquitto would become another user, who may not write here.
            *(["user root"] if os.geteuid() == 0 else []),
            # A head-end that is away for a while misses nothing.
            "max_queued_messages 0",
            *self._options,
        ]
        configuration.write_text("\n".join(lines) + "\n")
        path = mosquitto()
        assert path is not None
        return path, "-c", str(configuration)

    def _embedded(self) -> Sequence[str]:
        return sys.executable, "-m", "sim.embedded", str(self.port)


async def _until(lines: asyncio.StreamReader, word: bytes) -> None:
    said = b""
    while word not in (line := await lines.readline()):
        said += line
        if not line:
            raise OSError(f"the broker ended: {said.decode(errors='replace')[-500:]}")


async def _drain(lines: asyncio.StreamReader, path: Path) -> None:
    """Keep the pipe empty; the broker would block on a full one."""
    with path.open("ab") as log:
        while line := await lines.readline():
            log.write(line)
