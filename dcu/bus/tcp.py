"""Meters or serial gateways behind TCP (DLMS port 4059). One connection is one bus, with one owner as any other."""

import asyncio
from urllib.parse import urlsplit

from dcu.bus.port import StreamPort

DLMS_PORT = 4059
CONNECT_TIMEOUT = 10.0


class TcpPort(StreamPort):
    """tcp://host:port; the port is 4059 when left out."""

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        url = urlsplit(self.name)
        async with asyncio.timeout(CONNECT_TIMEOUT):  # its TimeoutError is an OSError
            return await asyncio.open_connection(url.hostname, url.port or DLMS_PORT)
