"""docs/reference/mqtt.md: its examples are what the code writes, its commands what the code takes."""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dcu.config import StoreSettings, UplinkSettings
from dcu.delivery.awaiting import MAX_AWAITED
from dcu.delivery.redelivery import MAX_WANTED
from dcu.delivery.sending import URGENT_PLACES
from dcu.delivery.strikes import SUSPECT_AFTER
from dcu.events import describe
from dcu.keeping.storekeeping import ANSWERED
from dcu.messages.acknowledgement import parse_acknowledgement
from dcu.messages.arguments import MAX_SHOWN
from dcu.messages.canonical import canonical, number, told
from dcu.messages.catalogue import CATALOGUE, MAX_COMPARED, MAX_DROPPED, MAX_GAPS, MAX_ITEMS, MAX_RANGE, MAX_RESENT
from dcu.messages.commands import MAX_COMMAND, parse_command
from dcu.messages.envelope import Envelopes
from dcu.messages.events import OWN_EVENTS, own_values
from dcu.model import (
    DCU_EVENTS,
    LEAP,
    NO_STATUS,
    Capture,
    Column,
    Command,
    CommandRecord,
    CommandState,
    Dropped,
    Reach,
    Role,
    Standing,
)
from dcu.profiles import load_profile
from dcu.report import BURST, PERIOD
from dcu.store.delivered import KNOWN_BLOCKS, SUM_BOUND
from dcu.store.forgetting import CHANGES_ROWS, JOURNAL_ROWS
from dcu.uplink import Topics
from dcu.watching.completeness import LEDGER_BOUND
from dcu_headend import Block, Sums, decode

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "mqtt.md").read_text(encoding="utf-8")
NOON = 1_769_860_800
SEQ = 1_769_860_800_000
COLUMNS = (Column(3, bytes.fromhex("0100010800ff"), scaler=0, unit=30), Column(1, bytes.fromhex("0000600100ff")))
CODE = (Column(1, bytes.fromhex("0000600b01ff")),)
ALARM_REGISTER = (Column(1, bytes.fromhex("0000616200ff")),)

ENVELOPES = Envelopes(
    "DCU-0001",
    "5f0c2a9be1d4",
    {"version": "0.1.0", "revision": "9f2c51d07ab3e846", "meters": 48, "buses": 3},
    {30: "Wh"},
    partial(describe, load_profile("idis")),
)


def capture(stream: str, values: tuple[Any, ...], columns: tuple[Column, ...]) -> Capture:
    return Capture("M0001", stream, NOON - 900, 0, values, columns, NOON + 2.125, -0.5, trusted=True)


def own(name: str, **detail: object) -> Capture:
    values = own_values(name, detail)
    return Capture("M0001", DCU_EVENTS, NOON - 900, NO_STATUS, values, (), NOON + 2.125, None, trusted=True)


def block(stream: str, seq: int, *items: Any) -> bytes:
    (payload,) = ENVELOPES.block(stream, seq, items, 100_000)
    return payload


PING = CommandRecord(
    Command("hes-20260131-0008", "dcu.ping"), CommandState.DONE, {"now": NOON + 0.25}, changed=NOON + 0.25
)

PORTION = CommandRecord(
    Command("hes-20260131-0011", "meter.read", targets="all"),
    CommandState.RUNNING,
    {"M0001": {"captures": []}},
    "M0002: silent",
    changed=NOON + 30.0,
    progress={"of": 48, "answered": 1, "failed": 1},
)

WRITTEN: dict[str, Callable[[], bytes]] = {
    "birth": lambda: ENVELOPES.birth(NOON, {"load0": SEQ + 1}, {"load0": SEQ}, {"load0": 96}, "5"),
    "will": lambda: ENVELOPES.will(NOON),
    "stopped": lambda: ENVELOPES.stopped(NOON, "stop"),
    "sleep": lambda: ENVELOPES.stopped(NOON, "sleep", NOON + 3617.0),
    "meter": lambda: ENVELOPES.meter("M0001", Standing(Reach.DEGRADED, NOON - 900, NOON - 1800), NOON),
    "block": lambda: block("load0", SEQ + 1, capture("load0", (18_250_431, b"\x0a\x1b"), COLUMNS)),
    "dropped": lambda: block("load0", SEQ + 2, capture("load0", ("x" * 100_000, 0), COLUMNS)),
    "gone": lambda: ENVELOPES.dropped("load0", SEQ + 3, Dropped("storage", NOON - 87_300, NOON - 900, 98_304)),
    "leapt": lambda: ENVELOPES.dropped("load0", SEQ + 1000, Dropped(LEAP, 0, 0, 0, (SEQ + 4, SEQ + 999))),
    "event": lambda: block("event.fraud", SEQ + 1, capture("event.fraud", (40,), CODE)),
    "alarm": lambda: block("event.alarm", SEQ + 1, capture("event.alarm", (8192, 16), ALARM_REGISTER * 2)),
    "own_event": lambda: block("event.dcu", SEQ + 1, own("security breach", breach="tag")),
    "result": lambda: block("result", SEQ + 3, PING),
    "portion": lambda: block("result", SEQ + 4, PORTION),
}


def examples(kind: str) -> dict[str, Any]:
    found = re.findall(rf"<!-- {kind}: ([\w.]+) -->\n```json\n(.*?)```", PAGE, re.DOTALL)
    return {name: json.loads(text) for name, text in found}


def test_every_example_is_held() -> None:
    assert set(examples("example")) == set(WRITTEN)
    # the first and the answers: tests/contract/test_results.py; the last: tests/unit/watching/test_auditing.py
    of_others = ("health", "acknowledgement", "audit")
    assert PAGE.count("```json") == len(WRITTEN) + len(examples("command")) + len(examples("answer")) + len(of_others)


def test_the_acknowledgement_is_understood() -> None:
    (text,) = re.findall(r"<!-- acknowledgement -->\n```json\n(.*?)```", PAGE, re.DOTALL)
    assert parse_acknowledgement(text.encode()) == json.loads(text)["streams"]
    assert f"After {MAX_AWAITED} blocks" in PAGE


def test_the_hash_is_the_code_s_and_the_head_end_s() -> None:
    (found,) = re.findall(r"<!-- canonical -->\n```\n(.*?)\n([0-9a-f]{32})\n```", PAGE)
    held = capture("load0", (18_250_431, b"\x0a\x1b"), COLUMNS)
    assert (canonical(held).decode(), told(number(held))) == found
    sums = Sums()
    received = decode(WRITTEN["block"]())
    assert isinstance(received, Block)
    sums.add(received.captures)
    assert sums.hash == found[1]
    assert (MAX_RESENT, MAX_WANTED, KNOWN_BLOCKS, SUM_BOUND) == (500, 1000, 20_000, 250_000)
    assert (MAX_COMPARED, MAX_DROPPED) == (512, 100)


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_an_example_is_what_the_code_writes(name: str) -> None:
    written = json.loads(WRITTEN[name]())
    assert examples("example")[name] == written
    assert list(examples("example")[name]) == list(written), "in the same order"


@pytest.mark.parametrize("name", sorted(examples("command")))
def test_an_example_command_is_accepted(name: str) -> None:
    command = parse_command(json.dumps(examples("command")[name]).encode(), door="mqtt", received=NOON)
    assert command.args == {
        "read": {"profile": "load0", "from": NOON - 12 * 3600, "to": NOON},
        "set": {
            "object": "0-0:11.0.0.255",
            "class": 11,
            "attribute": 2,
            "value": [{"index": 1, "date": "*-12-25", "day": 2}],
        },
        "import": {
            "columns": ["id", "bus", "address", "access", "profile"],
            "rows": [["M0101", "rs485-1", "101", "reader", "idis"], ["M0102", "rs485-1", "102", "reader", "idis"]],
            "lines": [1, 2],
            "file": "row",
            "partial": False,
        },
    }.get(name, command.args)


def test_the_catalogue_is_complete() -> None:
    listed = dict(re.findall(r"^\| `((?:dcu|meter|archive)\.[\w-]+)` \| (\w+) \|", PAGE, re.MULTILINE))
    assert listed == {name: kind.role.value for name, kind in CATALOGUE.items()}
    (once,) = re.findall(r"Of what changes a meter, (.+?) are not idempotent", PAGE, re.DOTALL)
    assert set(re.findall(r"`([\w.-]+)`", once)) == {name for name, kind in CATALOGUE.items() if not kind.idempotent}
    assert {name for name, kind in CATALOGUE.items() if kind.role is Role.VIEWER and kind.changes_state} == set()
    assert f"up to {MAX_ITEMS} of them" in PAGE
    assert f"at most {MAX_GAPS} of them" in PAGE
    assert f"at most {LEDGER_BOUND // 86_400} days" in PAGE
    assert f"at most {MAX_SHOWN} of them" in PAGE
    assert f"at most {MAX_RANGE // 86_400} days" in PAGE
    assert f"At most {MAX_COMMAND // 1000} {MAX_COMMAND % 1000:03} octets" in PAGE


def test_the_dcu_s_own_events_are_complete() -> None:
    listed = re.findall(r"^\| `([a-z ]+)` \| (info|warning|alarm) \| (.+) \|$", PAGE, re.MULTILINE)
    assert listed == [(name, event.severity, event.meaning) for name, event in OWN_EVENTS.items()]
    assert (BURST, PERIOD) == (4, 3600.0)
    assert "four an hour are kept" in PAGE


def test_the_topics_are_the_code_s() -> None:
    topics = Topics("{prefix}", "{dcu}", ("{group}",))
    listed = set(re.findall(r"^\| `(\{prefix\}/[^`]+)` \|", PAGE, re.MULTILINE))
    up = {
        topics.state,
        topics.health,
        topics.of_meter("{meter}"),
        *map(topics.of_stream, ("{stream}", "event.fraud", "result")),
    }
    assert listed == up | set(topics.subscriptions) | {topics.ack}


def test_the_numbers_are_the_code_s() -> None:
    assert f"among the last {JOURNAL_ROWS // 1000} {JOURNAL_ROWS % 1000:03} commands" in PAGE
    assert f"among the last {CHANGES_ROWS // 1000} {CHANGES_ROWS % 1000:03} that change something" in PAGE
    assert StoreSettings().retention["commands"] == 400 * 86_400
    assert ANSWERED == 86_400
    settings = UplinkSettings("broker", "DCU-0001")
    assert f"`{settings.prefix}`" in PAGE
    assert "(100 000 by default)" in PAGE
    assert settings.max_payload == 100_000
    assert (URGENT_PLACES, SUSPECT_AFTER) == (2, 3)
    assert "leaves two places" in PAGE
    assert "broke three times" in PAGE
