import pytest

from dcu.errors import CommandRejected
from dcu.messages.primary_host import MAX_STATE, HostState, parse_state, state_topic


def test_a_state() -> None:
    assert state_topic("scada") == "spBv1.0/STATE/scada"
    assert parse_state(b'{"online": true, "timestamp": 1668114759262}') == HostState(online=True, at=1668114759262)
    assert parse_state(b'{"timestamp": 1, "online": false, "more": []}') == HostState(online=False, at=1)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"ONLINE",  # Sparkplug 2
        b"[]",
        b"\xff",
        b"[" * 9000,
        b'{"online": true}',
        b'{"online": 1, "timestamp": 1}',
        b'{"online": true, "timestamp": 1.5}',
        b'{"online": true, "timestamp": true}',
        b'{"online": true, "timestamp": 1}' + b" " * MAX_STATE,
    ],
)
def test_what_is_none(payload: bytes) -> None:
    with pytest.raises(CommandRejected, match=r"STATE|expected") as refusal:
        parse_state(payload)
    assert refusal.value.who == "head-end"
