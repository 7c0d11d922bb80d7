"""`dcuctl audit` against a daemon that has three entries."""

from typing import Any

import pytest
from click.testing import CliRunner, Result

from dcu.cli import dcuctl
from dcu.cli.talk import Daemon

ENTRIES = [
    {"entry": number, "at": "2026-01-31T12:00:00Z", "who": "local", "command": f"c{number}", "what": "{}"}
    | {"outcome": "done", "hash": f"{number:064x}"}
    for number in (1, 2, 3)
]


class Told:
    """Answers of the daemon; `problem` is what is wrong with its chain."""

    def __init__(self) -> None:
        self.problem: str | None = None
        self.last = 3

    def ask(self, name: str, **args: Any) -> dict[str, Any]:
        if name == "dcu.verify-audit":
            problem = {"problem": self.problem} if self.problem else {}
            return {"result": {"first": min(1, self.last), "last": self.last, "head": "3"} | problem}
        found = [each for each in ENTRIES if isinstance(each["entry"], int) and each["entry"] >= args.get("from", 1)]
        return {"result": {"entries": found[: args.get("count", 2)], "head": {"entry": 3, "hash": "3"}}}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    answers = Told()
    monkeypatch.setattr(Daemon, "ask", answers.ask)
    return answers


def audit(*words: str) -> Result:
    return CliRunner().invoke(dcuctl.cli, ["audit", *words])


def test_all_entries_are_shown_part_by_part(told: Told) -> None:
    shown = audit("show").output
    assert [shown.count(f" {number} ") for number in (1, 2, 3)] == [1, 1, 1]
    assert '"c3"' in audit("show", "--from", "3", "--json").output
    assert '"c2"' not in audit("show", "--from", "3", "--json").output


def test_a_whole_chain_is_said_to_be(told: Told) -> None:
    assert audit("verify").output == "entries 1 to 3 are as they were written; head 3\n"
    assert audit("verify", "--entry", "2", "--hash", f"{2:064x}").exit_code == 0


def test_a_chain_of_nothing_is_not_called_whole(told: Told) -> None:
    told.last = 0
    assert audit("verify").output == "the audit has no entries yet\n"


def test_a_broken_chain_or_one_made_anew_fails(told: Told) -> None:
    assert audit("verify", "--entry", "2", "--hash", f"{9:064x}").exit_code == 1
    assert audit("verify", "--entry", "7", "--hash", f"{7:064x}").exit_code == 1
    told.problem = "entry 2 was changed"
    found = audit("verify")
    assert (found.exit_code, "entry 2 was changed" in found.stderr) == (1, True)


@pytest.mark.parametrize("words", [("--entry", "2"), ("--hash", "abc")])
def test_half_of_what_was_kept_elsewhere_proves_nothing(told: Told, words: tuple[str, str]) -> None:
    found = audit("verify", *words)
    assert (found.exit_code, "broken" in found.output) == (2, False)
    assert "--entry and --hash belong together" in found.stderr


def test_help_shows_examples() -> None:
    assert "  dcuctl audit verify" in audit("--help").output
