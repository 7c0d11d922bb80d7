"""The flow that looks after the store's file: tells what happened to it, has it checked whole, keeps the spare fresh.

What is checked and how is the store's business; a file that turns out to be damaged is opened anew by `dcu.daemon`.
"""

import asyncio
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from dcu.report import Report
from dcu.store import Mishap, Salvaged

log = structlog.get_logger()

#: The file is checked this long after the start, when the first sweep is under way, and then as often, in seconds.
FIRST_CHECK: Final = 120.0
CHECK_EVERY: Final = 7 * 86_400.0

#: How often the spare is written anew, in seconds: the counters that meters were heard to use are in it then.
RENEW_EVERY: Final = 86_400.0


class Kept(Protocol):
    """What is needed of the store."""

    mishap: Mishap | None

    async def streams(self) -> dict[str, int]:
        """Return the streams, each with its next sequence number. Raises StoreError."""

    async def bring_owed(self) -> None:
        """Bring over what is to be delivered of a damaged file and did not come at once. Raises StoreError."""

    async def salvage(self) -> Salvaged | None:
        """Bring over what is left of a damaged file; None where nothing is. Raises StoreError."""

    async def newest_audited(self) -> tuple[int, bytes]:
        """Return the head of the audit, and know it from then on. Raises StoreError."""

    async def inspect(self) -> None:
        """Check the whole file. Raises DamagedError, StoreError."""

    async def renew_spare(self) -> None:
        """Write the spare anew. Raises StoreError."""


@dataclass(slots=True)
class Upkeep:
    """Looks after `store` while `run` runs."""

    store: Kept
    report: Report
    _told: bool = False
    _rounds: int = 0

    async def run(self) -> None:
        """Tell, then check and renew for ever. Raises StoreError."""
        await self.tell()
        await self.store.newest_audited()  # for the health: it names the head from the start
        await self.store.bring_owed()
        await asyncio.sleep(FIRST_CHECK)
        await self.salvage()
        while True:
            await self.step()
            await asyncio.sleep(RENEW_EVERY)

    async def tell(self) -> None:
        """Report what was found when the store was opened, once."""
        mishap = self.store.mishap
        if mishap is None or self._told:
            return
        log.critical(mishap.event, reason=mishap.reason, aside=str(mishap.aside), leapt=mishap.leapt)
        detail: dict[str, Any] = {"reason": mishap.reason}
        if mishap.aside is not None:
            detail["aside"] = mishap.aside.name
        if mishap.leapt:
            numbers = await self.store.streams()
            detail["streams"] = {stream: numbers[stream] for stream in mishap.leapt}
        await self.report(mishap.event, **detail)
        self._told = True

    async def salvage(self) -> None:
        """Have what is left of a damaged file brought over, and tell what came of it."""
        if (found := await self.store.salvage()) is not None:
            lost: dict[str, Any] = {"unreadable": found.unreadable, "again": found.again}
            await self.report("store salvaged", captures=found.captures, **lost)

    async def step(self) -> None:
        """Renew the spare; check the file when it is time to."""
        await self.tell()  # numbers may have leapt when the clock was set
        if self._rounds % round(CHECK_EVERY / RENEW_EVERY) == 0:
            await self.store.inspect()
        await self.store.renew_spare()
        self._rounds += 1
