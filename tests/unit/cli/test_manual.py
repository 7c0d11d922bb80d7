"""The manual pages: every command with its options and examples, in requests that the man macros have."""

import re
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from dcu.cli import manual
from dcu.cli.manual import PROGRAMS, page

#: Requests of man(7) that the pages are made of, each at the beginning of a line.
REQUESTS = {"TH", "SH", "SS", "P", "TP", "B", "I", "BR", "IR", "EX", "EE"}


def plain(text: str) -> str:
    """Return what a reader sees of `text`."""
    for roff, seen in ((r"\fB", ""), (r"\fR", ""), (r"\-", "-"), (r"\(dq", '"'), (r"\(aq", "'"), (r"\&", "")):
        text = text.replace(roff, seen)
    return text.replace(r"\e", "\\")


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_page_is_made_of_requests_that_there_are(name: str) -> None:
    lines = page(name).splitlines()
    assert {line[1:].split()[0] for line in lines if line.startswith(".")} <= REQUESTS
    assert not [line for line in lines if line.startswith("'")]
    sections = [line.removeprefix(".SH ") for line in lines if line.startswith(".SH ")]
    assert sections[:4] == ["NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS"]
    assert lines.count(".EX") == lines.count(".EE")
    assert not re.search(r"(?<!\\)-", "".join(line for line in lines if line.startswith(r"\fB")))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dcu", ["dcu check [OPTIONS] [FILE]", "-c, --config TEXT", "dcu check ./dcu.yaml", "dcu dlms decode"]),
        ("dcuctl", ["dcuctl archive add [OPTIONS] METER", "--socket TEXT", "--version", "dcuctl audit verify"]),
        ("dcuctl", ["""dcuctl set M0001 0-0:13.0.0.255 20 6 '"WINTER"'"""]),
    ],
)
def test_a_page_tells_of_every_command(name: str, words: list[str]) -> None:
    told = plain(page(name))
    for each in words:
        assert each in told


def test_a_line_that_begins_like_a_request_is_none() -> None:
    assert manual._roff(".profile") == r"\&.profile"
    assert manual._roff(r"a\b") == r"a\eb"


@pytest.mark.parametrize("words", ["dcu check", "dcuctl archive add"])
def test_the_programs_know_both_words_for_help_when_their_page_is_written(words: str) -> None:
    name, *rest = words.split()
    program, _ = PROGRAMS[name]
    page(name)
    found = CliRunner().invoke(program, [*rest, "-h"], prog_name=name)
    assert (found.exit_code, f"Usage: {words}" in found.output) == (0, True)


def test_both_pages_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["manual", str(tmp_path / "man")])
    manual.main()
    assert {file.name for file in (tmp_path / "man").iterdir()} == {"dcu.1", "dcuctl.1"}
    assert (tmp_path / "man" / "dcu.1").read_text(encoding="utf-8") == page("dcu")
