"""The one interface to a line, and what stream-shaped lines share. It moves octets; it knows no protocol."""

import asyncio
import errno
import os
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Protocol

from dcu.errors import BusError

#: Octets taken from the line at a time; also the most a late answer can leave unread in our own hands.
READ_SIZE = 4096

#: A line that never falls silent (foreign chatter) is given up draining after this many seconds.
DRAIN_BOUND = 3.0

#: Closing is waited for this many seconds; a driver that takes longer closes by itself.
CLOSE_BOUND = 1.0


class Port(Protocol):
    """A half-duplex line with exactly one owner. Every method raises BusError when the line is gone."""

    octets_sent: int
    octets_received: int

    async def open(self) -> None:
        """Open the line; a port that is open is closed first."""

    def hung_up(self) -> bool:
        """Whether an open line was closed at the other end already: nothing that is written now would arrive."""

    async def write(self, data: bytes) -> None:
        """Hand `data` to the line; returns when the line has taken it, not when it was sent."""

    async def read(self) -> bytes:
        """Return the next octets, at least one. Waits for ever: the caller sets the time-out."""

    async def drain(self, quiet: float) -> bool:
        """Discard what arrives until the line was silent for `quiet` seconds (at most DRAIN_BOUND in all).

        Return whether that took a new connection: what hung on the old one is no more.
        """

    async def close(self) -> None:
        """Close the line, so that it can be opened again at once; never raises."""


class StreamPort(ABC):
    """A Port over a pair of asyncio streams; `connect` is what a kind of line adds."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.octets_sent = 0
        self.octets_received = 0
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @abstractmethod
    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open the streams; raises OSError (pyserial's errors are OSErrors too)."""

    async def open(self) -> None:
        await self.close()
        try:
            self._streams = await self.connect()
        except (OSError, ValueError) as error:  # pyserial raises ValueError for a rate the driver refuses
            raise BusError(f"{self.name}: cannot open: {_said(error)}") from error

    def hung_up(self) -> bool:
        if self._streams is None:
            return False
        reader, _ = self._streams
        return reader.at_eof() or reader.exception() is not None

    async def write(self, data: bytes) -> None:
        _, writer = self._opened()
        try:
            writer.write(data)
            await writer.drain()
        except OSError as error:
            raise BusError(f"{self.name}: lost while writing: {error}") from error
        self.octets_sent += len(data)

    async def read(self) -> bytes:
        reader, _ = self._opened()
        try:
            data = await reader.read(READ_SIZE)
        except OSError as error:
            raise BusError(f"{self.name}: lost while reading: {error}") from error
        if not data:
            raise BusError(f"{self.name}: the line was closed at the other end")
        self.octets_received += len(data)
        return data

    async def drain(self, quiet: float) -> bool:
        loop = asyncio.get_running_loop()
        end = loop.time() + DRAIN_BOUND
        while loop.time() < end:
            try:
                async with asyncio.timeout(quiet):
                    await self.read()
            except TimeoutError:
                break
        return False

    async def close(self) -> None:
        if self._streams is None:
            return
        (_, writer), self._streams = self._streams, None
        await give_up(writer)

    def _opened(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            raise BusError(f"{self.name}: the port is not open")
        return self._streams


def _said(error: OSError | ValueError) -> str:
    """Return what the system says; libraries put it into words of their own, with its number, pyserial twice."""
    number = getattr(error, "errno", None) or 0
    if number == errno.EAGAIN:
        return "another process has it"  # flock(2)
    if number > 0:
        return os.strerror(number)
    # what a resolver says has a number below 0
    return getattr(error, "strerror", None) or str(error) or "no answer in time"


async def give_up(writer: asyncio.StreamWriter) -> None:
    """Close at once what `writer` writes to, and return when it is closed, or CLOSE_BOUND has passed."""
    line = writer.transport
    # one that failed closes already: to be closed a second time would close what has its descriptor by then
    if not line.is_closing() or line.get_write_buffer_size():
        line.abort()  # not close: what is still unsent belongs to a conversation that is over
    with suppress(OSError):  # the time-out, or what ended the line
        async with asyncio.timeout(CLOSE_BOUND):
            await writer.wait_closed()
