"""What a meter says unasked: DataNotification and EventNotification to words (IEC 62056-5-3, clause 9).

They are never an answer, and no value of a reading; who is told of them is the business of who holds the association.
"""

from dataclasses import dataclass
from typing import Any, Final

from dcu.dlms import axdr
from dcu.dlms.axdr import read_length
from dcu.dlms.fields import decode_target
from dcu.dlms.moment import DateTime
from dcu.errors import MeterError
from dcu.model import Attribute

DATA_NOTIFICATION: Final = 0x0F
EVENT_NOTIFICATION: Final = 0xC2

DATA_NOTIFICATION_CONFIRM: Final = 0x10

#: Of Long-Invoke-Id-And-Priority: bits 0 to 23 number the service, bit 30 asks for a confirmation.
_LONG_INVOKE: Final = 0xFF_FFFF
_CONFIRMED: Final = 0x4000_0000


@dataclass(frozen=True, slots=True)
class DataNotification:
    """A push: `body` as the push object list of the meter has it; `at` None when the meter gives no time.

    One that is to be `confirmed` is told again until it was.
    """

    invoke: int
    at: DateTime | None
    body: Any
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class EventNotification:
    """An attribute that changed, with its new value."""

    at: DateTime | None
    attribute: Attribute
    value: Any


Notification = DataNotification | EventNotification


def is_notification(data: bytes) -> bool:
    """Whether the plain APDU `data` is one that `decode_notification` takes, if it is well-formed."""
    return data[:1] in {bytes((DATA_NOTIFICATION,)), bytes((EVENT_NOTIFICATION,))}


def decode_notification(data: bytes) -> Notification:
    """Return the notification that fills `data`; MeterError when it is malformed or something else."""
    if not is_notification(data):
        raise MeterError(f"not a notification: {data[:8].hex()}")
    word: Notification
    try:
        word, end = _decode_data(data) if data[0] == DATA_NOTIFICATION else _decode_event(data)
    except IndexError:
        raise MeterError("notification is truncated") from None
    if end != len(data):
        raise MeterError(f"notification of {len(data)} octets should have {end}")
    return word


def asks_confirmation(data: bytes) -> bool:
    """Whether the plain APDU `data` is a DataNotification that is to be confirmed, if it is well-formed."""
    return data[:1] == bytes((DATA_NOTIFICATION,)) and bool(int.from_bytes(data[1:5]) & _CONFIRMED)


def confirmation(word: DataNotification) -> bytes:
    """Return the DataNotificationConfirm that tells the meter that `word` was taken, without a time."""
    return bytes((DATA_NOTIFICATION_CONFIRM,)) + (word.invoke | _CONFIRMED).to_bytes(4) + b"\x00"


def _decode_data(data: bytes) -> tuple[DataNotification, int]:
    at, end = _decode_time(data, 5)
    body, end = axdr.decode(data, end)
    invoke = int.from_bytes(data[1:5])
    return DataNotification(invoke & _LONG_INVOKE, at, body, bool(invoke & _CONFIRMED)), end


def _decode_event(data: bytes) -> tuple[EventNotification, int]:
    # the time is optional here, where DataNotification gives it no octets instead
    at, end = _decode_time(data, 2) if data[1] else (None, 2)
    attribute, end = decode_target(data, end)
    value, end = axdr.decode(data, end)
    return EventNotification(at, attribute, value), end


def _decode_time(data: bytes, offset: int) -> tuple[DateTime | None, int]:
    length, start = read_length(data, offset)
    end = start + length
    return (DateTime.from_bytes(data[start:end]) if length else None), end
