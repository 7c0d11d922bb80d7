"""One suite for every kind of port: what a session relies on holds for a tty, for TCP and for a port in memory."""

import asyncio
import os
import tty
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from dcu.bus import Port, make_port
from dcu.config import BusConfig
from dcu.errors import BusError


@dataclass
class Line:
    """A port under test, and the far end of its line."""

    port: Port
    send: Callable[[bytes], Awaitable[None]]
    receive: Callable[[int], Awaitable[bytes]]
    cut: Callable[[], Awaitable[None]]


async def tty_line() -> AsyncIterator[Line]:
    far, near = os.openpty()
    tty.setraw(near)
    loop = asyncio.get_running_loop()

    async def send(data: bytes) -> None:
        os.write(far, data)

    async def receive(count: int) -> bytes:
        return await loop.run_in_executor(None, os.read, far, count)

    async def cut() -> None:
        os.close(far)

    port = make_port(BusConfig("bus", os.ttyname(near)))
    try:
        yield Line(port, send, receive, cut)
    finally:
        await port.close()
        os.close(near)


async def tcp_line() -> AsyncGenerator[Line]:
    met: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.get_running_loop().create_future()
    server = await asyncio.start_server(lambda r, w: met.set_result((r, w)), "127.0.0.1", 0)

    async def send(data: bytes) -> None:
        (await met)[1].write(data)

    async def receive(count: int) -> bytes:
        return await (await met)[0].readexactly(count)

    async def cut() -> None:
        (await met)[1].close()

    number = server.sockets[0].getsockname()[1]
    port = make_port(BusConfig("bus", f"tcp://127.0.0.1:{number}"))
    try:
        yield Line(port, send, receive, cut)
    finally:
        await port.close()
        if met.done():
            met.result()[1].close()
        server.close()
        await server.wait_closed()


@pytest.fixture(params=[tty_line, tcp_line])
async def line(request: pytest.FixtureRequest) -> AsyncIterator[Line]:
    made = request.param()
    yield await anext(made)
    await made.aclose()


async def test_octets_cross_in_both_directions_and_are_counted(line: Line) -> None:
    await line.port.open()
    await line.port.write(b"question")
    assert await line.receive(8) == b"question"
    await line.send(b"answer")
    assert await line.port.read() == b"answer"
    assert (line.port.octets_sent, line.port.octets_received) == (8, 6)


async def test_drain_throws_away_what_came_late(line: Line) -> None:
    await line.port.open()
    await line.send(b"late")
    # a pty hands on in its kernel's own time
    assert not await line.port.drain(0.5)
    await line.send(b"fresh")
    assert await line.port.read() == b"fresh"


async def test_a_read_that_times_out_leaves_the_port_usable(line: Line) -> None:
    await line.port.open()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await line.port.read()
    await line.send(b"still here")
    assert await line.port.read() == b"still here"


async def test_a_line_cut_at_the_other_end_is_a_bus_error(line: Line) -> None:
    await line.port.open()
    await line.port.write(b"x")
    await line.receive(1)
    await line.cut()
    with pytest.raises(BusError):
        await line.port.read()


async def test_a_port_says_that_the_other_end_hung_up() -> None:
    made = tcp_line()
    line = await anext(made)
    assert not line.port.hung_up()  # it is not open yet
    await line.port.open()
    await line.port.write(b"x")
    await line.receive(1)
    assert not line.port.hung_up()
    await line.cut()
    async with asyncio.timeout(30):
        while not line.port.hung_up():  # noqa: ASYNC110 - the port tells nobody
            await asyncio.sleep(0)
    await made.aclose()


async def test_a_closed_port_says_so(line: Line) -> None:
    with pytest.raises(BusError, match="not open"):
        await line.port.write(b"x")


@pytest.mark.parametrize("name", ["/dev/there-is-no-such-tty", "tcp://127.0.0.1:1"])
async def test_a_port_that_is_not_there_names_itself(name: str) -> None:
    with pytest.raises(BusError, match=name.removeprefix("tcp://").split(":")[0]):
        await make_port(BusConfig("bus", name)).open()
