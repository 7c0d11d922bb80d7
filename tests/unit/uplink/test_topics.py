import pytest

from dcu.errors import ConfigError
from dcu.uplink.topics import MAX_SLASHES, Topics

TOPICS = Topics("ami/v1", "DCU-1")


def test_names() -> None:
    assert TOPICS.state == "ami/v1/DCU-1/state"
    assert TOPICS.health == "ami/v1/DCU-1/health"
    assert TOPICS.subscriptions == ("ami/v1/DCU-1/command", "ami/v1/_all/command")


@pytest.mark.parametrize(
    ("stream", "leaf"),
    [
        ("load0", "data/load0"),
        ("instant", "data/instant"),
        ("result", "result"),
        ("event.fraud", "event"),
        ("event", "event"),
        ("a/#", "data/a__"),
        ("+", "data/_"),
        ("", "data/_"),
    ],
)
def test_the_topic_of_a_stream(stream: str, leaf: str) -> None:
    assert TOPICS.of_stream(stream) == f"ami/v1/DCU-1/{leaf}"


@pytest.mark.parametrize(
    ("prefix", "dcu"), [("ami/#", "D"), ("ami", "D+"), ("", "D"), ("ami", ""), ("ami", "a/b"), ("a/b/c/d/e", "D")]
)
def test_what_cannot_begin_a_topic(prefix: str, dcu: str) -> None:
    with pytest.raises(ConfigError):
        Topics(prefix, dcu)


def test_the_longest_topic_keeps_to_the_bound() -> None:
    longest = Topics("a/b/c/d", "D").state.removesuffix("state") + "meter/M0001/state"
    assert longest.count("/") == MAX_SLASHES


def test_commands_come_to_this_one_to_all_and_to_its_groups() -> None:
    grouped = Topics("ami/v1", "DCU-1", ("north", "pilot"))
    assert grouped.subscriptions == (
        "ami/v1/DCU-1/command",
        "ami/v1/_all/command",
        "ami/v1/_group/north/command",
        "ami/v1/_group/pilot/command",
    )
