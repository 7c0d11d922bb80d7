"""`dcuctl archive`: the meters of a running daemon: listed, added, replaced, deleted, imported, exported, found."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click

from dcu.cli.foreign import visible
from dcu.cli.show import show_archive, show_found
from dcu.cli.talk import Daemon, as_json, ask_all, fail, present
from dcu.errors import ConfigError

_CONTEXT: Final = {"help_option_names": ["-h", "--help"]}

#: Characters of a file's name that the faults are told with.
_MAX_NAME: Final = 64

#: Set off by the character that keeps click from filling the lines.
_EXAMPLES: Final = """\b
Examples:
  dcuctl archive list
  dcuctl archive add M0101 --bus rs485-1 --address 101 --access reader --profile idis
  dcuctl archive import meters.csv
"""
_EXAMPLES_OF_LIST: Final = """\b
Examples:
  dcuctl archive list
  dcuctl archive list --json
"""
_EXAMPLES_OF_ADD: Final = """\b
Examples:
  dcuctl archive add M0101 --bus rs485-1 --address 101 --access reader --profile idis
  dcuctl archive add M0102 --bus rs485-1 --address 102 --access reader --profile idis --serial 35017012
"""
_EXAMPLES_OF_REPLACE: Final = """\b
Examples:
  dcuctl archive replace M0101 --bus rs485-1 --address 117 --access reader --profile idis --serial 35020044
"""
_EXAMPLES_OF_DELETE: Final = """\b
Examples:
  dcuctl archive delete M0101
  dcuctl archive delete M0101 M0102 M0103
"""
_EXAMPLES_OF_IMPORT: Final = """\b
Examples:
  dcuctl archive import meters.csv            all of them, or none
  dcuctl archive import meters.yaml --partial the good ones; the others are named
"""
_EXAMPLES_OF_EXPORT: Final = """\b
Examples:
  dcuctl archive export                       as CSV to the terminal
  dcuctl archive export meters.yaml
"""
_EXAMPLES_OF_FOUND: Final = """\b
Examples:
  dcuctl archive found
  dcuctl archive found --json
"""


@click.group(context_settings=_CONTEXT, epilog=_EXAMPLES)
def archive() -> None:
    """List, add and replace the meters, and more.

    Lines of /etc/dcu/dcu.yaml are changed there. Changes here need the role installer in `dcu.allow`; secrets come in
    through the keys file, which is read again for each meter that is added.
    """


_EXAMPLES_OF_DISCOVER: Final = """\b
Examples:
  dcuctl archive discover               on every bus that has a search
  dcuctl archive discover rs485-1 --no-wait
"""

#: Seconds between two looks at how far a search is.
_LOOK: Final = 2.0


@archive.command("list", epilog=_EXAMPLES_OF_LIST)
@as_json
@click.pass_obj
def show(daemon: Daemon, *, raw: bool) -> None:
    """List the meters and where each line stands."""
    meters = ask_all(daemon, "archive.list", "meters")
    present(meters, show_archive, raw=raw)


def _line_options(command: Callable[..., None]) -> Callable[..., None]:
    options = (
        click.option("--bus", required=True, help="Name of a bus of the configuration."),
        click.option("--address", required=True, type=int, help="HDLC physical address, or wPort."),
        click.option("--access", required=True, help="Name of an access of the configuration."),
        click.option("--profile", required=True, help="Name of a companion profile."),
        click.option("--logical-device", type=int, help="HDLC logical device; a new meter has 1 if not given."),
        click.option("--serial", help="The number on the nameplate."),
        click.option("--group", help="Name of a group with a timetable of its own."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _given(words: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in words.items() if value is not None}


@archive.command(epilog=_EXAMPLES_OF_ADD)
@click.argument("meter")
@_line_options
@click.pass_obj
def add(daemon: Daemon, /, meter: str, **words: Any) -> None:
    """Add METER: it is read from now on."""
    result = daemon.ask("archive.add", id=meter, **_given(words))["result"]
    click.echo(f"{meter} was added" if result["added"] else f"{meter} was there already")


@archive.command(epilog=_EXAMPLES_OF_REPLACE)
@click.argument("meter")
@_line_options
@click.pass_obj
def replace(daemon: Daemon, /, meter: str, **words: Any) -> None:
    """Put another device in the place of METER.

    What was read from the old one stays; the new one is read from now on. Its logical device and its group are those
    of the old one unless they are given.
    """
    daemon.ask("archive.replace", id=meter, **_given(words))
    click.echo(f"{meter} is another device from now on")


@archive.command(epilog=_EXAMPLES_OF_DELETE)
@click.argument("meters", nargs=-1, required=True)
@click.pass_obj
def delete(daemon: Daemon, meters: tuple[str, ...]) -> None:
    """Delete METERS: they are read no more. What was read is still delivered and kept."""
    daemon.ask("archive.delete", ids=list(meters))
    click.echo(f"deleted: {', '.join(meters)}")


@archive.command("import", epilog=_EXAMPLES_OF_IMPORT)
@click.argument("path", metavar="FILE")
@click.option("--partial", is_flag=True, help="Add the good lines; without it one bad line refuses all.")
@click.pass_obj
def load(daemon: Daemon, path: str, *, partial: bool) -> None:
    """Add the meters of a CSV or YAML FILE.

    CSV has a first line with the names of the columns, YAML a list as `meters` in the configuration. Each fault is told
    with its line, its column and what was expected.
    """
    from dcu.cli.tables import parse_lines  # noqa: PLC0415 - YAML is loaded for this command only
    from dcu.forms.files import read  # noqa: PLC0415 - as above

    try:
        lines = parse_lines(read(path), path)
    except ConfigError as error:
        fail("\n".join(error.problems), 1)
    if lines.faults and not partial:
        fail("\n".join(lines.faults), 1)
    result = daemon.ask(
        "archive.import",
        columns=lines.columns,
        rows=lines.rows,
        lines=lines.numbers,
        file=Path(path).name[-_MAX_NAME:],
        partial=partial,
    )["result"]
    for problem in (*lines.faults, *result["problems"]):
        click.echo(visible(problem), err=True)
    refused = len(lines.faults) + result["refused"]
    click.echo(f"{result['added']} added, {result['there']} there already, {refused} refused")
    if refused:
        raise SystemExit(1)


@archive.command(epilog=_EXAMPLES_OF_EXPORT)
@click.argument("path", metavar="FILE", required=False)
@click.option("--format", "form", type=click.Choice(["csv", "yaml"]), help="Else the name of the file says it.")
@click.pass_obj
def export(daemon: Daemon, path: str | None, form: str | None) -> None:
    """Write all meters, without secrets, to FILE or the terminal."""
    from dcu.cli.tables import format_of, write_lines  # noqa: PLC0415 - as above

    try:
        form = form or (format_of(path) if path else "csv")
    except ConfigError as error:
        fail(str(error), 2)
    columns, rows = (
        daemon.ask("archive.export", count=1)["result"]["columns"],
        ask_all(daemon, "archive.export", "rows"),
    )
    text = write_lines(columns, rows, form)
    if path is None:
        click.echo(text, nl=False)
        return
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{path}: cannot be written: {error.strerror}", 1)
    click.echo(f"{len(rows)} meters written to {path}")


@archive.command(epilog=_EXAMPLES_OF_FOUND)
@as_json
@click.pass_obj
def found(daemon: Daemon, *, raw: bool) -> None:
    """List the stations that discovery met and nobody has named."""
    stations = ask_all(daemon, "archive.found", "found")
    present(stations, show_found, raw=raw)


@archive.command(epilog=_EXAMPLES_OF_DISCOVER)
@click.argument("buses", nargs=-1)
@click.option("--wait/--no-wait", default=True, help="Show how far it is, and what was found at the end.")
@click.pass_context
def discover(context: click.Context, buses: tuple[str, ...], *, wait: bool) -> None:
    """Look for new meters on BUSES now.

    They are asked whenever they are idle; without BUSES, all that have a search.
    """
    daemon: Daemon = context.obj
    started = daemon.ask("archive.discover", buses=list(buses))["result"]["addresses"]
    for bus, count in started.items():
        click.echo(f"{bus}: {count} addresses")
    if not wait:
        return
    while left := _left(daemon, started):
        click.echo(f"\r{left} addresses left ", nl=False)
        time.sleep(_LOOK)
    click.echo("\rall have been asked    ")
    context.invoke(found, raw=False)


def _left(daemon: Daemon, started: dict[str, int]) -> int:
    searches = daemon.ask("archive.found", count=1)["result"]["searches"]
    return sum(searches[bus]["left"] for bus in started if bus in searches)
