"""Whether a Sparkplug host application is there, by its own word on its topic STATE, and when that was true.

What an edge node does about it is in `dcu.delivery.sparkplug`. Source: Sparkplug 3.0.0, 4.1 and 6.4.26 (STATE).
"""

import json
from dataclasses import dataclass
from typing import Final

from dcu.errors import CommandRejected
from dcu.messages.edge_node import NAMESPACE

#: Octets of a STATE message at most.
MAX_STATE: Final = 10_000


@dataclass(frozen=True, slots=True)
class HostState:
    """`at` in milliseconds of the host's clock: of two states the one with the lower is the older."""

    online: bool
    at: int


def state_topic(host: str) -> str:
    """Return the topic by which the application `host` says whether it is there."""
    return f"{NAMESPACE}/STATE/{host}"


def parse_state(payload: bytes) -> HostState:
    """Return what a host said of itself. Raises CommandRejected for what is no STATE of Sparkplug 3."""
    if len(payload) > MAX_STATE:
        raise CommandRejected(f"a STATE has at most {MAX_STATE} octets, this one {len(payload)}")
    try:
        found = json.loads(payload.decode())
        online, at = found["online"], found["timestamp"]
    except (ValueError, RecursionError, TypeError, KeyError):
        online, at = None, None
    if not isinstance(online, bool) or type(at) is not int:
        raise CommandRejected('expected {"online": true or false, "timestamp": milliseconds}')
    return HostState(online, at)
