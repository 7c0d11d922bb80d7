"""Meters or serial gateways behind TCP (DLMS port 4059). One connection is one bus, with one owner as any other."""

import asyncio
from urllib.parse import urlsplit

from dcu.bus.port import StreamPort

DLMS_PORT = 4059
CONNECT_TIMEOUT = 10.0


class TcpPort(StreamPort):
    """tcp://host:port; the port is 4059 when left out."""

    _sent_before = 0

    async def drain(self, quiet: float) -> bool:
        """Connect anew, when anything was asked on this connection: what it still holds can then never arrive.

        Silence proves nothing here, an answer may be late by any time; and a gateway whose session hangs while its TCP
        lives is left this way too.
        """
        if self.octets_sent == self._sent_before:
            return await super().drain(quiet)
        await self.open()
        return True

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self._sent_before = self.octets_sent
        url = urlsplit(self.name)
        async with asyncio.timeout(CONNECT_TIMEOUT):  # its TimeoutError is an OSError
            return await asyncio.open_connection(url.hostname, url.port or DLMS_PORT)
