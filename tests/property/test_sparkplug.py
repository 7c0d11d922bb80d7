"""Any payload we write is read alike by protobuf's own library; any octets are read or refused."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from dcu.errors import DcuError
from dcu.messages.sparkplug import MAX_METRICS, Metric, Payload, datatype_of, decode_payload, encode_payload
from tests.sparkplug_host import HOLDS, read

TIMES = st.integers(0, (1 << 63) - 1)
VALUES = (
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.floats(allow_nan=False) | st.text() | st.binary()
)
METRICS = st.builds(
    Metric,
    value=VALUES,
    at=st.none() | TIMES,
    name=st.text(),
    alias=st.none() | st.integers(0, 1 << 40),
    historical=st.booleans(),
    properties=st.dictionaries(st.text(), st.integers(-(1 << 31), (1 << 31) - 1) | st.text(), max_size=3),
)
HOLDERS = {
    3: "int_value",
    4: "long_value",
    10: "double_value",
    11: "boolean_value",
    12: "string_value",
    17: "bytes_value",
}


@given(st.builds(Payload, at=TIMES, metrics=st.lists(METRICS, max_size=4).map(tuple), seq=st.integers(0, 255)))
def test_what_is_written_is_read_alike_elsewhere(payload: Payload) -> None:
    found = read(encode_payload(payload))
    assert (found.timestamp, found.seq, len(found.metrics)) == (payload.at, payload.seq, len(payload.metrics))
    for metric, other in zip(payload.metrics, found.metrics, strict=True):
        assert (other.name, other.is_historical) == (metric.name, metric.historical)
        assert (other.alias if other.HasField("alias") else None) == metric.alias
        assert (other.timestamp if other.HasField("timestamp") else None) == metric.at
        assert list(other.properties.keys) == list(metric.properties)
        assert other.is_null == (metric.value is None)
        match metric.value:
            case None:
                continue
            case int() if not isinstance(metric.value, bool):
                expected: set[object] = {metric.value, str(metric.value), metric.value + (1 << 64)}
            case _:
                expected = {metric.value}
        assert getattr(other, HOLDS[datatype_of(metric.value)]) in expected


@given(st.binary(max_size=200))
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    with suppress(DcuError):
        assert len(decode_payload(octets).metrics) <= MAX_METRICS


@given(st.lists(METRICS, max_size=4), st.integers(0, 400), st.binary(max_size=8))
def test_a_damaged_payload_is_read_or_refused(metrics: list[Metric], place: int, noise: bytes) -> None:
    octets = bytearray(encode_payload(Payload(1, tuple(metrics), 7)))
    octets[place : place + len(noise)] = noise
    with suppress(DcuError):
        assert len(decode_payload(bytes(octets)).metrics) <= MAX_METRICS


@given(st.text(min_size=1), st.booleans() | st.text())
def test_a_request_is_read_as_it_was_meant(name: str, value: bool | str) -> None:
    (metric,) = decode_payload(encode_payload(Payload(5, (Metric(value, 6, name),), 0))).metrics
    assert (metric.name, metric.value, metric.at) == (name, value, 6)
