"""Reaching the broker: a TCP connection, and TLS over it, without a thread and so that it can be cancelled at any time.

What is spoken over the socket is not known here.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from dcu.uplink.names import Names

#: Seconds for the TCP connection to one address, for the TLS handshake, and for the CONNACK.
DIAL_TIMEOUT = 10.0


#: Why there is no TLS, where the other end says nothing, but resets the connection.
RESET = "tls: the connection is reset in the handshake: perhaps no TLS is spoken at this port"

#: What name servers said to any connection of this process.
NAMES = Names()


#: Is shown a socket before it is closed.
Spent = Callable[[socket.socket], None]


def unheeded(_line: socket.socket) -> None:
    """Nobody asks what it cost."""


@dataclass(frozen=True, slots=True)
class Route:
    """By which network interface, and from which own address, a connection leaves; None: as the system routes it.

    `spent` is shown each socket that no connection came of, just before it is closed.
    """

    interface: str | None = None
    source: str | None = None
    spent: Spent = unheeded

    def drop(self, line: socket.socket) -> None:
        """Close `line`, of which nothing came."""
        self.spent(line)
        line.close()

    def take(self, line: socket.socket) -> None:
        """Keep `line` to this route. Raises OSError: no such interface or address, or none of this family."""
        try:
            if self.interface is not None:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.interface.encode() + b"\0")
            if self.source is not None:
                line.bind((self.source, 0))
        except OSError as error:
            way = " ".join(filter(None, (self.interface, self.source)))
            raise OSError(error.errno, f"{way}: {error.strerror}") from error


#: As the system routes it.
ANY_ROUTE = Route()


async def dial(host: str, port: int, context: ssl.SSLContext | None = None, route: Route = ANY_ROUTE) -> socket.socket:
    """Return a non-blocking socket to the first address of `host` that answers, secured when there is a `context`.

    Raises OSError (ssl.SSLError is one); leaves no socket behind.
    """
    line = await _connected(host, port, route)
    if context is None:
        return line
    secured = context.wrap_socket(line, server_hostname=host, do_handshake_on_connect=False)
    try:
        async with asyncio.timeout(DIAL_TIMEOUT):
            await _handshake(secured)
    except BaseException as error:
        route.drop(secured)
        if isinstance(error, ConnectionResetError):  # as a broker does that takes our greeting for a packet of MQTT
            raise ConnectionResetError(RESET) from error
        raise
    return secured


async def _connected(host: str, port: int, route: Route) -> socket.socket:
    loop = asyncio.get_running_loop()
    failure = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in await NAMES.addresses(host, port):
        line = socket.socket(family, kind, protocol)
        line.setblocking(False)
        # a message is written whole; without this each waits a round trip for the acknowledgement of the one before
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            route.take(line)
            async with asyncio.timeout(DIAL_TIMEOUT):
                await loop.sock_connect(line, address)
        except OSError as error:  # TimeoutError is one
            route.drop(line)
            failure = error
        except BaseException:
            route.drop(line)
            raise
        else:
            return line
    raise failure


async def _handshake(line: ssl.SSLSocket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        ready = asyncio.Event()
        try:
            line.do_handshake()
        except ssl.SSLWantReadError:
            loop.add_reader(line, ready.set)
        except ssl.SSLWantWriteError:
            loop.add_writer(line, ready.set)
        else:
            return
        try:
            await ready.wait()
        finally:
            loop.remove_reader(line)
            loop.remove_writer(line)
