"""The flow that looks after the store's file: tells what happened to it, has it checked whole, keeps the spare fresh.

What is checked and how is the store's business; a file that turns out to be damaged is opened anew by `dcu.daemon`.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final

import structlog

from dcu.report import Report
from dcu.store import Store

log = structlog.get_logger()

#: The file is checked this long after the start, when the first sweep is under way, and then as often, in seconds.
FIRST_CHECK: Final = 120.0
CHECK_EVERY: Final = 7 * 86_400.0

#: How often the spare is written anew, in seconds: the counters that meters were heard to use are in it then.
RENEW_EVERY: Final = 86_400.0


@dataclass(slots=True)
class Upkeep:
    """Looks after `store` while `run` runs."""

    store: Store
    report: Report
    _told: bool = False
    _rounds: int = 0

    async def run(self) -> None:
        """Tell, then check and renew for ever. Raises StoreError."""
        await self.tell()
        await self.store.audit.newest()  # for the health: it names the head from the start
        await self.store.salvage.bring_owed()
        await asyncio.sleep(FIRST_CHECK)
        await self.salvage()
        while True:
            await self.step()
            await asyncio.sleep(RENEW_EVERY)

    async def tell(self) -> None:
        """Report what was found when the store was opened, once."""
        mishap = self.store.database.mishap
        if mishap is None or self._told:
            return
        log.critical(mishap.event, reason=mishap.reason, aside=str(mishap.aside), leapt=mishap.leapt)
        detail: dict[str, Any] = {"reason": mishap.reason}
        if mishap.aside is not None:
            detail["aside"] = mishap.aside.name
        if mishap.leapt:
            numbers = await self.store.outbox.streams()
            detail["streams"] = {stream: numbers[stream] for stream in mishap.leapt}
        await self.report(mishap.event, **detail)
        self._told = True

    async def salvage(self) -> None:
        """Have what is left of a damaged file brought over, and tell what came of it."""
        if (found := await self.store.salvage.bring_rest()) is not None:
            lost: dict[str, Any] = {"unreadable": found.unreadable, "again": found.again}
            await self.report("store salvaged", captures=found.captures, **lost)

    async def step(self) -> None:
        """Renew the spare; check the file when it is time to."""
        await self.tell()  # numbers may have leapt when the clock was set
        if self._rounds % round(CHECK_EVERY / RENEW_EVERY) == 0:
            await self.store.database.inspect()
        await self.store.database.renew_spare()
        self._rounds += 1
