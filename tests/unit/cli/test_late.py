"""Subcommands that are loaded when somebody types them."""

from click.testing import CliRunner

from dcu.cli.dcu import cli


def test_a_late_subcommand_is_listed_and_found() -> None:
    shown = CliRunner().invoke(cli, ["--help"]).output
    assert all(f"\n  {name} " in shown for name in ("check", "dlms", "export", "profiles", "run"))
    assert "a store of this program" in CliRunner().invoke(cli, ["export", "--help"]).output
