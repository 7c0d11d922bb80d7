"""What a show looks like: plain lines without a terminal, a panel with one, and the table at the end."""

from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from sim import view
from sim.account import Line
from sim.view import PLAIN_PERIOD, Snapshot, View, account_table, print_account

BUS = {"use": 0.42, "visits": 10, "ok": 9, "silent": 1, "refused": 0, "captures": 50, "due": 3}
STATUS: dict[str, Any] = {
    "buses": {"rs485-1": BUS, "rs485-2": BUS | {"use": 0.9, "visits": 30, "ok": 30}},
    "store": {"streams": {"load0": {"pending": 4}, "instant": {"pending": 3}}},
}


def snapshot(**changes: Any) -> Snapshot:
    held: dict[str, Any] = {
        "elapsed": 12.0,
        "clock": "2026-11-21T00:00:12Z",
        "status": STATUS,
        "delivered": 93,
        "broker": "up",
        "latency": 1.234,
        "events": ("2026-11-21T00:00:00Z  M0001  meter cover removed  (alarm)",),
    }
    return Snapshot(**{**held, **changes})


class Terminal(Console):
    """A console that takes itself for a terminal, and remembers."""

    def __init__(self) -> None:
        super().__init__(force_terminal=True, width=120, record=True)


@pytest.fixture
def minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the time is just more than one plain period after the one before."""
    times = count(1000.0, PLAIN_PERIOD / 2 + 0.1)
    monkeypatch.setattr(view, "time", SimpleNamespace(monotonic=times.__next__))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    console = Terminal()
    monkeypatch.setattr(view, "Console", lambda: console)
    return console


def test_a_snapshot_adds_up_what_the_daemon_says() -> None:
    now = snapshot()
    assert (now.total("visits"), now.total("captures")) == (40, 100)
    assert (now.unsent, now.success, now.command) == (7, "97.5%", "1.23 s")


def test_a_daemon_that_does_not_answer_yet_is_no_mistake() -> None:
    now = snapshot(status={}, latency=None)
    assert (now.total("visits"), now.unsent, now.success, now.command) == (0, 0, "-", "-")


def test_without_a_terminal_there_is_a_line_now_and_then(minutes: None, capsys: pytest.CaptureFixture[str]) -> None:
    with View() as shown:
        shown.say("mosquitto on port 1")
        shown.show(snapshot())
        shown.show(snapshot(elapsed=12.5))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "mosquitto on port 1"
    assert lines[1] == (
        "  12 s  bus use rs485-1 42% rs485-2 90%  visits 40  success 97.5%  stored 100  unsent 7  delivered 93  "
        "command 1.23 s  broker up"
    )
    assert len([line for line in lines if "bus use" in line]) == 1


def test_an_event_is_told_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    times = count(1000.0, PLAIN_PERIOD + 1)
    monkeypatch.setattr(view, "time", SimpleNamespace(monotonic=times.__next__))
    with View() as shown:
        for _ in range(3):
            shown.show(snapshot())
    said = capsys.readouterr().out
    assert said.count("bus use") == 3
    assert said.count("meter cover removed") == 1


def test_on_a_terminal_there_is_a_panel(terminal: Terminal) -> None:
    with View() as shown:
        shown.show(snapshot())
        shown.say("the broker is away")
    text = terminal.export_text()
    for words in ("DCU-0001  2026-11-21T00:00:12Z  12 s", "rs485-2", "90%", "████", "success 97.5%", "unsent 7"):
        assert words in text
    assert "meter cover removed" in text
    assert "the broker is away" in text


def test_a_panel_without_anything_yet(terminal: Terminal) -> None:
    with View() as shown:
        shown.show(snapshot(status={}, events=(), latency=None))
    assert "no events yet" in terminal.export_text()


def test_the_closing_table_marks_what_is_not_even(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [Line("load0", 10, 11, 10, 10, 0, 0), Line("instant", 5, 5, 5, 4, 1, 2)]
    table = account_table(lines)
    assert [row.style for row in table.rows] == ["", "red"]
    print_account(lines)
    shown = capsys.readouterr().out
    assert "What the meters held, and what became of it" in shown
    row = next(line for line in shown.splitlines() if "instant" in line)
    assert [cell.strip() for cell in row.split("│")[1:-1]] == ["instant", "5", "5", "5", "4", "1", "2"]
