"""The part `channels` of the section `uplink`: the ways to the brokers, the best first.

When one is left for another is decided in `dcu.uplink.channels`.
"""

import ipaddress
import re
from typing import Any

from dcu.config.settings import ChannelSettings, Endpoint
from dcu.forms import words
from dcu.forms.shape import Expected, Place, Shape, items

#: Channels of one unit, and brokers of one channel.
MAX_CHANNELS, MAX_BROKERS = 4, 4

#: Data streams that a channel may be kept to.
MAX_CARRIED = 64

#: What is said instead of a channel's name where none is to come before the others.
AUTO = "auto"

_BROKER = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253}))(?::([0-9]{1,5}))?")
_DEVICE = re.compile(r"[A-Za-z0-9._@-]{1,15}")


def interface(place: Place) -> str:
    """Return the name of a network interface, at most 15 characters (IFNAMSIZ)."""
    expected = "a network interface such as eth0"
    word = words.text(place, expected)
    if not _DEVICE.fullmatch(word):
        raise Expected(expected)
    return word


def source(place: Place) -> str:
    """Return an address of this unit."""
    expected = "an IP address of this unit"
    word = words.text(place, expected)
    try:
        ipaddress.ip_address(word)
    except ValueError:
        raise Expected(expected) from None
    return word


SILENCE = words.duration("1s", "1h")


def endpoint(word: str) -> Endpoint | None:
    """Return the broker that `word` names as HOST or HOST:PORT, None when it does not."""
    match = _BROKER.fullmatch(word)
    if match is None or not 0 < int(match[3] or 1) < 65536:
        return None
    return match[1] or match[2], int(match[3]) if match[3] else None


def _broker(place: Place) -> Endpoint:
    expected = "HOST or HOST:PORT"
    found = endpoint(words.text(place, expected))
    if found is None:
        raise Expected(expected)
    return found


def _channel(brokers: Any = (), carries: Any = None, **others: Any) -> ChannelSettings:
    carried = None if carries is None else frozenset(stream for stream, _ in carries)
    return ChannelSettings(brokers=tuple(broker for broker, _ in brokers), carries=carried, **others)


CHANNEL: Shape[ChannelSettings] = Shape(
    lambda cost=False, **others: _channel(metered=cost, **others),
    {"name": words.name},
    {
        "brokers": items(_broker, MAX_BROKERS),
        "interface": interface,
        "source": source,
        "cost": words.choice({"free": False, "metered": True}),
        "keepalive": words.duration("5s", "1h"),
        "silence": SILENCE,
        "every": words.duration("5m", "1d"),
        "budget": words.size("10kB", "1TB"),
        "carries": items(words.text, MAX_CARRIED),
    },
)

_CHANNELS = items(CHANNEL, MAX_CHANNELS)


def channels(place: Place) -> tuple[ChannelSettings, ...]:
    """Return the channels, each under a name of its own."""
    found: dict[str, ChannelSettings] = {}
    for channel, inner in _CHANNELS(place):
        if channel.name in found:
            inner.key("name").fault("a name that no other channel has")
        if channel.name == AUTO:
            inner.key("name").fault("another name: `dcuctl uplink auto` is about no channel")
        if channel.budget is not None and not channel.metered:
            inner.key("budget").report("expected 'cost: metered' beside it: nothing is counted where octets are free")
        found[channel.name] = channel
    return tuple(found.values())
