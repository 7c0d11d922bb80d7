"""Whatever bytes come as a command: a checked command or CommandRejected, in bounded time; never another error."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dcu.errors import CommandRejected
from dcu.messages.catalogue import CATALOGUE, LATEST
from dcu.messages.commands import MAX_COMMAND, parse_command
from dcu.messages.encoding import encode

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
NAMES = st.sampled_from(sorted(CATALOGUE))
TIMES = st.integers(-10, LATEST + 10) | st.datetimes().map(lambda each: each.isoformat() + "Z") | JSON
ARGS = st.fixed_dictionaries(
    {}, optional={"registers": JSON, "profile": st.just("load0") | JSON, "from": TIMES, "to": TIMES}
)
ENVELOPES = st.fixed_dictionaries(
    {"id": st.just("c1") | JSON, "name": NAMES | JSON},
    optional={
        "targets": st.fixed_dictionaries({"meters": st.lists(st.just("M1") | JSON, max_size=2) | JSON})
        | st.fixed_dictionaries({}, optional={"group": st.just("north") | JSON, "all": st.booleans() | JSON})
        | JSON,
        "args": ARGS | JSON,
        "issued": TIMES,
        "expires": TIMES,
        "priority": st.sampled_from(("high", "normal")) | JSON,
    },
)


def sound(payload: bytes) -> bool:
    """Whether `payload` is refused in short words that can be written, or is a command as the catalogue wants it."""
    try:
        command = parse_command(payload, door="mqtt", received=1.0)
    except CommandRejected as rejected:
        return len(encode({"reason": rejected.reason, "id": rejected.id})) < 1000  # the longest names every command
    kind = CATALOGUE[command.name]
    written = encode({"id": command.id, "args": command.args, "issued": command.issued, "expires": command.expires})
    fitting = kind.fans if command.targets else len(command.meters) in kind.meters
    return fitting and kind.check(command.args) == command.args and bool(written)


@given(st.binary(max_size=2 * MAX_COMMAND))
def test_arbitrary_bytes(payload: bytes) -> None:
    assert sound(payload)


@given(JSON)
def test_arbitrary_json(value: Any) -> None:
    assert sound(json.dumps(value).encode())


@given(ENVELOPES)
def test_almost_envelopes(envelope: dict[str, Any]) -> None:
    assert sound(json.dumps(envelope).encode())


@given(st.integers(1, MAX_COMMAND), st.sampled_from([b"[", b'{"a":', b"9", b'"\\u', b"-", b"1e9"]))
def test_deep_long_and_broken(count: int, piece: bytes) -> None:
    assert sound((piece * count)[:MAX_COMMAND])


@given(st.binary(min_size=1, max_size=4), st.integers(0, 200))
def test_a_sound_envelope_spliced(splice: bytes, at: int) -> None:
    whole = b'{"id":"c1","name":"meter.read","targets":{"meters":["M1"]},"args":{"profile":"load0","from":0,"to":9}}'
    assert sound(whole[:at] + splice + whole[at + len(splice) :])
