"""Lines of the archive as tables of words: what two of them have in common, and what a place keeps."""

from dataclasses import replace

from dcu.config.table import Table
from dcu.enrolling.lines import in_place_of, sent, table_of, words
from dcu.model import Command, Meter

OLD = Meter("M7", "rs485-1", 40, "reader", "idis", logical_device=2, serial="4711", group="street")


def test_the_same_line_says_the_same_in_whatever_order_its_columns_stand() -> None:
    there = words(table_of([replace(OLD, serial="", group="", logical_device=1)]))
    columns = ("serial", "profile", "access", "address", "bus", "id")
    assert words(Table("m.csv", columns, (("", "idis", "reader", "40", "rs485-1", "M7"),), (2,))) == there
    assert words(Table("m.csv", columns, (("1", "idis", "reader", "40", "rs485-1", "M7"),), (2,))) != there


def test_a_command_is_a_table_of_one_line_unless_it_says_more() -> None:
    args: dict[str, object] = {"columns": ["id"], "rows": [["M1"]]}
    assert sent(Command("c", "archive.add", args=args)) == Table("archive.add", ("id",), (("M1",),), (1,))
    more: dict[str, object] = {"columns": ["id"], "rows": [["M1"], ["M2"]], "lines": [2, 4], "file": "m.csv"}
    assert sent(Command("c", "archive.import", args=more)) == Table("m.csv", ("id",), (("M1",), ("M2",)), (2, 4))


def test_a_place_keeps_its_group_and_logical_device_but_no_serial_number() -> None:
    new = Table("archive.replace", ("id", "address"), (("M7", "50"),), (1,))
    assert words(in_place_of(OLD, new)) == {
        ("id", "M7"),
        ("address", "50"),
        ("group", "street"),
        ("logical_device", "2"),
    }
    anew = Table("archive.replace", ("id", "logical_device", "group"), (("M7", "1", ""),), (1,))
    assert words(in_place_of(OLD, anew)) == {("id", "M7"), ("logical_device", "1")}
