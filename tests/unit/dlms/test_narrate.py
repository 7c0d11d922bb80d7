"""Every form of every service, told from octets written by hand after IEC 62056-5-3."""

import pytest

from dcu.dlms.explain import explain

CLOCK = "0008 0000010000ff 02"
RELAY = "0046 000060030aff 01"
NAMED = "class 8 Clock 0-0:1.0.0.255 (clock) attribute 2"
SWITCH = "class 70 DisconnectControl 0-0:96.3.10.255 (disconnect control) method 1"


@pytest.mark.parametrize(
    ("apdu", "lines"),
    [
        (f"c001c1 {CLOCK} 00", ["get-request normal", "invoke-id 1, confirmed, high priority", NAMED]),
        (f"c00141 {CLOCK} 01 02 0202 1101 1102", ["normal priority", "selective access 2 (by entry)", "unsigned 2"]),
        ("c002c3 00000007", ["get-request next", "invoke-id 3", "block 7"]),
        (f"c003c1 02 {CLOCK}00 {CLOCK}00", ["get-request with-list", "2 attributes", NAMED]),
        ("c401c1 01 04", ["get-response normal", "result: object undefined"]),
        ("c402c1 01 00000002 00 03 010203", ["with-datablock", "block 2, the last", "raw data 01 02 03"]),
        ("c402c1 00 00000002 01 0e", ["block 2, others follow", "result: data block unavailable"]),
        ("c403c1 02 00 1105 01 03", ["get-response with-list", "2 results", "value: unsigned 5", "read-write denied"]),
        (f"c101c1 {CLOCK} 00 1105", ["set-request normal", NAMED, "value: unsigned 5"]),
        (f"c102c1 {CLOCK} 00 00 00000001 02 1105", ["set-request with-first-datablock", "block 1, others follow"]),
        ("c103c1 01 00000002 01 05", ["set-request with-datablock", "block 2, the last"]),
        (f"c104c1 01 {CLOCK} 00 01 1105", ["set-request with-list", "1 attribute", "1 value", "value: unsigned 5"]),
        (f"c105c1 01 {CLOCK} 00 01 00000001 01 05", ["with-list-and-first-datablock", "block 1, the last"]),
        ("c501c1 00", ["set-response normal", "result: success"]),
        ("c502c1 00000001", ["set-response datablock", "block 1"]),
        ("c503c1 00 00000002", ["set-response last-datablock", "success", "block 2"]),
        ("c504c1 02 00 03 00000002", ["last-datablock-with-list", "success", "read-write denied", "block 2"]),
        ("c505c1 01 0d", ["set-response with-list", "scope of access violated"]),
        (f"c301c1 {RELAY} 01 0f00", ["action-request normal", SWITCH, "argument: integer 0"]),
        (f"c301c1 {RELAY} 00", [SWITCH, "no argument"]),
        ("c302c1 00000001", ["action-request next-pblock", "block 1"]),
        (f"c303c1 01 {RELAY} 01 00", ["action-request with-list", "1 method", "argument"]),
        (f"c304c1 {RELAY} 00 00000001 01 09", ["with-first-pblock", "block 1, others follow"]),
        (f"c305c1 01 {RELAY} 00 00000001 01 09", ["with-list-and-first-pblock"]),
        ("c306c1 01 00000002 01 09", ["action-request with-pblock", "block 2, the last"]),
        ("c701c1 00 00", ["action-response normal", "result: success", "no return value"]),
        ("c701c1 00 01 00 1105", ["result: success", "value: unsigned 5"]),
        ("c701c1 03 01 01 03", ["result: read-write denied"]),
        ("c702c1 00 00000001 01 09", ["action-response with-pblock"]),
        ("c703c1 01 00 00", ["action-response with-list", "no return value"]),
        ("c704c1 00000001", ["action-response next-pblock", "block 1"]),
        (
            "0f 40000009 0c 07ea0c1905060000ff800000 1105",
            ["data-notification", "long-invoke-id 9, confirmed", "2026-12-25"],
        ),
        ("0f 00000009 00 1105", ["unconfirmed", "no time", "value: unsigned 5"]),
        (f"c2 00 {CLOCK} 1105", ["event-notification-request", NAMED, "value: unsigned 5"]),
        (f"c2 01 0c 07ea0c1905060000ff800000 {CLOCK} 1105", ["time: octet-string", "= 2026-12-25 06:00:00"]),
        ("d8 01 02", ["exception-response", "state: service not allowed", "service not supported"]),
        ("d8 02 06 00000009", ["invocation counter error", "expects invocation counter 9"]),
        ("0e 01 06 02", ["confirmed service error 1.6.2"]),
        (
            "e0 c2 0001 0000 03 c001c1",
            ["general-block-transfer", "block 1, acknowledges 0, window 2, last block, streaming"],
        ),
        (
            "05 02 02 fa00 04 fa08 01 1101",
            ["read-request", "2 variables", "short name 0xfa00", "0xfa08, selective access 1 (by range)"],
        ),
        ("e6e600 05 01 05 0002", ["read-request", "block 2"]),
        ("06 01 02 fa08 01 1105", ["write-request", "short name 0xfa08", "value: unsigned 5"]),
        ("0c 02 00 1105 01 03", ["read-response", "value: unsigned 5", "result: read-write denied"]),
        ("0c 02 02 01 0001 02 1105 03 0002", ["block 1, the last: 11 05", "block 2"]),
        ("05 01 06 00 0001 02 1105", ["read-request", "block 1, others follow: 11 05"]),
        ("06 01 07 01 0002 01 0903010203", ["write-request", "block 2, the last", "01 02 03"]),
        ("0d 01 02 0001", ["write-response", "block 1"]),
        ("0d 02 00 01 03", ["write-response", "result: success", "result: read-write denied"]),
        (
            "01 00 00 00 06 5f1f0400 00001d 0000",
            ["initiate-request", "conformance 00001d: action, selective-access, set, get"],
        ),
        (
            "01 01 02 aabb 01 00 01 05 06 5f0400 000010 04b0",
            ["dedicated key of 2 octets", "quality of service 5", "1200"],
        ),
        ("08 01 05 06 5f1f0400 000010 0000 0007", ["initiate-response", "quality of service 5"]),
        ("08 00 06 5f1f0400 000010 0000 0007", ["initiate-response", "longest APDU it takes: no limit", "0x0007"]),
    ],
)
def test_told(apdu: str, lines: list[str]) -> None:
    explanation = explain(bytes.fromhex(apdu))
    assert explanation.good, explanation.text
    for line in lines:
        assert line in explanation.text


@pytest.mark.parametrize(
    ("apdu", "reason"),
    [
        ("e6e600 f0 00", "no APDU has the tag 0xf0"),
        ("c009c1", "get-request of unknown form 9"),
        (f"c001c1 {CLOCK}", "truncated: 1 octets wanted, 0 left"),
        (f"c001c1 {CLOCK} 00 aa", "octets that belong to nothing: aa"),
        ("c401c1 07 00", "result of unknown kind 7"),
        ("c403c1 81ff", "list longer than 127"),
        ("c403c1 85 0000000001", "length of 5 octets"),
        ("c403c1 82 00", "truncated inside a length"),
        ("05 01 09", "variable access of unknown kind 9"),
        ("0d 01 07", "result of unknown kind 7"),
        ("08 00 06 6f1f0400 000010 0000 0007", "no conformance"),
        ("08 00 06 5f1f0300 0010 0000 0007", "conformance of 3 octets"),
    ],
)
def test_malformed(apdu: str, reason: str) -> None:
    explanation = explain(bytes.fromhex(apdu))
    assert not explanation.good
    assert reason in explanation.text.splitlines()[-1]
