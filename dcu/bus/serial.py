"""RS-485 and other serial lines. Parity and framing are 8N1, as HDLC over a serial line asks (IEC 62056-46, 5.2)."""

import asyncio
from contextlib import suppress

import serial_asyncio_fast

from dcu.bus.port import StreamPort, give_up

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class SerialPort(StreamPort):
    """A tty, held exclusively: a second process on the line would mix two conversations."""

    def __init__(self, device: str, baud: int) -> None:
        super().__init__(device)
        self._baud = baud

    async def connect(self) -> Streams:
        opening = asyncio.create_task(self._open())
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.create_task(_undo(opening)))
            raise

    async def _open(self) -> Streams:
        reader, writer = await serial_asyncio_fast.open_serial_connection(
            url=self.name, baudrate=self._baud, exclusive=True
        )
        return reader, writer


async def _undo(opening: asyncio.Task[Streams]) -> None:
    """Close what a thread opens for nobody any more; it cannot be stopped, and would hold the line."""
    with suppress(OSError, ValueError):
        _, writer = await opening
        await give_up(writer)
