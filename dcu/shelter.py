"""A store that fails for a time: what no meter can be asked for again waits in memory, and collection goes on.

Rows of profiles are not sheltered: their watermark has not moved, and the meter gives them again. Counters, commands
and deliveries need the disk and are refused as before; health is red meanwhile.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

import structlog

from dcu.clock import Clock, iso
from dcu.errors import DamagedError, ShelteredError, StoreError
from dcu.health import Health
from dcu.model import Capture
from dcu.plan.ledger import Asked
from dcu.store import Recorded

log = structlog.get_logger()

#: Rows that wait at most, some two megabytes: the registers of 1024 meters twice. With one more the flow rests.
SHELTERED_ROWS: Final = 2048

#: The name under which health shows it.
NAME: Final = "shelter"

_Key = tuple[str, str]


class Keeping(Protocol):
    """What is needed of the store."""

    async def record(
        self,
        captures: Sequence[Capture],
        watermarks: Mapping[_Key, int],
        heard: Mapping[str, int] | None = None,
        asked: Mapping[_Key, Sequence[Asked]] | None = None,
        *,
        patient: bool = False,
    ) -> Recorded:
        """Keep all in one transaction; returns after the commit. Raises StoreError."""

    async def before(self, meter: str, stream: str, end: int, limit: int) -> list[Capture]:
        """Return the last `limit` captures with at ≤ `end`, in the order of recording. Raises StoreError."""


class Report(Protocol):
    """Reports an event of the box."""

    async def __call__(self, name: str, *, meter: str = "", **detail: object) -> None: ...


class Shelter:
    """Records in `store`. `report` is given when there is one: it records here, too."""

    def __init__(self, store: Keeping, clock: Clock, health: Health) -> None:
        self._store = store
        self._clock = clock
        self._health = health
        self._rows: list[Capture] = []
        self._heard: dict[str, int] = {}
        self._since: float | None = None
        self._bringing = asyncio.Lock()
        self.report: Report | None = None

    def __len__(self) -> int:
        return len(self._rows)

    async def record(
        self,
        captures: Sequence[Capture],
        watermarks: Mapping[_Key, int],
        heard: Mapping[str, int] | None = None,
        asked: Mapping[_Key, Sequence[Asked]] | None = None,
        *,
        patient: bool = False,
    ) -> Recorded:
        """Keep all as the store does, after what was waiting.

        Raises ShelteredError when that failed and nothing is lost; DamagedError and, with the shelter full, StoreError.
        """
        try:
            await self._bring()
            recorded = await self._store.record(captures, watermarks, heard, asked, patient=patient)
        except DamagedError:
            raise
        except StoreError as error:
            repeated = watermarks.keys() | (asked or {}).keys()
            self._take([each for each in captures if (each.meter, each.stream) not in repeated], heard or {}, error)
            raise ShelteredError(str(error)) from error
        await self._over()
        return recorded

    def _take(self, rows: Sequence[Capture], heard: Mapping[str, int], error: StoreError) -> None:
        if self._since is None:
            self._since = self._clock.now()
            log.critical("the store fails, collection goes on in memory", reason=str(error))
        if len(self._rows) + len(rows) > SHELTERED_ROWS:
            raise error
        self._rows += rows
        for key, counter in heard.items():
            self._heard[key] = max(counter, self._heard.get(key, 0))
        self._health.store_errors[NAME] = f"{error}; {len(self._rows)} rows wait in memory"

    async def before(self, meter: str, stream: str, end: int, limit: int) -> list[Capture]:
        """As the store's: what waits is not in it."""
        return await self._store.before(meter, stream, end, limit)

    async def _bring(self) -> None:
        """Record what waits."""
        if not self._rows and not self._heard:
            return
        async with self._bringing:
            rows, heard = list(self._rows), dict(self._heard)
            await self._store.record(rows, {}, heard)
            del self._rows[: len(rows)]
            self._heard = {key: counter for key, counter in self._heard.items() if heard.get(key) != counter}

    async def _over(self) -> None:
        """The store keeps again: health is green, and the head-end is told."""
        if self._since is None or self._rows:
            return
        detail: dict[str, Any] = {"since": iso(int(self._since)), "until": iso(int(self._clock.now()))}
        reason = self._health.store_errors.pop(NAME, "")
        self._since = None
        if self.report is not None:
            await self.report("store failing", reason=reason, **detail)
