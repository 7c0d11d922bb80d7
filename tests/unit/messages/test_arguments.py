"""Arguments of commands about the archive: one form for what people write, and a word for what is wrong."""

from typing import Any

import pytest

from dcu.errors import CommandRejected
from dcu.messages import arguments
from dcu.messages.arguments import MAX_COLUMNS, MAX_ROWS, MAX_SHOWN

LINE = {"id": "M7", "bus": "rs485-1", "address": 40, "access": "reader", "profile": "idis"}
TABLE: dict[str, Any] = {"columns": ["id", "address"], "rows": [["M7", 40], ["M8", "41"]]}


def test_a_line_is_a_table_of_one_row() -> None:
    assert arguments.line(LINE) == {"columns": list(LINE), "rows": [["M7", "rs485-1", "40", "reader", "idis"]]}


def test_a_table_in_its_normal_form() -> None:
    assert arguments.table(TABLE | {"rows": [["M7", None]], "lines": [9], "file": "m.csv", "partial": True}) == {
        "columns": ["id", "address"],
        "rows": [["M7", ""]],
        "lines": [9],
        "file": "m.csv",
        "partial": True,
    }
    assert arguments.table(TABLE)["lines"] == [1, 2]


def test_parts_and_names() -> None:
    assert arguments.part({}) == {"from": 0, "count": MAX_SHOWN}
    assert arguments.part({"from": 5, "count": 2}) == {"from": 5, "count": 2}
    assert arguments.names({"ids": ["M1"]}) == {"ids": ["M1"]}
    assert arguments.buses({}) == {"buses": []}


@pytest.mark.parametrize(
    ("check", "args", "words"),
    [
        ("line", {}, "expected the keys of a line"),
        ("line", {str(n): 1 for n in range(MAX_COLUMNS + 1)}, "expected the keys of a line"),
        ("line", LINE | {"address": 4.5}, r"args.address: expected words of at most 64 characters"),
        ("line", LINE | {"address": True}, r"args.address"),
        ("line", LINE | {"id": "x" * 65}, r"args.id"),
        ("line", LINE | {"id": "a\nb"}, r"args.id"),
        ("table", TABLE | {"columns": []}, r"args.columns: expected a list of 1 to 16"),
        ("table", TABLE | {"columns": ["id", "id"]}, r"args.columns: expected each name once"),
        ("table", TABLE | {"rows": []}, r"args.rows: expected a list of 1 to 1024"),
        ("table", TABLE | {"rows": [["M7", 1]] * (MAX_ROWS + 1)}, r"args.rows"),
        ("table", TABLE | {"rows": [["M7"]]}, r"args.rows\[0\]: expected a list of 2"),
        ("table", TABLE | {"rows": "M7"}, r"args.rows"),
        ("table", TABLE | {"lines": [1]}, r"args.lines: expected a list of 2"),
        ("table", TABLE | {"lines": [0, 1]}, r"args.lines: expected a whole number from 1"),
        ("table", TABLE | {"partial": 1}, r"args.partial: expected true or false"),
        ("table", TABLE | {"keys": 1}, r"'keys' is unknown"),
        ("names", {"ids": []}, r"args.ids"),
        ("names", {}, r"args.ids"),
        ("part", {"count": MAX_SHOWN + 1}, r"args.count"),
        ("part", {"from": -1}, r"args.from"),
        ("nothing", {"x": 1}, r"expected no arguments"),
        ("buses", {"buses": "a"}, r"args.buses"),
    ],
)
def test_what_is_wrong_is_named(check: str, args: dict[str, object], words: str) -> None:
    with pytest.raises(CommandRejected, match=words):
        getattr(arguments, check)(args)


def test_a_line_in_its_normal_form_is_taken_as_it_is() -> None:
    normal = arguments.line({"id": "M0001", "bus": "rs485-1"})
    assert arguments.line(normal) == normal
    with pytest.raises(CommandRejected):
        arguments.line({"columns": ["id"], "rows": [["M0001"], ["M0002"]]})
