import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcu.errors import CommandRejected
from dcu.messages.acknowledgement import MAX_SEQ, MAX_STREAMS, MAX_WORD, parse_acknowledgement
from tests.asyncapi import schema


def test_what_is_understood() -> None:
    streams = {f"s{number}": number for number in range(MAX_STREAMS)} | {"s0": MAX_SEQ}
    assert parse_acknowledgement(json.dumps({"streams": streams}).encode()) == streams
    assert schema("acknowledgement").is_valid({"streams": streams})


@pytest.mark.parametrize(
    "word",
    [
        [],
        {},
        {"streams": []},
        {"streams": {}, "more": 1},
        {"streams": {"load0": -1}},
        {"streams": {"load0": True}},
        {"streams": {"load0": 1.5}},
        {"streams": {"load0": MAX_SEQ + 1}},
        {"streams": {"a/b": 1}},
        {"streams": {f"s{number}": number for number in range(MAX_STREAMS + 1)}},
    ],
)
def test_what_is_not(word: object) -> None:
    with pytest.raises(CommandRejected):
        parse_acknowledgement(json.dumps(word).encode())
    assert not schema("acknowledgement").is_valid(word)


def test_one_that_is_too_long_is_not_looked_at() -> None:
    with pytest.raises(CommandRejected, match="octets"):
        parse_acknowledgement(b'{"streams": {}}' + b" " * MAX_WORD)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_nothing_else_is_raised(payload: bytes) -> None:
    with suppress(CommandRejected):
        assert all(isinstance(seq, int) for seq in parse_acknowledgement(payload).values())
