"""The words of a companion profile."""

from dcu.profiles import ProfileStream


def test_a_stream_is_data_without_a_fixed_period_unless_said_otherwise() -> None:
    assert ProfileStream(b"\0\0\x62\1\0\xff") == ProfileStream(b"\0\0\x62\1\0\xff", None)
