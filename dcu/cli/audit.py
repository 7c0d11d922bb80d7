"""`dcuctl audit`: shows and verifies the chain of all commands that are over; it is made in `dcu.store.audit`."""

from typing import Any

import click

from dcu.cli.show import show_audit
from dcu.cli.talk import Daemon, as_json, fail, present

EXAMPLES_OF_SHOW = """\b
Examples:
  dcuctl audit show
  dcuctl audit show --from 1 --json
"""
EXAMPLES_OF_VERIFY = """\b
Examples:
  dcuctl audit verify
  dcuctl audit verify --entry 12 --hash 0f3a…
"""
EXAMPLES = """\b
Examples:
  dcuctl audit show
  dcuctl audit show --from 1 --json
  dcuctl audit verify
  dcuctl audit verify --entry 12 --hash 0f3a…
"""

#: Entries that are shown when nobody says where to begin.
NEWEST = 20


@click.group(epilog=EXAMPLES)
def audit() -> None:
    """Show who commanded what, when, and how it ended.

    The entries are a chain, which cannot be changed unnoticed.
    """


@audit.command(epilog=EXAMPLES_OF_SHOW)
@click.option("--from", "first", type=int, help=f"The first entry; by default the newest {NEWEST} are shown.")
@as_json
@click.pass_obj
def show(daemon: Daemon, *, first: int | None, raw: bool) -> None:
    """Show the entries from a number on."""
    if first is None:
        first = max(1, daemon.ask("dcu.audit", count=1)["result"]["head"]["entry"] - NEWEST + 1)
    entries = _entries(daemon, first)
    none = "no command is over yet" if first == 1 else f"there is no entry {first} yet"
    present(entries, lambda entries: show_audit(entries, none), raw=raw)


def _entries(daemon: Daemon, first: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while part := _part(daemon, {"from": first}):
        found += part
        first = part[-1]["entry"] + 1
    return found


def _part(daemon: Daemon, args: dict[str, Any]) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = daemon.ask("dcu.audit", **args)["result"]["entries"]
    return entries


@audit.command(epilog=EXAMPLES_OF_VERIFY)
@click.option("--entry", type=int, help="The number of an entry that was kept elsewhere, as the health message has it.")
@click.option("--hash", "known", help="Its hash: the chain must have it still.")
@click.pass_obj
def verify(daemon: Daemon, *, entry: int | None, known: str | None) -> None:
    """Verify the whole chain; exit status 1 when it is broken."""
    if (entry is None) != (known is None):
        fail("--entry and --hash belong together: which entry was kept elsewhere, and what its hash was", 2)
    found = daemon.ask("dcu.verify-audit")["result"]
    if "problem" in found:
        fail(f"the audit is broken: {found['problem']}", 1)
    if entry is not None:
        part = _part(daemon, {"from": entry, "count": 1})
        if not part or part[0]["entry"] != entry or part[0]["hash"] != known:
            fail(f"the audit is broken: entry {entry} is not the one that was kept", 1)
    if not found["last"]:
        click.echo("the audit has no entries yet")
        return
    click.echo(f"entries {found['first']} to {found['last']} are as they were written; head {found['head']}")
