"""A site in virtual time: the daemon's collecting side on a simulated fleet in memory, with its store on a real disk.

A day of 1024 meters passes in minutes. The uplink needs a world that keeps real time: what was stored is handed to the
head-end's tally here without a broker, in the words of the uplink.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from dcu.archive import Kept
from dcu.config import load
from dcu.daemon import Daemon
from dcu.dlms.cosem import UNITS
from dcu.messages.envelope import Envelopes
from dcu.profiles import load_profile, stream_names
from dcu.store import Store
from sim.account import Line, draw_up
from sim.fleet import PROFILE, Fleet, FleetPlan
from sim.headend import Tally
from sim.site import Site, write_site
from sim.stage import DCU, Timetable, dues, in_words
from sim.virtual import Outside, VirtualClock, VirtualLoop

#: Captures in one message, and its longest payload.
BLOCK, PAYLOAD = 500, 1_000_000

T = TypeVar("T")


@dataclass(slots=True)
class VirtualSite:
    """A site whose daemon collects while time is made to pass. `began` is when it was built, UTC seconds."""

    fleet: Fleet
    daemon: Daemon
    store: Store
    clock: VirtualClock
    timetable: Timetable
    path: Path
    began: float

    async def collect(self, seconds: float) -> None:
        """Let the daemon collect for `seconds` of virtual time. Raises what one of its flows raises."""
        flows = [asyncio.create_task(poll.run(), name=name) for name, poll in self.daemon.polls.items()]
        done, running = await asyncio.wait(flows, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for flow in running:
            flow.cancel()
        await asyncio.wait(flows)
        for flow in done:
            await flow

    async def account(self) -> list[Line]:
        """Draw up the account of everything that was due up to now, capture by capture against the meters' truth."""
        due = dues(self.timetable, self.began, self.clock.now())
        return draw_up(self.fleet.meters, due, await self.delivered(), self.path)

    async def delivered(self) -> Tally:
        """Return the tally of a head-end that gets all that is stored and was not handed out yet."""
        tally = Tally()
        envelopes = Envelopes(DCU, "virtual", units=UNITS)
        for stream in await self.store.streams():
            while block := await self.store.next_block(stream, BLOCK):
                for payload in envelopes.block(stream, block.seq, block.items, PAYLOAD):
                    tally.take(f"data/{stream}", payload)
                await self.store.acknowledge(stream, block.seq)
        return tally


def play(
    plan: FleetPlan,
    timetable: Timetable,
    directory: Path,
    scenario: Callable[[VirtualSite], Coroutine[Any, Any, T]],
    *,
    origin: float,
) -> T:
    """Return what `scenario` finds on a site built in `directory`, where it is `origin` (UTC seconds) at first."""
    loop = VirtualLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(_play(plan, timetable, directory, scenario, VirtualClock(loop, origin)))


async def _play(
    plan: FleetPlan,
    timetable: Timetable,
    directory: Path,
    scenario: Callable[[VirtualSite], Coroutine[Any, Any, T]],
    clock: VirtualClock,
) -> T:
    fleet = Fleet(plan, clock, in_memory=True)
    config = load(write_site(fleet, Site(DCU, timetable=in_words(timetable)), directory), stream_names)
    path = Path(config.dcu.data) / "store.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    profiles = {PROFILE: load_profile(PROFILE)}
    opening = Store.open(path, clock)
    with clock.loop.outside():
        real = await opening.__aenter__()
    store = cast("Store", Outside(real, clock.loop))
    try:
        kept = Kept(await store.watermarks(), await store.unread())
        daemon = Daemon(config, profiles, store, kept, clock, ports=lambda bus: fleet.port(bus.name))
        return await scenario(VirtualSite(fleet, daemon, store, clock, timetable, path, clock.now()))
    finally:
        with clock.loop.outside():
            await opening.__aexit__(None, None, None)
