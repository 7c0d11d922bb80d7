import asyncio
from pathlib import Path

import pytest

from sim.broker import Broker, free_port, mosquitto

needs_mosquitto = pytest.mark.skipif(mosquitto() is None, reason="mosquitto is not installed")

KINDS = [
    pytest.param(False, id="mosquitto", marks=needs_mosquitto),
    pytest.param(True, id="amqtt"),
]


async def listens(broker: Broker) -> bool:
    try:
        _, writer = await asyncio.open_connection(broker.host, broker.port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


@pytest.mark.parametrize("embedded", KINDS)
async def test_taken_away_and_back_on_the_same_port(tmp_path: Path, embedded: bool) -> None:
    async with Broker(tmp_path, embedded=embedded) as broker:
        port = broker.port
        assert await listens(broker)
        await broker.stop()
        assert not await listens(broker)
        await broker.stop()
        await broker.start()
        await broker.kill()
        assert not await listens(broker)
        await broker.start()
        assert broker.port == port
        assert await listens(broker)
    assert not await listens(broker)


@needs_mosquitto
async def test_a_broker_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nonsense"):
        async with Broker(tmp_path, ["nonsense true"]):
            pass


def test_a_free_port_is_free() -> None:
    assert 0 < free_port() < 65536
