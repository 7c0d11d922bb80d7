"""docs/asyncapi.yaml and the code say the same: topics, messages, commands with their arguments and roles, events."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft7Validator

from dcu.config import UplinkSettings
from dcu.delivery.dialect import Dialect
from dcu.delivery.replies import MAX_CORRELATION, MAX_TOPIC
from dcu.errors import CommandRejected
from dcu.messages.catalogue import CATALOGUE, LATEST, MAX_GAPS, MAX_ITEMS
from dcu.messages.commands import parse_command
from dcu.messages.envelope import BLOCK, Envelopes
from dcu.messages.events import OWN_EVENTS, own_values
from dcu.model import DCU_EVENTS, NO_STATUS, Capture, CommandState
from dcu.uplink import Topics
from dcu.uplink.link import SESSION_EXPIRY
from tests.asyncapi import DOCUMENT, faults, followed, schema
from tests.captures import SetClock
from tests.outbox import NOON, capture, record
from tests.property.test_commands import ENVELOPES
from tests.unit.messages.test_reference import WRITTEN

CHANNELS = {
    "birth": "state",
    "will": "state",
    "stopped": "state",
    "sleep": "state",
    "meter": "meterState",
    "block": "data",
    "dropped": "data",
} | {
    "gone": "data",
    "leapt": "data",
    "event": "event",
    "alarm": "event",
    "own_event": "event",
    "result": "result",
    "portion": "result",
}
COMMAND = schema("command")
PREFIX = UplinkSettings("broker", "{dcu}").prefix

#: The keys of AsyncAPI 3.0.0's objects, besides `$ref` and those that begin with x-.
COMMON = {"title", "summary", "description", "tags", "externalDocs", "bindings"}
KEYS = {
    "servers": COMMON | {"host", "protocol", "protocolVersion", "pathname", "variables", "security"},
    "channels": COMMON | {"address", "messages", "servers", "parameters"},
    "operations": COMMON | {"action", "channel", "security", "traits", "messages", "reply"},
    "messages": COMMON | {"headers", "payload", "correlationId", "contentType", "name", "examples", "traits"},
    "parameters": {"enum", "default", "description", "examples", "location"},
}


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for each in part.values():
            yield from references(each)
    elif isinstance(part, list):
        for each in part:
            yield from references(each)


def test_the_document_holds_together() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    for reference in references(DOCUMENT):
        followed(reference)
    for each in DOCUMENT["components"]["schemas"].values():
        if "type" in each:  # the others are pieces of such
            Draft7Validator.check_schema(each)
    for kind, keys in KEYS.items():
        for name, each in (DOCUMENT.get(kind) or DOCUMENT["components"][kind]).items():
            assert each.keys() <= keys, f"{kind}.{name}"
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in {"send", "receive"}
        assert operation["channel"]["$ref"].removeprefix("#/channels/") in DOCUMENT["channels"]
    for channel in DOCUMENT["channels"].values():
        assert set(re.findall(r"\{(\w+)\}", channel["address"])) == set(channel.get("parameters", {}))


def test_the_channels_are_the_topics() -> None:
    topics = Topics(PREFIX, "{dcu}", ("{group}",))
    up = {
        topics.state,
        topics.health,
        topics.of_meter("{meter}"),
        *map(topics.of_stream, ("{stream}", "event.fraud", "result")),
    }
    addresses = {channel["address"] for channel in DOCUMENT["channels"].values()}
    assert addresses == up | set(topics.subscriptions) | {topics.ack}
    ways: dict[str, set[str]] = {"send": set(), "receive": set()}
    for operation in DOCUMENT["operations"].values():
        ways[operation["action"]].add(followed(operation["channel"]["$ref"])["address"])
    assert ways == {"send": up, "receive": {*topics.subscriptions, topics.ack}}
    assert DOCUMENT["components"]["messages"]["compact"]["contentType"] == BLOCK


def test_the_session_is_what_the_bindings_say() -> None:
    told = DOCUMENT["servers"]["broker"]["bindings"]["mqtt"]
    will = told["lastWill"]
    assert (told["keepAlive"], told["sessionExpiryInterval"]) == (UplinkSettings("b", "D").keepalive, SESSION_EXPIRY)
    sent = Dialect(Envelopes("{dcu}", "b"), Topics(PREFIX, "{dcu}"), SetClock()).will()
    assert (will["topic"], will["qos"], will["retain"]) == (sent.topic, sent.qos, sent.retain)
    assert json.loads(sent.payload)["state"] == will["message"]
    replies = DOCUMENT["components"]["messages"]["command"]["bindings"]["mqtt"]
    assert replies["responseTopic"]["maxLength"] == MAX_TOPIC
    assert replies["correlationData"]["maxLength"] == MAX_CORRELATION


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_what_the_code_writes_is_what_the_document_says(name: str) -> None:
    payload = WRITTEN[name]()
    assert not faults(CHANNELS[name], payload)
    message = json.loads(payload)
    assert faults(CHANNELS[name], json.dumps(message | {"unheard": 1}).encode())
    for key in message.keys() - {"progress", "until"}:  # only commands to many have one, and who sleeps
        short = {other: value for other, value in message.items() if other != key}
        assert faults(CHANNELS[name], json.dumps(short).encode()), f"{key} is not required"


def test_rarer_messages() -> None:
    envelopes = Envelopes("D", "b")
    rows = [
        capture(at=NOON + n, values=(value,)) for n, value in enumerate((1, 0.5, "x", b"\x01", None, True, math.nan))
    ]
    parts = envelopes.block("load0", 1, rows * 20, 2000)
    assert len(parts) > 1
    assert not [fault for part in parts for fault in faults("data", part)]
    assert not faults("data", envelopes.receipt("load0", 1, 96))
    assert not faults("event", envelopes.receipt("event.alarm", 1, 1))
    for state in CommandState:
        (payload,) = envelopes.block("result", 1, [record(state=state, error="no")], 10_000)
        assert not faults("result", payload)


def test_every_event_of_the_dcu() -> None:
    listed = {
        each["properties"]["event"]["const"]: each["properties"]["severity"]["const"]
        for each in DOCUMENT["components"]["schemas"]["ownEvent"]["oneOf"]
    }
    assert listed == {name: event.severity for name, event in OWN_EVENTS.items()}
    for name in OWN_EVENTS:
        event = Capture(
            "M1", DCU_EVENTS, NOON, NO_STATUS, own_values(name, {"a": 1}), (), NOON + 1.0, None, trusted=True
        )
        assert not faults("event", Envelopes("D", "b").block(DCU_EVENTS, 1, [event], 10_000)[0])


def kinds() -> dict[str, dict[str, Any]]:
    listed = DOCUMENT["components"]["schemas"]["command"]["oneOf"]
    return {each["properties"]["name"]["const"]: each for each in listed}


def test_the_catalogue_is_the_same() -> None:
    assert kinds().keys() == CATALOGUE.keys()
    for name, kind in CATALOGUE.items():
        documented = kinds()[name]
        told = [documented[f"x-{word}"] for word in ("role", "changes-state", "idempotent")]
        assert told == [kind.role.value, kind.changes_state, kind.idempotent]
        assert ("x-result-of-meter" in documented, "x-result" in documented) == (1 in kind.meters, 0 in kind.meters)
        expected = "anyMeters" if kind.fans else "oneMeter" if 1 in kind.meters else "noMeter"
        assert documented["properties"]["targets"]["$ref"].endswith(expected)
    text = json.dumps(DOCUMENT["components"]["schemas"])
    assert f'"maximum": {LATEST}' in text
    assert f'"maxItems": {MAX_ITEMS}' in text
    assert f'"maximum": {MAX_GAPS}' in text


ONE = {"object": "1-0:1.8.0.255", "class": 3, "attribute": 2}
RANGE = {"from": "2026-01-31T00:00:00Z", "to": 1_769_860_800}
#: Arguments by command: those that are taken, and those that are not. Nothing else than {} is said of the others.
ARGUMENTS: dict[str, tuple[list[Any], list[Any]]] = {
    "dcu.meters": ([{}, {"unreachable": True, "after": "M1", "count": 256}], [{"count": 257}, {"unreachable": 1}]),
    "dcu.keys": ([{"meter": "M1"}], [{}, {"meter": ""}, {"meter": "x" * 65}, {"meter": "M", "x": 1}]),
    "dcu.audit": ([{}, {"from": 1, "count": 50}], [{"from": 0}, {"count": 51}]),
    "dcu.ledger": (
        [{}, {"meter": "M1", "stream": "load0", "since": 0}],
        [{"meter": "a b"}, {"since": -1}, {"after": ""}],
    ),
    "dcu.readings": (
        [{"meter": "M1", "stream": "load0"}, {"meter": "M1", "stream": "load0", "after": "9/1", "limit": 400, **RANGE}],
        [{}, {"meter": "M1"}, {"meter": "M1", "stream": "load0", "after": "9"}],
    ),
    "dcu.resend": (
        [{"stream": "load0", "from_seq": 5, "to_seq": 9}, {"stream": "load0", **RANGE}, {"stream": "x", "to_seq": 0}],
        [{}, {"stream": "load0"}, {"stream": "load0", "from": 0}, {"stream": "load0", "from_seq": -1}],
    ),
    "dcu.reconcile": (
        [{"stream": "load0", **RANGE}, {"stream": "load0", "meter": "M1", "after": "M1", **RANGE}],
        [{}, RANGE, {"stream": "load0", "from": 0}, {"stream": "load0", "after": "", **RANGE}],
    ),
    "dcu.gaps": ([{}, {"after": "M1/load0/17", "limit": 400}], [{"after": "M1"}, {"limit": 0}, {"limit": 401}]),
    "meter.read": (
        [{}, {"registers": True}, {"profile": "instant"}, {"profile": "load0", **RANGE}],
        [
            {"registers": False},
            {"profile": "instant", **RANGE},
            {"profile": "load0"},
            {"profile": "Load", **RANGE},
            RANGE,
        ],
    ),
    "meter.get": (
        [ONE, {"items": [ONE] * MAX_ITEMS}],
        [
            {},
            {"items": []},
            {"items": [ONE] * (MAX_ITEMS + 1)},
            ONE | {"class": 0},
            ONE | {"items": [ONE]},
            ONE | {"x": 1},
        ],
    ),
    "meter.set": (
        [
            ONE | {"value": 1},
            ONE | {"value": None, "type": None},
            ONE | {"value": {"hex": "00"}, "type": "octet-string"},
        ],
        [ONE, ONE | {"value": 1, "type": 5}, ONE | {"value": 1, "attribute": 128}],
    ),
    "meter.execute": (
        [{"object": "0-0:96.3.10.255", "class": 70, "method": 1}],
        [ONE, {"object": "0-0:96.3.10.255", "class": 70, "method": 0}],
    ),
    "meter.change-keys": ([{}, {"kinds": ["password"]}], [{"kinds": "password"}, {"kinds": ["master"]}]),
    "dcu.history": ([{}, {"from": 40, "count": 40}], [{"days": 7}, {"count": 0}]),
    "dcu.clocks": ([{}, {"from": 5, "count": 256}], [{"count": 257}, {"meter": "M1"}]),
    "archive.list": ([{}, {"from": 1024, "count": 1}], [{"from": 1025}, {"count": 0}, {"x": 1}]),
    "archive.export": ([{}], [{"count": 257}]),
    "archive.found": ([{}], [{"count": True}]),
    "archive.discover": ([{}, {"buses": ["a"]}], [{"buses": "a"}, {"buses": [True]}]),
    "archive.add": ([{"id": "M1", "address": 17}], [{}, {"id": "x" * 65}, {"id": True}]),
    "archive.replace": ([{"id": "M1", "serial": None}], [{}, {str(n): n for n in range(17)}]),
    "archive.delete": ([{"ids": ["M1"]}], [{}, {"ids": []}, {"ids": [1.5]}]),
    "archive.import": (
        [
            {"columns": ["id"], "rows": [["M1"]]},
            {"columns": ["id"], "rows": [["M1"]], "lines": [7], "file": "f", "partial": True},
        ],
        [{"columns": [], "rows": [[]]}, {"columns": ["id"], "rows": []}, {"columns": ["a", "a"], "rows": [["x", "y"]]}],
    ),
}


def command(name: str, args: object) -> dict[str, Any]:
    targets = {"targets": {"meters": ["M1"]}} if 1 in CATALOGUE[name].meters else {}
    return {"id": "c1", "name": name, "args": args, **targets}


def taken(message: object) -> bool:
    try:
        parse_command(json.dumps(message).encode(), door="mqtt", received=1.0)
    except CommandRejected:
        return False
    return True


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_same_arguments_are_taken(name: str) -> None:
    good, bad = ARGUMENTS.get(name, ([{}], [{"x": 1}]))
    for args in good:
        message = command(name, args)
        assert taken(message), message
        assert COMMAND.is_valid(message), message
    for args in bad:
        message = command(name, args)
        assert not taken(message), message
        assert not COMMAND.is_valid(message), message


@pytest.mark.parametrize(
    "change",
    [
        {"id": "a b"},
        {"id": None},
        {"name": "dcu.pong"},
        {"targets": {"meters": ["M1"]}},
        {"targets": {"group": "x"}},
        {"args": []},
        {"unheard": 1},
        {"expires": -1},
        {"issued": True},
        {"priority": "urgent"},
        {"priority": ["high"]},
    ],
)
def test_the_same_envelopes_are_refused(change: dict[str, object]) -> None:
    message = {"id": "c1", "name": "dcu.ping", "issued": 1.5, "expires": "2026-01-31T12:00:00Z", "priority": "high"}
    assert taken(message)
    assert COMMAND.is_valid(message)
    assert not taken(message | change)
    assert not COMMAND.is_valid(message | change)


@given(ENVELOPES)
def test_whatever_is_taken_is_documented(message: dict[str, Any]) -> None:
    text = json.dumps(message)
    if "NaN" not in text and "Infinity" not in text and taken(message):
        assert COMMAND.is_valid(message), message
