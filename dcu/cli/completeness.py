"""`dcuctl gaps` and `dcuctl ledger`: what is missing and why, and how far everything got."""

from typing import Any, Final

import click

from dcu.cli.show import show_gaps, show_ledger
from dcu.cli.talk import Daemon, Time, as_json, present, when

_EXAMPLES_OF_GAPS: Final = """\b
Examples:
  dcuctl gaps
  dcuctl gaps --meter M0001 --stream load0
  dcuctl gaps --since 2026-11-21T00:00:00Z --json
"""
_EXAMPLES_OF_LEDGER: Final = """\b
Examples:
  dcuctl ledger
  dcuctl ledger --meter M0001 --since 2026-11-01T00:00:00Z
"""

_meter = click.option("--meter", help="Only this meter.")
_stream = click.option("--stream", help="Only this stream (load0, daily …).")


@click.command(epilog=_EXAMPLES_OF_GAPS)
@_meter
@_stream
@click.option("--since", type=when, help="Only gaps that reach to this time or later, e.g. 2026-11-21T00:00:00Z.")
@as_json
@click.pass_obj
def gaps(daemon: Daemon, meter: str | None, stream: str | None, since: Time, *, raw: bool) -> None:
    """List what is missing, as ranges with reasons."""
    wanted = _given(meter=meter, stream=stream, since=since)
    found: list[dict[str, Any]] = []
    more: str | None = ""
    while more is not None:
        page = daemon.ask("dcu.gaps", **wanted, **_given(after=more or None))["result"]
        found += page["gaps"]
        more = page["more"]
    present(found, show_gaps, raw=raw)


@click.command(epilog=_EXAMPLES_OF_LEDGER)
@_meter
@_stream
@click.option("--since", type=when, help="Captures of this time and later; without it, of the last 24 hours.")
@as_json
@click.pass_obj
def ledger(daemon: Daemon, meter: str | None, stream: str | None, since: Time, *, raw: bool) -> None:
    """Count by stream how far everything got.

    What is expected, read, stored, delivered and acknowledged. The first count what is due, from "stored" on all rows
    that are here, which may be more.
    """
    result = daemon.ask("dcu.ledger", **_given(meter=meter, stream=stream, since=since))["result"]
    present(result, show_ledger, raw=raw)


def _given(**args: Time) -> dict[str, Any]:
    return {key: value for key, value in args.items() if value is not None}
