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
from dcu.dlms.rare_types import METHODS
from dcu.dlms.rarities import ATTRIBUTES
from dcu.dlms.services import AccessError, GetResponse
from dcu.errors import CommandRejected, MeterError
from dcu.obis import parse_obis
from tests.unit.dlms.rare_values import READABLE, WRITABLE

ROOT = Path(__file__).parents[3]
NAME = parse_obis("0-0:13.0.0.255")


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


SCRIPTED = {"service": 2, "class_id": 70, "name": "0-0:96.3.10.255", "index": 1}


@pytest.mark.parametrize(
    ("class_id", "attribute", "value", "reason"),
    [
        (20, 2, "A", "cannot be written"),
        (3, 2, 1, "cannot be written"),
        (20, 7, "A", "not the shape"),
        (20, 7, [{"name": "A"}], r"passive_seasons\[0\] \(expected name, start, week\): not the shape"),
        (9, 2, [{"script": 1, "actions": [{"service": 1}]}], r"scripts\[0\].actions\[0\] \(expected service, class_id"),
        (21, 4, [{"up": {"script_table": "x", "selector": 1}, "down": {}}], r"actions\[0\].up.script_table: not"),
        (9, 2, [{"script": 1, "actions": [SCRIPTED | {"parameter": [1]}]}], r"actions\[0\].parameter: not the shape"),
        (9, 2, [{"script": 1, "actions": [SCRIPTED | {"parameter": 1 << 64}]}], "does not fit"),
        (20, 10, "tomorrow", "not the shape"),
        (20, 10, "2026-12-25 06:00:00 CET", "not the shape"),
        (22, 4, [{"time": "24", "date": "*-*-01"}], "not the shape"),
        (71, 4, -1, "does not fit"),
        (71, 4, "1", "not the shape"),
        (21, 2, [1.5], "does not fit"),
        (40, 6, 256, "cannot be encoded"),
        (20, 10, "2026-02-30 06:00:00", r"activation \(expected a day that there is\): not the shape"),
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
        (15, 5, {"id": 1, "name": "Ann"}, "0202 1101 0903 416e6e"),
        (15, 6, {"id": 1, "name": "Ann"}, "0202 1101 0903 416e6e"),
        (17, 1, {"sap": 1, "name": "LD1"}, "0202 12 0001 0903 4c4431"),
        (40, 2, None, "0f00"),
        (64, 2, [{"id": 2, "wrapped": {"hex": "0102"}}], "0101 0202 1602 0902 0102"),
        (113, 1, [{"index": {"hex": "01"}, "charge": 3}], "0101 0202 0901 01 10 0003"),
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


@pytest.mark.parametrize(
    ("type_name", "value", "octets"),
    [
        ("null-data", None, "00"),
        ("boolean", True, "0301"),
        ("long", -2, "10fffe"),
        ("float32", 1.5, "17 3fc00000"),
        ("octet-string", {"hex": "0102"}, "09020102"),
        ("visible-string", "hi", "0a026869"),
        ("bit-string", "101", "0403a0"),
        ("date-time", "2026-12-25/5 06:00:00 status=00", "19 07ea0c1905060000ff800000"),
    ],
)
def test_an_attribute_without_a_shape_is_written_by_its_type(type_name: str, value: Any, octets: str) -> None:
    assert axdr.encode(rare.encode(1, 2, value, type_name)) == bytes.fromhex(octets)
    assert axdr.encode(rare.method(1, 9, value, type_name)) == bytes.fromhex(octets)
    assert rare.same(1, 2, axdr.decode_all(bytes.fromhex(octets)), value, type_name)
    assert not rare.same(1, 2, [1], value, type_name)


@pytest.mark.parametrize(
    ("class_id", "attribute", "value", "type_name", "reason"),
    [
        (1, 2, 1, "integer64", "type: expected one of null-data"),
        (1, 2, "1", "long", "value: not the shape"),
        (1, 2, 40_000, "long", "value: does not fit"),
        (1, 2, 5, "visible-string", "value: not the shape"),
        (40, 2, [], "long", "objects has a type of its own"),
    ],
)
def test_a_type_that_does_not_fit(class_id: int, attribute: int, value: Any, type_name: str, reason: str) -> None:
    with pytest.raises(CommandRejected, match=reason):
        rare.encode(class_id, attribute, value, type_name)


def test_a_threshold_has_the_type_of_what_this_meter_monitors() -> None:
    assert axdr.encode(rare.encode(71, 4, 1000, "long-unsigned")) == bytes.fromhex("1203e8")
    assert axdr.encode(rare.encode(21, 2, [1, 2], "long")) == bytes.fromhex("0102 100001 100002")


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
