"""A store that fails for a time: what no meter can be asked for again waits in memory, and collection goes on.

Rows of profiles are not sheltered: their watermark has not moved, and the meter gives them again. Counters, commands
and deliveries need the disk and are refused as before; health is red meanwhile.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import structlog

from dcu.clock import Clock, iso
from dcu.errors import DamagedError, ShelteredError, StoreError
from dcu.health import Health
from dcu.messages.envelope import is_event
from dcu.model import Capture
from dcu.plan.ledger import Asked
from dcu.report import Report
from dcu.store import Recorded

log = structlog.get_logger()

#: Rows that wait at most, some two megabytes: the registers of 1024 meters twice. With one more the flow rests.
SHELTERED_ROWS: Final = 2048

#: Rows that are brought to the store at a time: while it fails, each visit tries so many and no more.
PIECE: Final = 128

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


@dataclass(slots=True)
class Sheltered:
    """What waits, and since when (UTC s) the store has failed. It outlives a store that has to be opened anew."""

    rows: list[Capture] = field(default_factory=list)
    heard: dict[str, int] = field(default_factory=dict)
    since: float | None = None


class Shelter:
    """Records in `store`. `report` is given when there is one: it records here, too."""

    def __init__(self, store: Keeping, clock: Clock, health: Health, waiting: Sheltered | None = None) -> None:
        self._store = store
        self._clock = clock
        self._health = health
        self._waiting = Sheltered() if waiting is None else waiting
        self._bringing = asyncio.Lock()
        self.report: Report | None = None

    def __len__(self) -> int:
        return len(self._waiting.rows)

    async def record(
        self,
        captures: Sequence[Capture],
        watermarks: Mapping[_Key, int],
        heard: Mapping[str, int] | None = None,
        asked: Mapping[_Key, Sequence[Asked]] | None = None,
        *,
        patient: bool = False,
    ) -> Recorded:
        """Keep all as the store does, after what was waiting; a full store takes events, and these do not wait.

        Raises ShelteredError when that failed and nothing is lost; DamagedError and, with the shelter full, StoreError.
        """
        try:
            await self._bring(full=all(is_event(each.stream) for each in captures))
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
        waiting = self._waiting
        if waiting.since is None:
            waiting.since = self._clock.now()
            log.critical("the store fails, collection goes on in memory", reason=str(error))
        if len(waiting.rows) + len(rows) > SHELTERED_ROWS:
            raise error
        waiting.rows += rows
        for key, counter in heard.items():
            waiting.heard[key] = max(counter, waiting.heard.get(key, 0))
        self._health.store_errors[NAME] = f"{error}; {len(waiting.rows)} rows wait in memory"

    async def before(self, meter: str, stream: str, end: int, limit: int) -> list[Capture]:
        """As the store's: what waits is not in it."""
        return await self._store.before(meter, stream, end, limit)

    async def _bring(self, *, full: bool) -> None:
        """Record what waits, events first; with `full` the store may refuse all others."""
        if not self._waiting.rows and not self._waiting.heard:
            return
        async with self._bringing:
            await self._move([each for each in self._waiting.rows if is_event(each.stream)])
            try:
                await self._move(self._waiting.rows.copy())
            except DamagedError:
                raise
            except StoreError:
                if not full:
                    raise

    async def _move(self, rows: Sequence[Capture]) -> None:
        for start in range(0, max(1, len(rows)), PIECE):
            await self._move_piece(rows[start : start + PIECE])

    async def _move_piece(self, rows: Sequence[Capture]) -> None:
        waiting, heard = self._waiting, self._waiting.heard.copy()
        if not rows and not heard:
            return
        await self._store.record(rows, {}, heard)
        kept = {id(each) for each in rows}
        waiting.rows[:] = [each for each in waiting.rows if id(each) not in kept]
        waiting.heard = {key: counter for key, counter in waiting.heard.items() if heard.get(key) != counter}

    async def _over(self) -> None:
        """The store keeps again: health is green, and the head-end is told."""
        if self._waiting.since is None or self._waiting.rows:
            return
        since, self._waiting.since = self._waiting.since, None
        detail: dict[str, Any] = {"since": iso(int(since)), "until": iso(int(self._clock.now()))}
        reason = self._health.store_errors.pop(NAME, "")
        if self.report is not None:
            await self.report("store failing", reason=reason, **detail)
