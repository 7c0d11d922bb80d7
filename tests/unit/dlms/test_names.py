"""What people call classes, objects and moments."""

import pytest

from dcu.dlms.moment import DateTime
from dcu.dlms.names import moment_text, object_name
from dcu.obis import parse_obis


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("1-0:1.8.0.255", "active energy import"),
        ("1-0:2.8.3.255", "active energy export tariff 3"),
        ("1-0:41.7.0.255", "active power import L2"),
        ("1-0:72.7.0.255", "voltage L3"),
        ("1-0:1.6.0.255", "active power import maximum"),
        ("1-0:99.1.0.255", "load profile 1"),
        ("0-0:96.3.10.255", "disconnect control"),
        ("0-0:13.0.0.255", "activity calendar"),
        ("1-0:94.7.0.255", ""),
        ("7-0:1.8.0.255", ""),
    ],
)
def test_object(name: str, words: str) -> None:
    assert object_name(parse_obis(name)) == words


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("07ea0c1905060000ff800000", "2026-12-25 06:00:00, weekday 5"),
        ("07ea0c19ff060000ffffc480", "2026-12-25 06:00:00 UTC+01:00, daylight saving"),
        ("07ea0c19ff060000ff005a03", "2026-12-25 06:00:00 UTC-01:30, invalid, doubtful"),
        ("ffff0401ffffffffff8000ff", "*-04-01 *:*:*"),
        ("07eafdfeff020000ff8000ff", "2026-253-254 02:00:00"),
    ],
)
def test_moment(octets: str, text: str) -> None:
    assert moment_text(DateTime.from_bytes(bytes.fromhex(octets))) == text
