"""`dcu`: checks a configuration and runs the daemon. Talking to a running daemon is `dcuctl`'s business."""

import sys
from functools import partial
from typing import ClassVar

import click

from dcu import __version__
from dcu.cli.late import Late
from dcu.cli.logs import set_up_logs
from dcu.config import Config, load
from dcu.errors import ConfigError, DcuError
from dcu.forecasts import forecasts, warnings
from dcu.plan.intervals import describe_due
from dcu.profiles import ProfileFolders, load_profile, stream_names

CONTEXT = {"help_option_names": ["-h", "--help"]}

#: Exit statuses: the configuration is wrong (systemd must not restart on it), or something else is.
EXIT_CONFIG, EXIT_FAILED = 78, 1

#: Seconds after which a thread (of the store, of a block that is written) gives way to the event loop; Python's usual
#: five milliseconds are half of what the loop may be late.
GIVE_WAY = 0.001

config_option = click.option(
    "-c",
    "--config",
    "path",
    default="/etc/dcu/dcu.yaml",
    show_default=True,
    help="The YAML configuration.",
)


#: The first character keeps click from filling the lines.
EXAMPLES = """\b
Examples:
  dcu check -c /etc/dcu/dcu.yaml      is this file right?
  dcu profiles                        which companion profiles are there?
  dcu run -c /etc/dcu/dcu.yaml        read the meters until SIGTERM
  dcu export /var/lib/dcu/store.db    what is kept, as lines of JSON
  dcu dlms decode 7ea00802230553e2e67e  what does this frame say?
"""


class _Dcu(Late):
    late: ClassVar = {"dlms": "dcu.cli.dlms", "export": "dcu.cli.stored"}


@click.group(cls=_Dcu, context_settings=CONTEXT, epilog=EXAMPLES)
@click.version_option(__version__, prog_name="dcu")
def cli() -> None:
    """The data concentrator daemon."""


def _load(path: str) -> Config:
    try:
        return load(path, stream_names)
    except ConfigError as error:
        click.echo(str(error), err=True)
        count = len(error.problems)
        click.echo(f"dcu: {count} problem{'s' if count != 1 else ''} in the configuration", err=True)
        sys.exit(EXIT_CONFIG)


@cli.command()
@config_option
def check(path: str) -> None:
    """Check the configuration: every problem with file, line, key and what was expected."""
    config = _load(path)
    click.echo(f"{path}: good: {len(config.meters)} meters on {len(config.buses)} buses")
    folders = ProfileFolders.at(config.dcu.profiles_dir)
    expected = forecasts(config, config.meters, partial(load_profile, folders=folders))
    for bus in config.buses:
        count = sum(meter.bus == bus.name for meter in config.meters)
        share = f"{expected[bus.name].share:6.0%} of its time"
        click.echo(f"  {bus.name:16} {bus.port:24} {bus.baud:6} Bd  {bus.framing.value:8} {count:5} meters{share}")
    for group, timetable in {"": config.timetable, **config.groups}.items():
        click.echo(f"  group {group}:" if group else "  timetable:")
        for task in timetable:
            click.echo(f"    {task.stream:16} {describe_due(task)}")
    for line in warnings(expected):
        click.echo(f"warning: {line}", err=True)


@cli.command()
@config_option
def profiles(path: str) -> None:
    """List the companion profiles: what each holds, and in which file it stands."""
    config = _load(path)
    folders = ProfileFolders.at(config.dcu.profiles_dir)
    for name in folders.names():
        profile = load_profile(name, folders)
        used = sum(meter.profile == name for meter in config.meters)
        codes = len({code for table in profile.event_codes.values() for code in table})
        what = "asks the meter for its objects" if profile.discovers else f"{codes} event codes"
        click.echo(f"{name:16} {used:5} meters  {what:32} {folders.file(name)}")
        click.echo(f"  {' '.join(sorted(profile.stream_names))}")


@cli.command()
@config_option
@click.pass_context
def run(context: click.Context, path: str) -> None:
    """Run the daemon in the foreground until SIGTERM or SIGINT; logs go to stderr."""
    config = _load(path)
    set_up_logs(config.dcu.log)
    # imported late: `dcu check` needs no broker library, and the child that parses YAML must not carry it
    from dcu.serving import REAL_TIME, TimeBase, serve  # noqa: PLC0415

    sys.setswitchinterval(GIVE_WAY)
    base = context.obj if isinstance(context.obj, TimeBase) else REAL_TIME
    try:
        serve(config, base)
    except* DcuError as group:  # alone, or from a task of the daemon
        failed = group.exceptions[0]
    else:
        return
    click.echo(f"dcu: {failed} (to be mended by: {getattr(failed, 'who', 'us')})", err=True)
    sys.exit(EXIT_FAILED)


def main() -> None:
    """Entry point."""
    cli(prog_name="dcu")


if __name__ == "__main__":
    main()
