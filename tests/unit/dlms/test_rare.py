"""Rare objects: what a meter answers as plain values, and back to the very octets that it sent."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dcu.dlms import axdr, rare
from dcu.dlms.apdu import decode_response
from dcu.dlms.axdr import BitString, DateTime
from dcu.dlms.rarities import ATTRIBUTES, METHODS, TYPES
from dcu.dlms.services import AccessError, GetResponse
from dcu.errors import CommandRejected, MeterError
from dcu.obis import parse_obis

ROOT = Path(__file__).parents[3]
NAME = parse_obis("0-0:13.0.0.255")
ANY_YEAR, CHRISTMAS = "090cffff0401ffffffffff8000ff", "090c07ea0c1905060000ff800000"
CET = "090c07ea0c19ff060000ffffc480"
SCRIPT = "0202 0906 00000a006aff 12 0001"
TARIFF = "0906 00000a0064ff 12 0001"
REGISTER = "12 0003 0906 0100010700ff 0f02"
PLAIN_SCRIPT = {"script_table": "0-0:10.0.106.255", "selector": 1}

#: Class, attribute, octets by hand after the Blue Book, plain form: read gives the one, encode the other.
WRITABLE: list[tuple[int, int, str, Any]] = [
    (11, 2, "0101 0203 12 0001 0905 ffff0c19ff 1102", [{"index": 1, "date": "*-12-25", "day": 2}]),
    (11, 2, "0101 0203 12 0002 0905 07ea010104 1102", [{"index": 2, "date": "2026-01-01/4", "day": 2}]),
    (11, 2, "0100", []),
    (17, 2, "0101 0202 12 0001 0903 4c4431", [{"sap": 1, "name": "LD1"}]),
    (18, 5, "0301", True),
    (20, 6, "0906 53554d4d4552", "SUMMER"),
    (
        20,
        7,
        f"0102 0203 0901 01 {ANY_YEAR} 0901 01 0203 0901 02 {CHRISTMAS} 0901 01",
        [
            {"name": {"hex": "01"}, "start": "*-04-01 *:*:*", "week": {"hex": "01"}},
            {"name": {"hex": "02"}, "start": "2026-12-25/5 06:00:00 status=00", "week": {"hex": "01"}},
        ],
    ),
    (
        20,
        8,
        "0101 0208 0901 41 1101 1101 1101 1101 1101 1102 1103",
        [
            {"name": "A", "monday": 1, "tuesday": 1, "wednesday": 1, "thursday": 1}
            | {"friday": 1, "saturday": 2, "sunday": 3}
        ],
    ),
    (
        20,
        9,
        f"0101 0202 1101 0102 0203 0904 06000000 {TARIFF} 0203 0904 160000ff {TARIFF}",
        [
            {
                "day": 1,
                "schedule": [
                    {"start": "06:00:00.00", "script_table": "0-0:10.0.100.255", "selector": 1},
                    {"start": "22:00:00", "script_table": "0-0:10.0.100.255", "selector": 1},
                ],
            }
        ],
    ),
    (20, 10, CET, "2026-12-25 06:00:00 +01:00 status=80"),
    (21, 2, "0102 06 00000001 06 00000002", [1, 2]),
    (22, 2, SCRIPT, PLAIN_SCRIPT),
    (22, 3, "1601", 1),
    (22, 4, "0101 0202 0904 000000ff 0905 ffffff01ff", [{"time": "00:00:00", "date": "*-*-01"}]),
    (
        40,
        2,
        "0101 0204 12 0003 0906 0100010800ff 0f02 12 0000",
        [{"class_id": 3, "name": "1-0:1.8.0.255", "attribute": 2, "data_index": 0}],
    ),
    (
        40,
        3,
        "0203 1600 090d 31302e302e302e313a34303539 1600",
        {"service": 0, "destination": "10.0.0.1:4059", "message": 0},
    ),
    (
        40,
        4,
        f"0101 0202 {ANY_YEAR} {CHRISTMAS}",
        [{"start": "*-04-01 *:*:*", "end": "2026-12-25/5 06:00:00 status=00"}],
    ),
    (40, 5, "12001e", 30),
    (40, 6, "1103", 3),
    (40, 7, "12000a", 10),
    (71, 4, "06000003e8", 1000),
    (71, 5, "06000003e8", 1000),
    (71, 6, "060000000a", 10),
    (71, 7, "060000000a", 10),
    (
        71,
        8,
        f"0203 12 0001 {CHRISTMAS} 06 0000003c",
        {"profile": 1, "activation": "2026-12-25/5 06:00:00 status=00", "duration": 60},
    ),
    (71, 9, "0102 12 0001 12 0002", [1, 2]),
    (71, 11, f"0202 {SCRIPT} {SCRIPT}", {"over": PLAIN_SCRIPT, "under": PLAIN_SCRIPT}),
    (111, 13, CHRISTMAS, "2026-12-25/5 06:00:00 status=00"),
    (111, 14, CHRISTMAS, "2026-12-25/5 06:00:00 status=00"),
    (111, 15, "0203 0c03 455552 0ffe 1600", {"name": "EUR", "scale": -2, "unit": 0}),
    (111, 16, "05 00000005", 5),
    (111, 17, "05 fffffffb", -5),
    (112, 11, CHRISTMAS, "2026-12-25/5 06:00:00 status=00"),
    (113, 7, CHRISTMAS, "2026-12-25/5 06:00:00 status=00"),
    (115, 2, "0902 0102", {"hex": "0102"}),
]
READABLE: list[tuple[int, int, str, Any]] = [
    (
        9,
        2,
        "0101 0202 12 0001 0101 0205 1602 12 0046 0906 000060030aff 0f01 0f00",
        [
            {
                "script": 1,
                "actions": [
                    {"service": 2, "class_id": 70, "name": "0-0:96.3.10.255", "index": 1, "parameter": 0},
                ],
            }
        ],
    ),
    (
        15,
        2,
        "0101 0204 12 0003 11 00 0906 0100010800ff 0202 0101 0203 0f01 1601 00 0101 0202 0f01 0300",
        [
            {
                "class_id": 3,
                "version": 0,
                "name": "1-0:1.8.0.255",
                "access": {"attributes": [[1, 1, None]], "methods": [[1, False]]},
            }
        ],
    ),
    (15, 3, "0202 0f10 12 0001", {"client": 16, "server": 1}),
    (18, 3, "0404 50", "0101"),
    (
        18,
        7,
        "0101 0203 06 00000064 0902 4657 0901 01",
        [{"size": 100, "identification": "FW", "signature": {"hex": "01"}}],
    ),
    (21, 3, f"0203 {REGISTER}", {"class_id": 3, "name": "1-0:1.7.0.255", "attribute": 2}),
    (21, 4, f"0101 0202 {SCRIPT} {SCRIPT}", [{"up": PLAIN_SCRIPT, "down": PLAIN_SCRIPT}]),
    (64, 2, "1603", 3),
    (64, 4, "0908 4d54523030303031", "MTR00001"),
    (71, 2, f"0203 {REGISTER}", {"class_id": 3, "name": "1-0:1.7.0.255", "attribute": 2}),
    (111, 9, "0101 0906 0000130a00ff", ["0-0:19.10.0.255"]),
    (
        111,
        11,
        "0101 0203 0906 0000130a00ff 0906 0000131400ff 0403 80",
        [{"credit": "0-0:19.10.0.255", "charge": "0-0:19.20.0.255", "configuration": "100"}],
    ),
    (112, 7, "0405 80", "10000"),
    (
        113,
        5,
        f"0203 0202 0f00 0f00 0203 {REGISTER} 0101 0202 0901 01 10 0003",
        {
            "scaling": {"commodity_scale": 0, "price_scale": 0},
            "commodity": {"class_id": 3, "name": "1-0:1.7.0.255", "attribute": 2},
            "table": [{"index": {"hex": "01"}, "charge": 3}],
        },
    ),
    (115, 6, "0202 1600 0402 40", {"code": 0, "data": "01"}),
]


def answered(octets: str) -> Any:
    """Return the value of a get-response that carries `octets`."""
    response, _ = decode_response(bytes.fromhex(f"c401c100 {octets}"))
    assert isinstance(response, GetResponse)
    return response.result


@pytest.mark.parametrize(("class_id", "attribute", "octets", "plain"), WRITABLE + READABLE)
def test_read(class_id: int, attribute: int, octets: str, plain: Any) -> None:
    answer = rare.read(class_id, NAME, {attribute: answered(octets)})
    word = ATTRIBUTES[class_id][attribute][0]
    assert answer[word] == plain
    assert json.loads(json.dumps(answer)) == answer
    assert answer["name"] == "0-0:13.0.0.255"


@pytest.mark.parametrize(("class_id", "attribute", "octets", "plain"), WRITABLE)
def test_encode_gives_the_octets_that_read_came_from(
    class_id: int, attribute: int, octets: str, plain: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert axdr.encode(rare.encode(class_id, attribute, plain)) == bytes.fromhex(octets)
    assert capsys.readouterr().out == ""


def test_every_attribute_that_can_be_written_is_among_these() -> None:
    assert {(class_id, attribute) for class_id, attribute, _, _ in WRITABLE} == TYPES.keys()


def test_date_time_in_its_own_type_and_a_moment_that_was_never_set() -> None:
    moment = DateTime.from_utc(1_800_000_000, deviation=-330)
    assert rare.read(20, NAME, {10: moment})["activation"] == "2027-01-15/5 13:30:00.00 +05:30 status=00"
    assert rare.read(20, NAME, {10: b""})["activation"] is None


def test_an_attribute_refused_leaves_the_others() -> None:
    answer = rare.read(20, NAME, {2: b"A", 3: AccessError(3)})
    assert (answer["active_name"], answer["active_seasons"]) == ("A", {"error": "read-write denied"})


@pytest.mark.parametrize(
    ("class_id", "attribute", "value"),
    [
        (20, 7, 5),
        (20, 7, [[b"\x01", b"\x00"]]),
        (20, 7, [[b"\x01", b"\x00" * 11, b"\x01"]]),
        (20, 9, [[1, [[b"\x00" * 3, NAME, 1]]]]),
        (11, 2, [[1, b"\x00" * 4, 1]]),
        (22, 2, [b"\x00" * 5, 1]),
        (18, 3, 7),
        (20, 99, 1),
        (3, 2, 1),
    ],
)
def test_what_has_another_shape_is_the_meters_fault(class_id: int, attribute: int, value: Any) -> None:
    with pytest.raises(MeterError):
        rare.read(class_id, NAME, {attribute: value})


@pytest.mark.parametrize(
    ("class_id", "attribute", "value", "reason"),
    [
        (20, 2, "A", "cannot be written"),
        (3, 2, 1, "cannot be written"),
        (20, 7, "A", "not the shape"),
        (20, 7, [{"name": "A"}], "not the shape"),
        (20, 10, "tomorrow", "not the shape"),
        (20, 10, "2026-12-25 06:00:00 CET", "not the shape"),
        (22, 4, [{"time": "24", "date": "*-*-01"}], "not the shape"),
        (71, 4, -1, "does not fit"),
        (71, 4, "1", "not the shape"),
        (21, 2, [1.5], "does not fit"),
        (40, 6, 256, "cannot be encoded"),
        (20, 10, "2026-02-30 06:00:00", "cannot be encoded"),
        (20, 6, "A" * 20_000, "longer than"),
        (21, 2, [1] * 20_000, "does not fit"),
    ],
)
def test_what_cannot_be_written_is_the_commands_fault(class_id: int, attribute: int, value: Any, reason: str) -> None:
    with pytest.raises(CommandRejected, match=reason):
        rare.encode(class_id, attribute, value)


@pytest.mark.parametrize(
    ("class_id", "number", "argument", "octets"),
    [
        (9, 1, 5, "12 0005"),
        (11, 1, {"index": 1, "date": "*-12-25", "day": 2}, "0203 12 0001 0905 ffff0c19ff 1102"),
        (11, 2, 1, "12 0001"),
        (18, 1, {"identification": "FW", "size": 100}, "0202 0902 4657 06 00000064"),
        (18, 2, {"number": 0, "content": {"hex": "0102"}}, "0202 06 00000000 0902 0102"),
        (64, 1, 3, "1603"),
        (112, 1, -5, "05 fffffffb"),
        (112, 3, 1, "1101"),
        (115, 1, "12345678901234567890", "0914 3132333435363738393031323334353637383930"),
        *((class_id, number, None, "0f00") for class_id, number in ((18, 3), (18, 4), (20, 1), (40, 1), (111, 1))),
        *((class_id, number, None, "0f00") for class_id, number in ((111, 2), (111, 3), (113, 1), (113, 2), (113, 3))),
        *((class_id, number, 7, "05 00000007") for class_id, number in ((112, 2), (113, 4), (113, 5))),
    ],
)
def test_method(class_id: int, number: int, argument: Any, octets: str) -> None:
    assert axdr.encode(rare.method(class_id, number, argument)) == bytes.fromhex(octets)
    assert (class_id, number) in METHODS


@pytest.mark.parametrize(
    ("class_id", "number", "argument"),
    [(9, 1, "5"), (9, 1, 70_000), (18, 3, 1), (11, 1, {}), (115, 1, 7), (115, 1, "1" * 20_000), (3, 1, None)],
)
def test_a_method_refused(class_id: int, number: int, argument: Any) -> None:
    with pytest.raises(CommandRejected):
        rare.method(class_id, number, argument)


def test_hardly_anything_is_too_deep_or_too_big_for_a_bit_string() -> None:
    assert rare.read(18, NAME, {3: BitString(0, 4096)})["blocks_transferred"] == "0" * 4096


def test_only_this_module_imports_gurux() -> None:
    users = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "dcu").rglob("*.py")
        if re.search(r"^\s*(from|import) gurux", path.read_text(), re.MULTILINE)
    ]
    assert users == ["dcu/dlms/rare.py"]


def test_the_daemon_does_not_carry_gurux_and_reading_does_not_need_it() -> None:
    program = (
        "import sys, dcu.daemon, dcu.cli.dcu\n"
        "from dcu.dlms import rare\n"
        "rare.read(64, bytes(6), {2: 3})\n"
        "rare.method(20, 1)\n"
        "sys.exit(any(name.split('.')[0] == 'gurux_dlms' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0
