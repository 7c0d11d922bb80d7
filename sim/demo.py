"""The main job as a show: simulated meters on ptys, the daemon as a process, a real broker, a head-end that checks.

START → broker, lines, daemon, head-end → RUN (an outage in the middle) → SETTLE: due readings arrive → STOP → account
It ends with 0 when the account is even, 1 when something is wrong or missing, 2 when the show itself failed.
"""

import argparse
import asyncio
import logging
import signal
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import aiomqtt

from dcu.clock import iso
from dcu.config.sections import BAUDS, MAX_BUSES, MAX_METERS
from sim.account import Line
from sim.arguments import factor, seconds, whole
from sim.fleet import FleetPlan
from sim.stage import Setting, Stage, Timetable, set_stage
from sim.view import Snapshot, View, print_account
from sim.warp import WarpClock, loop_factory

EXAMPLES = """examples:
  scripts/demo                                 48 meters, 3 buses, 90 seconds
  scripts/demo --outage 20                     the broker is away for 20 s in the middle
  scripts/demo --speed 20 --seconds 120        forty minutes in two
  scripts/demo --meters 6 --buses 1 --baud 2400 --seconds 0      until Ctrl-C
"""

DAY = 86_400

#: Every how many seconds the show's daemon reads registers, and which profiles it collects. The first sweep takes
#: nearly a minute at 9600 Bd, for it brings days of profiles and events along: shorter rounds would pass meanwhile.
INSTANT_PERIOD = 60
PROFILES: Timetable = {
    "load0": (900, 3 * 3600),
    "load1": (900, 3600),
    "daily": (DAY, 3 * DAY),
    "billing": (DAY, 40 * DAY),
    "event.standard": (900, 3 * DAY),
    "event.fraud": (300, 3 * DAY),
    "event.disconnector": (900, 3 * DAY),
}

#: In an endless show the outage begins after so many seconds.
OUTAGE_AFTER = 20.0

#: A command is sent this often, to a meter of its own each time.
COMMAND_PERIOD = 7.0

#: Seconds between two looks at the daemon.
LOOK = 0.5

#: What is still due when the show ends may take this long: one sweep of a crowded bus, and the way up.
SETTLE = 180.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asks for; times in real seconds, of which `speed` pass in one on the stage."""

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
    """One show on a stage."""

    def __init__(self, options: Options, stage: Stage, view: View) -> None:
        self._options = options
        self._stage = stage
        self._view = view
        self._stop = asyncio.Event()
        self._broker_state = "up"

    async def run(self) -> list[Line]:
        """Run the show and return its account."""
        stage = self._stage
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, self._stop.set)
        self._view.say(f"{stage.broker.kind} on port {stage.broker.port}; the daemon's configuration: {stage.config}")
        await stage.daemon.start()
        with self._view:
            end = await self._play()
        await stage.daemon.stop()
        try:
            await stage.head.until(lambda: stage.head.tally.state == "stopped", patience=10)
        except TimeoutError:
            self._view.say("the head-end did not hear that the daemon stopped")
        return stage.account(end)

    async def _play(self) -> float:
        """Play until the time is over or somebody stops it; return the time up to which all that was due is there."""
        async with asyncio.TaskGroup() as group:
            outage = group.create_task(self._outage())
            others = [group.create_task(self._watch()), group.create_task(self._command())]
            await self._pause(self._options.seconds)
            others[1].cancel()
            await outage
            end = self._stage.setting.clock.now()
            try:
                end = await self._stage.settled(SETTLE)
            except TimeoutError:
                self._view.say("not everything that was due was read in time: the account will say what")
            others[0].cancel()
        return end

    async def _watch(self) -> None:
        while True:
            self._view.show(await self._look())
            await asyncio.sleep(LOOK * self._options.speed)

    async def _look(self) -> Snapshot:
        stage, tally = self._stage, self._stage.head.tally
        now = stage.setting.clock.now()
        events = [f"{iso(each.at)}  {each.meter}  {each.event}  ({each.severity})" for each in tally.events[-4:]]
        return Snapshot(
            elapsed=(now - stage.began) / self._options.speed,
            clock=iso(int(now)),
            status=await stage.daemon.status(),
            delivered=stage.delivered(),
            broker=self._broker_state,
            latency=stage.head.latencies[-1] if stage.head.latencies else None,
            events=events,
        )

    async def _command(self) -> None:
        """Let the head-end read a meter on demand now and then."""
        for meter in cycle(self._stage.fleet.meters):
            await asyncio.sleep(COMMAND_PERIOD * self._options.speed)
            if self._broker_state == "up":
                try:
                    await self._stage.head.command("meter.read", meter.id)
                except (TimeoutError, aiomqtt.MqttError):
                    self._view.say(f"no answer to the command for {meter.id}: the broker went away")

    async def _outage(self) -> None:
        """Take the broker away in the middle of the show."""
        options = self._options
        if not options.outage:
            return
        await self._pause(max(1.0, (options.seconds - options.outage) / 2) if options.seconds else OUTAGE_AFTER)
        if self._stop.is_set():
            return
        self._broker_state = "AWAY"
        await self._stage.broker.stop()
        await self._pause(options.outage)
        await self._stage.broker.start()
        self._broker_state = "up"

    async def _pause(self, seconds: float) -> None:
        """Wait `seconds` (0: for ever), or until somebody stops the show."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds * self._options.speed or None):
                await self._stop.wait()


def _setting(options: Options) -> Setting:
    clock = WarpClock.starting_now(options.speed)
    # in faster time a moment's pause of this machine would swallow whole rounds of a short period
    registers = {"instant": (INSTANT_PERIOD * max(1, round(options.speed)), 0)}
    # in faster time a pause of the processor looks longer to the lines, and to the broker
    octets, answer = (min(30.0, max(0.2, options.speed / 5)), min(60.0, max(2.0, options.speed)))
    bus = {"inter_octet": f"{round(1000 * octets)}ms", "timeout": f"{round(answer)}s"}
    return Setting(
        FleetPlan(meters=options.meters, buses=options.buses, baud=options.baud, seed=options.seed),
        {**registers, **PROFILES},
        clock,
        options.speed,
        clock.origin,
        options.embedded or None,
        bus=bus,
        uplink={"keepalive": f"{round(max(30, 10 * options.speed))}s"},
    )


def _options(arguments: list[str] | None) -> Options:
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description=__doc__.splitlines()[0] if __doc__ else "",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--meters", type=whole(1, MAX_METERS), default=48, help="simulated meters (default 48)")
    parser.add_argument("--buses", type=whole(1, MAX_BUSES), default=3, help="RS-485 lines they are on (default 3)")
    parser.add_argument(
        "--baud", type=int, choices=BAUDS, default=9600, metavar="BAUD", help="of every line (default 9600)"
    )
    parser.add_argument("--seconds", type=seconds, default=90, help="how long to run; 0: until Ctrl-C (default 90)")
    parser.add_argument("--speed", type=factor, default=1, help="simulated seconds per second (default 1)")
    parser.add_argument("--outage", type=seconds, default=0, metavar="S", help="take the broker away for S seconds")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another neighbourhood (default 1)")
    parser.add_argument("--embedded", action="store_true", help="the embedded broker even where mosquitto is installed")
    parser.add_argument("--directory", type=Path, help="keep the files here (default: a temporary directory)")
    return Options(**vars(parser.parse_args(arguments)))


def main(arguments: list[str] | None = None) -> int:
    """Run the show that the command line describes; return the exit status."""
    options = _options(arguments)
    logging.getLogger("mqtt").setLevel(logging.CRITICAL)  # the show says itself when the broker goes
    with tempfile.TemporaryDirectory(prefix="dcu-demo-") as temporary:
        directory = options.directory or Path(temporary)
        with asyncio.Runner(loop_factory=loop_factory(options.speed)) as runner:
            try:
                directory.mkdir(parents=True, exist_ok=True)
                lines = runner.run(_run(options, directory))
            except (OSError, RuntimeError) as error:
                print(f"the show failed: {error or type(error).__name__}", file=sys.stderr)
                return 2
    print_account(lines)
    even = all(line.good for line in lines)
    print("every reading that was due arrived, and was right" if even else "the account is not even: see above")
    return 0 if even else 1


async def _run(options: Options, directory: Path) -> list[Line]:
    async with set_stage(_setting(options), directory) as stage:
        return await Demo(options, stage, View()).run()


if __name__ == "__main__":
    sys.exit(main())
