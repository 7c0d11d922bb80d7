r"""The local door: a Unix socket where `dcuctl` talks one JSON object per line. What a request means is not known here.

client:  {"name": "dcu.ping"}\n        daemon:  one line per answer, then it closes the connection
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

from dcu.errors import DcuError, OperatorError

#: A request longer than this is refused: the longest command fits.
REQUEST_BOUND = 128 * 1024

#: Requests taken at once; the next one has its turn when one of them has its first answer. Who then waits for a meter
#: takes no place from whoever asks how the box is.
CONNECTIONS = 16

#: A client that says nothing is shown the door after this many seconds.
REQUEST_TIMEOUT = 2.0

#: Who has hung up may only have said all that it has to say: it is answered for so many seconds more.
LINGER = 5.0


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
        """Serve until cancelled. Raises OperatorError when the path cannot be used, or another daemon serves it."""
        if await _answered(self._path):
            raise OperatorError(f"{self._path}: cannot open the local socket: another dcu run answers there")
        try:
            # a socket that nobody serves any more is replaced
            server = await asyncio.start_unix_server(self._serve, self._path, limit=REQUEST_BOUND)
            self._path.chmod(0o660)
            own = self._path.stat().st_ino
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
            if _inode(self._path) == own:
                self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._conversations.add(task)
        late = "no request came in time"
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                request = await reader.readline()
            late = "no answer came before you had hung up"
            async with asyncio.timeout(None) as limit:
                hearing = asyncio.create_task(_bound(limit, reader))
                try:
                    await self._tell(request, writer)
                finally:
                    hearing.cancel()
                    await asyncio.wait([hearing])
        except (TimeoutError, ValueError, OSError, DcuError) as error:  # ValueError: longer than REQUEST_BOUND
            writer.write(json.dumps({"state": "failed", "error": str(error) or late}).encode() + b"\n")
        finally:
            self._conversations.discard(task)
            writer.close()

    async def _tell(self, request: bytes, writer: asyncio.StreamWriter) -> None:
        answers = self._answer(request)
        async with self._places:
            line = await anext(answers, None)
        while line is not None:
            writer.write(line + b"\n")
            await writer.drain()
            line = await anext(answers, None)


async def _answered(path: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return False
    writer.close()
    return True


def _inode(path: Path) -> int | None:
    return path.stat().st_ino if path.exists() else None


async def _bound(limit: asyncio.Timeout, reader: asyncio.StreamReader) -> None:
    """End what `limit` holds some time after the client has hung up; what else it says is not listened to."""
    with suppress(OSError):
        while await reader.read(REQUEST_BOUND):
            pass
    limit.reschedule(asyncio.get_running_loop().time() + LINGER)
