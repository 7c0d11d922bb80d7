"""`python -m sim`: run a fleet for a daemon to read, or draw the load of one home. The work is in the other rooms."""

import argparse
import asyncio
import signal
import sys
from dataclasses import asdict
from pathlib import Path

from dcu.clock import SystemClock, iso
from dcu.config.sections import BAUDS, MAX_BUSES, MAX_METERS
from sim.arguments import share, whole
from sim.faults import Faults
from sim.fleet import Fleet, FleetPlan
from sim.household import DAY, Channel, Household
from sim.site import Site, write_site

EXAMPLES = """examples:
  python -m sim fleet --meters 48 --buses 3 --baud 9600 --dir /tmp/fleet
  python -m sim fleet --meters 12 --buses 1 --tcp-meters 4 --frame-loss 0.01 --silent M0003 --dir /tmp/fleet
  dcu run -c /tmp/fleet/dcu.yaml          # in another terminal
  python -m sim load --meter M0007 --solar
"""

BAR = 60


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sim",
        description="Simulated meters on real ptys, and the homes behind them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    fleet = commands.add_parser("fleet", help="run meters on ptys until Ctrl-C and write the daemon's configuration")
    fleet.add_argument("--meters", type=whole(1, MAX_METERS), default=48, help="how many in all (default 48)")
    fleet.add_argument("--buses", type=whole(1, MAX_BUSES), default=3, help="RS-485 lines (default 3)")
    fleet.add_argument(
        "--baud", type=int, choices=BAUDS, default=9600, metavar="BAUD", help="of every line (default 9600)"
    )
    fleet.add_argument(
        "--tcp-meters", type=whole(0, MAX_METERS), default=0, help="of all meters, so many behind a TCP gateway"
    )
    fleet.add_argument("--old", type=share, default=0.0, metavar="P", help="share of the old meters (short names)")
    fleet.add_argument("--seed", type=int, default=1, help="another seed, other homes and keys (default 1)")
    fleet.add_argument("--dir", type=Path, required=True, help="where dcu.yaml and keys.yaml are written")
    fleet.add_argument("--host", default="127.0.0.1", help="broker the daemon shall use (default 127.0.0.1)")
    fleet.add_argument("--port", type=int, default=1883, help="its port (default 1883)")
    fleet.add_argument("--byte-errors", type=share, default=0.0, metavar="P", help="chance of a wrong bit per octet")
    fleet.add_argument("--frame-loss", type=share, default=0.0, metavar="P", help="chance that a frame is lost")
    fleet.add_argument("--late", type=share, default=0.0, metavar="P", help="chance that an answer comes 3 s late")
    fleet.add_argument("--chatter", type=share, default=0.0, metavar="P", help="chance of foreign octets per request")
    fleet.add_argument("--silent", nargs="*", default=[], metavar="METER", help="meters that never answer")
    load = commands.add_parser("load", help="draw the load of one home over a day")
    load.add_argument("--meter", default="M0001", help="whose home (default M0001)")
    load.add_argument("--seed", type=int, default=1, help="of the fleet (default 1)")
    load.add_argument("--solar", action="store_true", help="with solar cells on the roof")
    return parser


def _plan(options: argparse.Namespace) -> FleetPlan:
    faults = Faults(
        byte_errors=options.byte_errors,
        frame_loss=options.frame_loss,
        late=options.late,
        chatter=options.chatter,
        silent=frozenset(options.silent),
    )
    return FleetPlan(
        meters=options.meters,
        buses=options.buses,
        baud=options.baud,
        seed=options.seed,
        tcp_meters=options.tcp_meters,
        old=round(256 * options.old),
        faults=faults,
    )


async def run_fleet(plan: FleetPlan, site: Site, directory: Path) -> None:
    """Run the fleet of `plan` until SIGINT or SIGTERM, its configuration in `directory`; OSError when that fails."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with Fleet(plan, SystemClock()) as fleet:
        configuration = write_site(fleet, site, directory)
        for bus in fleet.buses:
            print(f"{bus.name}: {len(bus.meters)} meters at {bus.path}")
        print(f"configuration: {configuration}\nCtrl-C ends", flush=True)
        await stop.wait()
        for bus in fleet.buses:
            print(f"{bus.name}:", ", ".join(f"{key} {value:g}" for key, value in asdict(bus.counters).items() if value))
        print("reads served:", ", ".join(f"{name} {count}" for name, count in sorted(fleet.served().items())) or "none")


def _draw_load(home: Household, day: int) -> None:
    """Print a bar per hour: the mean W drawn, or fed in."""
    print(f"{home.meter}, {iso(day)[:10]}: mean W by hour of UTC (# drawn, + fed in)")
    for hour in range(24):
        start, end = day + hour * 3600, day + hour * 3600 + 3600
        drawn = home.imported(end) - home.imported(start)
        fed = home.energy(Channel.EXPORT, end) - home.energy(Channel.EXPORT, start)
        bar = "#" * min(BAR, drawn // 50) + "+" * min(BAR, fed // 50)
        print(f"{hour:02d} {drawn:6d} {-fed:6d} {bar}")


def main() -> None:
    """Parse the command line and run the command; a wrong plan is told in one line."""
    parser = _parser()
    options = parser.parse_args()
    if options.command == "load":
        _draw_load(Household(options.seed, options.meter, options.solar), int(SystemClock().now()) // DAY * DAY)
        return
    if options.tcp_meters > options.meters:
        parser.error("expected no more TCP meters than meters")
    plan = _plan(options)
    if strangers := sorted(plan.faults.silent - set(map(plan.id_of, range(plan.meters)))):
        parser.error(f"--silent: no such meter: {', '.join(strangers)}")
    try:
        asyncio.run(run_fleet(plan, Site(host=options.host, port=options.port), options.dir))
    except OSError as error:
        sys.exit(f"python -m sim: {error}")


if __name__ == "__main__":
    main()
