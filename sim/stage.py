"""A stage for shows, tests and benchmarks: broker, meters on their lines, head-end, and the daemon as a process.

What is played on it is the caller's; the account of what should have arrived is drawn up here, where the timetable is
known.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dcu.clock import Clock, SystemClock
from dcu.model import INSTANT
from dcu.profiles import load_profile
from sim.account import Due, Line, draw_up
from sim.broker import Broker
from sim.fleet import PROFILE, Fleet, FleetPlan
from sim.headend import HeadEnd
from sim.process import DaemonProcess
from sim.site import Site, Task, write_site

DCU = "DCU-0001"

#: Stream → (every, backfill) in seconds.
Timetable = Mapping[str, tuple[int, int]]

#: Profiles are asked for this many seconds after the capture: the row of a second that runs is left for the next time.
OFFSET = 5

#: Seconds between two looks at the daemon while something is waited for.
LOOK = 0.2


@dataclass(frozen=True, slots=True)
class Setting:
    """How a stage is set. `speed` other than 1 needs loop and clock of `sim.warp`; `bus`, `uplink`: further keys."""

    plan: FleetPlan
    timetable: Timetable
    clock: Clock = field(default_factory=SystemClock)
    speed: float = 1.0
    origin: float = 0.0
    embedded: bool | None = None
    broker_options: Sequence[str] = ()
    bus: Mapping[str, Any] = field(default_factory=dict)
    uplink: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Stage:
    """A set stage; the daemon is not started yet. `began` is when it was set, in UTC seconds of its clock."""

    setting: Setting
    directory: Path
    broker: Broker
    fleet: Fleet
    head: HeadEnd
    daemon: DaemonProcess
    config: Path
    began: float

    def delivered(self) -> int:
        """Return how many captures and events the head-end has."""
        return len(self.head.tally.captures) + len(self.head.tally.events)

    async def settled(self, patience: float = 60.0) -> float:
        """Wait until nothing is due any more and everything stored was delivered; return the time (UTC s) up to which.

        Raises TimeoutError after `patience` real seconds.
        """
        speed = self.setting.speed
        async with asyncio.timeout(patience * speed):
            while True:
                now = self.setting.clock.now()
                status = await self.daemon.status()
                if settled(status):
                    return now
                await asyncio.sleep(LOOK * speed)

    def account(self, end: float) -> list[Line]:
        """Draw up the account of everything that was due before `end`; the daemon has ended, or is at least quiet."""
        due = dues(self.setting.timetable, self.began, end)
        return draw_up(self.fleet.meters, due, self.head.tally, self.directory / "data" / "store.db")


def dues(timetable: Timetable, began: float, end: float) -> list[Due]:
    """Say what `timetable` promised up to `end` of a daemon that has read every meter once since `began` (UTC s)."""
    streams = load_profile(PROFILE).streams
    found = []
    for stream, (every, backfill) in timetable.items():
        if stream == INSTANT:
            found.append(Due(stream, int(began), int(end), every=every))
        else:
            last = (int(end) - OFFSET) // every * every  # what came after the last boundary is not due yet
            found.append(Due(stream, int(end) - backfill, last, streams[stream].name))
    return found


def settled(status: Mapping[str, Any]) -> bool:
    """Whether a daemon with this status has read all that is due, and delivered all that it stored."""
    due = sum(bus["due"] + bus["urgent"] for bus in status["buses"].values())
    visits = sum(bus["visits"] for bus in status["buses"].values())
    unsent = sum(stream["pending"] for stream in status["store"]["streams"].values())
    return visits > 0 and not due and not unsent and bool(status["uplink"]["connected"])


@asynccontextmanager
async def set_stage(setting: Setting, directory: Path) -> AsyncIterator[Stage]:
    """Set a stage in `directory`; at the end the daemon is stopped in order, then everything around it."""
    async with (
        Broker(directory / "broker", setting.broker_options, embedded=setting.embedded) as broker,
        Fleet(setting.plan, setting.clock) as fleet,
        HeadEnd(broker.host, broker.port, DCU, speed=setting.speed) as head,
    ):
        # amqtt says nothing to a CONNECT of MQTT 5, which would cost the daemon ten seconds to find out
        version = {"mqtt_version": "3"} if broker.kind == "amqtt" else {}
        # the account is drawn up as soon as nothing is due: what came last must not wait for company then
        uplink = {"streams": {"default": {"delay": "0s"}}, **version, **setting.uplink}
        site = Site(DCU, broker.host, broker.port, uplink, setting.bus, in_words(setting.timetable))
        config = write_site(fleet, site, directory)
        daemon = DaemonProcess(
            config, directory / "dcu.sock", directory / "dcu.log", speed=setting.speed, origin=setting.origin
        )
        try:
            yield Stage(setting, directory, broker, fleet, head, daemon, config, setting.clock.now())
        finally:
            await daemon.stop()


def in_words(timetable: Timetable) -> dict[str, Task]:
    """Return `timetable` as it stands in a configuration."""
    return {
        stream: {"every": f"{every}s"}
        | ({"backfill": f"{backfill}s", "offset": f"{OFFSET}s"} if stream != INSTANT else {})
        for stream, (every, backfill) in timetable.items()
    }
