"""The channels of the uplink, as they are written."""

import pytest

from dcu.config import ChannelSettings
from tests.configurations import faults, good, parsed


def channels(text: str) -> str:
    return good("host: localhost", f"host: h\n  channels:\n    - {text}")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{interface: eth0}", "expected the key 'name'"),
        ("{name: a}\n    - {name: a}", "uplink.channels[1].name: expected a name that no other channel has, got 'a'"),
        ("{name: a, brokers: ['h:0']}", "uplink.channels[0].brokers[0]: expected HOST or HOST:PORT"),
        ("{name: a, brokers: ['h:70000']}", "brokers[0]: expected HOST or HOST:PORT"),
        ("{name: a, brokers: ['::1']}", "brokers[0]: expected HOST or HOST:PORT"),
        ("{name: a, interface: a/b}", "interface: expected a network interface"),
        ("{name: a, source: eth0}", "source: expected an IP address"),
        ("{name: a, cost: dear}", "cost: expected one of free, metered"),
        ("{name: a, silence: 100ms}", "silence: expected a duration from 1s to 1h"),
        ("{name: auto}", "uplink.channels[0].name: expected another name: `dcuctl uplink auto` is about no channel"),
        ("{name: a, budget: 9MB}", "uplink.channels[0].budget: expected 'cost: metered' beside it"),
        ("{name: a, budget: 9kB}", "budget: expected a size from 10kB"),
        ("\n    - ".join(f"{{name: a{number}}}" for number in range(5)), "uplink.channels: expected at most 4"),
    ],
)
def test_a_wrong_word_is_named(text: str, fault: str) -> None:
    problems = faults(channels(text))
    assert any(fault in problem for problem in problems), problems


def test_everything_a_channel_can_say() -> None:
    text = (
        "{name: gprs, brokers: [m1, 'm2:8883', '[::1]:1'], interface: wwan0, source: 10.0.0.1, cost: metered, "
        "keepalive: 5m, silence: 1m, every: 1h, budget: 2MB, carries: [load0, daily]}"
    )
    uplink = parsed(channels(text)).uplink
    assert not uplink.plain
    assert uplink.channels == (
        ChannelSettings(
            "gprs",
            (("m1", None), ("m2", 8883), ("::1", 1)),
            "wwan0",
            "10.0.0.1",
            metered=True,
            keepalive=300.0,
            silence=60.0,
            budget=2_000_000,
            carries=frozenset({"load0", "daily"}),
            every=3600.0,
        ),
    )


def test_the_longest_silence_of_any_channel() -> None:
    assert parsed(good()).uplink.longest_keepalive == 30.0
    assert parsed(channels("{name: gprs, keepalive: 5m}\n    - {name: eth}")).uplink.longest_keepalive == 300.0
    assert parsed(channels("{name: gprs, keepalive: 5s}")).uplink.longest_keepalive == 30.0


def test_what_is_not_said() -> None:
    assert parsed(good()).uplink.plain
    assert parsed(channels("{name: eth}")).uplink.channels == (ChannelSettings("eth"),)


@pytest.mark.parametrize("words", ["silence: 3s", "tls: {}", "channels: [{name: eth}]"])
def test_what_has_to_be_watched_over(words: str) -> None:
    assert not parsed(good("host: localhost", f"host: h\n  {words}")).uplink.plain
