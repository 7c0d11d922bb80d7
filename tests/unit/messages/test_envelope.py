import json
import math
import secrets
from dataclasses import replace
from itertools import chain

import pytest

from dcu.messages.envelope import Envelopes, is_event, urgent
from dcu.messages.events import own_values
from dcu.model import DCU_EVENTS, Capture, Column, CommandState, Value
from dcu_headend import Block, decode
from sim.headend import Tally
from tests.outbox import COLUMNS, NOON, capture, record

ENVELOPES = Envelopes("DCU-1", "b00t", {"version": "0.1.0", "meters": 2}, {30: "Wh"})
NO_LIMIT = 1_000_000


def block(captures: list[Capture], limit: int = NO_LIMIT, stream: str = "load0") -> list[bytes]:
    return ENVELOPES.block(stream, 1001, captures, limit)


def test_a_block_says_everything_once() -> None:
    (payload,) = block([capture(values=(17,)), capture("M0002", values=(b"\x01",))])
    assert json.loads(payload) == {
        "dcu": "DCU-1",
        "boot": "b00t",
        "stream": "load0",
        "seq": 1001,
        "columns": [
            [{"object": "1-0:1.8.0.255", "class": 3, "attribute": 2, "scaler": 0, "unit": 30, "symbol": "Wh"}],
        ],
        "captures": [
            {
                "meter": "M0001",
                "at": "2026-01-31T12:00:00Z",
                "status": 0,
                "read": "2026-01-31T12:00:07.250Z",
                "offset": -0.5,
                "trusted": True,
                "columns": 0,
                "values": [17],
            },
            {
                "meter": "M0002",
                "at": "2026-01-31T12:00:00Z",
                "status": 0,
                "read": "2026-01-31T12:00:07.250Z",
                "offset": -0.5,
                "trusted": True,
                "columns": 0,
                "values": [{"hex": "01"}],
            },
        ],
    }


def test_columns_are_sent_once_per_set_and_an_index_only_when_it_says_something() -> None:
    other = (replace(COLUMNS[0], unit=255, data_index=2),)
    message = json.loads(block([capture(), replace(capture(), columns=other), capture(at=NOON + 900)])[0])
    assert [row["columns"] for row in message["captures"]] == [0, 1, 0]
    assert message["columns"][1] == [
        {"object": "1-0:1.8.0.255", "class": 3, "attribute": 2, "scaler": 0, "unit": 255, "symbol": "", "index": 2},
    ]


def test_a_time_beyond_2038() -> None:
    assert b'"at":"2090-01-01T00:00:00Z"' in block([capture(at=3_786_912_000)])[0]


def test_the_same_block_gives_the_same_payload() -> None:
    captures = [capture(at=NOON + n) for n in range(50)]
    assert block(captures, 2000) == block(captures, 2000)


def test_an_oversized_block_comes_in_parts_that_together_are_the_block() -> None:
    captures = [capture(at=NOON + 900 * n, values=(n,)) for n in range(40)]
    parts = block(captures, 1500)
    assert max(map(len, parts)) <= 1500
    messages = [json.loads(part) for part in parts]
    assert [message["part"] for message in messages] == list(range(1, len(parts) + 1))
    assert {message["parts"] for message in messages} == {len(parts)}
    assert {message["seq"] for message in messages} == {1001}
    tally = Tally()
    for part in parts:
        tally.take("data/load0", part)
    assert [received.values for received in tally.captures.values()] == [(n,) for n in range(40)]
    assert tally.duplicates == 0


@pytest.mark.parametrize(("value", "reason"), [("x" * 5000, "oversized"), ({1}, "unencodable")])
def test_a_capture_that_cannot_be_sent_is_named_and_the_others_go(value: object, reason: str) -> None:
    captures = [capture(at=NOON + n) for n in range(4)]
    captures[2] = capture("M0666", at=NOON + 2, values=(value,))
    tally = Tally()
    for part in block(captures, 1500):
        assert len(part) <= 1500
        tally.take("data/load0", part)
    assert sorted(received.at - NOON for received in tally.captures.values()) == [0, 1, 3]
    assert tally.dropped == [{"reason": reason, "meter": "M0666", "at": "2026-01-31T12:00:02Z", "count": 1}]


@pytest.mark.parametrize("value", [math.nan, -math.inf, "\ud800"])
def test_of_a_capture_only_the_value_is_lost_that_json_cannot_hold(value: object) -> None:
    message = json.loads(block([capture(values=(1,)), capture("M0002", values=(value,))])[0])
    assert [(row["values"], row.get("lost")) for row in message["captures"]] == [([1], None), ([None], [0])]
    odd = replace(capture("M0003"), offset=math.nan)
    assert json.loads(block([odd])[0])["captures"][0]["offset"] is None


def captures_of(payload: bytes) -> Block:
    block = decode(payload)
    assert isinstance(block, Block)
    return block


def test_a_compact_block_says_the_same() -> None:
    captures = [capture(at=NOON + 900 * n, values=(secrets.token_bytes(8),)) for n in range(40)]
    (payload,) = ENVELOPES.block("load0", 1001, captures, NO_LIMIT, compact=True)
    assert decode(payload) == decode(block(captures)[0])
    parts = ENVELOPES.block("load0", 1001, captures, 400, compact=True)
    assert len(parts) > 1
    assert max(map(len, parts)) <= 400
    found = list(map(captures_of, parts))
    assert [(each.part, each.parts) for each in found] == [(n, len(parts)) for n in range(1, len(parts) + 1)]
    assert tuple(chain.from_iterable(each.captures for each in found)) == captures_of(payload).captures


def test_what_no_block_holds_is_named_too() -> None:
    captures = [
        capture(),
        capture("M0666", values=("x" * 5000 + secrets.token_hex(3000),)),
        capture("M0003", values=({1},)),
    ]
    found = [
        json.loads(each) for each in ENVELOPES.block("load0", 1, captures, 2000, compact=True) if each[0] == ord("{")
    ]
    assert [(each["dropped"]["meter"], each["dropped"]["reason"]) for each in found] == [
        ("M0666", "oversized"),
        ("M0003", "unencodable"),
    ]


@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("values", [(230,), (230, 231), ("meter found", "{"), ("meter found", "[" * 100_000)])
def test_an_event_of_the_box_that_is_none_is_named_and_the_others_go(values: tuple[Value, ...], compact: bool) -> None:
    sound = replace(capture(stream=DCU_EVENTS, values=own_values("meter found", {})), columns=())
    rows = [sound, capture("M0666", stream=DCU_EVENTS, values=values)]
    told, dropped = map(captures_of, ENVELOPES.block(DCU_EVENTS, 1, rows, NO_LIMIT, compact=compact))
    assert [each.event for each in told.captures] == ["meter found"]
    assert dropped.dropped is not None
    assert (dropped.dropped.reason, dropped.dropped.meter) == ("unencodable", "M0666")


def test_a_single_oversized_capture_needs_no_part() -> None:
    (payload,) = block([capture(values=("x" * 5000,))], 1500)
    message = json.loads(payload)
    assert message["dropped"]["reason"] == "oversized"
    assert "part" not in message


def test_events_bear_name_and_severity() -> None:
    code = (Column(1, bytes.fromhex("0000600b00ff")),)
    event = Capture("M0001", "event.fraud", NOON, 0, (40,), code, NOON + 1.0, None, trusted=False)
    names: dict[int, dict[str, object]] = {
        40: {"event": "terminal cover removed", "severity": "alarm", "more": 1},
        41: {"event": None, "severity": None},
    }
    named = replace(ENVELOPES, describe=lambda each: names[int(str(each.values[0]))])
    rows = json.loads(named.block("event.fraud", 1, [event, replace(event, values=(41,))], NO_LIMIT)[0])["captures"]
    assert [(row["event"], row["severity"]) for row in rows] == [("terminal cover removed", "alarm"), (None, None)]
    assert [row.get("more") for row in rows] == [1, None]
    assert rows[0]["offset"] is None
    assert rows[0]["trusted"] is False


def test_a_result_is_one_message() -> None:
    (payload,) = ENVELOPES.block("result", 7, [record("c9", result={"pong": 1})], NO_LIMIT)
    assert json.loads(payload) == {
        "dcu": "DCU-1",
        "boot": "b00t",
        "stream": "result",
        "seq": 7,
        "id": "c9",
        "name": "dcu.ping",
        "meters": [],
        "state": "done",
        "at": "2026-01-31T12:00:00.500Z",
        "result": {"pong": 1},
        "error": None,
    }


@pytest.mark.parametrize(("value", "words"), [("x" * 2000, "2177 octets, the broker takes 1000"), (math.nan, "JSON")])
def test_a_result_that_cannot_be_sent_still_answers(value: object, words: str) -> None:
    (payload,) = ENVELOPES.block("result", 7, [record("c9", result={"value": value})], 1000)
    message = json.loads(payload)
    assert message["state"] == CommandState.DONE.value
    assert message["result"] is None
    assert words in message["error"]


def test_birth_will_stop_and_health() -> None:
    birth = json.loads(ENVELOPES.birth(NOON, {"load0": 1001}, {"load0": 998}, {"load0": 3}, "5"))
    assert birth == {
        "dcu": "DCU-1",
        "boot": "b00t",
        "state": "online",
        "at": "2026-01-31T12:00:00Z",
        "mqtt": "5",
        "version": "0.1.0",
        "meters": 2,
        "streams": {"load0": 1001},
        "owed": {"load0": 998},
        "pending": {"load0": 3},
    }
    assert json.loads(ENVELOPES.will(NOON))["state"] == "offline"
    assert json.loads(ENVELOPES.stopped(NOON, "SIGTERM"))["reason"] == "SIGTERM"
    assert json.loads(ENVELOPES.health(NOON, {"visits": 3}))["visits"] == 3


def test_what_is_urgent() -> None:
    assert [stream for stream in ("result", "event.fraud", "event", "load0", "eventful") if urgent(stream)] == [
        "result",
        "event.fraud",
        "event",
    ]
    assert not is_event("result")
