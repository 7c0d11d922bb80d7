"""Tables of archive lines: good ones with their secrets, and every fault with its line and column."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from dcu.config import BusConfig
from dcu.config.judging import judge
from dcu.config.lines import COLUMNS, MAX_SHOWN
from dcu.config.table import Judged, Standing, Table
from dcu.model import Access, Authentication, Framing, Keys, Meter

BUSES = (BusConfig("rs485-1", "/dev/ttyS1"), BusConfig("gateway", "tcp://h:1", framing=Framing.WRAPPER))
READER = Access("reader", 2, Authentication.LLS)
PUBLIC = Access("public")
THERE = Meter("M0001", "rs485-1", 17, "public", "idis", serial="4711")
HEAD = ("id", "bus", "address", "access", "profile")


def profiles() -> Mapping[str, frozenset[str]]:
    return {"idis": frozenset({"load0"})}


def standing(keys_file: str | None = None) -> Standing:
    access = {each.name: each for each in (READER, PUBLIC)}
    return Standing(((THERE, "meters[0] of dcu.yaml"),), BUSES, access, profiles, keys_file)


def table(*rows: str, columns: tuple[str, ...] = HEAD) -> Table:
    cells = tuple(tuple(row.split(",")) for row in rows)
    return Table("m.csv", columns, cells, tuple(range(2, len(rows) + 2)))


@pytest.fixture
def keys_file(tmp_path: Path) -> str:
    path = tmp_path / "keys.yaml"
    path.write_text("default: {password: shared}\nmeters: {M0003: {password: own}}\n")
    path.chmod(0o600)
    return str(path)


def test_good_lines_come_with_their_secrets(keys_file: str) -> None:
    found = judge(table("M0002,rs485-1,18,reader,idis", "M0003,gateway,1,reader,idis"), standing(keys_file))
    assert found == Judged(
        meters=[Meter("M0002", "rs485-1", 18, "reader", "idis"), Meter("M0003", "gateway", 1, "reader", "idis")],
        keys={"M0002": Keys(b"shared"), "M0003": Keys(b"own")},
    )


def test_an_empty_cell_is_a_key_left_out() -> None:
    columns = (*HEAD, "logical_device", "serial")
    found = judge(
        table("M0002,rs485-1,18,public,idis,,", "M0003,rs485-1,19,public,idis,2,9", columns=columns), standing()
    )
    assert found.problems == []
    assert [(meter.logical_device, meter.serial) for meter in found.meters] == [(1, ""), (2, "9")]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("M0001,rs485-1,18,public,idis", "m.csv:2: id: expected another than meters[0] of dcu.yaml has, got 'M0001'"),
        ("M9,rs485-1,17,public,idis", "m.csv:2: address: expected another than meters[0] of dcu.yaml has, got '17'"),
        ("M9,rs485-9,17,public,idis", "m.csv:2: bus: expected one of gateway, rs485-1, got 'rs485-9'"),
        ("M9,rs485-1,5,public,idis", "m.csv:2: address: expected 16 to 16381, for 4-octet HDLC addresses, got '5'"),
        ("M9,rs485-1,x,public,idis", "m.csv:2: address: expected a whole number from 1 to 65535, got 'x'"),
        ("M9,rs485-1,18,public,dsmr", "m.csv:2: profile: expected one of idis, got 'dsmr'"),
        ("M9,rs485-1,18,,idis", "m.csv:2: expected the key 'access'"),
        ("M 9,rs485-1,18,public,idis", "m.csv:2: id: expected a name (letters, digits, '.', '_', '-'; at most 64)"),
        (
            "M9,rs485-1,18,reader,idis",
            "m.csv:2: access: expected an access without secrets: the configuration names no file of 'keys'",
        ),
    ],
)
def test_a_fault_has_its_line_its_column_and_what_was_expected(row: str, fault: str) -> None:
    found = judge(table(row), standing())
    assert (found.meters, found.bad) == ([], 1)
    assert found.problems[0].startswith(fault), found.problems


def test_a_serial_number_that_is_there_is_refused() -> None:
    found = judge(table("M9,rs485-1,18,public,idis,4711", columns=(*HEAD, "serial")), standing())
    assert found.problems == ["m.csv:2: serial: expected another than meters[0] of dcu.yaml has, got '4711'"]


def test_lines_of_one_table_may_not_contradict_each_other() -> None:
    found = judge(table("M2,rs485-1,18,public,idis", "M3,rs485-1,18,public,idis"), standing())
    assert [meter.id for meter in found.meters] == ["M2"]
    assert found.problems == ["m.csv:3: address: expected another than line 2 of m.csv has, got '18'"]


def test_a_column_nobody_knows_is_told_with_its_like() -> None:
    found = judge(table("M2,rs485-1,18,public,idis,2", columns=(*HEAD, "logicaldevice")), standing())
    assert found.problems == ["m.csv:2: logicaldevice: unknown key, did you mean 'logical_device'?"]


def test_good_lines_among_bad_ones_are_told_apart() -> None:
    rows = [f"M{100 + n},rs485-1,{'x' if n % 2 else 100 + n},public,idis" for n in range(2 * MAX_SHOWN + 20)]
    found = judge(table(*rows), standing())
    assert (len(found.meters), found.bad, len(found.problems)) == (MAX_SHOWN + 10, MAX_SHOWN + 10, MAX_SHOWN)


def test_a_missing_secret_is_named_and_nothing_of_the_file_is_shown(keys_file: str) -> None:
    Path(keys_file).write_text("meters: {M0003: {password: hunter2}}\n")
    found = judge(table("M0002,rs485-1,18,reader,idis"), standing(keys_file))
    assert found.problems == [f"m.csv:2: {keys_file} has no password for M0002: access 'reader' needs it"]
    Path(keys_file).write_text("meters: {M0002: {pass: hunter2}}\n")
    faulty = judge(table("M0002,rs485-1,18,reader,idis"), standing(keys_file))
    assert (faulty.meters, faulty.bad) == ([], 1)
    assert "unknown key" in faulty.problems[0]
    assert "hunter2" not in str(faulty.problems + found.problems)
    Path(keys_file).chmod(0o644)
    assert (
        "holds secrets and has mode 0644" in judge(table("M2,rs485-1,18,reader,idis"), standing(keys_file)).problems[0]
    )


def test_the_columns_are_the_keys_of_the_file() -> None:
    assert COLUMNS[:5] == HEAD


def test_a_relative_path_of_the_secrets_is_taken_as_it_is(keys_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(keys_file)
    monkeypatch.chdir(path.parent.parent)
    found = judge(table("M0003,gateway,1,reader,idis"), standing(f"{path.parent.name}/keys.yaml"))
    assert found.keys == {"M0003": Keys(b"own")}
