"""The daemon as a process of its own: started, asked, stopped, killed; for the demo, tests and benchmarks.

It is driven from outside only: by its command line, its signals and its local socket.
"""

import asyncio
import asyncio.subprocess as processes
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

#: Seconds until a daemon answers on its socket, and until it has ended after SIGTERM.
START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0

#: Between two looks whether the socket is there yet.
LOOK_AGAIN = 0.02

#: The longest answer of the local socket.
ANSWER_BOUND = 4 << 20


class DaemonProcess:
    """`async with DaemonProcess(config, socket, log) as daemon:` a daemon that answers; ended in order at the end.

    `speed` and `origin` are those of `sim.warp`; `program` is what Python runs with the words of `dcu`, when it is not
    `dcu` itself. What it says goes to the file `log`.
    """

    def __init__(
        self,
        config: Path,
        socket: Path,
        log: Path,
        *,
        speed: float = 1.0,
        origin: float = 0.0,
        program: Sequence[str] = ("-m", "dcu.cli.main"),
    ) -> None:
        self._socket = socket
        self._log = log
        self._speed = speed
        if speed != 1:
            program = ["-m", "sim.warp", "--speed", str(speed), "--origin", str(origin), "--", "dcu"]
        self._command = [*program, "run", "--config", str(config)]
        self._process: processes.Process | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it and return when it answers. Raises RuntimeError with the end of its log when it does not."""
        await self.spawn()
        try:
            async with asyncio.timeout(START_TIMEOUT * self._speed):
                while not await self._answers():  # noqa: ASYNC110 - no event of ours is set there
                    await asyncio.sleep(LOOK_AGAIN * self._speed)
        except TimeoutError:
            await self.kill()
            raise RuntimeError(f"the daemon does not answer: {self.said()[-2000:]}") from None

    async def spawn(self, **environment: str) -> None:
        """Start it and return at once."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *self._command,
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
                start_new_session=True,  # Ctrl-C at a terminal is for who began us: we are ended in order
            )

    async def _answers(self) -> bool:
        assert self._process is not None
        if self._process.returncode is not None:
            raise RuntimeError(f"the daemon ended with {self._process.returncode}: {self.said()[-2000:]}")
        try:
            return bool(await self.status())
        except (OSError, ValueError):  # no socket yet, or hung up before it answered
            return False

    async def status(self) -> dict[str, Any]:
        """Return the result of `dcu.status`."""
        result: dict[str, Any] = (await self.ask("dcu.status"))["result"]
        return result

    async def ask(self, name: str, **envelope: Any) -> dict[str, Any]:
        """Send a command through the local socket and return its last answer. Raises OSError or ValueError."""
        reader, writer = await asyncio.open_unix_connection(self._socket, limit=ANSWER_BOUND)
        try:
            writer.write(json.dumps({"id": f"ask-{os.urandom(8).hex()}", "name": name, **envelope}).encode() + b"\n")
            lines = (await reader.read(-1)).splitlines()
        finally:
            writer.close()
        answer: dict[str, Any] = json.loads(lines[-1] if lines else b"")
        return answer

    async def stop(self) -> int | None:
        """End it with SIGTERM, and SIGKILL when it does not listen; return its exit status."""
        if self._process is None:
            return None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(STOP_TIMEOUT * self._speed):
                        await self._process.wait()
            finally:
                # also when nobody waits any longer: its lines go away, and their names go to the next
                if self._process.returncode is None:
                    self._process.kill()
        return await self._process.wait()

    async def kill(self) -> None:
        """End it as a power cut does."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def wait(self) -> int:
        """Return its exit status when it has ended."""
        assert self._process is not None
        return await self._process.wait()

    def said(self) -> str:
        """Return its log."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""
