"""A line of simulated meters in virtual time with the daemon's own flow on it, and a store in memory that can fail."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from dcu.archive import Archive, Kept
from dcu.bus import Port
from dcu.clock import Clock
from dcu.config import BusConfig
from dcu.config.settings import ClockSettings
from dcu.conversation.held import Held
from dcu.conversation.invocations import Invocations
from dcu.conversation.naming import BaseNames
from dcu.conversation.opening import SessionMaker
from dcu.conversation.session import Session
from dcu.dlms.hdlc import UA, ServerAddress, client_address, control, encode_frame
from dcu.errors import BusError
from dcu.events import SINCE, EventSieve
from dcu.health import BusHealth, Progress
from dcu.messages.events import OWN_EVENTS
from dcu.model import INSTANT, Capture, Command, Meter, Priority, Task, Visit
from dcu.obis import parse_obis
from dcu.plan import BusPlan
from dcu.plan.ledger import Account, Asked, entered, forgone, reopened, repeated
from dcu.polling.clocks import Clocks
from dcu.polling.poll import Poll
from dcu.profiles import ProfileStream, load_profile
from dcu.store import Recorded, Sealed
from sim.bus import MemoryBus
from sim.fleet import PROFILE, Fleet, FleetPlan, make_line, profile_of
from sim.meter import SimMeter
from sim.server import READER
from sim.truth import expected_times, expected_values
from sim.virtual import VirtualClock, VirtualLoop
from tests.clockstore import MemoryClocks

#: Wall time when a virtual loop starts: a few seconds after a quarter hour.
ORIGIN = 1_790_000_105.0
TITLE = b"DCU00001"

REGISTERS = Task(INSTANT, every=3600.0)
LOAD = Task("load0", every=900.0, offset=5.0, backfill=3600.0)
BAUD = 9600
COMPANION = load_profile(PROFILE)

#: Those of the meters after IS 15959.
INDIANS = {name: load_profile(name) for name in ("is15959-1p", "is15959-3p")}

#: The same, with a stream ("absent") that no simulated meter has.
WIDER = replace(COMPANION, streams={**COMPANION.streams, "absent": ProfileStream(parse_obis("1-0:99.9.9.255"), 900)})

#: Two meters that only want a password, one with a single phase and one with three.
PAIR = FleetPlan(meters=2, buses=1, baud=BAUD, hls=0, seed=4)

#: The same with short names.
OLD = replace(PAIR, old=256)

#: One meter that talks HLS-GMAC, ciphered.
CIPHERED = FleetPlan(meters=1, buses=1, baud=BAUD, hls=256)

T = TypeVar("T")


def virtually(work: Callable[[VirtualClock], Coroutine[Any, Any, T]]) -> T:
    """Return what `work` returns in a loop whose time jumps; no task may be left when it does."""
    loop = VirtualLoop()

    async def run() -> T:
        result = await work(VirtualClock(loop, ORIGIN))
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return result

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(run())


class MemoryStore(MemoryClocks):
    """What polling needs of the store. `failure` is raised instead of keeping anything; `reserved` lists the ranges."""

    def __init__(self) -> None:
        super().__init__()
        self.captures: list[Capture] = []
        self.watermarks: dict[tuple[str, str], int] = {}
        self.accounts: dict[tuple[str, str], Account] = {}
        self.shapes: dict[str, dict[str, Any]] = {}
        self.reserved: list[range] = []
        self.heard: dict[str, int] = {}
        self.sealed: dict[tuple[str, int], Sealed] = {}
        self.failure: Exception | None = None
        self.commits = 0

    async def record(
        self,
        captures: Sequence[Capture],
        watermarks: Mapping[tuple[str, str], int],
        heard: Mapping[str, int] | None = None,
        asked: Mapping[tuple[str, str], Sequence[Asked]] | None = None,
        *,
        patient: bool = False,
    ) -> Recorded:
        await self._commit()
        self.commits += 1
        self.watermarks.update(watermarks)
        self.heard.update(heard or {})
        answers = asked or {}
        for key in dict.fromkeys((each.meter, each.stream) for each in captures) | dict.fromkeys(answers):
            rows = [each for each in captures if (each.meter, each.stream) == key]
            self.captures += self._enter(key, answers[key], rows) if key in answers else rows
        return Recorded({key: self.accounts[key] for key in answers})

    def _enter(self, key: tuple[str, str], asked: Sequence[Asked], rows: Sequence[Capture]) -> list[Capture]:
        """Enter an answer into the accounts; return which of its rows are news."""
        mark = self.watermarks.get(key)
        known = self.accounts.get(key) or (None if mark is None else Account(mark + 1, 0, mark))
        account, news = entered(known, asked, [row.at for row in rows])
        assert account is not None
        self.accounts[key] = account
        if account.watermark is not None:
            self.watermarks[key] = account.watermark
        return [rows[number] for number in sorted(news)]

    async def before(self, meter: str, stream: str, end: int, limit: int) -> list[Capture]:
        found = [each for each in self.captures if (each.meter, each.stream) == (meter, stream) and each.at <= end]
        return found[-limit:]

    async def between(self, meter: str, stream: str, start: int, end: int) -> AsyncIterator[list[Capture]]:
        held = [each for each in self.captures if (each.meter, each.stream) == (meter, stream)]
        yield [each for each in held if start <= each.at <= end]

    async def put(self, meter: str, name: str, data: Any) -> None:
        await self._commit()
        self.shapes.setdefault(meter, {})[name] = data

    async def of(self, meter: str) -> Mapping[str, Any]:
        return self.shapes.get(meter, {})

    async def renounce(self, meter: str, streams: Iterable[str]) -> None:
        await self._commit()

    async def forgo(self, meter: str, sinces: Mapping[str, int]) -> None:
        await self._commit()
        for key, account in self.accounts.items():
            if key[0] == meter:
                self.accounts[key] = forgone(account, sinces.get(key[1], account.since))
                self.watermarks[key] = self.accounts[key].watermark or self.watermarks[key]

    async def repeat(self, meter: str, start: int) -> None:
        await self._commit()
        self.accounts |= {key: repeated(each, start) for key, each in self.accounts.items() if key[0] == meter}

    async def reopen(self, meter: str, ats: Mapping[str, int], *, sure: bool) -> Mapping[tuple[str, str], Account]:
        await self._commit()
        before = {(meter, stream): self.accounts[meter, stream] for stream in ats if (meter, stream) in self.accounts}
        found = {key: reopened(account, ats[key[1]], sure=sure) for key, account in before.items()}
        self.accounts |= found
        self.watermarks |= {key: account.watermark for key, account in found.items() if account.watermark is not None}
        return found

    async def reserve(self, key: str, count: int, above: int = -1) -> range:
        await self._commit()
        first = max(self.reserved[-1].stop if self.reserved else 1, above + 1)
        self.reserved.append(range(first, first + count))
        return self.reserved[-1]

    async def last(self) -> Mapping[str, int]:
        return dict(self.heard)

    async def believe(self, key: str, counter: int) -> None:
        await self._commit()
        self.heard[key] = counter

    async def all(self) -> list[Sealed]:
        return list(self.sealed.values())

    async def begin(self, sealed: Sealed) -> None:
        await self._commit()
        self.sealed[sealed.meter, sealed.generation] = sealed

    async def move(self, meter: str, generation: int, state: str, *, alone: bool = False) -> float:
        await self._commit()
        moved = replace(self.sealed[meter, generation], state=state)
        if alone:
            self.sealed = {key: kept for key, kept in self.sealed.items() if key[0] != meter}
        self.sealed[meter, generation] = moved
        return moved.changed

    async def drop(self, meter: str, generation: int) -> None:
        await self._commit()
        del self.sealed[meter, generation]

    async def _commit(self) -> None:
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure


class Box:
    """The meters of `plan` on one line in memory, and the rooms of the daemon that talk to them.

    `answers` lists what the command journal was told, `reports` the events: (name, meter, detail). The port may be
    replaced before `poll` or `session` is called.
    """

    def __init__(self, clock: Clock, plan: FleetPlan = PAIR, *, store: MemoryStore | None = None) -> None:
        self.clock = clock
        self.fleet = Fleet(plan, clock)
        self.bus = MemoryBus("line", make_line(plan, self.fleet.meters, 0), clock)
        self.port: Port = self.bus.port
        self.store = store or MemoryStore()
        self.settings = BusConfig("line", "memory", plan.baud)
        self.companion = COMPANION
        self.answers: list[tuple[Visit, dict[str, Any] | None, str | None]] = []
        self.clock_settings = ClockSettings()
        self.reports: list[tuple[str, str, dict[str, object]]] = []

    @property
    def meters(self) -> tuple[SimMeter, ...]:
        return self.fleet.meters

    @property
    def requests(self) -> int:
        """How many frames the master has sent."""
        return self.bus.counters.requests

    def entry(self, number: int = 0) -> Meter:
        """Return a meter as the configuration has it."""
        return next(meter for meter in self.fleet.archive if meter.id == self.meters[number].id)

    def archive(self, *tasks: Task) -> Archive:
        pending = {key: account.pending for key, account in self.store.accounts.items() if account.pending}
        profiles = {**INDIANS, PROFILE: self.companion}
        return Archive(
            self.fleet.archive,
            profiles,
            {"": tasks},
            self.store,
            self.store,
            Kept(dict(self.store.watermarks), pending),
        )

    def maker(self) -> SessionMaker:
        names, invocations = BaseNames(self.store), Invocations(self.store)
        return SessionMaker(self.settings, self.fleet.access, self.fleet.keys, TITLE, invocations, names=names)

    async def session(self, number: int = 0) -> Session:
        """Return an open session with a meter."""
        session = await self.maker().make(self.port, self.entry(number))
        await session.open()
        return session

    def poll(self, *tasks: Task) -> Poll:
        """Return the flow of this line with `tasks` as its timetable; every stream has an hour of backfill."""
        meters = {meter.id: "" for meter in self.meters}
        sessions = self.maker()
        archive = self.archive(*tasks)
        return Poll(
            name="line",
            port=self.port,
            plan=BusPlan(meters, {"": tasks}, now=self.clock.monotonic(), wall=self.clock.now()),
            archive=archive,
            events=EventSieve(self.store, archive.profile, [task.stream for task in tasks]),
            sessions=sessions,
            held=Held(sessions, self.settings.keep_open, self.clock),
            store=self.store,
            clock=self.clock,
            health=BusHealth(),
            progress=Progress(self.clock.monotonic()),
            orders=self,
            clocks=Clocks(self.clock_settings, archive, sessions, self.store, self.clock, self._report),
            report=self._report,
        )

    def open(self, visit: Visit) -> bool:
        """Nobody withdraws a command here; it only expires."""
        expires = visit.command.expires if visit.command else None
        return expires is None or expires > self.clock.now()

    def sending(self, visit: Visit) -> bool:
        return self.open(visit)

    async def answered(self, visit: Visit, found: dict[str, Any] | None, error: str | None) -> None:
        await asyncio.sleep(0)
        self.answers.append((visit, found, error))

    async def _report(self, name: str, *, meter: str = "", **detail: object) -> None:
        await asyncio.sleep(0)
        assert name in OWN_EVENTS
        self.reports.append((name, meter, detail))


def read_command(meter: str, **args: object) -> Visit:
    """Return the visit that carries a `meter.read`."""
    return Visit(meter, command=Command("c1", "meter.read", (meter,), dict(args)), priority=Priority.COMMAND)


#: An answer of the first meter of PAIR, as long as a frame can be.
ENDLESS = encode_frame(client_address(READER.client), ServerAddress(1, 17, 4).to_bytes(), control(UA), bytes(2030))


class PortAround:
    """A port that passes everything on; what a test overrides is what goes wrong."""

    def __init__(self, port: Port) -> None:
        self.inner = port
        self.octets_sent = 0
        self.octets_received = 0

    async def open(self) -> None:
        await self.inner.open()

    def hung_up(self) -> bool:
        return self.inner.hung_up()

    async def write(self, data: bytes) -> None:
        await self.inner.write(data)

    async def read(self) -> bytes:
        return await self.inner.read()

    async def drain(self, quiet: float) -> bool:
        return await self.inner.drain(quiet)

    async def close(self) -> None:
        await self.inner.close()


class Dripping(PortAround):
    """Gives one octet of an answer a second, for half an hour."""

    async def read(self) -> bytes:
        await asyncio.sleep(1.0)
        self.octets_received += 1
        return ENDLESS[self.octets_received - 1 : self.octets_received]


class Losable(PortAround):
    """A port that is gone while `lost`; it counts how often somebody opened it, and when."""

    def __init__(self, box: Box) -> None:
        super().__init__(box.port)
        self.lost = False
        self.opened: list[float] = []
        self.closed = 0
        self._clock = box.clock
        box.port = self

    async def open(self) -> None:
        self.opened.append(self._clock.monotonic())
        self._check()
        await super().open()

    async def write(self, data: bytes) -> None:
        self._check()
        await super().write(data)

    async def read(self) -> bytes:
        self._check()
        return await super().read()

    async def drain(self, quiet: float) -> bool:
        self._check()
        return await super().drain(quiet)

    async def close(self) -> None:
        self.closed += 1
        await super().close()

    def _check(self) -> None:
        if self.lost:
            raise BusError("/dev/ttyS9: gone")


def assert_true(box: Box, captures: list[Capture]) -> None:
    """Every value of the meter's own is what that meter held at that second."""
    meters = {meter.id: meter for meter in box.meters}
    for each in captures:
        meter = meters[each.meter]
        own = tuple(column for column in each.columns if column != SINCE)
        assert each.values[: len(own)] == expected_values(meter, own, each.at)
        profile = {**INDIANS, PROFILE: COMPANION}[profile_of(meter)].streams.get(each.stream)
        if profile is not None:
            times = expected_times(meter, profile.name, each.at, each.at)
            assert times == (each.at,)


async def settle(poll: Poll) -> None:
    """Step until nothing is due."""
    while not poll.health.visits or poll.plan.counts().due or poll.plan.counts().urgent:
        await poll.step()
        await poll.handover.settled()


async def run_for(poll: Poll, seconds: float) -> None:
    """Let the flow itself run for `seconds`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await poll.run()
