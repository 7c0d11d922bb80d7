"""What strangers have written does nothing to a terminal, a table, a log or a spreadsheet, and can be read."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from dcu.cli.dcuctl import cli
from dcu.cli.foreign import cell, from_cell, visible, visible_in
from dcu.cli.tables import parse_lines, write_lines

from .door import Door

#: Clears the screen, forges a line, rings, turns text around, opens a tag and an emoji of rich.
NASTY = "\x1b[2J\r\n\a\u202e[/b][red]:cat:\\"
SHOWN = r"\x1b[2J\r\n\x07\u202e[/b][red]:cat:" + "\\"

Ctl = Callable[..., Result]


@pytest.fixture
def ctl(door: Door) -> Ctl:
    return lambda *words: CliRunner().invoke(cli, ["--socket", str(door.path), *words])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (NASTY, SHOWN),
        ("plain: °C, Ωm, 电表, c:\\x", "plain: °C, Ωm, 电表, c:\\x"),
        ("a\u2028b\u2029c\xa0d\ud800", r"a\u2028b\u2029c\xa0d\ud800"),
        ("", ""),
    ],
)
def test_what_a_terminal_obeys_is_shown_instead(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text())
def test_no_text_does_anything(text: str) -> None:
    assert visible(text).isprintable()
    assert visible(visible(text)) == visible(text)


def test_an_answer_is_cleared_of_it_at_every_depth() -> None:
    answer = {"a\x1b": ["\x07", {"b": ("\n" * 2), "c": None, "d": 1.5}], "e": True}
    assert visible_in(answer) == {r"a\x1b": [r"\x07", {"b": r"\n\n", "c": None, "d": 1.5}], "e": True}


STATION = {"bus": "b", "address": 17, "at": "2026-11-21T00:00:00Z", "serial": NASTY}
GAP = {"meter": "M1", "stream": "load0", "from": "a", "to": "b", "intervals": 1, "reason": NASTY}
CAPTURE = {"at": "2026-11-21T00:00:00Z", "status": 0, "read": "x", "offset": None, "trusted": True, "values": [NASTY]}
COLUMN = {"object": "0-0:96.1.0.255", "class": 1, "attribute": 2, "scaler": 0, "unit": 255, "symbol": ""}
PAGE = {"meter": "M1", "stream": "load0", "columns": [COLUMN], "captures": [CAPTURE], "more": None, "cut": None}
READ = {"M1": {**PAGE, "stream": "instant", "offset": None, "next": None}}


@pytest.mark.parametrize(
    ("words", "result"),
    [
        (("archive", "found"), {"found": [STATION], "total": 1}),
        (("archive", "list"), {"meters": [{"id": "M1", "serial": NASTY, "problem": NASTY}], "total": 1}),
        (("gaps",), {"gaps": [GAP], "more": None}),
        (("readings", "M1"), PAGE),
        (("read", "M1"), READ),
    ],
)
def test_every_table_shows_it_as_it_was_written(door: Door, ctl: Ctl, words: tuple[str, ...], result: Any) -> None:
    door.lines = [{"state": "done", "result": result}]
    found = ctl(*words)
    assert found.exit_code == 0, found.output
    assert found.output.replace("\n", "").isprintable()
    assert SHOWN in found.output


def test_a_reason_forges_no_line(door: Door, ctl: Ctl) -> None:
    door.lines = [{"state": "failed", "error": "no\ndcuctl: \x1b[32mall is well"}]
    assert ctl("read", "M1").stderr == "dcuctl: meter.read: failed: no\n  dcuctl: \\x1b[32mall is well\n"


def test_what_is_broken_and_what_was_learned_are_shown_by_their_lines(door: Door, ctl: Ctl) -> None:
    door.lines = [{"state": "done", "result": {"problem": "entry \x1b[2J"}}]
    assert ctl("audit", "verify").stderr == "dcuctl: the audit is broken: entry \\x1b[2J\n"
    door.lines = [{"state": "done", "result": {"M1": {"profile": "a: 1\nb: \x9b2J\n"}}}]
    assert ctl("profile", "learn", "M1").output == "a: 1\nb: \\x9b2J\n"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "'=1", "''-1", "x", "'x", "", "it's"])
def test_a_cell_is_no_formula_and_comes_back_as_it_was(text: str) -> None:
    assert cell(text)[:1] not in tuple("=+-@")
    assert from_cell(cell(text)) == text
    assert parse_lines(write_lines(["id", "serial"], [["M1", text]], "csv"), "m.csv").rows == [["M1", text]]


def test_words_of_a_meter_are_no_formula_in_a_spreadsheet_and_numbers_stay_numbers(door: Door, ctl: Ctl) -> None:
    page = {**PAGE, "columns": [COLUMN] * 3, "captures": [{**CAPTURE, "values": ["=cmd()", -5, "\x1b[2J"]}]}
    door.lines = [{"state": "done", "result": page}]
    _, row = csv.reader(io.StringIO(ctl("readings", "M1", "--csv").output))
    assert row[-3:] == ["'=cmd()", "-5", r"\x1b[2J"]
