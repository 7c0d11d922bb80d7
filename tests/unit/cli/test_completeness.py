"""`dcuctl gaps` and `dcuctl ledger` against a daemon that answers what a test tells it to."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dcu.cli import dcuctl
from dcu.cli.talk import Daemon

HOLE = {
    "meter": "M0001",
    "stream": "load0",
    "from": "2026-11-21T00:15:00Z",
    "to": "2026-11-21T01:00:00Z",
    "intervals": 4,
    "reason": "meter has no record",
    "open": False,
}
DEAD = HOLE | {"meter": "M0002", "intervals": None, "reason": "unreachable", "open": True}
COUNTS = {
    "expected": 96,
    "read": 90,
    "open": 2,
    "missing": {"meter has no record": 4},
    "stored": 90,
    "delivered": 88,
    "acknowledged": 80,
}


class Answers:
    """A daemon that gives `results` one after the other and notes what it was asked."""

    def __init__(self, *results: dict[str, Any]) -> None:
        self.results = list(results)
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def ask(self, name: str, **args: Any) -> dict[str, Any]:
        self.asked.append((name, args))
        return {"result": self.results.pop(0)}


def run(monkeypatch: pytest.MonkeyPatch, answers: Answers, *words: str) -> Result:
    monkeypatch.setattr(Daemon, "ask", answers.ask)
    return CliRunner().invoke(dcuctl.cli, list(words))


def test_gaps_are_shown_from_all_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers({"gaps": [HOLE], "more": "M0001/load0/5"}, {"gaps": [DEAD], "more": None})
    result = run(monkeypatch, answers, "gaps", "--stream", "load0", "--since", "2026-11-21T00:00:00Z")
    wanted = {"stream": "load0", "since": "2026-11-21T00:00:00Z"}
    assert answers.asked == [("dcu.gaps", wanted), ("dcu.gaps", wanted | {"after": "M0001/load0/5"})]
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert any("M0001" in line and "2026-11-21T00:15:00Z" in line and "4" in line for line in lines)
    assert any("M0002" in line and "?" in line and "unreachable" in line for line in lines)
    assert "meter has no record: 4 intervals" in result.output


def test_gaps_as_json_are_one_list(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = Answers({"gaps": [HOLE], "more": "x/y/1"}, {"gaps": [DEAD], "more": None})
    assert json.loads(run(monkeypatch, answers, "gaps", "--json").output) == [HOLE, DEAD]


def test_where_nothing_is_missing_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "nothing is missing" in run(monkeypatch, Answers({"gaps": [], "more": None}), "gaps").output


def test_the_ledger_is_a_line_for_each_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    events = COUNTS | {"expected": None, "read": None, "open": None, "missing": {}}
    told = {"since": "2026-11-20T12:00:00Z", "meter": None, "streams": {"load0": COUNTS, "event.fraud": events}}
    answers = Answers(told, told)
    result = run(monkeypatch, answers, "ledger", "--meter", "M0001")
    assert answers.asked == [("dcu.ledger", {"meter": "M0001"})]
    words = {line.split()[0]: line.split()[1:] for line in result.output.splitlines() if line.strip()}
    assert words["load0"][:6] == ["96", "90", "2", "90", "88", "80"]
    assert words["load0"][6:] == ["meter", "has", "no", "record", "4"]
    assert words["event.fraud"] == ["-", "-", "-", "90", "88", "80"]
    assert json.loads(run(monkeypatch, answers, "ledger", "--json").output) == told
