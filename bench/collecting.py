"""The daemon's collecting side on a simulated fleet, with its store on a real disk: in virtual time, or in real time.

A day of 1024 meters passes in minutes when they are in memory; in real time they are on ptys. The uplink is not there:
what was stored is handed to the head-end's tally without a broker, in the words of the uplink.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from dcu.archive import Kept
from dcu.bus import make_port
from dcu.daemon import Daemon
from dcu.dlms.cosem import UNITS
from dcu.host.configuration import load
from dcu.messages.commands import parse_command
from dcu.messages.envelope import Envelopes
from dcu.polling.poll import Poll
from dcu.profiles import load_profile, stream_names
from dcu.store import Store
from sim.account import Line, draw_up
from sim.fleet import PROFILE, Fleet, FleetPlan
from sim.headend import Tally
from sim.site import Site, Task, Word, write_site
from sim.stage import DCU, Timetable, dues, in_words
from sim.virtual import LoopClock, Outside, VirtualClock, VirtualLoop

#: The flows that run beside those of the buses: what they know and tell comes from the collecting alone.
BESIDE = ("completeness", "reachability")

#: Captures in one message, and its longest payload.
BLOCK, PAYLOAD = 500, 1_000_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setup:
    """What a site is made of; `tasks` is its timetable as a configuration has it, `bus` further keys of each bus."""

    plan: FleetPlan
    tasks: Mapping[str, Task]
    bus: Mapping[str, Word] = field(default_factory=dict)


@dataclass(slots=True)
class Collecting:
    """A site whose daemon collects when it is told to. `began` is when it was built, UTC seconds."""

    fleet: Fleet
    daemon: Daemon
    store: Store
    clock: LoopClock
    path: Path
    began: float

    @property
    def polls(self) -> Mapping[str, Poll]:
        return self.daemon.polls

    async def collect(self, seconds: float) -> None:
        """Let the daemon collect for so long, and keep its books. Raises what one of its flows raises."""
        beside = self.daemon.flows()
        runs = {name: poll.run for name, poll in self.polls.items()} | {name: beside[name] for name in BESIDE}
        flows = [asyncio.create_task(_flow(run), name=name) for name, run in runs.items()]
        done, running = await asyncio.wait(flows, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for flow in running:
            flow.cancel()
        await asyncio.wait(flows)
        for flow in done:
            await flow

    async def sweep(self) -> dict[str, float]:
        """Let each bus make its next visits until nothing is due there; return the seconds it took, by bus."""
        taken = await asyncio.gather(*(_sweep(poll) for poll in self.polls.values()))
        return dict(zip(self.polls, taken, strict=True))

    async def account(self, timetable: Timetable, silent: Collection[str] = ()) -> list[Line]:
        """Draw up the account of everything that was due up to now, capture by capture against the meters' truth.

        Nothing is due of meters that are `silent`.
        """
        due = dues(timetable, self.began, self.clock.now())
        talking = [meter for meter in self.fleet.meters if meter.id not in silent]
        return draw_up(talking, due, await self.delivered(), self.path)

    async def ask(self, name: str, **args: object) -> dict[str, Any]:
        """Return what the daemon answers the command `name` about itself."""
        envelope = {"id": name, "name": name, "args": args}
        command = parse_command(json.dumps(envelope).encode(), door="local", received=self.clock.now())
        return dict(await self.daemon.answer(command))

    async def delivered(self) -> Tally:
        """Return the tally of a head-end that gets all that is stored and was not handed out yet."""
        tally = Tally()
        envelopes = Envelopes(DCU, "virtual", units=UNITS)
        for stream in await self.store.outbox.streams():
            while block := await self.store.outbox.next_block(stream, BLOCK):
                for payload in envelopes.block(stream, block.seq, block.items, PAYLOAD):
                    tally.take(f"data/{stream}", payload)
                await self.store.outbox.acknowledge(stream, block.seq)
        return tally


async def _flow(run: Callable[[], Awaitable[None]]) -> None:
    await run()


async def _sweep(poll: Poll) -> float:
    loop = asyncio.get_running_loop()
    visits = poll.health.visits
    start = loop.time()
    while poll.health.visits == visits or poll.plan.counts().due:
        await poll.step()
    return loop.time() - start


#: What is done on a site, and what is found there.
Scenario = Callable[[Collecting], Coroutine[Any, Any, T]]


def setup_of(plan: FleetPlan, timetable: Timetable) -> Setup:
    """Return a site that reads `timetable`, of which `Collecting.account` can be asked."""
    return Setup(plan, in_words(timetable))


def play(setup: Setup, directory: Path, scenario: Scenario[T], *, origin: float) -> T:
    """Return what `scenario` finds in virtual time on a site built in `directory`, at first at `origin` (UTC s)."""
    loop = VirtualLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(_virtually(setup, directory, scenario, VirtualClock(loop, origin)))


def play_for_real(setup: Setup, directory: Path, scenario: Scenario[T], *, origin: float) -> T:
    """Return what `scenario` finds in real time on a site whose lines are ptys; its clocks show `origin` at first."""
    return asyncio.run(_really(setup, directory, scenario, origin))


async def _virtually(setup: Setup, directory: Path, scenario: Scenario[T], clock: VirtualClock) -> T:
    fleet = Fleet(setup.plan, clock, in_memory=True)
    opening = Store.open(_path(directory), clock)
    with clock.loop.outside():
        store = await opening.__aenter__()
    try:
        parts = {part: Outside(getattr(store, part), clock.loop) for part in Store.__slots__}
        outside = cast("Store", SimpleNamespace(**parts))
        return await scenario(await _site(setup, directory, fleet, outside, clock))
    finally:
        with clock.loop.outside():
            await opening.__aexit__(None, None, None)


async def _really(setup: Setup, directory: Path, scenario: Scenario[T], origin: float) -> T:
    loop = asyncio.get_running_loop()
    clock = LoopClock(loop, origin - loop.time())
    async with Fleet(setup.plan, clock) as fleet, Store.open(_path(directory), clock) as store:
        return await scenario(await _site(setup, directory, fleet, store, clock))


async def _site(setup: Setup, directory: Path, fleet: Fleet, store: Store, clock: LoopClock) -> Collecting:
    config = load(write_site(fleet, Site(DCU, timetable=setup.tasks, bus=setup.bus), directory), stream_names)
    kept = Kept(await store.readings.watermarks(), await store.ledger.unread())
    ports = (lambda bus: fleet.port(bus.name)) if isinstance(clock, VirtualClock) else make_port
    daemon = Daemon(config, {PROFILE: load_profile(PROFILE)}, store, kept, clock, ports=ports)
    return Collecting(fleet, daemon, store, clock, _path(directory), clock.now())


def _path(directory: Path) -> Path:
    path = directory / "data" / "store.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
