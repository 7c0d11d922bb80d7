"""The main job as a show: simulated meters on ptys, the daemon as a process, a real broker, a head-end that checks.

START → broker, lines, daemon, head-end → RUN (an outage in the middle) → SETTLE: due readings arrive → STOP → account
It ends with 0 when the account is even, 1 when something is wrong or missing, 2 when the show itself failed.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiomqtt

from dcu.clock import Clock, iso
from dcu.profiles import load_profile
from sim.account import Due, Line, draw_up
from sim.broker import Broker
from sim.fleet import PROFILE, Fleet, FleetPlan
from sim.headend import HeadEnd
from sim.process import DaemonProcess
from sim.site import Site, write_site
from sim.view import Snapshot, View, print_account
from sim.warp import WarpClock, loop_factory

EXAMPLES = """examples:
  scripts/demo                                 48 meters, 3 buses, 90 seconds
  scripts/demo --outage 20                     the broker is away for 20 s in the middle
  scripts/demo --speed 20 --seconds 120        forty minutes in two
  scripts/demo --meters 6 --buses 1 --baud 2400 --seconds 0      until Ctrl-C
"""

#: What the show's daemon is asked to collect: stream → (every, backfill) in seconds.
DAY = 86_400
TIMETABLE: Mapping[str, tuple[int, int]] = {
    "instant": (60, 0),
    "load0": (900, 3 * 3600),
    "load1": (900, 3600),
    "daily": (DAY, 3 * DAY),
    "billing": (DAY, 40 * DAY),
    "event.standard": (900, 3 * DAY),
    "event.fraud": (300, 3 * DAY),
    "event.disconnector": (900, 3 * DAY),
}

#: A command is sent this often, to a meter of its own each time.
COMMAND_PERIOD = 7.0

#: Seconds between two looks at the daemon.
LOOK = 0.5

#: What is still due when the show ends may take this long: one sweep of a crowded bus, and the way up.
SETTLE = 180.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for; times in seconds of the show's own clock."""

    meters: int
    buses: int
    baud: int
    seconds: float
    speed: float
    outage: float
    seed: int
    embedded: bool
    directory: Path | None


class Demo:
    """One show in `directory`."""

    def __init__(self, options: Options, clock: Clock, directory: Path) -> None:
        self._options = options
        self._clock = clock
        self._directory = directory
        self._stop = asyncio.Event()
        self._view = View()
        self._began = clock.now()
        self._broker_state = "up"

    async def run(self) -> list[Line]:
        """Run the show and return its account."""
        options = self._options
        plan = FleetPlan(meters=options.meters, buses=options.buses, baud=options.baud, seed=options.seed)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        async with (
            Broker(self._directory / "broker", embedded=options.embedded or None) as broker,
            Fleet(plan, self._clock) as fleet,
            HeadEnd(broker.host, broker.port, "DCU-0001") as head,
        ):
            config = write_site(fleet, self._site(broker), self._directory)
            self._view.say(f"{broker.kind} on port {broker.port}; the daemon's configuration: {config}")
            daemon = self._daemon(config)
            try:
                await daemon.start()
                with self._view:
                    await self._play(daemon, broker, fleet, head)
                    end = self._clock.now()
                    await self._settle(daemon, head, end)
            finally:
                await daemon.stop()
            await head.until(lambda: head.tally.state == "stopped", patience=10 * options.speed)
            return draw_up(fleet.meters, self._dues(end), head.tally, self._directory / "data" / "store.db")

    def _site(self, broker: Broker) -> Site:
        timetable = {
            stream: {"every": f"{every}s", "backfill": f"{backfill}s"}
            for stream, (every, backfill) in TIMETABLE.items()
        }
        # in faster time a pause of the processor looks longer to the lines, and the broker's too
        speed = self._options.speed
        bus = {"inter_octet": f"{round(max(200, 20 * speed))}ms", "timeout": f"{round(max(2, speed / 4))}s"}
        uplink = {"keepalive": f"{round(max(30, 10 * speed))}s"}
        return Site(host=broker.host, port=broker.port, timetable=timetable, bus=bus, uplink=uplink)

    def _daemon(self, config: Path) -> DaemonProcess:
        log, socket = self._directory / "dcu.log", self._directory / "dcu.sock"
        origin = self._clock.origin if isinstance(self._clock, WarpClock) else 0.0
        return DaemonProcess(config, socket, log, speed=self._options.speed, origin=origin)

    async def _play(self, daemon: DaemonProcess, broker: Broker, fleet: Fleet, head: HeadEnd) -> None:
        async with asyncio.TaskGroup() as group:
            helpers = [
                group.create_task(self._watch(daemon, head)),
                group.create_task(self._command(fleet, head)),
                group.create_task(self._outage(broker)),
            ]
            try:
                async with asyncio.timeout(self._options.seconds * self._options.speed or None):
                    await self._stop.wait()
            except TimeoutError:
                self._stop.set()
            for task in (helpers[0], helpers[1]):
                task.cancel()

    async def _watch(self, daemon: DaemonProcess, head: HeadEnd) -> None:
        while True:
            self._view.show(await self._look(daemon, head))
            await asyncio.sleep(LOOK * self._options.speed)

    async def _look(self, daemon: DaemonProcess, head: HeadEnd) -> Snapshot:
        now = self._clock.now()
        tally = head.tally
        events = [f"{iso(each.at)}  {each.meter}  {each.event}  ({each.severity})" for each in tally.events[-4:]]
        return Snapshot(
            elapsed=(now - self._began) / self._options.speed,
            clock=iso(int(now)),
            status=await daemon.status(),
            delivered=len(tally.captures) + len(tally.events),
            broker=self._broker_state,
            latency=head.latencies[-1] if head.latencies else None,
            events=events,
        )

    async def _command(self, fleet: Fleet, head: HeadEnd) -> None:
        """Let the head-end read a meter on demand now and then."""
        number = 0
        while True:
            await asyncio.sleep(COMMAND_PERIOD * self._options.speed)
            number = (number + 1) % len(fleet.meters)
            if self._broker_state == "up":
                try:
                    await head.command("meter.read", fleet.meters[number].id)
                except (TimeoutError, aiomqtt.MqttError):
                    self._view.say(f"no answer to the command for {fleet.meters[number].id}: the broker went away")

    async def _outage(self, broker: Broker) -> None:
        """Take the broker away in the middle of the show."""
        speed, away = self._options.speed, self._options.outage
        if not away:
            return
        await asyncio.sleep(max(1.0, (self._options.seconds - away) / 2) * speed)
        self._broker_state = "AWAY"
        await broker.stop()
        await asyncio.sleep(away * speed)
        await broker.start()
        self._broker_state = "up"

    async def _settle(self, daemon: DaemonProcess, head: HeadEnd, end: float) -> None:
        """Wait until everything that fell due before `end` was read, stored and acknowledged."""
        try:
            async with asyncio.timeout(SETTLE * self._options.speed):
                while True:
                    now = await self._look(daemon, head)
                    self._view.show(now)
                    if self._clock.now() >= end + LOOK and not now.total("due") and not now.unsent:
                        return
                    await asyncio.sleep(LOOK * self._options.speed)
        except TimeoutError:
            self._view.say("not everything that was due was read in time: the account will say what")

    def _dues(self, end: float) -> list[Due]:
        """Say what the timetable promised up to `end`."""
        profile = load_profile(PROFILE)
        dues = []
        for stream, (every, backfill) in TIMETABLE.items():
            if stream == "instant":
                dues.append(Due(stream, int(self._began), int(end), every=every))
            else:
                last = int(end) // every * every  # what came after the last boundary is not due yet
                dues.append(Due(stream, int(end) - backfill, last, profile.streams[stream].name))
        return dues


def _options(arguments: list[str] | None) -> Options:
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description=__doc__.splitlines()[0] if __doc__ else "",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--meters", type=int, default=48, help="simulated meters (default 48)")
    parser.add_argument("--buses", type=int, default=3, help="RS-485 lines they are on (default 3)")
    parser.add_argument("--baud", type=int, default=9600, help="of every line (default 9600)")
    parser.add_argument("--seconds", type=float, default=90, help="how long to run; 0: until Ctrl-C (default 90)")
    parser.add_argument("--speed", type=float, default=1, help="simulated seconds per second (default 1)")
    parser.add_argument("--outage", type=float, default=0, metavar="S", help="take the broker away for S seconds")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another neighbourhood (default 1)")
    parser.add_argument("--embedded", action="store_true", help="the embedded broker even where mosquitto is installed")
    parser.add_argument("--directory", type=Path, help="keep the files here (default: a temporary directory)")
    found = parser.parse_args(arguments)
    if found.meters < 1 or found.buses < 1 or found.speed <= 0:
        parser.error("expected at least one meter and one bus, and a speed above 0")
    return Options(**vars(found))


def main(arguments: list[str] | None = None) -> int:
    """Run the show that the command line describes; return the exit status."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(prefix="dcu-demo-") as temporary:
        directory = options.directory or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        warp = WarpClock.starting_now(options.speed)
        with asyncio.Runner(loop_factory=loop_factory(options.speed)) as runner:
            try:
                lines = runner.run(_run(options, warp, directory))
            except (OSError, RuntimeError) as error:
                print(f"the show failed: {error}", file=sys.stderr)
                return 2
    print_account(lines)
    even = all(line.good for line in lines)
    print("every reading that was due arrived, and was right" if even else "the account is not even: see above")
    return 0 if even else 1


async def _run(options: Options, clock: Clock, directory: Path) -> list[Line]:
    return await Demo(options, clock, directory).run()


if __name__ == "__main__":
    sys.exit(main())
