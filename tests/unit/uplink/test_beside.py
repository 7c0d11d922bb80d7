"""Flows beside a connection: they end with it, and it ends with one that fails."""

import asyncio
from typing import cast

import pytest

from dcu.errors import StoreError, UplinkError
from dcu.uplink import Link
from dcu.uplink.beside import beside


class Ended:
    """A connection that notes why it was ended."""

    def __init__(self) -> None:
        self.client = self
        self.over = asyncio.Event()
        self.reason = ""

    def end(self, reason: str) -> None:
        self.reason = reason
        self.over.set()


async def forever() -> None:
    await asyncio.Event().wait()


async def failing() -> None:
    raise StoreError("disk full")


async def live(link: Ended, *, lost: bool) -> None:
    async with beside(cast("Link", link), forever(), failing()):
        await link.over.wait()
        if lost:
            raise UplinkError("connection lost")


@pytest.mark.parametrize("lost", [True, False])
async def test_a_flow_that_fails_ends_the_connection_and_is_what_is_told(lost: bool) -> None:
    link = Ended()
    with pytest.raises(StoreError):
        await live(link, lost=lost)
    assert link.reason == "the watch over it failed: disk full"


async def test_flows_end_with_the_connection() -> None:
    link = Ended()
    async with beside(cast("Link", link), forever()):
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert len(others) == 1
    assert all(task.cancelled() for task in others)
    assert link.reason == ""


async def test_cancelled_is_cancelled_whatever_failed() -> None:
    link = Ended()
    task = asyncio.create_task(live(link, lost=False))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
