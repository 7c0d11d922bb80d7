"""The flow that keeps the store within its bounds: what is old and delivered goes; without room, what is worth least.

How captures go, and what the head-end is told of those it never got, is in `dcu.store.retention`.

    share of the room in use: ≥ FILLING ──► told, event "store filling"        < RELIEVED ──► told again next time
                              ≥ FULL    ──► sacrifices until < FULL: delivered captures, then unsent ones, oldest
                                            first, stream by stream; with nothing left to go, data is refused. Before
                                            all, where the disk is full: damaged files and copies from before updates
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import structlog

from dcu.clock import DAY, Clock, iso
from dcu.config import StoreSettings
from dcu.health import Health, Progress, Storage
from dcu.messages.envelope import RESULT
from dcu.model import Command
from dcu.report import Report
from dcu.store import Store
from dcu.store.retention import Holding, Shed, kept_for, order
from dcu.store.room import DISK_RESERVE
from dcu.store.writer import CHECKPOINT_OCTETS

log = structlog.get_logger()

#: Seconds between two looks. In each one slice of each stream goes, more than comes in meanwhile.
STEP: Final = 10.0

#: Shares of the room: at the first it is told, below the second it may be told again, at the third captures go. What
#: is left above is for births, alarms, commands and their journal.
FILLING, RELIEVED, FULL = 0.80, 0.75, 0.95

#: Octets of the log that only somebody who reads from the file, and does not end, can bring about.
LONG_LOG: Final = 8 * CHECKPOINT_OCTETS

#: Slices that are sacrificed in one look: a second's work on an old board, so that nobody waits for long.
SLICES: Final = 50

#: Slices of the journal whose answers go in one look while there is no room.
ANSWER_SLICES: Final = 8

#: Answers of commands are told again for a day; that a command ended is known for as long as `commands` are kept.
ANSWERED: Final = 86_400.0

#: Nothing is old until wall time has kept step for this long, in seconds, within DRIFT of monotonic time: one that was
#: set wrong makes everything old, and is set right again within the hour, or is told by others.
STEADY: Final = 3600.0
DRIFT: Final = 60.0

#: Seconds after which growth and wear say anything.
TELLING: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Room:
    """Octets in use, those there can be (budget and disk together), and those free on the disk."""

    used: int
    capacity: int
    free: int

    @property
    def share(self) -> float:
        return self.used / self.capacity if self.capacity > 0 else 1.0


def written_octets() -> int | None:
    """Return the octets this process has had written to disks, None where the system does not say."""
    try:
        with open("/proc/self/io", encoding="ascii") as file:  # noqa: PTH123 - no file of ours
            return int(next(line for line in file if line.startswith("write_bytes")).split()[1])
    except (OSError, StopIteration):
        return None


@dataclass(slots=True)
class Storekeeping:
    """Looks after `store`; `written` says the octets written to disks so far, `health` hears how full it is."""

    store: Store
    settings: StoreSettings
    clock: Clock
    report: Report
    progress: Progress
    written: Callable[[], int | None] = written_octets
    health: Health = field(default_factory=Health)
    _told: bool = False
    _log_told: bool = False
    _first: tuple[float, int, int | None] | None = None
    _steady: tuple[float, float] | None = None
    _shed: dict[str, Shed] = field(default_factory=dict)

    @property
    def commands(self) -> Mapping[str, Callable[[Command], Awaitable[Mapping[str, Any]]]]:
        """What answers the commands of this flow, by name."""
        return {"dcu.storage": self.answer}

    @property
    def shed(self) -> Shed:
        """What went since the start, of all streams."""
        return Shed(
            sum(each.captures for each in self._shed.values()), sum(each.unsent for each in self._shed.values())
        )

    async def run(self) -> None:
        """Look after it until cancelled. Raises StoreError."""
        while True:
            await self.step()
            await asyncio.sleep(STEP)

    async def step(self) -> None:
        """Look once."""
        self.progress.mark(self.clock.monotonic())
        for lost in await self.store.spoilt.forfeit():
            times = {"from": iso(lost.start), "to": iso(lost.end)}
            await self.report("captures unreadable", stream=lost.stream, count=lost.count, **times, again=lost.again)
        if self._is_steady():  # what is old is known by a clock only
            await self._expire()
        await self._look_at_log()
        room = await self.room()
        if self._first is None:
            self._first = self.clock.monotonic(), room.used, self.written()
        if room.share >= FILLING and not self._told:
            self._told = True
            await self.report("store filling", share=round(room.share, 3), octets=room.used, capacity=room.capacity)
        self._told = self._told and room.share >= RELIEVED
        if room.share >= FULL:
            room = await self._sacrifice()
        self.store.readings.refuses = room.share >= FULL
        self.health.storage = self._storage(room)

    async def _look_at_log(self) -> None:
        """Tell, once until it is short again, that the log cannot be begun anew: it takes room that is nobody's."""
        octets = self.store.database.logged()
        if octets > LONG_LOG and not self._log_told:
            await self.report("store log long", octets=octets)
        self._log_told = octets > LONG_LOG

    async def room(self) -> Room:
        """Return how much room there is. Raises StoreError."""
        used, size = await self.store.retention.used(), await self.store.database.size()
        free = await self.store.database.free()
        return Room(used, min(self.settings.budget, size + max(0, free - DISK_RESERVE)), free)

    async def answer(self, _: Command) -> dict[str, Any]:
        """Return what `dcu.storage` tells: room, forecast, wear, and what is held of each stream. Raises StoreError."""
        streams = {each.stream: self._describe(each) for each in await self.store.retention.holdings()}
        return asdict(self._storage(await self.room())) | {"streams": streams}

    def _storage(self, room: Room) -> Storage:
        growth, wear = self._rates(room)
        left = self.settings.endurance / wear / 365.25 if wear else None
        full = (FULL * room.capacity - room.used) / growth if growth and growth > 0 else None
        return Storage(
            octets=room.used,
            capacity=room.capacity,
            budget=self.settings.budget,
            disk_free=room.free,
            share=round(room.share, 4),
            octets_per_day=None if growth is None else round(growth),
            days_until_full=None if full is None else round(max(0.0, full), 1),
            written_per_day=None if wear is None else round(wear),
            wear_years=None if left is None else round(left, 1),
        )

    def _describe(self, holding: Holding) -> dict[str, Any]:
        shed = self._shed.get(holding.stream, Shed())
        return {
            "captures": holding.captures,
            "octets": holding.octets,
            "oldest": iso(holding.oldest),
            "newest": iso(holding.newest),
            "kept_days": round(self._kept_for(holding.stream) / DAY, 1),
            "shed": shed.captures,
            "dropped": shed.unsent,
        }

    def _rates(self, room: Room) -> tuple[float | None, float | None]:
        """Return octets per day by which the store grows, and that are written; None while nobody can say."""
        if self._first is None or (lasted := self.clock.monotonic() - self._first[0]) < TELLING:
            return None, None
        _, used, before = self._first
        written = self.written()
        wear = (written - before) / lasted * DAY if written is not None and before is not None else None
        return (room.used - used) / lasted * DAY, wear

    def _kept_for(self, stream: str) -> float:
        return kept_for(stream, self.settings.retention, self.settings.retention["default"])

    def _is_steady(self) -> bool:
        """Whether wall time has been trusted, and nobody has set it, for STEADY."""
        now = self.clock.monotonic()
        ahead = self.clock.now() - now
        if not self.clock.trusted():
            self._steady = None
        elif self._steady is None or abs(ahead - self._steady[1]) > DRIFT:
            self._steady = now, ahead
        return self._steady is not None and now - self._steady[0] >= STEADY

    async def _expire(self) -> None:
        now = self.clock.now()
        for stream in await self._streams():
            self._count(stream, await self.store.retention.expire(stream, now - self._kept_for(stream)))
        await self.store.delivered.forget()
        await self.store.retention.prune(now - self.settings.retention["commands"], now - ANSWERED)

    async def _sacrifice(self) -> Room:
        """Let captures go until there is room, or nothing is left to go, or it takes too long for one look."""
        streams = sorted(await self._streams(), key=lambda stream: order(stream, self.settings.sacrifice))
        now = self.clock.now()
        for _ in range(ANSWER_SLICES):  # what was answered and delivered is worth less than any reading
            await self.store.retention.prune(now - self.settings.retention["commands"], now)
        room, slices = await self._without_copies(), 0
        for unsent in (False, True):
            for stream in streams:
                while room.share >= FULL and slices < SLICES:
                    shed = await self.store.retention.shed(stream, "storage", unsent=unsent)
                    if not shed.captures:
                        break
                    self._count(stream, shed)
                    slices += 1
                    room = await self.room()
        if slices:
            log.warning("captures went for want of room", slices=slices, share=round(room.share, 3))
        return room

    async def _without_copies(self) -> Room:
        """Delete what is beside the store and takes the room of captures: damaged files, copies from before updates."""
        room = await self.room()
        while (
            room.share >= FULL
            and room.capacity < self.settings.budget
            and (name := await self.store.database.drop_copy())
        ):
            log.warning("a copy went for want of room", name=name)
            room = await self.room()
        return room

    async def _streams(self) -> list[str]:
        return [stream for stream in await self.store.outbox.streams() if stream != RESULT]

    def _count(self, stream: str, shed: Shed) -> None:
        before = self._shed.get(stream, Shed())
        self._shed[stream] = Shed(before.captures + shed.captures, before.unsent + shed.unsent)
        if shed.unsent:
            log.warning("captures went before they were delivered", stream=stream, count=shed.unsent)
