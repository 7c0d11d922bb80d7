import datetime as dt
import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcu.clock import DAY, seconds
from dcu.config import TlsSettings
from dcu.errors import UplinkError
from dcu.uplink.renewal import Renewal, not_after
from tests.certificates import Authority


@pytest.mark.parametrize("years", [1, 40])  # UTCTime ends in 2049
def test_the_end_of_a_certificate(tmp_path: Path, years: int) -> None:
    path, _ = Authority(tmp_path).issue("unit", (-1, 365.0 * years))
    found = not_after(ssl.PEM_cert_to_DER_cert(path.read_text()))
    assert abs(found - seconds(dt.datetime.now(dt.UTC)) - 365.0 * years * DAY) < 100


@given(st.binary(max_size=60))
def test_what_is_no_certificate(octets: bytes) -> None:
    with pytest.raises(ValueError, match="no certificate"):
        not_after(octets)


def test_a_certificate_cut_short_is_none(tmp_path: Path) -> None:
    path, _ = Authority(tmp_path).issue("unit")
    whole = ssl.PEM_cert_to_DER_cert(path.read_text())
    for length in range(len(whole)):
        with pytest.raises(ValueError, match="no certificate"):
            not_after(whole[:length])


def test_only_what_ends_soon_is_told_and_again_the_next_day(tmp_path: Path) -> None:
    tls = Authority(tmp_path).settings("unit", (-1, 100))
    renewal, now = Renewal(tls), seconds(dt.datetime.now(dt.UTC))
    assert list(renewal.ending(now, None)) == []
    told = [found for day in range(101) for found in renewal.ending(now + day * DAY, None)]
    assert [found["days"] for found in told] == [*range(29, -2, -1)]
    assert {found["certificate"] for found in told} == {tls.cert}


def test_files_that_cannot_be_read_are_left_to_tls(tmp_path: Path) -> None:
    renewal = Renewal(TlsSettings(str(tmp_path / "none.pem")))
    renewal.used()
    assert list(renewal.ending(0.0, None)) == []
    with pytest.raises(UplinkError, match=r"none\.pem"):
        renewal.changed()
    assert not renewal.changed()
