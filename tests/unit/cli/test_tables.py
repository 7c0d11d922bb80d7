"""Lines of the archive in CSV and YAML: there and back, and each fault with its line."""

import pytest

from dcu.cli.tables import Lines, format_of, parse_lines, write_lines
from dcu.errors import ConfigError

COLUMNS = ["id", "bus", "address", "serial"]
ROWS = [["M0101", "rs485-1", "101", "0017"], ["M0102", "rs485-1", "102", ""], ["no", "rs485-1", "103", 'a "b", c']]


@pytest.mark.parametrize("form", ["csv", "yaml"])
def test_what_is_written_is_read_again(form: str) -> None:
    lines = parse_lines(write_lines(COLUMNS, ROWS, form), f"m.{form}")
    assert (lines.columns, lines.rows, lines.numbers) == (COLUMNS, ROWS, [2, 3, 4])


def test_csv_as_spreadsheets_write_it() -> None:
    text = '\ufeffid;bus;address\r\nM1;"rs485-1"; 17 \r\n;;\r\nM2;rs485-1;18\r\n'
    expected = Lines(["id", "bus", "address"], [["M1", "rs485-1", "17"], ["M2", "rs485-1", "18"]], [2, 4])
    assert parse_lines(text, "m.csv") == expected


def test_yaml_as_the_configuration_has_it() -> None:
    text = "# site 4\n- {id: M1, address: 17, serial: null}\n-\n  id: M2\n  logical_device: 2\n"
    assert parse_lines(text, "m.yml") == Lines(
        ["id", "address", "serial", "logical_device"], [["M1", "17", "", ""], ["M2", "", "", "2"]], [2, 4]
    )


def test_words_that_others_take_for_something_else_are_quoted() -> None:
    assert write_lines(["id", "serial"], [["no", ""], ["1.0", "a b"]], "yaml") == (
        'meters:\n  - {id: "no"}\n  - {id: 1.0, serial: "a b"}\n'
    )


@pytest.mark.parametrize(
    ("path", "text", "fault"),
    [
        ("m.csv", "", "m.csv:1: expected a line with the names of the columns"),
        ("m.csv", 'id,bus\n"M1' + "x" * 200_000 + "\n", "m.csv:2: not CSV"),
        ("m.yaml", "buses: []\n", "m.yaml:1: expected a list of meters"),
        ("m.yaml", "- {id: 'M1\n", "m.yaml:2: not YAML"),
        ("m.xlsx", "", "m.xlsx: expected a name that ends in .csv or .yaml"),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_line(path: str, text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_lines(text, path)
    assert caught.value.problems[0].startswith(fault)


@pytest.mark.parametrize(
    ("path", "text", "faults", "numbers"),
    [
        ("m.csv", "id\nM1\nM2,b\nM3\nM4,b\n", ["3: expected 1 cells, got 2", "5: expected 1 cells, got 2"], [2, 4]),
        ("m.yaml", "- {id: M1}\n- M2\n", ["2: expected a section (key: value)"], [1]),
        ("m.yaml", "- {id: [a]}\n- {id: M2}\n", ["1: id: expected a word"], [2]),
        ("m.yaml", "- {id: M1, id: M2}\n", ["1: id: given twice"], []),
    ],
)
def test_lines_that_are_none_are_named_and_the_others_stand(
    path: str, text: str, faults: list[str], numbers: list[int]
) -> None:
    lines = parse_lines(text, path)
    assert (lines.faults, lines.numbers) == ([f"{path}:{fault}" for fault in faults], numbers)
    assert [row[0] for row in lines.rows] == [f"M{n - (path == 'm.csv')}" for n in numbers]


def test_the_name_says_the_format() -> None:
    assert [format_of(path) for path in ("a.csv", "b.CSV", "c.yaml", "d.yml")] == ["csv", "csv", "yaml", "yaml"]
