"""What is kept, shown: rows of each stream as a table or as CSV, the days of the box a line each."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dcu.cli.dcu import cli as dcu
from dcu.cli.dcuctl import cli
from dcu.store import Store
from tests.captures import SetClock, capture

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


VOLTAGE = {"object": "1-0:32.7.0.255", "class": 3, "attribute": 2, "scaler": -1, "unit": 35, "symbol": "V"}
SERIAL = {"object": "0-0:96.1.0.255", "class": 1, "attribute": 2, "scaler": 0, "unit": 255, "symbol": ""}


def row(hour: int, *values: object) -> dict[str, object]:
    at = f"2026-11-21T{hour:02}:00:00Z"
    return {"at": at, "status": 128, "read": at, "offset": None, "trusted": True, "values": values}


def kept(stream: str, *rows: dict[str, object]) -> dict[str, Any]:
    page = {"meter": "M1", "stream": stream, "columns": [VOLTAGE, SERIAL], "captures": rows, "more": None, "cut": None}
    return {"state": "done", "result": page}


@pytest.mark.parametrize("stream", ["instant", "load0"])
def test_every_row_of_any_stream_is_shown_as_the_meter_scales_it(door: Door, ctl: Ctl, stream: str) -> None:
    door.lines = [kept(stream, row(1, 2318, {"hex": "0a1b"}), row(2, None, "[/b]"))]
    found = ctl("readings", "M1", "--stream", stream)
    assert found.exit_code == 0
    lines = [line.replace("│", " ").split() for line in found.output.splitlines() if "2026" in line]
    assert [line[1:] for line in lines] == [["80", "231.8", "0a1b"], ["80", "-", "[/b]"]]


def test_a_second_that_has_more_rows_than_are_shown_is_named(door: Door, ctl: Ctl) -> None:
    line = kept("event.fraud", row(1, 2318, None))
    line["result"]["cut"] = "2026-11-21T01:00:00Z"
    door.lines = [line]
    found = ctl("readings", "M1", "--stream", "event.fraud").output
    assert found.splitlines()[-1] == "of 2026-11-21T01:00:00Z there are more: these are the last"


def test_no_rows_kept_is_said_in_words(door: Door, ctl: Ctl) -> None:
    door.lines = [kept("instant")]
    assert ctl("readings", "M1", "--stream", "instant").output == "M1: no rows of instant in that time\n"


def test_csv_has_scaled_values_under_their_units(door: Door, ctl: Ctl) -> None:
    door.lines = [kept("load0", row(1, 2318, {"hex": "0a1b"}), row(2, None, None))]
    assert ctl("readings", "M1", "--csv").output.splitlines() == [
        "at,status,read,offset,trusted,1-0:32.7.0.255/2 V,0-0:96.1.0.255/2",
        "2026-11-21T01:00:00Z,128,2026-11-21T01:00:00Z,,true,231.8,0a1b",
        "2026-11-21T02:00:00Z,128,2026-11-21T02:00:00Z,,true,,",
    ]


def test_an_empty_page_at_the_end_says_nothing(door: Door, ctl: Ctl) -> None:
    pages = [kept("load0", row(1, 2318, None)), kept("load0")]
    pages[0]["result"]["more"] = "there may be more"
    pages[1]["result"]["columns"] = []
    door.answer = lambda request: pages["after" in request["args"]]
    assert len(ctl("readings", "M1", "--csv").output.splitlines()) == 2
    assert "no rows" not in ctl("readings", "M1").output


def test_one_form_at_a_time(door: Door, ctl: Ctl) -> None:
    assert ctl("readings", "M1", "--csv", "--json").exit_code == 2
    assert door.requests == []


@pytest.mark.parametrize(
    "words", [("readings", "M1", "--from"), ("ledger", "--since"), ("gaps", "--since"), ("resend", "load0", "--from")]
)
def test_times_may_be_seconds(door: Door, ctl: Ctl, words: tuple[str, ...]) -> None:
    door.lines = [{"state": "failed", "error": "enough was seen"}]
    ctl(*words, "1790000000")
    ctl(*words, "yesterday")
    key = words[-1].removeprefix("--")
    assert [request["args"][key] for request in door.requests] == [1790000000, "yesterday"]


def test_blocks_are_sent_again_and_it_is_said_which(door: Door, ctl: Ctl) -> None:
    door.lines = [{"state": "done", "result": {"blocks": 500, "from_seq": 7, "to_seq": 506, "more": 507}}]
    found = ctl("resend", "load0", "--from-seq", "7")
    assert found.output == "500 blocks are sent again: 7 to 506\nthere are more: go on with --from-seq 507\n"
    assert (door.requests[-1]["name"], door.requests[-1]["args"]) == ("dcu.resend", {"stream": "load0", "from_seq": 7})


def test_blocks_that_nobody_knows_are_not_said_to_come(door: Door, ctl: Ctl) -> None:
    door.lines = [{"state": "done", "result": {"blocks": 0, "from_seq": None, "to_seq": None, "more": None}}]
    times = {"from": "2026-01-31T00:00:00Z", "to": "2026-01-31T12:00:00Z"}
    found = ctl("resend", "load0", "--from", times["from"], "--to", times["to"])
    assert found.output == "no block is known by these numbers or times any more\n"
    assert door.requests[-1]["args"] == {"stream": "load0", **times}


@pytest.mark.parametrize("form", [[], ["--csv"]])
async def test_an_export_that_finds_nothing_says_of_what(tmp_path: Path, form: list[str]) -> None:
    path = tmp_path / "store.db"
    async with Store.open(path, SetClock()) as store:
        await store.readings.record([capture(900)], {})

    def export(*words: str) -> Result:
        return CliRunner().invoke(dcu, ["export", str(path), *form, *words])

    assert export("--meter", "M1").stderr == ""
    missed = export(
        "--meter", "M9", "--stream", "lod0", "--from", "2027-01-01T00:00:00Z", "--to", "2027-01-02T00:00:00Z"
    )
    of = "of M9 of stream lod0 from 2027-01-01T00:00:00Z to 2027-01-02T00:00:00Z"
    assert missed.stderr == f"dcu: {path} has no captures {of}\n"
    assert missed.exit_code == 0
