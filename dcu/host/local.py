r"""The local door: a Unix socket where `dcuctl` talks one JSON object per line. What a request means is not known here.

client:  {"name": "dcu.ping"}\n        daemon:  one line per answer, then it closes the connection
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from dcu.errors import DcuError, OperatorError

#: A request longer than this is refused: the longest command fits.
REQUEST_BOUND = 128 * 1024

#: Requests answered at once; the next one waits in the socket's own queue.
CONNECTIONS = 16

#: A client that says nothing is shown the door after this many seconds.
REQUEST_TIMEOUT = 2.0


class LocalDoor:
    """Serves `path` while `run` runs; `answer` turns a request line into answer lines, without line ends.

    Owner and group may use it: who is in the group may command the box.
    """

    def __init__(self, path: Path, answer: Callable[[bytes], AsyncIterator[bytes]]) -> None:
        self._path = path
        self._answer = answer
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._conversations: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until cancelled. Raises OperatorError when the path cannot be used."""
        try:
            self._path.unlink(missing_ok=True)
            server = await asyncio.start_unix_server(self._serve, self._path, limit=REQUEST_BOUND)
            self._path.chmod(0o660)
        except OSError as error:
            raise OperatorError(f"{self._path}: cannot open the local socket: {error.strerror or error}") from error
        try:
            async with server:
                try:
                    await server.serve_forever()
                finally:
                    # from Python 3.12 on a server ends only when its last conversation has: a client that waits for
                    # a slow meter must not hold up the end of the daemon
                    for task in self._conversations:
                        task.cancel()
        finally:
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                request = await reader.readline()
            async with self._places:
                async for line in self._answer(request):
                    writer.write(line + b"\n")
                    await writer.drain()
        except (TimeoutError, ValueError, OSError, DcuError) as error:  # ValueError: longer than REQUEST_BOUND
            reason = str(error) or "no request came in time"
            writer.write(json.dumps({"state": "failed", "error": reason}).encode() + b"\n")
        finally:
            self._conversations.discard(task)
            writer.close()
