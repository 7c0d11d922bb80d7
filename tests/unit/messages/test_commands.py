import json

import pytest

from dcu.errors import CommandRejected
from dcu.messages.commands import MAX_COMMAND, parse_command
from dcu.model import Command

READ = {"id": "c-1", "name": "meter.read", "targets": {"meters": ["M0001"]}}


def parse(envelope: object, door: str = "mqtt") -> Command:
    return parse_command(json.dumps(envelope).encode(), door=door, received=1000.5)


def test_a_whole_envelope() -> None:
    envelope = READ | {
        "args": {},
        "priority": "high",
        "issued": "2026-01-31T12:00:00Z",
        "expires": "2026-01-31T12:01:00Z",
    }
    assert parse(envelope) == Command("c-1", "meter.read", ("M0001",), {}, 1_769_860_800, 1_769_860_860, "mqtt", 1000.5)


def test_what_may_be_left_out() -> None:
    assert parse({"id": "p", "name": "dcu.ping"}, "local") == Command(
        "p", "dcu.ping", issued=1000.5, door="local", received=1000.5
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "meter.explode"}, "name: expected one of dcu.ping"),
        ({"name": ["meter.read"]}, "name"),
        ({"targets": {}}, "exactly one meter"),
        ({"targets": {"meters": ["M1", "M2"]}}, "exactly one meter"),
        ({"targets": {"meters": "M0001"}}, "targets.meters"),
        ({"targets": {"meters": ["M/1"]}}, "targets.meters"),
        ({"targets": {"group": "nor/th"}}, "targets: expected"),
        ({"targets": {"group": "north", "all": True}}, "targets: expected"),
        ({"targets": {"all": False}}, "targets: expected"),
        ({"targets": {"all": True}, "name": "meter.set-clock", "args": {}}, "not for many"),
        ({"targets": []}, "targets: expected an object"),
        ({"args": []}, "args: expected an object"),
        ({"args": {"speed": 1}}, "'speed' is unknown"),
        ({"expires": "soon"}, "expires"),
        ({"issued": -1.0}, "issued"),
        ({"priority": "urgent"}, "priority: expected high or normal"),
        ({"priority": {"a": 1}}, "priority"),
        ({"priority": None}, "priority"),
        ({"color\ud800": 1}, "is unknown"),
    ],
)
def test_a_rejection_names_the_command_and_the_fault(change: dict[str, object], words: str) -> None:
    with pytest.raises(CommandRejected, match=words) as caught:
        parse(READ | change)
    assert caught.value.id == "c-1"
    caught.value.reason.encode()


def test_ping_has_no_meters() -> None:
    with pytest.raises(CommandRejected, match="no meter"):
        parse({"id": "p", "name": "dcu.ping", "targets": {"meters": ["M0001"]}})


@pytest.mark.parametrize("command_id", [None, 7, "", "x" * 65, "a b", "ä", ["c"]])
def test_an_unreadable_id_leaves_none(command_id: object) -> None:
    with pytest.raises(CommandRejected, match="id") as caught:
        parse({"id": command_id, "name": "dcu.ping"})
    assert caught.value.id is None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b'{"id": NaN}',
        b"[" * MAX_COMMAND,
        b'{"id":' + b"9" * 9000 + b"}",
        b"{'id': 1}",
    ],
)
def test_what_is_no_envelope(payload: bytes) -> None:
    with pytest.raises(CommandRejected):
        parse_command(payload, door="mqtt", received=0)


def test_an_envelope_has_a_bound() -> None:
    padded = json.dumps({"id": "p", "name": "dcu.ping"}).encode().ljust(MAX_COMMAND)
    assert parse_command(padded, door="mqtt", received=0).id == "p"
    with pytest.raises(CommandRejected, match="at most"):
        parse_command(padded + b" ", door="mqtt", received=0)


@pytest.mark.parametrize(
    ("payload", "key", "command_id"),
    [
        ('{"id": "A", "id": "x2", "name": "dcu.ping"}', "id", None),
        ('{"id": "A", "name": "dcu.ping", "name": "dcu.status"}', "name", "A"),
        ('{"id": "A", "name": "dcu.gaps", "args": {"meter": "M1", "meter": "M2"}}', "meter", "A"),
        ('{"id": "A", "name": "dcu.gaps", "args": {"meter": [{"x": 1, "x": 1}]}}', "x", "A"),
    ],
)
def test_a_key_that_stands_twice_is_refused_for_who_knows_which_was_meant(
    payload: str, key: str, command_id: str | None
) -> None:
    with pytest.raises(CommandRejected, match=f"'{key}' stands twice in one object") as caught:
        parse_command(payload.encode(), door="mqtt", received=1000.5)
    assert caught.value.id == command_id


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
def test_a_number_beyond_all_numbers_is_no_json(number: str) -> None:
    payload = json.dumps(READ).replace("{", f'{{"priority": {number}, ', 1).encode()
    with pytest.raises(CommandRejected, match="not a JSON object"):
        parse_command(payload, door="mqtt", received=1000.5)
