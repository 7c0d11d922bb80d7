"""Addresses of brokers by their names: asked for beside the loop, waited for no longer than is said, and remembered.

A name server that hangs holds up neither a change to another channel nor the end of the process. Nobody connects here.
"""

import asyncio
import socket
import threading
from contextlib import suppress
from functools import partial
from typing import Any

#: Seconds for an answer: of a name that never had one, and of one whose last addresses may serve.
FIRST_ANSWER, NEWER_ANSWER = 10.0, 0.5

#: Names that are remembered; a configuration has fewer, and a broker may refer to others.
MAX_NAMES = 32

#: As `socket.getaddrinfo` gives them: family, kind, protocol, canonical name, address.
Address = tuple[Any, ...]
Key = tuple[str, int]


class Names:
    """What name servers said. One question is under way for a name at a time, in a thread nobody waits for."""

    def __init__(self) -> None:
        self._known: dict[Key, list[Address]] = {}
        self._asked: dict[Key, asyncio.Future[list[Address]]] = {}

    async def addresses(self, host: str, port: int) -> list[Address]:
        """Return addresses of `host`, the newest that can be had soon. Raises OSError: none, or no answer in time."""
        if _is_address(host):
            return _resolve(host, port, socket.AI_NUMERICHOST)
        key = host, port
        known = self._known.get(key)
        # shield: who asks next takes the answer that one who gave up was waiting for
        try:
            async with asyncio.timeout(NEWER_ANSWER if known else FIRST_ANSWER):
                return await asyncio.shield(self._asked.get(key) or self._ask(key))
        except OSError as error:  # TimeoutError is one
            if known:
                return known
            raise OSError(f"{host}: {error.strerror or str(error) or 'no name server answers in time'}") from error

    def _ask(self, key: Key) -> asyncio.Future[list[Address]]:
        loop = asyncio.get_running_loop()
        if len(self._asked) >= MAX_NAMES:
            raise OSError("too many name look-ups hang")
        answer: asyncio.Future[list[Address]] = loop.create_future()
        self._asked[key] = answer
        answer.add_done_callback(partial(self._answered, key))
        threading.Thread(target=_look_up, args=(key, answer, loop), daemon=True, name=f"look up {key[0]}").start()
        return answer

    def _answered(self, key: Key, answer: asyncio.Future[list[Address]]) -> None:
        del self._asked[key]
        if answer.cancelled() or answer.exception():
            return
        if key not in self._known and len(self._known) >= MAX_NAMES:
            del self._known[next(iter(self._known))]
        self._known[key] = answer.result()


def _is_address(host: str) -> bool:
    for family in socket.AF_INET, socket.AF_INET6:
        with suppress(OSError):
            socket.inet_pton(family, host.partition("%")[0])
            return True
    return False


def _resolve(host: str, port: int, flags: int = 0) -> list[Address]:
    # as octets where they say the same: for a text Python loads its tables of all scripts, 0.3 MB
    name = host.encode() if host.isascii() else host
    return socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=flags)


def _look_up(key: Key, answer: asyncio.Future[list[Address]], loop: asyncio.AbstractEventLoop) -> None:
    try:
        settle = partial(answer.set_result, _resolve(*key))
    except OSError as error:
        settle = partial(answer.set_exception, error)
    with suppress(RuntimeError):  # the loop has ended, and nobody asks any more
        loop.call_soon_threadsafe(settle)
