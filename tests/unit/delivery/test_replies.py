"""Where copies of answers go, and where they do not."""

import json

import pytest

from dcu.delivery import replies
from dcu.delivery.replies import MAX_CORRELATION, MAX_TOPIC, Replies
from dcu.model import Command, CommandRecord, CommandState
from dcu.uplink import Outgoing, Reply
from tests.outbox import capture

MESSAGE = Outgoing("ami/v1/D/result", b"{}", content_type="application/json")
HERE = Reply("hes/answers/7", b"\x01")


def asked(identity: object) -> bytes:
    return json.dumps({"id": identity, "name": "dcu.ping"}).encode()


def record(identity: str, state: CommandState = CommandState.DONE) -> CommandRecord:
    return CommandRecord(Command(identity, "dcu.ping"), state)


def test_every_state_goes_there_until_the_last() -> None:
    wanted = Replies("ami/v1")
    wanted.heard(asked("c1"), HERE)
    (copy,) = wanted.copies([record("c1", CommandState.RUNNING)], [MESSAGE])
    assert (copy.topic, copy.payload, copy.correlation, copy.expiry) == ("hes/answers/7", b"{}", b"\x01", 3600)
    assert len(list(wanted.copies([record("c1")], [MESSAGE]))) == 1
    assert list(wanted.copies([record("c1")], [MESSAGE])) == []


def test_a_connection_that_broke_ends_it() -> None:
    wanted = Replies("ami/v1")
    wanted.heard(asked("c1"), HERE)
    wanted.forget()
    wanted.forget()
    wanted.heard(asked("c1"), HERE)
    assert list(wanted.copies([record("c1")], [MESSAGE])) == []


def test_nothing_else_does() -> None:
    wanted = Replies("ami/v1")
    wanted.heard(asked("c1"), HERE)
    wanted.heard(asked("c2"), None)
    assert list(wanted.copies([record("c2")], [MESSAGE])) == []
    assert list(wanted.copies([capture()], [MESSAGE])) == []
    assert list(wanted.copies([record("c1")], [Outgoing("t", b"sparkplug")])) == []


@pytest.mark.parametrize(
    "reply",
    [
        Reply("ami/v1/DCU-2/command", None),
        Reply("ami/v1", None),
        Reply("a/+/b", None),
        Reply("#", None),
        Reply("$SYS/x", None),
        Reply("", None),
        Reply("x" * (MAX_TOPIC + 1), None),
        Reply("t", bytes(MAX_CORRELATION + 1)),
    ],
)
def test_where_no_answer_goes(reply: Reply) -> None:
    wanted = Replies("ami/v1")
    wanted.heard(asked("c1"), reply)
    assert list(wanted.copies([record("c1")], [MESSAGE])) == []


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"{", b"\xff", asked(5), b"[" * 90_000, b'{"id": "c1"}' + bytes(200_000)]
)
def test_whatever_comes_is_borne(payload: bytes) -> None:
    wanted = Replies("ami/v1")
    wanted.heard(payload, HERE)
    assert list(wanted.copies([record("c1")], [MESSAGE])) == []


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "MAX_REPLIES", 2)
    wanted = Replies("ami/v1")
    for number in range(3):
        wanted.heard(asked(f"c{number}"), HERE)
    assert [len(list(wanted.copies([record(f"c{number}")], [MESSAGE]))) for number in range(3)] == [0, 1, 1]
