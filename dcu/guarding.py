"""Looks after the flows of the daemon: one that loses the store is begun again, one that hangs starves the watchdog.

Which flows there are, and in which order they end, is decided in `dcu.daemon`.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable

import structlog

from dcu.clock import Clock
from dcu.errors import StoreError
from dcu.health import Health
from dcu.host.heap import give_back
from dcu.host.notify import feed, watchdog_interval
from dcu.store.database import Database

log = structlog.get_logger()

#: A flow that lost the store tries again after this many seconds; the disk may have room again.
STORE_RETRY = 15.0

#: Memory that is free goes back to the system so often, in seconds: what the start and bursts took is not needed again.
GIVE_BACK_EVERY = 30.0


class Guard:
    """Of the flows that need `database`. What they do and fail at goes into `health`."""

    def __init__(self, database: Database, clock: Clock, health: Health) -> None:
        self._database = database
        self._clock = clock
        self._health = health

    async def guard(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run a flow; when it loses the store, turn health red and try again later: nothing is collected unkept."""
        while True:
            try:
                await run()
            except* StoreError as lost:
                reason = str(lost.exceptions[0])
                self._health.store_errors[name] = reason
                log.critical("the store failed, the flow has stopped", flow=name, reason=reason)
            if self._database.closed:
                raise RuntimeError("the store's writer has ended: nothing can be kept until we are started anew")
            await self._rest(name)
            self._health.store_errors.pop(name, None)
            log.warning("the flow starts again", flow=name)

    async def _rest(self, name: str) -> None:
        """Wait; a flow that waits for the store is red, not stuck: a restart would not give the disk room."""
        await asyncio.sleep(STORE_RETRY)
        if name in self._health.progress:
            self._health.progress[name].mark(self._clock.monotonic())

    async def watch(self, line: Callable[[], str]) -> None:
        """Feed systemd's watchdog only while every flow makes progress; `line` is its line of status."""
        interval = watchdog_interval() or 10.0
        given_back = -math.inf
        while True:
            if self._clock.monotonic() - given_back >= GIVE_BACK_EVERY:
                given_back = self._clock.monotonic()
                give_back()
            feed(self._health.stuck(self._clock.monotonic()), line())
            await asyncio.sleep(interval)
