"""`dcuctl archive` against a door that answers what a test tells it to."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dcu.cli import dcuctl

from .door import Answer, Door


@pytest.fixture
def ctl(door: Door, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("COLUMNS", "160")

    def invoke(*words: str) -> Result:
        return CliRunner().invoke(dcuctl.cli, ["--socket", str(door.path), "archive", *words])

    return invoke


LINE = ("--bus", "rs485-1", "--address", "101", "--access", "reader", "--profile", "idis")
ARGS = {"id": "M0101", "bus": "rs485-1", "address": 101, "access": "reader", "profile": "idis"}


def in_parts(key: str, lines: list[Any], **more: Any) -> Answer:
    """Answer as the daemon does: a part of `lines`, never more than two."""

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        first = request["args"].get("from", 0)
        part = lines[first : first + min(2, request["args"]["count"])]
        return {"state": "done", "result": {key: part, "total": len(lines), **more}}

    return answer


def test_a_meter_is_added_with_what_was_given(door: Door, ctl: Callable[..., Result]) -> None:
    door.answer = lambda _: {"state": "done", "result": {"added": 1}}
    more = ("--serial", "4711", "--group", "street", "--logical-device", "2")
    assert ctl("add", "M0101", *LINE, *more).output == "M0101 was added\n"
    said = ARGS | {"serial": "4711", "group": "street", "logical_device": 2}
    assert (door.requests[0]["name"], door.requests[0]["args"]) == ("archive.add", said)
    door.answer = lambda _: {"state": "done", "result": {"added": 0}}
    assert ctl("add", "M0101", *LINE).output == "M0101 was there already\n"


def test_a_refusal_is_said_with_its_reason(door: Door, ctl: Callable[..., Result]) -> None:
    door.answer = lambda _: {"state": "failed", "error": "archive.add:1: address: expected one that M0001 has not"}
    found = ctl("add", "M0101", *LINE)
    assert found.exit_code == 1
    assert "address: expected one that M0001 has not" in found.output


def test_replace_and_delete(door: Door, ctl: Callable[..., Result]) -> None:
    door.lines = [{"state": "done", "result": {}}]
    assert "another device" in ctl("replace", "M0101", *LINE).output
    assert ctl("delete", "M0101", "M0102").output == "deleted: M0101, M0102\n"
    assert [(each["name"], each["args"]) for each in door.requests] == [
        ("archive.replace", ARGS),
        ("archive.delete", {"ids": ["M0101", "M0102"]}),
    ]


def test_a_file_is_sent_as_a_table_with_its_lines(door: Door, ctl: Callable[..., Result], tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("id,bus\nM1,a\n\nM2,a\n")
    answer = {"added": 1, "there": 0, "refused": 1, "problems": ["m.csv:4: bus: expected one of b"]}
    door.answer = lambda _: {"state": "done", "result": answer}
    found = ctl("import", str(path), "--partial")
    assert door.requests[0]["args"] == {
        "columns": ["id", "bus"],
        "rows": [["M1", "a"], ["M2", "a"]],
        "lines": [2, 4],
        "file": "m.csv",
        "partial": True,
    }
    assert found.exit_code == 1
    assert "m.csv:4: bus: expected one of b" in found.output
    assert "1 added, 0 there already, 1 refused" in found.output


def test_a_file_that_is_none_is_not_sent(door: Door, ctl: Callable[..., Result], tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("id,bus\nM1\n")
    found = ctl("import", str(path))
    assert (found.exit_code, door.requests) == (1, [])
    assert "m.csv:2: expected 2 cells, got 1" in found.output
    assert "cannot be read" in ctl("import", str(tmp_path / "none.csv")).output


def test_the_good_lines_of_a_file_are_sent_beside_those_that_are_none(
    door: Door, ctl: Callable[..., Result], tmp_path: Path
) -> None:
    path = tmp_path / "m.csv"
    path.write_text("id,bus\nM1\nM2,a\n")
    door.answer = lambda _: {"state": "done", "result": {"added": 1, "there": 0, "refused": 0, "problems": []}}
    found = ctl("import", str(path), "--partial")
    assert door.requests[0]["args"]["rows"] == [["M2", "a"]]
    assert (found.exit_code, found.stdout) == (1, "1 added, 0 there already, 1 refused\n")
    assert found.stderr == f"{path}:2: expected 2 cells, got 1\n"


def test_each_fault_of_a_refused_file_has_a_line(door: Door, ctl: Callable[..., Result], tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("id,bus\nM1,b\nM2,c\n")
    door.lines = [{"state": "rejected", "error": "2 of 2 lines are wrong\nm.csv:2: bus\x1b: b\nm.csv:3: bus: c"}]
    assert ctl("import", str(path)).stderr.splitlines() == [
        "dcuctl: archive.import: rejected: 2 of 2 lines are wrong",
        r"  m.csv:2: bus\x1b: b",
        "  m.csv:3: bus: c",
    ]


def test_an_export_that_cannot_be_written_says_why(door: Door, ctl: Callable[..., Result], tmp_path: Path) -> None:
    door.answer = in_parts("rows", [], columns=["id"])
    found = ctl("export", str(tmp_path / "none" / "m.csv"))
    assert found.exit_code == 1
    assert found.stderr == f"dcuctl: {tmp_path}/none/m.csv: cannot be written: No such file or directory\n"


def test_an_export_comes_in_parts_and_goes_where_it_is_wanted(
    door: Door, ctl: Callable[..., Result], tmp_path: Path
) -> None:
    rows = [[f"M{n}", "a", ""] for n in range(5)]
    door.answer = in_parts("rows", rows, columns=["id", "bus", "serial"])
    assert ctl("export").output.splitlines() == ["id,bus,serial", *(f"M{n},a," for n in range(5))]
    path = tmp_path / "m.yaml"
    assert ctl("export", str(path)).output == f"5 meters written to {path}\n"
    assert path.read_text().splitlines()[1] == "  - {id: M0, bus: a}"
    assert ctl("export", str(tmp_path / "m.doc")).exit_code == 2


def test_the_list_says_where_each_line_stands(door: Door, ctl: Callable[..., Result]) -> None:
    meters = [ARGS | {"id": f"M{n}", "where": f"meters[{n}] of dcu.yaml"} for n in range(3)]
    meters[2] |= {"problem": "archive:1: bus: expected one of b"}
    door.answer = in_parts("meters", meters)
    found = ctl("list")
    for word in ("M0", "meters[1] of dcu.yaml", "M2 takes no part: archive:1: bus: expected one of b"):
        assert word in found.output
    assert json.loads(ctl("list", "--json").output) == meters


def test_what_was_found_is_shown(door: Door, ctl: Callable[..., Result]) -> None:
    door.answer = in_parts("found", [{"bus": "a", "address": 40, "device": "SIM1", "serial": "17"}])
    assert "SIM1" in ctl("found").output
    door.answer = in_parts("found", [])
    assert "nothing was found" in ctl("found").output
    assert ctl("found", "--json").output == "[]\n"


@pytest.mark.parametrize("command", ["list", "add", "replace", "delete", "import", "export", "found", "discover"])
def test_help_has_examples(ctl: Callable[..., Result], command: str) -> None:
    assert f"  dcuctl archive {command}" in ctl(command, "--help").output


def test_a_search_is_begun_and_followed_to_its_end(
    door: Door, ctl: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [40, 3, 0]
    monkeypatch.setattr("dcu.cli.archive._LOOK", 0.0)

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        if request["name"] == "archive.discover":
            return {"state": "done", "result": {"addresses": {"rs485-1": 40}}}
        searches = {"rs485-1": {"left": left.pop(0) if left else 0}, "rs485-2": {"left": 99}}
        found = [{"bus": "rs485-1", "address": 18, "device": "SIM1"}]
        return {"state": "done", "result": {"found": found, "total": 1, "searches": searches}}

    door.answer = answer
    found = ctl("discover", "rs485-1")
    assert door.requests[0]["args"] == {"buses": ["rs485-1"]}
    for word in ("rs485-1: 40 addresses", "3 addresses left", "all have been asked", "SIM1"):
        assert word in found.output
    assert len(left) == 0
    assert ctl("discover", "--no-wait").output == "rs485-1: 40 addresses\n"
