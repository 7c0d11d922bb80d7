"""`dcuctl` against a door that answers what a test tells it to."""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dcu.cli import dcuctl, talk
from dcu.clock import iso

from .door import Door

READING = {
    "meter": "M0001",
    "stream": "instant",
    "offset": -1.5,
    "columns": [{"object": "1-0:32.7.0.255", "class": 3, "attribute": 2, "scaler": -1, "unit": 35, "symbol": "V"}],
    "captures": [{"at": "2026-11-21T00:00:00Z", "status": 0, "values": [2301]}],
    "next": None,
}

BUS = {
    "visits": 12,
    "ok": 11,
    "silent": 1,
    "refused": 0,
    "line": 0,
    "captures": 40,
    "due": 2,
    "unreachable": 0,
    "use": 0.5,
    "error": "silent for 2.0 s",
}

STATUS = {
    "dcu": "DCU-0001",
    "version": "1.2.3",
    "uptime": 100.0,
    "meters": 2,
    "clock": {"now": 1_790_000_000.0, "trusted": True, "state": "holdover"},
    "problems": ["uplink: connection refused"],
    "buses": {"rs485-1": BUS},
    "store": {"octets": 2_500_000, "streams": {"load0": {"pending": 7, "next_seq": 1_790_000_000_123}}},
    "success": {"load0": {"share": 0.5, "day": 0.75, "target": 0.985}},
    "uplink": {"broker": "h:1883", "connected": False, "published": 5, "acknowledged": 3, "connections": 1},
}


@pytest.fixture
def ctl(door: Door, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("COLUMNS", "120")

    def invoke(*words: str) -> Result:
        return CliRunner().invoke(dcuctl.cli, ["--socket", str(door.path), *words])

    return invoke


def test_a_ping_is_answered_and_timed(door: Door, ctl: Callable[..., Result]) -> None:
    door.lines = [{"state": "running"}, {"state": "done", "result": {"now": 1}}]
    found = ctl("ping")
    assert found.exit_code == 0
    assert found.output.startswith("the daemon answered in ")
    (request,) = door.requests
    assert (request["name"], request["args"]) == ("dcu.ping", {})
    assert "targets" not in request


def test_each_request_has_an_id_of_its_own(door: Door, ctl: Callable[..., Result]) -> None:
    door.lines = [{"state": "done", "result": {}}]
    ctl("ping")
    ctl("ping")
    assert len({request["id"] for request in door.requests}) == 2


def test_registers_are_shown_with_the_digits_the_meter_gave(door: Door, ctl: Callable[..., Result]) -> None:
    door.lines = [{"state": "running"}, {"state": "done", "result": {"M0001": READING}}]
    found = ctl("read", "M0001")
    assert found.exit_code == 0
    for text in ("M0001 at 2026-11-21T00:00:00Z, clock -1.5 s", "1-0:32.7.0.255", "230.1", "V"):
        assert text in " ".join(found.output.split())  # a narrow table breaks its title
    assert door.requests[0] == {
        "id": door.requests[0]["id"],
        "name": "meter.read",
        "args": {},
        "targets": {"meters": ["M0001"]},
    }


def test_rows_of_a_profile_are_asked_by_range_and_shown_one_a_line(door: Door, ctl: Callable[..., Result]) -> None:
    rows = [{"at": f"2026-11-21T0{n}:00:00Z", "status": 128, "values": [n]} for n in range(3)]
    door.lines = [
        {
            "state": "done",
            "result": {"M0001": READING | {"stream": "load0", "captures": rows, "next": "2026-11-21T01:00:00Z"}},
        }
    ]
    times = ("--from", "2026-11-21T00:00:00Z", "--to", "2026-11-21T06:00:00Z")
    found = ctl("read", "M0001", "--profile", "load0", *times)
    assert found.exit_code == 0
    assert "80" in found.output
    assert "0.2" in found.output
    assert "ask again with --from 2026-11-21T01:00:00Z" in found.output
    assert door.requests[0]["args"] == {"profile": "load0", "from": times[1], "to": times[3]}


def test_no_rows_is_said_in_words(door: Door, ctl: Callable[..., Result]) -> None:
    door.lines = [{"state": "done", "result": {"M0001": READING | {"stream": "load0", "captures": []}}}]
    found = ctl("read", "M0001", "--profile", "load0", "--from", "a", "--to", "b")
    assert found.output == "M0001: no rows of load0 in that time\n"


@pytest.mark.parametrize("words", [("--profile", "load0", "--from", "0"), ("--to", "0"), ("--from", "0", "--to", "9")])
def test_a_profile_without_its_range_is_not_even_asked(
    door: Door, ctl: Callable[..., Result], words: tuple[str, ...]
) -> None:
    found = ctl("read", "M0001", *words)
    assert (found.exit_code, found.stderr) == (2, "dcuctl: --profile, --from and --to belong together\n")
    assert door.requests == []


def test_the_state_of_the_box_is_shown_with_its_problems_first(door: Door, ctl: Callable[..., Result]) -> None:
    door.lines = [{"state": "done", "result": STATUS}]
    found = ctl("status")
    assert found.exit_code == 0
    lines = found.output.splitlines()
    assert lines[0].startswith("DCU-0001  version 1.2.3  up 100 s  2 meters")
    assert iso(1_790_000_000) in found.output
    assert "! uplink: connection refused" in lines[1] + lines[2]
    for text in (
        "50%",
        "1790000000123",
        "50.0%",
        "75.0%",
        "rs485-1: last error: silent for 2.0 s",
        "not connected",
        "2.5 MB",
    ):
        assert text in found.output


@pytest.mark.parametrize("words", [("status", "--json"), ("read", "M0001", "--json")])
def test_json_is_the_daemons_own_answer(door: Door, ctl: Callable[..., Result], words: tuple[str, ...]) -> None:
    result: dict[str, Any] = STATUS if words[0] == "status" else {"M0001": READING}
    door.lines = [{"state": "done", "result": result}]
    found = ctl(*words)
    assert found.exit_code == 0
    assert json.loads(found.output) == (STATUS if words[0] == "status" else READING)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"state": "failed", "error": "M0001: silent for 2.0 s"}, "meter.read: failed: M0001: silent for 2.0 s"),
        ({"state": "rejected", "error": "no such meter: M0001"}, "meter.read: rejected: no such meter: M0001"),
        ({"state": "expired"}, "meter.read: expired: the daemon gave no reason"),
        ({"state": "running"}, "meter.read: running: the daemon gave no reason"),
    ],
)
def test_a_command_that_failed_is_told_with_its_reason(
    door: Door, ctl: Callable[..., Result], line: object, said: str
) -> None:
    door.lines = [line]
    found = ctl("read", "M0001")
    assert (found.exit_code, found.stdout, found.stderr) == (1, "", f"dcuctl: {said}\n")


def test_a_daemon_that_hangs_up_without_a_word_has_failed(door: Door, ctl: Callable[..., Result]) -> None:
    found = ctl("ping")
    assert (found.exit_code, found.stderr) == (1, "dcuctl: dcu.ping: no answer: the daemon gave no reason\n")


def test_what_is_no_answer_is_no_daemon(door: Door, ctl: Callable[..., Result]) -> None:
    door.lines = ["SSH-2.0-OpenSSH"]
    found = ctl("ping")
    assert (found.exit_code, found.stderr) == (3, f"dcuctl: what answers at {door.path} is no dcu\n")


def test_who_may_not_talk_to_it_is_told_who_may(door: Door, ctl: Callable[..., Result]) -> None:
    with pytest.MonkeyPatch.context() as patch:  # root may
        patch.setattr(socket.socket, "connect", _refused)
        found = ctl("ping")
    assert found.exit_code == 3
    assert f"you may not talk to the daemon at {door.path}: be root or in the group dcu" in found.stderr
    assert "adduser" in found.stderr
    assert "Errno" not in found.stderr


def _refused(*_: object) -> None:
    raise PermissionError(13, "Permission denied")


def test_without_a_daemon_it_says_where_it_looked_and_what_to_try(tmp_path: Path) -> None:
    found = CliRunner().invoke(dcuctl.cli, ["ping"], env={"DCU_SOCKET": str(tmp_path / "none")})
    assert found.exit_code == 3
    assert f"cannot reach the daemon at {tmp_path}/none" in found.stderr
    assert "systemctl status dcu" in found.stderr
    assert "Errno" not in found.stderr


def test_a_daemon_that_stays_silent_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(talk, "SILENCE", 0.05)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "s"))
        deaf.listen()
        found = CliRunner().invoke(dcuctl.cli, ["--socket", str(tmp_path / "s"), "ping"])
    assert found.exit_code == 3
    assert found.stderr == f"dcuctl: the daemon at {tmp_path}/s gave no answer in 0.05 s\n"


ENERGY = {"object": "1-0:1.8.0.255", "class": 3}


def test_any_object_is_read_and_printed_as_json(door: Door, ctl: Callable[..., Result]) -> None:
    items = [ENERGY | {"attribute": 2, "value": 7}]
    door.lines = [{"state": "done", "result": {"M0001": {"meter": "M0001", "items": items}}}]
    found = ctl("get", "M0001", "1-0:1.8.0.255", "3")
    assert json.loads(found.output) == items
    ctl("get", "M0001", "1-0:1.8.0.255", "3", "2", "3")
    asked = [request["args"]["items"] for request in door.requests]
    assert asked == [[ENERGY | {"attribute": 2}], [ENERGY | {"attribute": 2}, ENERGY | {"attribute": 3}]]
    assert door.requests[0]["name"] == "meter.get"


@pytest.mark.parametrize(
    ("words", "name", "args"),
    [
        (("set", "2", "5", "--type", "unsigned"), "meter.set", {"attribute": 2, "value": 5, "type": "unsigned"}),
        (("set", "2", '"five"'), "meter.set", {"attribute": 2, "value": "five", "type": None}),
        (("execute", "1"), "meter.execute", {"method": 1, "value": None, "type": None}),
        (("execute", "1", '{"hex": "01"}'), "meter.execute", {"method": 1, "value": {"hex": "01"}, "type": None}),
    ],
)
def test_any_object_is_changed(
    door: Door, ctl: Callable[..., Result], words: tuple[str, ...], name: str, args: dict[str, Any]
) -> None:
    door.lines = [{"state": "done", "result": {"M0001": {"meter": "M0001"}}}]
    verb, *rest = words
    found = ctl(verb, "M0001", "1-0:1.8.0.255", "3", *rest)
    assert (found.exit_code, json.loads(found.output)) == (0, {"meter": "M0001"})
    assert (door.requests[0]["name"], door.requests[0]["args"]) == (name, ENERGY | args)


def test_a_value_that_is_no_json_is_not_even_asked(door: Door, ctl: Callable[..., Result]) -> None:
    found = ctl("set", "M0001", "1-0:1.8.0.255", "3", "2", "WINTER")
    assert found.exit_code == 2
    assert "is not JSON" in found.stderr
    assert door.requests == []


def test_the_plan_shows_what_was_foreseen_and_what_it_took(door: Door, ctl: Callable[..., Result]) -> None:
    measured = {"use": 0.305, "visits": 40, "seconds_per_visit": 0.812, "wasted": 12.0, "missed": 3}
    predicted = {
        "use": 0.2512,
        "basis": "measured",
        "visits_per_day": 96,
        "octets_per_day": 7,
        "sweeps": {"instant": 400.2},
        "late": ["instant"],
    }
    cost = {"meter": "M0007", "seconds": 9.3, "visits": 11, "failed": 2}
    line = {"predicted": predicted, "measured": measured, "costliest": [cost]}
    idle = {"use": None, "visits": 0, "seconds_per_visit": None, "wasted": 0.0, "missed": 0}
    nothing = {"use": 0.0, "basis": "estimated", "visits_per_day": 0, "octets_per_day": 0, "sweeps": {}, "late": []}
    quiet: dict[str, Any] = {"predicted": nothing, "measured": idle, "costliest": []}
    door.lines = [{"state": "done", "result": {"buses": {"rs485-1": line, "gateway": quiet}}}]
    shown = ctl("plan").stdout
    assert "25.1% measured" in shown
    assert "0.0% estimated" in shown
    assert "30.5%" in shown
    assert "rs485-1: asking every meter for instant takes 400 s, longer than it may" in shown
    assert "rs485-1: M0007 took 9 s in 11 visits, 2 failed" in shown


def test_secrets_are_shown_by_generation_and_changed_by_kind(door: Door, ctl: Callable[..., Result]) -> None:
    told = {"meter": "M0001", "current": {"generation": 1}, "coming": None}
    door.lines = [{"state": "done", "result": told}]
    assert json.loads(ctl("keys", "M0001").output) == told
    door.lines = [{"state": "done", "result": {"M0001": told | {"changed": ["password"]}}}]
    assert json.loads(ctl("change-keys", "M0001", "password").output)["changed"] == ["password"]
    ctl("change-keys", "M0001")
    assert [(request["name"], request["args"]) for request in door.requests] == [
        ("dcu.keys", {"meter": "M0001"}),
        ("meter.change-keys", {"kinds": ["password"]}),
        ("meter.change-keys", {"kinds": []}),
    ]
    assert door.requests[1]["targets"] == {"meters": ["M0001"]}


def test_a_counter_is_forgotten_and_both_are_shown(door: Door, ctl: Callable[..., Result]) -> None:
    door.lines = [{"state": "done", "result": {"M0001": {"meter": "M0001", "before": 900, "now": 3}}}]
    assert ctl("forget-counter", "M0001").output == "M0001: 3; it was 900\n"
    assert (door.requests[0]["name"], door.requests[0]["args"]) == ("meter.forget-counter", {})


@pytest.mark.parametrize("verb", ["get", "set", "execute", "change-keys"])
def test_help_shows_examples(verb: str) -> None:
    assert f"  dcuctl {verb} M0001" in CliRunner().invoke(dcuctl.cli, [verb, "--help"]).output


@pytest.mark.parametrize("words", [("--help",), ("read", "-h"), ("status", "-h"), ("ping", "--help")])
def test_help_is_one_word_away(words: tuple[str, ...]) -> None:
    found = CliRunner().invoke(dcuctl.cli, words)
    assert found.exit_code == 0
    assert "Usage:" in found.output


def test_the_entry_point_calls_itself_by_its_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["/somewhere/__main__.py", "--help"])
    with pytest.raises(SystemExit) as ended:
        dcuctl.main()
    assert ended.value.code == 0
    assert "Usage: dcuctl " in capsys.readouterr().out


def test_a_meter_is_learned_and_what_it_has_printed_as_a_file(door: Door, ctl: Callable[..., Result]) -> None:
    door.lines = [{"state": "done", "result": {"M0001": {"meter": "M0001", "profile": "clock: 0-0:1.0.0.255\n"}}}]
    found = ctl("profile", "learn", "M0001")
    assert (found.exit_code, found.output) == (0, "clock: 0-0:1.0.0.255\n")
    assert (door.requests[0]["name"], door.requests[0]["targets"]) == ("meter.learn", {"meters": ["M0001"]})


def test_the_meters_are_asked_for_in_parts_and_shown(door: Door, ctl: Callable[..., Result]) -> None:
    line: dict[str, Any] = {
        "bus": "a",
        "group": "",
        "since": "2026-11-21T10:00:00Z",
        "last_reading": None,
        "failures": 0,
    }
    line |= {"state": "reachable", "available": {"yesterday": 1440, "today": 5}}
    door.lines = [{"state": "done", "result": {"meters": [line | {"id": "M1"}], "next": None}}]
    found = ctl("meters")
    assert found.exit_code == 0
    for text in ("M1", "reachable", "1440 min", "5 min", "2026-11-21T10:00:00Z"):
        assert text in found.output
    assert json.loads(ctl("meters", "--json").output) == [line | {"id": "M1"}]
    door.lines = [{"state": "done", "result": {"meters": [], "next": None}}]
    assert ctl("meters", "--unreachable").output == "no meter is known to be unreachable\n"
    assert ctl("meters").output == "the archive has no meters\n"


def test_a_clock_is_set_and_what_it_crossed_is_said(door: Door, ctl: Callable[..., Result]) -> None:
    answer = {"before": -4000.0, "after": 0.4, "at": "2026-11-21T00:00:00Z", "crossed": [900]}
    door.lines = [{"state": "running"}, {"state": "done", "result": {"M0001": answer}}]
    found = ctl("set-clock", "M0001")
    assert "M0001 was -4000.0 s off, and is +0.4 s off at 2026-11-21T00:00:00Z" in found.output
    assert "rows every 900 s" in found.output
    assert (door.requests[0]["name"], door.requests[0]["targets"]) == ("meter.set-clock", {"meters": ["M0001"]})
    assert json.loads(ctl("set-clock", "M0001", "--json").output) == answer


def test_clocks_are_shown_with_their_drift(door: Door, ctl: Callable[..., Result]) -> None:
    clocks = [
        {"meter": "M0001", "at": "2026-11-21T00:00:00Z", "offset": -12.5, "drift": 0.25, "moved": None},
        {"meter": "M0002", "at": "2026-11-21T00:00:00Z", "offset": 1.0, "drift": None, "moved": "2026-11-20T00:00:00Z"},
    ]
    door.lines = [{"state": "done", "result": {"clocks": clocks, "total": 2}}]
    found = ctl("clocks")
    for word in ("M0001", "-12.5", "+0.25", "M0002", "+1.0", "2026-11-20T00:00:00Z"):
        assert word in found.output
    assert json.loads(ctl("clocks", "--json").output) == clocks
    door.lines = [{"state": "done", "result": {"clocks": [], "total": 0}}]
    assert "no clock has been measured yet" in ctl("clocks").output
