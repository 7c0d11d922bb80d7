"""One message on its way up or down, and how a broker refuses one.

How it gets there is in `link`; what it says, in `dcu.messages`.
"""

from dataclasses import dataclass

import aiomqtt

from dcu.errors import UplinkError


class RefusedError(UplinkError):
    """The broker answered that it does not take this one message; the connection itself is sound.

    With `for_good` the reason is in the message; else in what we may, or in what the broker has room for just now.
    """

    def __init__(self, message: str, *, for_good: bool = False) -> None:
        super().__init__(message)
        self.for_good = for_good


class UnheardError(RefusedError):
    """The broker answered that nobody has subscribed: to what is `wanted` that is no delivery."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message on its way up.

    `content_type`, `expiry` (seconds after which the broker forgets it) and `correlation` (what who asked knows it by)
    are told where the protocol has a place for them (MQTT 5). `wanted` is what somebody has to have subscribed to, and
    what is `urgent` does not keep to `uplink.rate`.
    """

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    content_type: str | None = None
    expiry: int | None = None
    correlation: bytes | None = None
    wanted: bool = False
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """Where the answer to a message is wanted, and what it is to bear (MQTT 5, 3.3.2.3.5 and 3.3.2.3.6)."""

    topic: str
    correlation: bytes | None


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message on its way down, to be acknowledged with `Link.acknowledge` once it is safe."""

    topic: str
    payload: bytes
    origin: aiomqtt.Message

    @property
    def retained(self) -> bool:
        """Whether the broker had kept it for whoever subscribes: nobody knows since when (MQTT 5, 3.3.1.3)."""
        return bool(self.origin.retain)

    @property
    def reply(self) -> Reply | None:
        properties = self.origin.properties
        topic = getattr(properties, "ResponseTopic", None)
        return None if topic is None else Reply(str(topic), getattr(properties, "CorrelationData", None))
