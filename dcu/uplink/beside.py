"""What runs beside a connection for as long as it lives. Which flows these are is the business of `ways`."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from dcu.uplink.link import Link


@asynccontextmanager
async def beside(link: Link, *flows: Any) -> AsyncIterator[None]:
    """Run `flows` beside a connection, which ends with the first of them that fails; raises what it failed with."""
    tasks = [asyncio.create_task(flow) for flow in flows]
    for task in tasks:
        task.add_done_callback(partial(_end_with, link))
    try:
        yield
    except Exception:
        await _stop(tasks)
        _judge(tasks)  # what a flow failed with goes before what became of the connection for it
        raise
    finally:
        await _stop(tasks)
    _judge(tasks)


async def _stop(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def _judge(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        if not task.cancelled():
            task.result()


def _end_with(link: Link, task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        link.client.end(f"the watch over it failed: {task.exception()}")
