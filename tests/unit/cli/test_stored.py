"""The days of the box, asked for in parts and shown a line each."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dcu.cli.dcuctl import cli

from .door import Door

Ctl = Callable[..., Result]

#: Days that one answer of this door has.
PAGE = 2


@pytest.fixture
def ctl(door: Door) -> Ctl:
    return lambda *words: CliRunner().invoke(cli, ["--socket", str(door.path), *words])


def day(number: int, **more: object) -> dict[str, Any]:
    return {
        "day": f"2026-11-{number:02}",
        "starts": 3,
        "uptime": 36_000,
        "visits": 4711,
        "failed": 12,
        "captures": 18_844,
        "breaches": 0,
        "buses": {"b": {"visits": 2, "failed": 1, "busy": 3600}, "a": {"visits": 9, "failed": 0, "busy": 18_000}},
        "uplink": {"connections": 6, "tries": 9, "blocks": 40, "octets": 1_820_000},
        "store": {"written": 12_360_000, "shed": 7, "dropped": 0, "octets": 5, "free": 5_120_000_000},
        "success": {"load0": 0.9991, "daily": 0.972},
        **more,
    }


def daemon(days: list[dict[str, Any]]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the answers of a daemon that keeps `days`."""

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        first, count = request["args"]["from"], request["args"]["count"]
        return {"state": "done", "result": {"days": days[first : first + min(count, PAGE)], "total": len(days)}}

    return answer


def test_days_are_asked_for_in_parts_and_shown(door: Door, ctl: Ctl) -> None:
    days = [day(22, warmest=61.5), day(21), day(20), {"day": "2026-11-19"}]
    door.answer = daemon(days)
    lines = ctl("history").output.splitlines()
    words = "2026-11-22 3 10.0 h 4711 12 18844 daily 97.2% a 50.0% 6 1.82 MB 12.36 MB 0 5120 MB 61.5"
    assert next(line.split() for line in lines if "2026" in line) == words.split()
    assert "2026-11-19 unreadable" in " ".join(lines[-2].split() + lines[-1].split())
    assert json.loads(ctl("history", "--days", "3", "--json").output) == days[:3]
    asked = [(request["args"]["from"], request["args"]["count"]) for request in door.requests]
    assert asked == [(0, 14), (2, 12), (0, 3), (2, 1)]


def test_a_box_that_has_just_begun_says_so(door: Door, ctl: Ctl) -> None:
    door.answer = daemon([])
    assert "no day has been kept yet" in ctl("history").output


def test_a_day_before_anything_was_done_is_shown(door: Door, ctl: Ctl) -> None:
    door.answer = daemon([day(22, uptime=0, buses={"a": {"visits": 0, "failed": 0, "busy": 0}}, success={})])
    (line,) = [line for line in ctl("history").output.splitlines() if "2026" in line]
    assert line.split()[7:10] == ["-", "a", "0.0%"]


def test_help_shows_examples() -> None:
    assert "dcuctl history --days 400 --json" in CliRunner().invoke(cli, ["history", "--help"]).output
    assert CliRunner().invoke(cli, ["history", "--days", "401"]).exit_code == 2
