"""What visits of one bus found, on its way into the store: judged, handed over, and followed when it is committed.

The line does not wait for a commit before it visits the next meter. A reading counts as read only after it: then its
watermarks move, what is left is asked for again, and what the visit showed is reported.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from dcu.archive import Archive
from dcu.clock import Clock, iso
from dcu.conversation.recognition import SCALER, TITLE
from dcu.conversation.visit import Findings
from dcu.errors import Breach, ShelteredError, StoreError
from dcu.events import EventSieve
from dcu.health import BusHealth, Moments
from dcu.messages.envelope import is_event
from dcu.model import Capture
from dcu.plan.ledger import Asked
from dcu.report import Report
from dcu.store import Recorded

log = structlog.get_logger()

#: Visits of one bus whose readings are not committed yet: more than a line makes in the 2 s that a commit may take.
#: With as many under way the bus waits for the oldest.
UNCONFIRMED_BOUND = 16

#: What is reported of a meter that says another word about itself than before.
CHANGES = {"serial": "meter exchanged", "firmware": "firmware changed", SCALER: "scaler changed"}


class Keeping(Protocol):
    """What is needed of the store."""

    async def record(
        self,
        captures: Sequence[Capture],
        watermarks: Mapping[tuple[str, str], int],
        heard: Mapping[str, int],
        asked: Mapping[tuple[str, str], Sequence[Asked]] | None = None,
        *,
        patient: bool = False,
    ) -> Recorded:
        """Keep all in one transaction; returns after the commit, up to 2 s later when `patient`. Raises StoreError."""


@dataclass(slots=True)
class Handover:
    """Hands over for one bus. `again` hears which streams of a meter are to be read again, after each commit."""

    store: Keeping
    archive: Archive
    events: EventSieve
    clock: Clock
    health: BusHealth
    report: Report
    again: Callable[[str, Sequence[str]], None]
    moments: Moments = field(default_factory=Moments)
    _under_way: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    #: By meter, what was read while the store failed.
    _owed: dict[str, list[str]] = field(default_factory=dict)
    #: By meter, what was found of it and could not be told yet: it is remembered, no later visit finds it again.
    _untold: dict[str, Findings] = field(default_factory=dict)

    async def keep(self, meter: str, found: Findings, heard: Mapping[str, int], streams: Sequence[str]) -> None:
        """Hand over what was `found` in `streams` and is news; events wait for their commit, anything else does not.

        Raises StoreError, also of what was handed over before.
        """
        await self.archive.review(meter, found, self.clock)
        found.captures = await self.events.sift(found.captures)
        if any(is_event(capture.stream) for capture in found.captures):
            await self._kept(meter, found, heard, streams, patient=False)
            return
        while len(self._under_way) >= UNCONFIRMED_BOUND:
            await self.settle(next(iter(self._under_way)))
        self._under_way[meter] = asyncio.create_task(self._kept(meter, found, heard, streams, patient=True))
        await asyncio.sleep(0)

    async def settle(self, meter: str) -> None:
        """Return when nothing of `meter` is under way. Raises StoreError when it could not be kept."""
        if (task := self._under_way.get(meter)) is not None:
            await asyncio.wait([task])
            self._under_way.pop(meter, None)
            await task

    async def check(self) -> None:
        """Raise the StoreError of what could not be kept."""
        for meter in [meter for meter, task in self._under_way.items() if task.done()]:
            await self.settle(meter)

    async def settled(self) -> None:
        """Return when nothing is under way. Raises the StoreError of what could not be kept."""
        for meter in list(self._under_way):
            await self.settle(meter)

    async def end(self) -> None:
        """Have what is under way committed at once, and return when it is, or cannot be."""
        while self._under_way:
            with suppress(StoreError):
                await self.store.record((), {}, {})
            with suppress(StoreError):
                await self.settled()

    async def _kept(
        self, meter: str, found: Findings, heard: Mapping[str, int], streams: Sequence[str], *, patient: bool
    ) -> None:
        try:
            recorded = await self.store.record(found.captures, found.watermarks, heard, found.asked, patient=patient)
        except ShelteredError:
            self._owed[meter] = [*dict.fromkeys((*self._owed.get(meter, ()), *streams))]
            # what the meter is now is remembered already: no later visit finds the change again
            await self._tell(meter, found, Recorded({}))
            return
        except StoreError:
            self._untold[meter] = self._untold.get(meter, Findings()).joined(found)
            self.again(meter, streams)
            raise
        self._ask_owed()
        while self._untold:
            await self._tell(*self._untold.popitem(), Recorded({}))
        more = self.archive.stored(found, recorded, self.clock.monotonic())
        await self._tell(meter, found, recorded)
        self.health.captures += len(found.captures)
        for capture in found.captures:
            if capture.trusted and (meter, capture.stream) not in found.asked and not is_event(capture.stream):
                self.moments.count(capture.stream, capture.read_at)
        self.health.bad_rows += found.bad_rows
        self.health.last_success = self.clock.now()
        if found.refused or found.bad_rows:
            log.warning("not all could be read", meter=meter, refused=found.refused, bad_rows=found.bad_rows)
        if again := [*streams] if found.changed else more + found.recast:
            self.again(meter, again)

    def _ask_owed(self) -> None:
        """The store keeps: what meters have still of the time when it did not is asked for again."""
        for meter, streams in self._owed.items():
            self.again(meter, streams)
        self._owed.clear()

    async def _tell(self, meter: str, found: Findings, recorded: Recorded) -> None:
        for word, (before, now) in found.changed.items():
            self.health.changed += 1
            if word == TITLE:
                await self._retitled(meter, before, now)
            elif word == SCALER:
                since = None if found.since is None else iso(found.since)
                await self.report(CHANGES[word], meter=meter, before=before, now=now, since=since)
            else:
                await self.report(CHANGES[word], meter=meter, before=before, now=now)
        for _, stream in recorded.overflow:
            await self.report("ledger overflow", meter=meter, stream=stream)
        for stream in (*found.outgrown, *found.recast):
            await self.report("profile changed", meter=meter, stream=stream)

    async def _retitled(self, meter: str, before: str, now: str) -> None:
        """Tell that another has the meter's keys and answers in its place: it was exchanged, or somebody is between."""
        reason = f"system title {now}, it was {before}"
        log.warning("security event", meter=meter, breach=Breach.TITLE.value, reason=reason)
        self.health.security[Breach.TITLE] = self.health.security.get(Breach.TITLE, 0) + 1
        await self.report("security breach", meter=meter, breach=Breach.TITLE.value, reason=reason)
