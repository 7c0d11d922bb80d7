"""RS-485 and other serial lines. Parity and framing are 8N1, as HDLC over a serial line asks (IEC 62056-46, 5.2)."""

import asyncio

import serial_asyncio_fast

from dcu.bus.port import StreamPort


class SerialPort(StreamPort):
    """A tty, held exclusively: a second process on the line would mix two conversations."""

    def __init__(self, device: str, baud: int) -> None:
        super().__init__(device)
        self._baud = baud

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await serial_asyncio_fast.open_serial_connection(
            url=self.name, baudrate=self._baud, exclusive=True
        )
        return reader, writer
