"""Scalers, columns and profile rows: compressed rows complete themselves, bad rows cost only themselves."""

from typing import Any

import pytest

from dcu.dlms.axdr import BitString, DateTime
from dcu.dlms.cosem import (
    UNITS,
    bad_times,
    clock_column,
    decode_capture_objects,
    decode_compact_data,
    decode_scaler_unit,
    even,
    plain,
    profile_rows,
    value_columns,
)
from dcu.errors import MeterError
from dcu.model import Column

CLOCK = Column(8, b"\x00\x00\x01\x00\x00\xff")
STATUS = Column(1, b"\x00\x00\x60\x0a\x01\xff")
ENERGY = Column(3, b"\x01\x00\x01\x08\x00\xff")
COLUMNS = (CLOCK, STATUS, ENERGY)
NOON = 1_800_000_000
BAD_TIME = b"\xff" * 12


def at(seconds: int, status: int = 0) -> bytes:
    return DateTime.from_utc(seconds, -60, status).to_bytes()


def test_scaler_and_unit() -> None:
    assert decode_scaler_unit([-3, 30]) == (-3, 30)
    assert UNITS[30] == "Wh"


@pytest.mark.parametrize("value", [None, 5, [], [1], [1, 2, 3], ["a", 30], [-129, 30], [0, 256], [0, None]])
def test_no_scaler_and_unit(value: Any) -> None:
    with pytest.raises(MeterError, match="scaler"):
        decode_scaler_unit(value)


def test_capture_objects() -> None:
    captured = [[8, CLOCK.name, 2, 0], [3, ENERGY.name, 2, 1]]
    assert decode_capture_objects(captured) == (CLOCK, Column(3, ENERGY.name, 2, 1, 0, 255))


@pytest.mark.parametrize("value", [None, 7, [7], [[8, b"short", 2, 0]], [[8, CLOCK.name, 2]], [[8] * 4], [[]] * 129])
def test_no_capture_objects(value: Any) -> None:
    with pytest.raises(MeterError, match="capture object"):
        decode_capture_objects(value)


TEMPLATE = bytes.fromhex("02 04 11 06 09 04")


def test_compact_data() -> None:
    buffer = bytes.fromhex("07 000003e8 03616263 0a aa80")
    assert decode_compact_data(buffer, TEMPLATE, 7) == [7, 1000, b"abc", BitString(0x2AA, 10)]


@pytest.mark.parametrize(
    ("buffer", "template", "why"),
    [
        ("07 000003e8 03616263 0a aa80", "11", "no structure"),
        ("07 000003e8 03616263 0a aa80", "", "no structure"),
        ("08 000003e8 03616263 0a aa80", "02 04 11 06 09 04", "not written under template 7"),
        ("07 000003e8 036162", "02 04 11 06 09 04", "truncated"),
        ("07 000003e8 03616263 0a aa80 07", "02 04 11 06 09 04", "1 octets follow"),
        ("07 07", "02 01 11", "1 octets follow"),
        ("", "02 01 11", "truncated"),
        ("07", "02 01 13", "inside a compact"),
        ("07", "02 01" * 20 + "11", "levels"),
        ("07", "02 02 11", "truncated"),
        ("07", "02 02 11 07 07", "unknown data type"),
        ("07", "02 01 11 11", "1 octets follow"),
        ("", "02 00", "under template 7"),
        ("07", "02 81ff" + "11" * 255, "truncated"),
    ],
)
def test_compact_data_that_does_not_fit(buffer: str, template: str, why: str) -> None:
    with pytest.raises(MeterError, match=why):
        decode_compact_data(bytes.fromhex(buffer), bytes.fromhex(template), 7)


def test_the_clock_is_taken_out() -> None:
    assert clock_column((STATUS, CLOCK)) == 1
    assert clock_column((STATUS, Column(8, CLOCK.name, 3))) is None
    assert value_columns(COLUMNS) == (STATUS, ENERGY)


def test_rows() -> None:
    rows, bad = profile_rows([[at(NOON), 0, 100], [at(NOON + 900, 0x80), 8, 101]], COLUMNS, 900)
    assert rows == [(NOON, 0, (0, 100)), (NOON + 900, 0x80, (8, 101))]
    assert not bad


def test_a_date_time_with_its_own_tag() -> None:
    assert profile_rows([[DateTime.from_utc(NOON), 0, 1]], COLUMNS, None)[0] == [(NOON, 0, (0, 1))]


def test_null_repeats_the_value_and_advances_the_time() -> None:
    buffer = [[at(NOON, 0x80), 0, 100], [None, None, 101], [None, None, None], [at(NOON + 3600), 1, None]]
    assert profile_rows(buffer, COLUMNS, 900) == (
        [
            (NOON, 0x80, (0, 100)),
            (NOON + 900, 0x80, (0, 101)),
            (NOON + 1800, 0x80, (0, 101)),
            (NOON + 3600, 0, (1, 101)),
        ],
        0,
    )


def test_null_in_the_first_row_is_no_value() -> None:
    assert profile_rows([[at(NOON), 0, None]], COLUMNS, 900) == ([(NOON, 0, (0, None))], 0)


def test_a_row_of_another_width_costs_itself_and_what_refers_to_it() -> None:
    buffer = [[at(NOON), 0, 1], [at(NOON + 900), 0], [at(NOON + 1800), 0, None], [None, 0, 3], [at(NOON + 3600), 0, 4]]
    assert profile_rows(buffer, COLUMNS, 900) == (
        [(NOON, 0, (0, 1)), (NOON + 2700, 0, (0, 3)), (NOON + 3600, 0, (0, 4))],
        2,
    )


def test_a_bad_time_costs_its_row_but_not_its_values() -> None:
    buffer = [
        [BAD_TIME, 7, 1],
        [None, 0, 2],
        [at(NOON), None, 3],
        [b"short", 0, 4],
        ["text", 0, 5],
        [at(NOON), 0, None],
    ]
    assert profile_rows(buffer, COLUMNS, 900) == ([(NOON, 0, (0, 3)), (NOON, 0, (0, 5))], 4)


@pytest.mark.parametrize("period", [None, 0])
def test_without_a_period_a_null_time_is_unknown(period: int | None) -> None:
    assert profile_rows([[at(NOON), 0, 1], [None, 0, 2]], COLUMNS, period) == ([(NOON, 0, (0, 1))], 1)


def test_a_row_that_cannot_be_used_is_one_period_from_its_neighbour() -> None:
    good, bad = [at(NOON), 0, 1], [at(NOON)]
    assert bad_times([bad, bad, good, bad, [at(NOON + 1800), 0, 1], bad], COLUMNS, 900) == [
        NOON - 1800,
        NOON - 900,
        NOON + 900,
        NOON + 2700,
    ]
    assert bad_times([bad, bad], COLUMNS, 900) == []
    assert bad_times([good], COLUMNS, 900) == []


@pytest.mark.parametrize("buffer", [None, 5, {}])
def test_no_rows(buffer: Any) -> None:
    with pytest.raises(MeterError, match="rows"):
        profile_rows(buffer, COLUMNS, 900)


def test_no_clock() -> None:
    with pytest.raises(MeterError, match="clock"):
        profile_rows([], (STATUS,), 900)


def test_rows_that_are_no_rows() -> None:
    assert profile_rows([5, None, [], b"abc"], COLUMNS, 900) == ([], 4)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (5, 5),
        (None, None),
        (True, True),
        (1.5, 1.5),
        ("text", "text"),
        (b"\x01", b"\x01"),
        (BitString(5, 4), "0101"),
        (DateTime.from_utc(NOON), DateTime.from_utc(NOON).to_bytes()),
        ([1, [b"\x0a", None]], '[1,["0a",null]]'),
        ([BitString(5, 4), [DateTime.from_utc(0), 1.5]], f'["0101",["{DateTime.from_utc(0).to_bytes().hex()}",1.5]]'),
    ],
)
def test_what_a_capture_stores(value: Any, stored: Any) -> None:
    assert plain(value) == stored
    assert profile_rows([[at(NOON), value, 1]], COLUMNS, 900)[0] == [(NOON, 0, (stored, 1))]


@pytest.mark.parametrize(
    ("times", "last", "possible"),
    [
        ([0, None, None], 1800, True),
        ([0, None, None], 2699, True),
        ([0, None, None], 1798, False),  # younger than up to when was read
        ([0, None, None], 2700, False),  # another one must have followed
        ([0, None, 1800], 9000, True),  # that it was told says that something was out of step
        ([0, None, 1799], 1799, False),
        ([0, None, "bad", 100], 900, True),
        ([None, None], 0, True),
        ([0, 100, 9000], 0, True),  # who tells all times is believed
    ],
)
def test_rows_without_a_time_can_be_a_period_apart_or_not(times: list[Any], last: int, possible: bool) -> None:
    told = {None: None, "bad": BAD_TIME}
    rows = [[told[each] if each in told else at(NOON + each), 0, 1] for each in times]
    assert even(rows, COLUMNS, 900, NOON + last) is possible
    assert even([[1], *rows], COLUMNS, 900, NOON + last) is possible
