import asyncio
import socket
import ssl
from typing import Any

import pytest

from dcu.uplink import dial as module
from dcu.uplink.dial import Route, dial
from sim.broker import free_port


async def test_the_first_address_that_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]

    async def addresses(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", each)) for each in (free_port(), port)]

    monkeypatch.setattr(module.NAMES, "addresses", addresses)
    with listening, await dial("broker", 1883) as line:
        assert line.getpeername() == ("127.0.0.1", port)
        assert line.getblocking() is False


@pytest.mark.parametrize(("route", "source"), [(Route("lo"), "127.0.0.1"), (Route(source="127.0.0.2"), "127.0.0.2")])
async def test_the_route_is_taken(route: Route, source: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        with await dial("127.0.0.1", listening.getsockname()[1], route=route):
            line, address = listening.accept()
        line.close()
    assert address[0] == source


@pytest.mark.parametrize(
    ("route", "said"),
    [
        (Route("nowhere0"), "nowhere0: No such device"),
        (Route(source="192.0.2.77"), "192.0.2.77: Cannot assign requested address"),
        (Route("lo", "::1"), "lo ::1: Address family for hostname not supported"),
    ],
)
async def test_a_route_that_there_is_not(route: Route, said: str) -> None:
    with pytest.raises(OSError, match=said):
        await dial("127.0.0.1", free_port(), route=route)


async def test_nobody_there() -> None:
    with pytest.raises(ConnectionRefusedError):
        await dial("127.0.0.1", free_port())


async def test_a_handshake_nobody_answers_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DIAL_TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listening, pytest.raises(TimeoutError):
        await dial("127.0.0.1", listening.getsockname()[1], ssl.create_default_context())


async def test_a_peer_that_speaks_no_tls() -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n" * 10)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(nonsense, "127.0.0.1", 0) as server:
        with pytest.raises(ssl.SSLError):
            await dial("127.0.0.1", server.sockets[0].getsockname()[1], ssl.create_default_context())
