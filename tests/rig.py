"""A whole daemon in virtual time: its lines are simulated in memory, and so are broker, store and service manager."""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from dcu import daemon, guarding, host
from dcu.archive import Kept
from dcu.config import BusConfig, Config, DcuSettings, UplinkSettings
from dcu.daemon import Daemon
from dcu.errors import UplinkError
from dcu.model import INSTANT, CommandRecord, Reach, Role, Task
from dcu.plan.ledger import Asked
from dcu.store import Line, Mishap, Recorded, Salvaged
from dcu.store.ledger import Expected, Span
from dcu.store.ledger import Tally as Account
from dcu.store.retention import Shed
from dcu.store.spoilt import Forfeited
from dcu.uplink import Outgoing, Topics
from sim.bus import MemoryBus
from sim.fleet import PROFILE, Fleet, FleetPlan, make_line
from sim.headend import Tally
from sim.truth import expected_times
from sim.virtual import VirtualClock
from tests.journal import MemoryJournal
from tests.lines import BAUD, COMPANION, ORIGIN, TITLE, MemoryStore, PortAround
from tests.links import PLAIN
from tests.outbox import MemoryOutbox
from tests.stand_in import store_of

PLAN = FleetPlan(meters=4, buses=2, baud=BAUD)
LOAD = "load0"
TIMETABLE = (Task(INSTANT, every=60.0), Task(LOAD, every=900.0, offset=5.0, backfill=3600.0))


class WholeStore(MemoryStore, MemoryOutbox, MemoryJournal):
    """Everything a daemon keeps, in memory; it fails as a whole while `failure` is set."""

    closed = False
    refuses = False
    mishap: Mishap | None = None
    found: Mishap | None = None
    head: tuple[int, bytes] | None = None

    def __init__(self) -> None:
        self.broken = asyncio.Event()
        for part in (MemoryOutbox, MemoryJournal, MemoryStore):
            part.__init__(self)
        self.reach_changes: list[tuple[str, float, Reach]] = []
        self.days: dict[int, Mapping[str, Any]] = {}

    async def has_meter(self, meter: str) -> bool:
        return any(capture.meter == meter for capture in self.captures)

    async def record(
        self,
        captures: Any,
        watermarks: Mapping[tuple[str, str], int],
        heard: Mapping[str, int] | None = None,
        asked: Mapping[tuple[str, str], Sequence[Asked]] | None = None,
        *,
        patient: bool = False,
    ) -> Recorded:
        known = len(self.captures)
        recorded = await super().record(captures, watermarks, heard, asked, patient=patient)
        if news := self.captures[known:]:
            self.add(*news)
        return recorded

    async def used(self) -> int:
        return 0

    def logged(self) -> int:
        return 0

    async def day(self, day: int) -> Mapping[str, Any]:
        return self.days.get(day, {})

    async def keep_day(self, day: int, figures: Mapping[str, Any]) -> None:
        await self._commit()
        self.days[day] = figures

    async def free(self) -> int:
        return 1 << 40

    async def forfeit(self) -> list[Forfeited]:
        return []

    async def shed(self, stream: str, reason: str, **_: Any) -> Shed:
        return Shed()

    async def expire(self, stream: str, before: float) -> Shed:
        return Shed()

    async def prune(self, before: float, answered: float) -> None:
        """Nothing is old here."""

    async def forget(self) -> None:
        """Nothing is many here."""

    async def acknowledge(self, stream: str, seq: int) -> None:
        await self._commit()
        await super().acknowledge(stream, seq)

    async def unfinished(self) -> list[CommandRecord]:
        await self._commit()
        return await super().unfinished()

    async def added(self) -> list[Line]:
        return []

    async def reached(self, meter: str, state: Reach, at: float, *, sure: bool = False) -> None:
        await self._commit()
        self.reach_changes.append((meter, at, state))

    async def since(self, since: float) -> list[tuple[str, float, Reach]]:
        return sorted(change for change in self.reach_changes if change[1] >= since)

    async def away(self) -> list[tuple[str, float, int]]:
        return []

    async def bring_owed(self) -> None:
        """There was no damaged file."""

    async def bring_rest(self) -> Salvaged | None:
        return None

    async def newest(self) -> tuple[int, bytes]:
        await self._commit()
        return 0, bytes(32)

    async def inspect(self) -> None:
        await self._commit()

    async def renew_spare(self) -> None:
        await self._commit()

    async def size(self) -> int:
        return 4096

    async def expect(self, wanted: Expected) -> None:
        await self._commit()

    async def tallies(self, spans: Sequence[Span], meter: str | None = None) -> list[Account]:
        await self._commit()
        return [Account(0, 0, {}) for _ in spans]


class MemoryBroker:
    """An uplink to a head-end in memory; `down` are commands under way to the daemon, `away` refuses connections."""

    def __init__(self, settings: UplinkSettings, dcu: str) -> None:
        self.settings = settings
        self.topics = Topics(settings.prefix, dcu)
        self.tally = Tally()
        self.down: asyncio.Queue[Any] = asyncio.Queue()
        self.away = False
        self.said: list[tuple[float, str]] = []
        self.sent: list[Outgoing] = []

    @asynccontextmanager
    async def connect(self, will: Outgoing) -> AsyncIterator["MemoryLink"]:
        if self.away:
            raise UplinkError("connection refused")
        yield MemoryLink(self)


class MemoryLink:
    version = "5"
    broker = "memory"
    resumed = False
    retains = True
    metered = False
    longest_delay = math.inf
    window = 20
    max_payload = 100_000

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def subscribe(self, *filters: str) -> None:
        await asyncio.sleep(0)

    async def publish(self, message: Outgoing) -> None:
        await asyncio.sleep(0.01)
        leaf = message.topic.removeprefix(f"{self._broker.settings.prefix}/{self._broker.topics.dcu}/")
        self._broker.said.append((asyncio.get_running_loop().time(), leaf))
        self._broker.sent.append(message)
        self._broker.tally.take(leaf, message.payload)

    async def messages(self) -> AsyncGenerator[Any, None]:
        while True:
            yield await self._broker.down.get()

    def admits(self, stream: str) -> bool:
        return True

    def acknowledge(self, message: Any) -> None:
        self._broker.said.append((asyncio.get_running_loop().time(), "PUBACK"))


class Incoming:
    topic = "ami/v1/DCU-1/command"
    reply = None
    retained = False

    def __init__(self, **envelope: Any) -> None:
        self.payload = json.dumps(envelope).encode()


class Rig:
    """A daemon and all that surrounds it. `notified` are the words the service manager heard, each with its time."""

    def __init__(
        self, clock: VirtualClock, directory: Path, patch: pytest.MonkeyPatch, port: type[PortAround] = PortAround
    ) -> None:
        self.clock = clock
        self.fleet = Fleet(PLAN, clock)
        self.lines = {
            pty.name: MemoryBus(pty.name, make_line(PLAN, pty.meters, number), clock)
            for number, pty in enumerate(self.fleet.wires)
        }
        self.ports = {name: port(bus.port) for name, bus in self.lines.items()}
        self.store = WholeStore()
        self.notified: list[tuple[float, str]] = []
        self.stop = asyncio.Event()
        self.config = Config(
            dcu=DcuSettings("DCU-1", TITLE, data=str(directory), socket=str(directory / "s"), allow=frozenset(Role)),
            uplink=UplinkSettings("h", "DCU-1", streams=PLAIN),
            buses=tuple(BusConfig(name, "memory", BAUD) for name in self.lines),
            access=self.fleet.access,
            keys=self.fleet.keys,
            meters=self.fleet.archive,
            timetable=TIMETABLE,
            file="",
        )
        self.broker = MemoryBroker(self.config.uplink, "DCU-1")
        patch.setattr(daemon, "Uplink", lambda settings, dcu: self.broker)
        for module in (daemon, host.notify):
            patch.setattr(module, "notify", lambda word: self.notified.append((clock.monotonic(), word)))
        patch.setattr(guarding, "watchdog_interval", lambda: None)

    def daemon(self) -> Daemon:
        store = store_of(self.store)
        return Daemon(self.config, {PROFILE: COMPANION}, store, Kept(), self.clock, lambda bus: self.ports[bus.name])

    @property
    def fed(self) -> list[float]:
        """When the watchdog was fed."""
        return [at for at, word in self.notified if word == "WATCHDOG=1"]

    def said(self) -> str:
        """The last status line."""
        return next(word for _, word in reversed(self.notified) if word.startswith("STATUS="))

    def truth(self, until: float) -> set[tuple[str, str, int]]:
        """Every load profile row that is due by `until` (virtual seconds)."""
        first, last = int(ORIGIN) - 3600, int(ORIGIN + until)
        profile = COMPANION.streams[LOAD].name
        return {(m.id, LOAD, at) for m in self.fleet.meters for at in expected_times(m, profile, first, last)}

    def rows(self) -> set[tuple[str, str, int]]:
        """Every load profile row that came to the head-end."""
        return {key for key in self.broker.tally.captures if key[1] == LOAD}
