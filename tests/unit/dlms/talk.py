"""Associations with a fake meter, over every access."""

from collections.abc import Callable
from typing import Any

from dcu.dlms.association import (
    Associated,
)
from dcu.dlms.services import (
    Request,
)
from dcu.model import Access, Attribute

from .fake import (
    MANAGEMENT,
    PROVEN,
    PUBLIC,
    READER,
    SEALED,
    Conversation,
)

EVERY_ACCESS = [PUBLIC, READER, PROVEN, MANAGEMENT, SEALED]
VOLTAGE = Attribute(3, b"\x01\x00\x20\x07\x00\xff")
PROFILE = Attribute(7, b"\x01\x00\x63\x01\x00\xff")
RELAY = (70, b"\x00\x00\x60\x03\x0a\xff", 1)


def always(answer: Any) -> Callable[[Request], Any]:
    return lambda _: answer


def connected(access: Access) -> Conversation:
    talk = Conversation(access)
    assert isinstance(talk.connect(), Associated)
    return talk
