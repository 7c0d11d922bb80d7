"""`python -m bench [NAME …]`: run benchmarks; without a name, list them. A missed goal fails only with --check."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from bench.figures import Benchmark, Figure, machine_noise, table

#: Benchmarks by name, each a module of this package with `run(quick) -> figures`; the text is the question it answers.
BENCHMARKS = {
    "wire": "how close a sweep comes to what the line allows, and what a visit costs in line time",
    "cpu": "processor time of the client for a visit and for decoding a day's profile",
    "store": "octets written to flash and held per capture, and what questions to the store cost",
    "memory": "resident memory of the daemon while it polls 1024 meters",
    "start": "time from exec to the first visit with 1024 meters configured",
    "recovery": "time from kill -9 to the next stored capture, with a week of 1024 meters unsent",
    "latency": "how late the daemon's event loop is while it polls ciphered meters on three lines",
    "command": "from a command's publication to its question at the meter, on a line full of profile reads",
    "uplink": "octets on the air for a row of eight values, both ways, through TLS to a real broker",
    "fleet": "what a fleet costs a broker: connections, messages, octets, and its coming back after the broker fell",
    "drain": "time to send a week's backlog over 20 kbit/s and 600 ms, by what the line takes for its octets",
    "failover": "from the loss of the main channel to the first row delivered on the standby",
    "faults": "promises of the store broken when its process is killed or its power cut; forged answers accepted",
    "success": "share of captures stored within their period, with lost frames and dead meters on the lines",
}

EXAMPLES = """examples:
  python -m bench                 list the benchmarks
  python -m bench wire --quick    one of them, within 50 s
  python -m bench all --check     all of them; exit status 1 when a goal is missed
"""


def _benchmark(name: str) -> Benchmark:
    module = importlib.import_module(f"bench.{name}")
    run: Benchmark = module.run
    return run


def _measure(names: Sequence[str], *, quick: bool) -> list[Figure]:
    figures: list[Figure] = []
    for name in names:
        print(f"== {name}: {BENCHMARKS[name]}")
        figures += _benchmark(name)(quick)
    return figures


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m bench", epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", choices=[*BENCHMARKS, "all", []], metavar="NAME", help="or `all`")
    parser.add_argument("--quick", action="store_true", help="an answer within 50 s each, with more noise")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a goal is missed")
    arguments = parser.parse_args()
    if not arguments.names:
        for name, question in BENCHMARKS.items():
            print(f"{name:8} {question}")
        return 0
    print(machine_noise())
    names = list(BENCHMARKS) if "all" in arguments.names else arguments.names
    figures = _measure(names, quick=arguments.quick)
    print(*table(figures), sep="\n")
    print(*(figure.line() for figure in figures), sep="\n")
    return 1 if arguments.check and not all(figure.met for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
