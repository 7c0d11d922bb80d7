"""What is asked of a message on its way down."""

from types import SimpleNamespace
from typing import Any

import pytest

from dcu.errors import UplinkError
from dcu.uplink import Incoming, RefusedError, Reply, UnheardError


def incoming(**origin: Any) -> Incoming:
    return Incoming("command", b"{}", SimpleNamespace(**{"retain": False, "properties": None, **origin}))  # type: ignore[arg-type]


def test_whether_the_broker_had_kept_it() -> None:
    assert incoming(retain=1).retained
    assert not incoming().retained


@pytest.mark.parametrize(
    ("properties", "reply"),
    [
        (None, None),
        (SimpleNamespace(), None),
        (SimpleNamespace(ResponseTopic="there"), Reply("there", None)),
        (SimpleNamespace(ResponseTopic="there", CorrelationData=b"7"), Reply("there", b"7")),
    ],
)
def test_where_the_answer_is_wanted(properties: object, reply: Reply | None) -> None:
    assert incoming(properties=properties).reply == reply


def test_a_refusal_is_of_one_message_and_seldom_for_good() -> None:
    assert issubclass(RefusedError, UplinkError)
    assert issubclass(UnheardError, RefusedError)
    assert not RefusedError("not authorized").for_good
