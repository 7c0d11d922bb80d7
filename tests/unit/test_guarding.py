"""What becomes of a flow that loses its store; the whole daemon in that trouble is in test_daemon."""

import asyncio
from typing import cast

import pytest

from dcu import guarding
from dcu.errors import StoreError
from dcu.guarding import STORE_RETRY, Guard
from dcu.health import Health
from dcu.store.database import Database
from sim.virtual import VirtualClock
from tests.captures import SetClock
from tests.lines import virtually


class Closed:
    closed = True


class Open:
    closed = False


def guard(database: object, health: Health) -> Guard:
    return Guard(cast("Database", database), SetClock(), health)


def test_a_flow_that_lost_the_store_is_begun_again() -> None:
    health = Health()
    begun: list[float] = []

    async def flow() -> None:
        begun.append(asyncio.get_running_loop().time())
        if len(begun) < 3:
            raise ExceptionGroup("", [StoreError("full")])
        await asyncio.Event().wait()

    async def scenario(_: VirtualClock) -> None:
        task = asyncio.create_task(guard(Open(), health).guard("flow", flow))
        await asyncio.sleep(STORE_RETRY / 2)
        assert health.store_errors == {"flow": "full"}
        await asyncio.sleep(2 * STORE_RETRY)
        assert health.store_errors == {}
        task.cancel()
        await asyncio.wait([task])

    virtually(scenario)
    assert [round(later - begun[0], 3) for later in begun] == [0.0, STORE_RETRY, 2 * STORE_RETRY]


async def test_nothing_goes_on_without_a_writer() -> None:
    async def flow() -> None:
        raise StoreError("the store is closed")

    with pytest.raises(RuntimeError, match="nothing can be kept"):
        await guard(Closed(), Health()).guard("flow", flow)


def test_a_stuck_flow_starves_the_watchdog(monkeypatch: pytest.MonkeyPatch) -> None:
    health, said = Health(), list[tuple[list[str], str]]()
    health.watch("flow", 0.0)
    monkeypatch.setattr(guarding, "feed", lambda stuck, line: said.append((stuck, line)))
    monkeypatch.setattr(guarding, "watchdog_interval", lambda: 5.0)

    async def scenario(_: VirtualClock) -> None:
        task = asyncio.create_task(guard(Open(), health).watch(lambda: "words"))
        await asyncio.sleep(7.0)
        task.cancel()
        await asyncio.wait([task])

    virtually(scenario)
    assert said == [(["flow"], "words")] * 2
