"""Payloads of Sparkplug B octet by octet, and what a stranger's may come to."""

import pytest

from dcu.errors import CommandRejected
from dcu.messages import sparkplug
from dcu.messages.sparkplug import DataType, Metric, Payload, decode_payload, encode_payload


def test_a_payload_octet_by_octet() -> None:
    metric = Metric(-1, 300, "a", 2, DataType.INT64)
    told = "0a0161100218ac02200458" + "ff" * 9 + "01"
    assert encode_payload(Payload(1, (metric,), 255)).hex() == "0801" + f"12{len(told) // 2:02x}" + told + "18ff01"


@pytest.mark.parametrize(
    ("octets", "word"),
    [
        (b"\x12\x7f", "ends behind its payload"),
        (b"\xff" * 11, "does not end"),
        (b"\x0b", "unknown wire type 3"),
        (b"\x12\x03\x0a\x01\xff", "no UTF-8"),
        (bytes(sparkplug.MAX_PAYLOAD + 1), "at most 65536"),
        (b"\x12\x00" * (sparkplug.MAX_METRICS + 1), "more than 1024 metrics"),
    ],
)
def test_what_is_no_payload_or_too_large_is_refused(octets: bytes, word: str) -> None:
    with pytest.raises(CommandRejected, match=word):
        decode_payload(octets)


def test_unknown_fields_are_passed_over() -> None:
    assert decode_payload(bytes.fromhex("3dffffffff39ffffffffffffffff2a0161")) == Payload(None, ())
