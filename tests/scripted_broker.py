"""A broker on loopback that does exactly what a test says: for answers no real broker can be made to give.

It reads whole MQTT packets; `answer` gets (first byte, body) and returns what to write, or None to hang up.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

Answer = Callable[[int, bytes], bytes | None]

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, PINGREQ, DISCONNECT = 0x10, 0x30, 0x40, 0x80, 0xC0, 0xE0

ACCEPTED_3 = bytes.fromhex("20020000")
REFUSED_3 = bytes.fromhex("20020001")
ACCEPTED_5 = bytes.fromhex("2003000000")


def connack_5(reason: int = 0, properties: bytes = b"") -> bytes:
    return bytes([0x20, 3 + len(properties), 0, reason, len(properties)]) + properties


def version(connect: bytes) -> int:
    """Protocol level of a CONNECT body: 4 is MQTT 3.1.1."""
    return connect[6]


def packet_id(body: bytes) -> bytes:
    """The two octets of a PUBLISH body after its topic."""
    end = 2 + int.from_bytes(body[:2], "big")
    return body[end : end + 2]


def puback(body: bytes, reason: int | None = None) -> bytes:
    tail = b"" if reason is None else bytes([reason, 0])
    return bytes([0x40, 2 + len(tail)]) + packet_id(body) + tail


class ScriptedBroker:
    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.port = 0
        self.packets: list[tuple[int, bytes]] = []
        self.connections = 0
        self.open = 0
        self.changed = asyncio.Event()

    def kinds(self) -> list[int]:
        return [first & 0xF0 for first, _ in self.packets]

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self.changed.clear()
            await self.changed.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while True:
                first, body = await read_packet(reader)
                self.packets.append((first, body))
                self.changed.set()
                reply = self.answer(first, body)
                if reply is None:
                    break
                writer.write(reply)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client hung up, as it may
        finally:
            self.open -= 1
            self.changed.set()
            writer.close()


async def read_packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first = (await reader.readexactly(1))[0]
    length = shift = 0
    while True:
        digit = (await reader.readexactly(1))[0]
        length |= (digit & 127) << shift
        shift += 7
        if digit < 128:
            return first, await reader.readexactly(length)


@asynccontextmanager
async def scripted(answer: Answer, line: socket.socket | None = None) -> AsyncIterator[ScriptedBroker]:
    """Serve at `line`, which is bound and refuses until then, or at a port of its own."""
    broker = ScriptedBroker(answer)
    place = {"host": "127.0.0.1", "port": 0} if line is None else {"sock": line}
    server = await asyncio.start_server(broker.serve, **place)
    broker.port = server.sockets[0].getsockname()[1]
    try:
        yield broker
    finally:
        server.close()
        await broker.until(lambda: broker.open == 0)
