"""The edge to the head-end's broker: MQTT link, topics, channels and what they may take a day, waiting times.

No content of messages is here, and no message is kept.
"""

from dcu.uplink.backoff import Backoff
from dcu.uplink.link import Link, Uplink
from dcu.uplink.message import Incoming, Outgoing, RefusedError, Reply, UnheardError
from dcu.uplink.topics import Topics

__all__ = ["Backoff", "Incoming", "Link", "Outgoing", "RefusedError", "Reply", "Topics", "UnheardError", "Uplink"]
