"""`dcuctl`: talks to a running daemon over its local socket, which has MQTT's catalogue of commands.

How a command is carried out, and which of them are journalled, is the daemon's business (`dcu.obeying`).
"""

import json
import time
from typing import Any

import click

from dcu import __version__
from dcu.cli.archive import archive
from dcu.cli.audit import audit
from dcu.cli.completeness import gaps, ledger
from dcu.cli.foreign import visible
from dcu.cli.show import show_clocks, show_meters, show_plan, show_reading, show_status
from dcu.cli.stored import history, readings, resend, storage
from dcu.cli.talk import Daemon, Time, as_json, ask_all, fail, present, when
from dcu.cli.uplink import uplink

DEFAULT_SOCKET = "/run/dcu/dcu.sock"

CONTEXT = {"help_option_names": ["-h", "--help"]}


#: The first character keeps click from filling the lines.
EXAMPLES = """\b
Examples:
  dcuctl status
  dcuctl ping
  dcuctl read M0001
  dcuctl read M0001 --profile load0 --from 2026-11-21T00:00:00Z --to 2026-11-21T06:00:00Z
  dcuctl get M0001 1-0:1.8.0.255 3 2 3
  dcuctl meters --unreachable
  dcuctl plan
  dcuctl gaps --since 2026-11-21T00:00:00Z
  dcuctl readings M0001 --stream daily --csv
  dcuctl storage
  dcuctl history --days 30
  dcuctl uplink
  dcuctl --socket ./dcu.sock status --json
"""
EXAMPLES_OF_STATUS = """\b
Examples:
  dcuctl status
  dcuctl status --json | jq .problems
"""
EXAMPLES_OF_PING = """\b
Examples:
  dcuctl ping
"""
EXAMPLES_OF_PLAN = """\b
Examples:
  dcuctl plan
  dcuctl plan --json
"""
EXAMPLES_OF_METERS = """\b
Examples:
  dcuctl meters
  dcuctl meters --unreachable --json
"""
EXAMPLES_OF_KEYS = """\b
Examples:
  dcuctl keys M0001
"""
EXAMPLES_OF_FORGET_COUNTER = """\b
Examples:
  dcuctl forget-counter M0001
"""
EXAMPLES_OF_READ = """\b
Examples:
  dcuctl read M0001
  dcuctl read M0001 --profile load0 --from 2026-11-21T00:00:00Z --to 2026-11-21T06:00:00Z --json
"""


EXAMPLES_OF_CHANGE_KEYS = """\b
Examples:
  dcuctl change-keys M0001
  dcuctl change-keys M0001 encryption authentication
"""
EXAMPLES_OF_LEARN = """\b
Examples:
  dcuctl profile learn M0001 > /etc/dcu/profiles.d/maker.yaml
"""
EXAMPLES_OF_GET = """\b
Examples:
  dcuctl get M0001 1-0:1.8.0.255 3          the value of a register
  dcuctl get M0001 1-0:1.8.0.255 3 2 3      value, scaler and unit
  dcuctl get M0001 0-0:13.0.0.255 20 3 4 5  an activity calendar
"""
EXAMPLES_OF_SET = """\b
Examples:
  dcuctl set M0001 0-0:13.0.0.255 20 6 '"WINTER"'
  dcuctl set M0001 0-0:11.0.0.255 11 2 '[{"index": 1, "date": "*-12-25", "day": 2}]'
  dcuctl set M0001 0-0:96.3.1.255 1 2 5 --type unsigned
"""
EXAMPLES_OF_CLOCKS = """\b
Examples:
  dcuctl clocks
  dcuctl clocks --json
"""
EXAMPLES_OF_SET_CLOCK = """\b
Examples:
  dcuctl set-clock M0001
"""
EXAMPLES_OF_EXECUTE = """\b
Examples:
  dcuctl execute M0001 0-0:13.0.0.255 20 1
  dcuctl execute M0001 0-0:10.0.100.255 9 1 2
"""


@click.group(context_settings=CONTEXT, epilog=EXAMPLES)
@click.version_option(__version__, prog_name="dcuctl")
@click.option(
    "--socket",
    "path",
    default=DEFAULT_SOCKET,
    envvar="DCU_SOCKET",
    show_default=True,
    show_envvar=True,
    help="Where the daemon listens: dcu.socket of its configuration.",
)
@click.pass_context
def cli(context: click.Context, path: str) -> None:
    """Talk to the running data concentrator."""
    context.obj = Daemon(path)


cli.add_command(archive)
cli.add_command(audit)
cli.add_command(gaps)
cli.add_command(ledger)
cli.add_command(history)
cli.add_command(readings)
cli.add_command(resend)
cli.add_command(storage)
cli.add_command(uplink)


@cli.command(epilog=EXAMPLES_OF_STATUS)
@as_json
@click.pass_obj
def status(daemon: Daemon, *, raw: bool) -> None:
    """Show buses, store, uplink and clock."""
    result = daemon.ask("dcu.status")["result"]
    present(result, show_status, raw=raw)


@cli.command(epilog=EXAMPLES_OF_PING)
@click.pass_obj
def ping(daemon: Daemon) -> None:
    """Ask for a sign of life and say how long it took."""
    start = time.monotonic()
    daemon.ask("dcu.ping")
    click.echo(f"the daemon answered in {(time.monotonic() - start) * 1000:.1f} ms")


@cli.command(epilog=EXAMPLES_OF_READ)
@click.argument("meter")
@click.option("--profile", help="Read rows of this stream (load0, daily, billing …) instead of the registers.")
@click.option("--from", "start", type=when, help="First capture time, e.g. 2026-11-21T00:00:00Z; with --profile.")
@click.option("--to", "end", type=when, help="Last capture time; with --profile.")
@as_json
@click.pass_obj
def read(daemon: Daemon, meter: str, profile: str | None, start: Time, end: Time, *, raw: bool) -> None:
    """Read METER now, ahead of the scheduled sweep."""
    rows = {"profile": profile, "from": start, "to": end}
    args = {key: each for key, each in rows.items() if each is not None}
    if args and len(args) < len(rows):
        fail("--profile, --from and --to belong together", 2)
    reading = daemon.ask("meter.read", meters=(meter,), **args)["result"][meter]
    present(reading, show_reading, raw=raw)


@cli.group(epilog=EXAMPLES_OF_LEARN)
def profile() -> None:
    """Ask meters for companion profiles."""


@profile.command(epilog=EXAMPLES_OF_LEARN)
@click.argument("meter")
@click.pass_obj
def learn(daemon: Daemon, meter: str) -> None:
    """Ask METER for its objects.

    They are printed as a companion profile, which can be kept and corrected.
    """
    learned = daemon.ask("meter.learn", meters=(meter,))["result"][meter]["profile"]
    click.echo(visible(learned, keep="\n"), nl=False)


def _value(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not JSON; a text needs quotes inside quotes: '\"WINTER\"'") from None


typed = click.option("--type", "kind", help="Data type of VALUE where its class does not say it, as long-unsigned.")


@cli.command(epilog=EXAMPLES_OF_PLAN)
@as_json
@click.pass_obj
def plan(daemon: Daemon, *, raw: bool) -> None:
    """Show what share of its time each bus needs.

    Foreseen and measured, with the meters that cost most.
    """
    result = daemon.ask("dcu.plan")["result"]
    present(result, show_plan, raw=raw)


@cli.command(epilog=EXAMPLES_OF_METERS)
@click.option("--unreachable", is_flag=True, help="Only those that have not answered since a failure.")
@as_json
@click.pass_obj
def meters(daemon: Daemon, *, unreachable: bool, raw: bool) -> None:
    """List the meters, and whether each can be reached.

    Since when, and for how many minutes of yesterday and today (UTC).
    """
    found: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        answer = daemon.ask("dcu.meters", unreachable=unreachable, after=after)["result"]
        found += answer["meters"]
        after = answer["next"]
    none = "no meter is known to be unreachable" if unreachable else "the archive has no meters"
    present(found, lambda meters: show_meters(meters, none), raw=raw)


@cli.command(epilog=EXAMPLES_OF_KEYS)
@click.argument("meter")
@click.pass_obj
def keys(daemon: Daemon, meter: str) -> None:
    """Show which generation of secrets METER has.

    Also whether another is on its way, and their fingerprints.
    """
    click.echo(json.dumps(daemon.ask("dcu.keys", meter=meter)["result"], indent=2))


@cli.command("change-keys", epilog=EXAMPLES_OF_CHANGE_KEYS)
@click.argument("meter")
@click.argument("kinds", nargs=-1)
@click.pass_obj
def change_keys(daemon: Daemon, meter: str, kinds: tuple[str, ...]) -> None:
    """Give METER its new secrets.

    Those of KINDS (encryption, authentication, password), or all that differ. The role secadm must be allowed.
    """
    answer = daemon.ask("meter.change-keys", meters=(meter,), kinds=list(kinds))["result"][meter]
    click.echo(json.dumps(answer, indent=2))


@cli.command("forget-counter", epilog=EXAMPLES_OF_FORGET_COUNTER)
@click.argument("meter")
@click.pass_obj
def forget_counter(daemon: Daemon, meter: str) -> None:
    """Believe the invocation counter METER uses now.

    Though it was higher before. The role secadm must be allowed.
    """
    answer = daemon.ask("meter.forget-counter", meters=(meter,))["result"][meter]
    click.echo(f"{meter}: {answer['now']}; it was {answer['before']}")


@cli.command(epilog=EXAMPLES_OF_GET)
@click.argument("meter")
@click.argument("object", metavar="OBJECT")
@click.argument("class", type=int)
@click.argument("attributes", type=int, nargs=-1)
@click.pass_obj
def get(daemon: Daemon, /, meter: str, attributes: tuple[int, ...], **target: Any) -> None:
    """Read ATTRIBUTES of an OBJECT of METER.

    By default attribute 2; CLASS is that of the OBJECT. They are printed as JSON.
    """
    items = [target | {"attribute": attribute} for attribute in attributes or (2,)]
    click.echo(json.dumps(daemon.ask("meter.get", meters=(meter,), items=items)["result"][meter]["items"], indent=2))


@cli.command("set", epilog=EXAMPLES_OF_SET)
@click.argument("meter")
@click.argument("object", metavar="OBJECT")
@click.argument("class", type=int)
@click.argument("attribute", type=int)
@click.argument("value", callback=_value)
@typed
@click.pass_obj
def set_(daemon: Daemon, /, meter: str, kind: str | None, **args: Any) -> None:
    """Write an ATTRIBUTE of an OBJECT of METER.

    VALUE is JSON, CLASS that of the OBJECT. The role engineer must be allowed; for a limiter or a register monitor,
    which may interrupt supply, operator as well.
    """
    answer = daemon.ask("meter.set", meters=(meter,), **args, type=kind)["result"][meter]
    click.echo(json.dumps(answer, indent=2))


@cli.command(epilog=EXAMPLES_OF_EXECUTE)
@click.argument("meter")
@click.argument("object", metavar="OBJECT")
@click.argument("class", type=int)
@click.argument("method", type=int)
@click.argument("value", required=False, callback=_value)
@typed
@click.pass_obj
def execute(daemon: Daemon, /, meter: str, kind: str | None, **args: Any) -> None:
    """Invoke a METHOD of an OBJECT of METER.

    VALUE is JSON, CLASS that of the OBJECT. The role operator must be allowed.
    """
    answer = daemon.ask("meter.execute", meters=(meter,), **args, type=kind)["result"][meter]
    click.echo(json.dumps(answer, indent=2))


@cli.command(epilog=EXAMPLES_OF_CLOCKS)
@as_json
@click.pass_obj
def clocks(daemon: Daemon, *, raw: bool) -> None:
    """Show how far the meters' clocks are off.

    And what they gain a day.
    """
    found = ask_all(daemon, "dcu.clocks", "clocks")
    present(found, show_clocks, raw=raw)


@cli.command("set-clock", epilog=EXAMPLES_OF_SET_CLOCK)
@click.argument("meter")
@as_json
@click.pass_obj
def set_clock(daemon: Daemon, meter: str, *, raw: bool) -> None:
    """Set the clock of METER now, however far it is off."""
    result = daemon.ask("meter.set-clock", meters=(meter,))["result"][meter]
    if raw:
        click.echo(json.dumps(result, indent=2))
        return
    click.echo(f"{meter} was {result['before']:+.1f} s off, and is {result['after']:+.1f} s off at {result['at']}")
    if result["crossed"]:
        periods = ", ".join(f"{period} s" for period in result["crossed"])
        click.echo(f"it crossed a boundary of rows every {periods}: some may be missing or double")


def main() -> None:
    """Entry point."""
    cli(prog_name="dcuctl")


if __name__ == "__main__":
    main()
