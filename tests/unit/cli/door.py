"""The door of a daemon that answers what a test tells it to, for the commands of `dcuctl`."""

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

Answer = Callable[[dict[str, Any]], dict[str, Any]]


class Door:
    """Takes one connection after the other: notes the request, says its `lines` or what `answer` makes of it, hangs up.

    Words are said as they are, all else as JSON.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.requests: list[dict[str, Any]] = []
        self.lines: list[object] = []
        self.answer: Answer | None = None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection, connection.makefile("rw") as stream:
                request = stream.readline()
                if not request:
                    return
                self.requests.append(json.loads(request))
                for line in self.lines if self.answer is None else [self.answer(self.requests[-1])]:
                    stream.write((line if isinstance(line, str) else json.dumps(line)) + "\n")
                stream.flush()

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(str(self.path))
        self._thread.join()
        self._listener.close()
