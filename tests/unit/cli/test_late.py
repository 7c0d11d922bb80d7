"""What only people need is not loaded with the daemon."""

import subprocess
import sys

from click.testing import CliRunner

from dcu.cli.dcu import cli

#: What a daemon has no use for: colours, tables, the parser of YAML, guesses at misspelt keys, the rare objects.
FOREIGN = {"rich", "csv", "decimal", "yaml", "difflib", "gurux_dlms", "zipfile"}


def test_a_daemon_carries_nothing_that_only_people_need() -> None:
    # what measures coverage brings some of it along
    program = (
        "import sys; before = set(sys.modules); import dcu.cli.dcu, dcu.daemon;"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert FOREIGN.isdisjoint(done.stdout.split())


def test_a_late_subcommand_is_listed_and_found() -> None:
    shown = CliRunner().invoke(cli, ["--help"]).output
    assert all(f"\n  {name} " in shown for name in ("check", "dlms", "export", "profiles", "run"))
    assert "a store of this program" in CliRunner().invoke(cli, ["export", "--help"]).output
