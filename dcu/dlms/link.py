"""What HDLC and WRAPPER have in common for the association above them: three verbs, and the events they lead to.

A link moves whole APDUs and believes only frames between its own two addresses; it knows nothing of what they say.
"""

from dataclasses import dataclass
from typing import ClassVar, Final, Protocol


@dataclass(frozen=True, slots=True)
class NeedData:
    """Nothing more can be told from what was received so far."""


@dataclass(frozen=True, slots=True)
class LinkOpened:
    """The meter accepted the link."""


@dataclass(frozen=True, slots=True)
class Transmit:
    """Write `data` to the line now. `asks`: before it, the meter did not have the whole request."""

    data: bytes
    asks: bool = False


@dataclass(frozen=True, slots=True)
class ApduReceived:
    """A whole APDU from the meter, not yet checked in any way."""

    apdu: bytes


@dataclass(frozen=True, slots=True)
class LinkClosed:
    """The meter confirmed the end of the link."""


NEED_DATA: Final = NeedData()

LinkEvent = NeedData | LinkOpened | Transmit | ApduReceived | LinkClosed


class Link(Protocol):
    """One client talking to one meter. A violation by the meter raises MeterError and leaves only `close` to call.

    `run` is how many APDUs the meter may send before it is our turn.
    """

    run: ClassVar[int]

    def open(self) -> bytes:
        """Return what opens the link, b"" when it is open without a word and no LinkOpened will come."""

    def send(self, apdu: bytes) -> bytes:
        """Return the first octets of `apdu` on the line; the rest follows in Transmit events."""

    def receive_data(self, data: bytes) -> None:
        """Take what was read from the line, in pieces of any size."""

    def next_event(self) -> LinkEvent:
        """Return the next event, NEED_DATA when there is none."""

    @property
    def hearing(self) -> bool:
        """Whether an answer has begun, whose rest can only follow without a pause."""

    def retry(self) -> bytes | None:
        """Return what asks again after nothing came in time, None when it was asked often enough.

        b"" says that what was already received has to be looked at again: `next_event` may now know more.
        """

    def resume(self) -> bytes:
        """The APDU just received was not the answer: wait for that, and return what gives the meter the word again."""

    def rest(self) -> bool:
        """Forget what was heard beside the last answer; False when the link is not one that can go on later."""

    def close(self) -> bytes:
        """Return what closes the link, b"" when nothing has to be said and no LinkClosed will come."""
