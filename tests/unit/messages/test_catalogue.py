import pytest

from dcu.errors import CommandRejected
from dcu.messages.catalogue import CATALOGUE, MAX_RANGE, moment

READ = CATALOGUE["meter.read"].check
NOON = 1_769_860_800


def test_the_commands_of_this_version() -> None:
    assert set(CATALOGUE) == {"dcu.ping", "dcu.status", "meter.read"}
    assert not any(kind.changes_state for kind in CATALOGUE.values())


@pytest.mark.parametrize(
    ("args", "normal"),
    [
        ({}, {}),
        ({"registers": True}, {}),
        ({"profile": "instant"}, {}),
        (
            {"profile": "load0", "from": "2026-01-31T12:00:00Z", "to": "2026-01-31T14:00:00+01:00"},
            {"profile": "load0", "from": NOON, "to": NOON + 3600},
        ),
        ({"profile": "event.fraud", "from": 0, "to": 1}, {"profile": "event.fraud", "from": 0, "to": 1}),
    ],
)
def test_arguments_come_out_in_one_form(args: dict[str, object], normal: dict[str, object]) -> None:
    assert READ(args) == normal


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"registers": False}, "args.registers"),
        ({"from": 0, "to": 1}, "'from' is unknown"),
        ({"registers": True, "profile": "load0"}, "exclude"),
        ({"profile": 7, "from": 0, "to": 1}, "args.profile"),
        ({"profile": "../etc", "from": 0, "to": 1}, "args.profile"),
        ({"profile": "instant", "from": 0, "to": 1}, "unknown"),
        ({"profile": "load0", "to": 1}, "args.from"),
        ({"profile": "load0", "from": 2, "to": 1}, "args.to"),
        ({"profile": "load0", "from": 0, "to": MAX_RANGE + 1}, "args.to"),
        ({"speed": 9}, "'speed' is unknown"),
    ],
)
def test_what_is_wrong_is_named(args: dict[str, object], words: str) -> None:
    with pytest.raises(CommandRejected, match=words):
        READ(args)


def test_ping_takes_nothing() -> None:
    assert CATALOGUE["dcu.ping"].check({}) == {}
    with pytest.raises(CommandRejected, match="no arguments"):
        CATALOGUE["dcu.ping"].check({"x": 1})


@pytest.mark.parametrize(
    "value", ["2026-01-31T12:00:00", "noon", "9" * 41, -1, 10**12, 1.5, True, None, "1900-01-01T00:00Z"]
)
def test_what_is_no_time(value: object) -> None:
    with pytest.raises(CommandRejected, match="expires: expected a time"):
        moment(value, "expires")


def test_times_do_not_end_in_2038() -> None:
    assert moment("2090-01-01T00:00:00Z", "x") == 3_786_912_000
