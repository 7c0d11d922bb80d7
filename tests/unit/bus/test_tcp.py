"""A line over TCP: where it connects to, and how it is drained. What all ports do: tests/contract."""

import asyncio
from typing import Any

import pytest

from dcu.bus.tcp import CONNECT_TIMEOUT, DLMS_PORT, TcpPort
from dcu.errors import BusError
from sim.virtual import VirtualClock
from tests.lines import virtually


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("tcp://gateway:2000", ("gateway", 2000)),
        ("tcp://192.0.2.1", ("192.0.2.1", DLMS_PORT)),
        ("tcp://[::1]:1", ("::1", 1)),
    ],
)
def test_a_gateway_that_does_not_answer_is_given_up_in_time(
    name: str, wanted: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    async def never(*where: Any) -> None:
        asked.append(where)
        await asyncio.get_running_loop().create_future()

    async def work(clock: VirtualClock) -> None:
        begin = clock.monotonic()
        with pytest.raises(BusError, match="cannot open"):
            await TcpPort(name).open()
        assert clock.monotonic() - begin == pytest.approx(CONNECT_TIMEOUT)

    monkeypatch.setattr(asyncio, "open_connection", never)
    virtually(work)
    assert asked == [wanted]


async def test_a_tcp_line_with_a_question_still_open_is_drained_by_connecting_anew() -> None:
    connections: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: connections.append(writer), "127.0.0.1", 0)
    port = TcpPort(f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        await port.open()
        assert not await port.drain(0.01)
        await port.write(b"question")
        assert await port.drain(10.0)
        await port.write(b"another")
        async with asyncio.timeout(30):
            while len(connections) < 2:  # noqa: ASYNC110 - the server has its turn after the port
                await asyncio.sleep(0)
        connections[0].write(b"late")
        connections[1].write(b"answer")
        assert await port.read() == b"answer"
    finally:
        await port.close()
        for writer in connections:
            writer.close()
        server.close()
        await server.wait_closed()
