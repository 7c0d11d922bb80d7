"""Twelve octets, the second they mean, and the seconds they cannot mean."""

import datetime as dt

import pytest

from dcu.clock import iso
from dcu.dlms.moment import DateTime, instant
from dcu.errors import MeterError

# 2026-01-31 12:00:00 in Berlin, winter time: one hour before UTC, so deviation -60.
BERLIN = bytes.fromhex("07ea011f060c000000ffc400")
NOON_UTC = int(dt.datetime(2026, 1, 31, 11, tzinfo=dt.UTC).timestamp())


def test_local_time_is_utc_minus_deviation() -> None:
    moment = DateTime.from_bytes(BERLIN)
    assert (moment.hour, moment.deviation, moment.status) == (12, -60, 0)
    assert moment.utc() == NOON_UTC
    assert DateTime.from_utc(NOON_UTC, -60).to_bytes() == BERLIN
    assert instant(BERLIN) == (NOON_UTC, 0)


def test_time_goes_on_after_2038() -> None:
    seconds = int(dt.datetime(2041, 6, 1, tzinfo=dt.UTC).timestamp())
    assert seconds > 2**31
    assert DateTime.from_utc(seconds, 330).utc() == seconds


def test_an_unspecified_deviation_is_kept_and_means_utc() -> None:
    moment = DateTime.from_bytes(BERLIN[:9] + b"\x80\x00\xff")
    assert moment.deviation is None
    assert moment.utc() == NOON_UTC + 3600
    assert moment.to_bytes() == BERLIN[:9] + b"\x80\x00\xff"


@pytest.mark.parametrize(
    "octets",
    [
        "ffff011f060c0000000000 00",  # any year
        "07eaff1f060c000000000000",  # any month
        "07ea01ff060c000000000000",  # any day
        "07ea021e060c000000000000",  # 30 February
        "07ea01fe060c000000000000",  # the second last day of a month
        "07ea011f06ff000000000000",  # any hour
        "07ea011f060cff0000000000",  # any minute
        "07ea011f060c003c00000000",  # second 60
        "0000011f060c000000000000",  # year 0
    ],
)
def test_what_names_no_moment_has_no_utc(octets: str) -> None:
    assert DateTime.from_bytes(bytes.fromhex(octets)).utc() is None


def test_an_open_second_counts_as_the_first() -> None:
    assert DateTime.from_bytes(bytes.fromhex("07ea011f060c00ffff000000")).utc() == NOON_UTC + 3600


@pytest.mark.parametrize("size", [0, 11, 13])
def test_another_length_is_no_date_time(size: int) -> None:
    with pytest.raises(MeterError, match="not 12"):
        DateTime.from_bytes(bytes(size))


@pytest.mark.parametrize(
    "shown",
    [
        DateTime(9999, 12, 31, 5, 23, 59, 59, 0, 60, 0),
        DateTime(1, 1, 1, 1, 0, 0, 0, 0, -60, 0),
        DateTime(9000, 1, 1, 1, 0, 0, 0, 0, 0, 0),
        DateTime(1969, 12, 31, 1, 23, 59, 59, 0, 0, 0),
    ],
)
def test_a_year_beyond_belief_is_no_moment(shown: DateTime) -> None:
    assert shown.utc() is None


@pytest.mark.parametrize("deviation", [-0x7FFF, 0x7FFF])
@pytest.mark.parametrize("year", [1970, 8999])
def test_what_is_a_moment_can_be_written_down(year: int, deviation: int) -> None:
    at = DateTime(year, 12, 31, 1, 23, 59, 59, 0, deviation, 0).utc()
    assert at is not None
    assert iso(at).endswith("Z")
