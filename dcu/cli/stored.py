"""What is kept, on the terminal: `dcuctl readings`, `resend`, `storage`, `history`; `dcu export` without a daemon."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

import click

from dcu.cli.foreign import cell, visible_in
from dcu.cli.show import show_history, show_resent, show_rows, show_storage, shown
from dcu.cli.talk import PART, Daemon, Time, as_json, fail, present, when
from dcu.clock import iso
from dcu.errors import CommandRejected, StoreError
from dcu.messages.catalogue import moment
from dcu.model import Capture
from dcu.obis import format_obis

#: Times that every capture lies between.
EVER = (-(1 << 62), 1 << 62)

#: The first character keeps click from filling the lines.
EXAMPLES_OF_READINGS = """\b
Examples:
  dcuctl readings M0001
  dcuctl readings M0001 --stream billing --from 2026-01-01T00:00:00Z --csv > billing.csv
"""
EXAMPLES_OF_RESEND = """\b
Examples:
  dcuctl resend load0 --from 2026-01-31T00:00:00Z --to 2026-01-31T12:00:00Z
  dcuctl resend event.dcu --from-seq 1769860800001
"""
EXAMPLES_OF_STORAGE = """\b
Examples:
  dcuctl storage
  dcuctl storage --json
"""
EXAMPLES_OF_HISTORY = """\b
Examples:
  dcuctl history
  dcuctl history --days 400 --json > health.json
"""
EXAMPLES_OF_EXPORT = """\b
Examples:
  dcu export /var/lib/dcu/store.db > readings.jsonl
  dcu export /var/lib/dcu/store.db --meter M0001 --stream load0 --csv > readings.csv
"""

_HEAD = ("at", "status", "read", "offset", "trusted")


@click.command(epilog=EXAMPLES_OF_READINGS)
@click.argument("meter")
@click.option("--stream", default="load0", show_default=True, help="load0, daily, billing, instant …")
@click.option(
    "--from",
    "start",
    type=when,
    help="First capture time, e.g. 2026-11-21T00:00:00Z; a day before the last otherwise.",
)
@click.option("--to", "end", type=when, help="Last capture time; now otherwise.")
@click.option("--csv", "table", is_flag=True, help="Print comma-separated values.")
@as_json
@click.pass_obj
def readings(daemon: Daemon, meter: str, stream: str, start: Time, end: Time, *, table: bool, raw: bool) -> None:
    """Show what is kept of METER; nothing is asked of the meter."""
    args = {"meter": meter, "stream": stream} | {
        key: at for key, at in (("from", start), ("to", end)) if at is not None
    }
    if table and raw:
        fail("--csv and --json are two forms: one of them", 2)
    pages = _pages(daemon, args)
    if table:
        _write_pages(pages)
        return
    for page in pages:
        click.echo(json.dumps(page)) if raw else show_rows(visible_in(page))


@click.command(epilog=EXAMPLES_OF_RESEND)
@click.argument("stream")
@click.option("--from", "start", type=when, help="Blocks with captures of this time or later; needs --to.")
@click.option("--to", "end", type=when, help="Blocks with captures of this time or earlier.")
@click.option("--from-seq", "first", type=int, help="Blocks of this number and higher.")
@click.option("--to-seq", "last", type=int, help="Blocks of this number and lower.")
@as_json
@click.pass_obj
def resend(
    daemon: Daemon, stream: str, start: Time, end: Time, first: int | None, last: int | None, *, raw: bool
) -> None:
    """Send blocks of STREAM to the head-end once more.

    They leave under the numbers they had, when nothing else does; at most 500 at a time.
    """
    bounds: dict[str, Any] = {"from": start, "to": end, "from_seq": first, "to_seq": last}
    given = {key: bound for key, bound in bounds.items() if bound is not None}
    present(daemon.ask("dcu.resend", stream=stream, **given)["result"], show_resent, raw=raw)


@click.command(epilog=EXAMPLES_OF_STORAGE)
@as_json
@click.pass_obj
def storage(daemon: Daemon, *, raw: bool) -> None:
    """Show how full the store is, and when it will be.

    Also what it costs the flash, and what is held of each stream.
    """
    result = daemon.ask("dcu.storage")["result"]
    present(result, show_storage, raw=raw)


@click.command(epilog=EXAMPLES_OF_HISTORY)
@click.option("--days", type=click.IntRange(1, 400), default=14, show_default=True, help="How many, the newest first.")
@as_json
@click.pass_obj
def history(daemon: Daemon, days: int, *, raw: bool) -> None:
    """Show how the box fared, day by day.

    Visits, success, buses, uplink, store, restarts.
    """
    found: list[dict[str, Any]] = []
    while len(found) < days:
        part: dict[str, Any] = {"from": len(found), "count": min(PART, days - len(found))}
        page = daemon.ask("dcu.history", **part)["result"]
        found += page["days"]
        if not page["days"] or len(found) >= page["total"]:
            break
    present(found, show_history, raw=raw)


@click.command(epilog=EXAMPLES_OF_EXPORT)
@click.argument("database", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--meter", help="Of this meter only.")
@click.option("--stream", help="Of this stream only.")
@click.option("--from", "start", type=when, help="First capture time, e.g. 2026-11-21T00:00:00Z.")
@click.option("--to", "end", type=when, help="Last capture time.")
@click.option("--csv", "table", is_flag=True, help="One line of comma-separated values for each value.")
def export(database: Path, meter: str | None, stream: str | None, start: Time, end: Time, *, table: bool) -> None:
    """Write what is kept in a DATABASE as lines of JSON.

    DATABASE is a store of this program, open or not; the file is left as it is.
    """
    from dcu.store.export import exported  # noqa: PLC0415 - nothing else here needs the store

    try:
        first = EVER[0] if start is None else moment(start, "--from")
        last = EVER[1] if end is None else moment(end, "--to")
        found = exported(database, meter=meter, stream=stream, start=first, end=last)
        head = list(islice(found, 1))
        if not head:
            click.echo(f"dcu: {database} has no captures{_of(meter, stream)}{_when(start, end)}", err=True)
        captures = chain(head, found)
        _write_values(captures) if table else _write_lines(captures)
    except (StoreError, CommandRejected) as error:
        click.echo(f"dcu: {error}", err=True)
        sys.exit(1)


def _of(meter: str | None, stream: str | None) -> str:
    return (f" of {meter}" if meter else "") + (f" of stream {stream}" if stream else "")


def _when(start: Time, end: Time) -> str:
    return (f" from {start}" if start is not None else "") + (f" to {end}" if end is not None else "")


def _pages(daemon: Daemon, args: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the pages that have rows; when none has, the last one, which says of what there are none."""
    after: str | None = None
    first = True
    while True:
        wanted: dict[str, Any] = args | ({"after": after} if after else {})
        page = daemon.ask("dcu.readings", **wanted)["result"]
        after = page["more"]
        if page["captures"] or (first and after is None):
            yield page
            first = False
        if after is None:
            return


def _write_pages(pages: Iterable[dict[str, Any]]) -> None:
    """Write a table of scaled values, with a new head where the columns change."""
    out, before = csv.writer(sys.stdout), None
    for page in pages:
        columns = [f"{column['object']}/{column['attribute']} {column['symbol']}".strip() for column in page["columns"]]
        if columns != before:
            out.writerow([*_HEAD, *columns])
            before = columns
        scalers = [column["scaler"] for column in page["columns"]]
        for row in page["captures"]:
            head = (json.dumps(row[key]) if isinstance(row[key], bool) else row[key] for key in _HEAD)
            out.writerow([*head, *map(_cell, row["values"], scalers)])


def _cell(value: Any, scaler: int = 0) -> str:
    return cell(value) if isinstance(value, str) else shown(value, scaler)


def _write_lines(captures: Iterable[Capture]) -> None:
    for capture in captures:
        columns = [[c.class_id, format_obis(c.name), c.index, c.data_index, c.scaler, c.unit] for c in capture.columns]
        line = {
            "stream": capture.stream,
            "meter": capture.meter,
            "at": iso(capture.at),
            "status": capture.status,
            "read": iso(capture.read_at),
            "offset": capture.offset,
            "trusted": capture.trusted,
            "columns": columns,
            "values": [value.hex() if isinstance(value, bytes) else value for value in capture.values],
        }
        click.echo(json.dumps(line))


def _write_values(captures: Iterable[Capture]) -> None:
    out = csv.writer(sys.stdout)
    out.writerow(("stream", "meter", "at", "status", "class", "object", "attribute", "scaler", "unit", "value"))
    for capture in captures:
        head = (capture.stream, capture.meter, iso(capture.at), capture.status)
        for column, value in zip(capture.columns, capture.values, strict=True):
            place = (column.class_id, format_obis(column.name), column.index, column.scaler, column.unit)
            out.writerow((*head, *place, _cell(value)))
