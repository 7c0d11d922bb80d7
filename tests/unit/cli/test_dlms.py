"""`dcu dlms decode` as somebody at a line types it."""

import click
import pytest
from click.testing import CliRunner, Result

from dcu.cli import dcu, dcuctl

GOT = "get-response normal\n  invoke-id 1, confirmed, high priority\n  value: long-unsigned 2301\n"


def decode(*words: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(dcu.cli, ["dlms", "decode", *words], input=stdin)


@pytest.mark.parametrize(
    "words",
    [
        ["c401c1001208fd"],
        ["C4:01:C1:00:12:08:FD"],
        ["c4 01", "c1 00 1208", "fd"],
        ["0xC4,0x01,0xC1,0x00,0x12,0x08,0xFD"],
    ],
)
def test_hex_in_any_dress(words: list[str]) -> None:
    result = decode(*words)
    assert (result.exit_code, result.output) == (0, GOT)


def test_a_dash_reads_stdin() -> None:
    result = decode("-", stdin="c4 01 c1\n00 12 08 fd\n")
    assert (result.exit_code, result.output) == (0, GOT)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["c4xy"], "'x' is no hexadecimal digit"),
        (["c40"], "3 hexadecimal digits make no whole octets"),
        (["--encryption-key", "0011", "c4"], "'--encryption-key': 2 octets, expected 16 or 32"),
        (["--title", "0011", "c4"], "'--title': 2 octets, expected 8"),
    ],
)
def test_what_is_no_hex_is_the_callers_mistake(words: list[str], told: str) -> None:
    result = decode(*words)
    assert result.exit_code == 2
    assert told in result.output


@pytest.mark.parametrize("words", [["c401c1001208"], ["7ea0080223055300007e"], ["ff"], ["-"]])
def test_what_cannot_be_understood_ends_with_status_1_and_says_so(words: list[str]) -> None:
    result = decode(*words, stdin="")
    assert result.exit_code == 1
    assert "! " in result.output
    assert "Traceback" not in result.output


def test_keys_decipher() -> None:
    sealed = "cc 20 30 00 00 03 eb 66 59 32 6f fe 5f b8 76 34 23 e3 53 9a f3 23 f9 3c de c4 3d fd 46 fc 9e d4 02 57"
    keys = ["--encryption-key", bytes(range(16)).hex(), "--authentication-key", bytes(range(0xD0, 0xE0)).hex()]
    result = decode(*keys, "--title", b"MTR00001".hex(), sealed)
    assert result.exit_code == 0
    assert ": verified\n" in result.output
    assert "value: long-unsigned 2301" in result.output


@pytest.mark.parametrize(
    ("program", "words", "example"),
    [
        (dcu.cli, ["dlms", "decode"], "dcu dlms decode c4:01:c1:00:12:08:fd"),
        (dcu.cli, [], "dcu check /etc/dcu/dcu.yaml         is this file right?"),
        (dcuctl.cli, [], "dcuctl read M0001"),
        (dcuctl.cli, ["read"], "dcuctl read M0001"),
    ],
)
def test_help_shows_examples_line_by_line(program: click.Command, words: list[str], example: str) -> None:
    result = CliRunner().invoke(program, [*words, "--help"])
    assert f"    {example}\n" in result.output
