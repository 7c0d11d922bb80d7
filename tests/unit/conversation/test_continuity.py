"""What contradicts that rows are of one meter and one profile: energies that fall, clocks that go back."""

from dataclasses import replace

import pytest

from dcu.conversation.continuity import counts_up, fallen
from dcu.model import Capture, Column, Value
from dcu.obis import parse_obis
from tests.captures import capture

IMPORTED, EXPORTED, VOLTAGE, STATUS = (
    Column(kind, parse_obis(name))
    for kind, name in ((3, "1-0:1.8.0.255"), (3, "1-0:2.8.0.255"), (3, "1-0:32.7.0.255"), (1, "0-0:96.10.1.255"))
)


def row(at: int, *values: Value, columns: tuple[Column, ...] = (STATUS, IMPORTED, EXPORTED)) -> Capture:
    return replace(capture(at, values=values), columns=columns)


@pytest.mark.parametrize(
    ("column", "counts"),
    [
        (IMPORTED, True),
        (EXPORTED, True),
        (Column(3, parse_obis("1-0:9.8.2.255")), True),
        (VOLTAGE, False),
        (STATUS, False),
        (Column(3, parse_obis("0-1:24.8.0.255")), False),
        (Column(3, parse_obis("1-0:1.29.0.255")), False),
        (Column(4, parse_obis("1-0:1.8.0.255")), False),
        (Column(3, parse_obis("1-0:1.8.0.255"), data_index=1), False),
    ],
)
def test_energies_since_ever_count_up(column: Column, counts: bool) -> None:
    assert counts_up(column) is counts


def test_what_grows_or_stays_is_no_contradiction() -> None:
    rows = [row(30, 9, 12, 5), row(20, 0, 11, 5)]
    assert fallen(row(10, 7, 11, 5), rows) is None
    assert fallen(None, rows) is None
    assert fallen(row(10, 0, None, 5), [row(20, 0, 3, 5)]) is None
    assert fallen(None, []) is None


@pytest.mark.parametrize("known", [row(10, 0, 11, 5), None])
def test_what_fell_is_named(known: Capture | None) -> None:
    assert fallen(known, [row(20, 0, 11, 5), row(30, 0, 11, 4)]) == "1-0:2.8.0.255"


def test_what_is_older_than_what_is_known_may_be_less() -> None:
    assert fallen(row(100, 0, 50, 5), [row(20, 0, 1, 1), row(110, 0, 51, 5)]) is None


def test_rows_of_other_columns_say_nothing() -> None:
    assert fallen(row(10, 0, 11, 5), [row(20, 0, 1, 1, columns=(STATUS, EXPORTED, IMPORTED))]) is None
