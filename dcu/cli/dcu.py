"""`dcu`: checks a configuration and runs the daemon. Talking to a running daemon is `dcuctl`'s business."""

from functools import partial
from typing import ClassVar

import click

from dcu import __version__
from dcu.cli import running
from dcu.cli.late import Late
from dcu.cli.main import CONFIG
from dcu.cli.running import configuration
from dcu.forecasts import forecasts, warnings
from dcu.plan.intervals import describe_due
from dcu.profiles import ProfileFolders, load_profile

CONTEXT = {"help_option_names": ["-h", "--help"]}

config_option = click.option(
    "-c",
    "--config",
    "path",
    default=CONFIG,
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


@cli.command()
@config_option
def check(path: str) -> None:
    """Check the configuration: every problem with file, line, key and what was expected."""
    config = configuration(path)
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
    config = configuration(path)
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
    running.run(path, context.obj)
