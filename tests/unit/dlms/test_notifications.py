"""What meters say unasked: pushes and events, with and without their time, and what is none of them."""

import pytest
from gurux_dlms import GXByteBuffer, GXDLMSTranslator
from gurux_dlms.enums import TranslatorOutputType

from dcu.dlms.moment import DateTime
from dcu.dlms.notifications import (
    DataNotification,
    EventNotification,
    Notification,
    confirmation,
    decode_notification,
    is_notification,
)
from dcu.errors import MeterError
from dcu.model import Attribute

NOON = DateTime(2026, 3, 1, 7, 12, 0, 0, 0, -60, 0)
RELAY = Attribute(70, b"\x00\x00\x60\x03\x0a\xff", 3)

NOTIFICATIONS: list[tuple[str, Notification]] = [
    ("0f 80000001 00 0202 1105 090161", DataNotification(1, None, [5, b"a"])),
    ("0f c0fffffe 0c 07ea0301070c000000ffc400 00", DataNotification(0xFFFFFE, NOON, None, confirmed=True)),
    ("c2 00 0046 000060030aff 03 1600", EventNotification(None, RELAY, 0)),
    (
        "c2 01 0c 07ea0301070c000000ffc400 0046 000060030aff 03 1601",
        EventNotification(NOON, RELAY, 1),
    ),
]


@pytest.mark.parametrize(("octets", "word"), NOTIFICATIONS)
def test_notifications(octets: str, word: Notification) -> None:
    raw = bytes.fromhex(octets.replace(" ", ""))
    assert is_notification(raw)
    assert decode_notification(raw) == word


@pytest.mark.parametrize("octets", [row[0] for row in NOTIFICATIONS])
def test_notifications_cut_or_stretched_are_refused(octets: str) -> None:
    raw = bytes.fromhex(octets.replace(" ", ""))
    for damaged in (*(raw[:size] for size in range(len(raw))), raw + b"\x00"):
        with pytest.raises(MeterError):
            decode_notification(damaged)


@pytest.mark.parametrize("octets", ["", "c401c1001105", "10"])
def test_what_is_no_notification(octets: str) -> None:
    assert not is_notification(bytes.fromhex(octets))
    with pytest.raises(MeterError, match="not a notification"):
        decode_notification(bytes.fromhex(octets))


def test_gurux_reads_the_event_the_same() -> None:
    translator = GXDLMSTranslator(TranslatorOutputType.SIMPLE_XML)
    told = translator.pduToXml(GXByteBuffer(bytes.fromhex("c2000046000060030aff031600")))
    assert "EventNotificationRequest" in told
    assert "000060030AFF" in told


def test_a_confirmation_bears_the_number_of_what_it_confirms() -> None:
    assert confirmation(DataNotification(0x010203, None, None, confirmed=True)) == bytes.fromhex("104001020300")
