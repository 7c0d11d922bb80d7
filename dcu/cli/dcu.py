"""`dcu`: checks a configuration and runs the daemon. Talking to a running daemon is `dcuctl`'s business."""

import os
import pwd
import sys
from functools import partial
from pathlib import Path
from typing import ClassVar

import click
from click.core import ParameterSource

from dcu import __version__
from dcu.cli import running
from dcu.cli.late import Late
from dcu.cli.main import CONFIG
from dcu.cli.running import configuration
from dcu.config import Config
from dcu.errors import ConfigError, UplinkError
from dcu.host.configuration import load_as
from dcu.plan.intervals import describe_due
from dcu.profiles import ProfileFolders, load_profile, stream_names
from dcu.watching.forecasts import forecasts, warnings

CONTEXT = {"help_option_names": ["-h", "--help"]}

#: The user of the system as whom the service runs (systemd/dcu.service).
SERVICE = "dcu"

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
  dcu check /etc/dcu/dcu.yaml         is this file right?
  dcu profiles                        which companion profiles are there?
  dcu run -c /etc/dcu/dcu.yaml        read the meters until SIGTERM
  dcu export /var/lib/dcu/store.db    what is kept, as lines of JSON
  dcu dlms decode 7ea00802230553e2e67e  what does this frame say?
"""


EXAMPLES_OF_CHECK = """\b
Examples:
  dcu check                           /etc/dcu/dcu.yaml
  dcu check ./dcu.yaml
"""
EXAMPLES_OF_PROFILES = """\b
Examples:
  dcu profiles
  dcu profiles -c ./dcu.yaml
"""
EXAMPLES_OF_RUN = """\b
Examples:
  dcu run -c /etc/dcu/dcu.yaml
"""


class _Dcu(Late):
    late: ClassVar = {"dlms": "dcu.cli.dlms", "export": "dcu.cli.stored"}


@click.group(cls=_Dcu, context_settings=CONTEXT, epilog=EXAMPLES)
@click.version_option(__version__, prog_name="dcu")
def cli() -> None:
    """The data concentrator daemon."""


@cli.command(epilog=EXAMPLES_OF_CHECK)
@config_option
@click.argument("file", required=False)
def check(path: str, file: str | None) -> None:
    """Check the configuration, in FILE or as -c says.

    Every problem is told with its file, its line, its key and what was expected.
    """
    path = file or path
    config = configuration(path)
    _judge_certificates(path, config)
    meters, buses = counted(len(config.meters), "meter"), counted(len(config.buses), "bus", "buses")
    click.echo(f"{path}: good: {meters} on {buses}")
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
    absent = (bus for bus in config.buses if not (bus.on_network or Path(bus.port).exists()))
    for line in (*warnings(expected), *(f"bus {bus.name}: there is no {bus.port} here" for bus in absent)):
        click.echo(f"warning: {line}", err=True)
    for problem in _kept_from_service(path):
        click.echo(f"warning: the service runs as {SERVICE}: {problem}", err=True)


def _judge_certificates(path: str, config: Config) -> None:
    """Exit with EXIT_CONFIG when TLS has files that it cannot use; a daemon would tell only when it connects."""
    if config.uplink.tls is None:
        return
    from dcu.uplink.tls import tls_context  # noqa: PLC0415 - the broker's library comes with it

    try:
        tls_context(config.uplink.tls)
    except UplinkError as error:
        click.echo(f"{path}: uplink.{error}\ndcu: 1 problem in the configuration", err=True)
        sys.exit(running.EXIT_CONFIG)


def _kept_from_service(path: str) -> tuple[str, ...]:
    """Return what the service will find wrong that root does not, who may read everything."""
    if os.geteuid() != 0:
        return ()
    try:
        pwd.getpwnam(SERVICE)
        load_as(SERVICE, path, stream_names)
    except KeyError:  # not installed as a service
        return ()
    except ConfigError as error:
        return error.problems
    return ()


def counted(count: int, one: str, many: str = "") -> str:
    """Return `count` with the word for it."""
    return f"{count} {one if count == 1 else many or one + 's'}"


@cli.command(epilog=EXAMPLES_OF_PROFILES)
@config_option
@click.pass_context
def profiles(context: click.Context, path: str) -> None:
    """List the companion profiles.

    What each holds, how many meters use it, and in which file it stands.
    """
    named = context.get_parameter_source("path") is not ParameterSource.DEFAULT
    config = configuration(path) if named or Path(path).exists() else None
    if config is None:
        click.echo(f"there is no {path} yet, which would say who follows them", err=True)
    folders = ProfileFolders.at(config.dcu.profiles_dir if config else None)
    for name in folders.names():
        profile = load_profile(name, folders)
        used = sum(meter.profile == name for meter in config.meters) if config else 0
        codes = len({code for table in profile.event_codes.values() for code in table})
        what = "asks the meter for its objects" if profile.discovers else f"{codes} event codes"
        click.echo(f"{name:16} {used:5} meters  {what:32} {folders.file(name)}")
        click.echo(f"  {' '.join(sorted(profile.stream_names))}")


@cli.command(epilog=EXAMPLES_OF_RUN)
@config_option
@click.pass_context
def run(context: click.Context, path: str) -> None:
    """Run the daemon in the foreground.

    Until SIGTERM or SIGINT; logs go to stderr.
    """
    running.run(path, context.obj)
