"""What is asked at the door, and how answers that come in parts are put together. Its faults: test_dcuctl."""

import json
from typing import Any

import pytest

from dcu.cli.talk import PART, Daemon, ask_all, present

from .door import Door


def test_a_request_names_its_meter_and_has_its_arguments(door: Door) -> None:
    door.lines = [{"state": "running"}, {"state": "done", "result": {"M1": {}}}]
    answer = Daemon(str(door.path)).ask("meter.read", meters=("M1",), profile="instant")
    assert answer == {"state": "done", "result": {"M1": {}}}
    (request,) = door.requests
    assert (request["name"], request["targets"]) == ("meter.read", {"meters": ["M1"]})
    assert request["args"] == {"profile": "instant"}


@pytest.mark.parametrize("count", [0, 1, PART, 2 * PART + 1])
def test_all_parts_of_an_answer_are_asked_for(door: Door, count: int) -> None:
    def answer(request: dict[str, Any]) -> dict[str, Any]:
        first, most = request["args"]["from"], request["args"]["count"]
        return {"state": "done", "result": {"meters": list(range(count))[first : first + most], "total": count}}

    door.answer = answer
    assert ask_all(Daemon(str(door.path)), "archive.list", "meters") == list(range(count))
    assert len(door.requests) == max(1, -(-count // PART))


def test_a_list_that_shrinks_while_it_is_asked_for_comes_to_an_end(door: Door) -> None:
    door.answer = lambda request: {"state": "done", "result": {"meters": [][request["args"]["from"] :], "total": 5}}
    assert ask_all(Daemon(str(door.path)), "archive.list", "meters") == []


def test_an_answer_is_shown_or_printed(capsys: pytest.CaptureFixture[str]) -> None:
    shown: list[Any] = []
    present({"a": 1}, shown.append, raw=False)
    assert (shown, capsys.readouterr().out) == ([{"a": 1}], "")
    present({"a": 1}, shown.append, raw=True)
    assert (len(shown), json.loads(capsys.readouterr().out)) == (1, {"a": 1})
