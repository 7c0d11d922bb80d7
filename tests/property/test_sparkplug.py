"""Any payload we write is read alike by protobuf's own library; any octets are read or refused, and end no flow."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from dcu.delivery.deliver import Deliver
from dcu.delivery.sending import Sending
from dcu.delivery.sparkplug import Sparkplug
from dcu.errors import CommandRejected, UnattendedError
from dcu.messages.edge_node import REBIRTH, EdgeNode
from dcu.messages.envelope import Envelopes
from dcu.messages.sparkplug import MAX_METRICS, Metric, Payload, datatype_of, decode_payload, encode_payload
from dcu.uplink import Link
from tests.links import TOPICS, FixedClock, Heard, MemoryUplink
from tests.outbox import MemoryOutbox
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
    with suppress(CommandRejected):
        assert len(decode_payload(octets).metrics) <= MAX_METRICS


@given(st.lists(METRICS, max_size=4), st.integers(0, 400), st.binary(max_size=8))
def test_a_damaged_payload_is_read_or_refused(metrics: list[Metric], place: int, noise: bytes) -> None:
    octets = bytearray(encode_payload(Payload(1, tuple(metrics), 7)))
    octets[place : place + len(noise)] = noise
    with suppress(CommandRejected):
        assert len(decode_payload(bytes(octets)).metrics) <= MAX_METRICS


@given(st.text(min_size=1), st.booleans() | st.text())
def test_a_request_is_read_as_it_was_meant(name: str, value: bool | str) -> None:
    (metric,) = decode_payload(encode_payload(Payload(5, (Metric(value, 6, name),), 0))).metrics
    assert (metric.name, metric.value, metric.at) == (name, value, 6)


NCMD, STATE = "spBv1.0/utility/NCMD/DCU-1", "spBv1.0/STATE/scada"
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
STATES = st.fixed_dictionaries({"online": st.booleans() | JSON_VALUES, "timestamp": st.integers() | JSON_VALUES})
REQUESTS = st.builds(
    lambda asked, cut: encode_payload(Payload(1, (Metric(asked, 1, REBIRTH),)))[:cut],
    st.none() | st.booleans() | st.text(),
    st.integers(0, 60),
)
PAYLOADS = st.binary(max_size=40) | (STATES | JSON_VALUES).map(lambda found: json.dumps(found).encode()) | REQUESTS


@dataclass
class Talking:
    """A link over which all of `said` comes."""

    said: Sequence[tuple[str, bytes]]
    acknowledged: list[bytes] = field(default_factory=list)

    async def messages(self) -> AsyncIterator[Heard]:
        for topic, payload in self.said:
            yield Heard(topic, payload)

    def acknowledge(self, message: Any) -> None:
        self.acknowledged.append(message.payload)


class Looking:
    """What is told that there may be something to send."""

    def look(self) -> None:
        """There is nobody who sends."""


async def hear(said: Sequence[tuple[str, bytes]]) -> tuple[Sparkplug, list[bytes]]:
    """Hear all that is `said`, as the flow does; return its dialect and what was acknowledged."""

    async def on_command(_topic: str, _payload: bytes) -> None:
        raise AssertionError("nothing here is a command")

    node = EdgeNode("utility", "DCU-1")
    lost: set[str] = set()
    dialect = Sparkplug(Envelopes("DCU-1", "b"), TOPICS, FixedClock(), node, lost.__contains__, "scada", lambda: True)
    flow = Deliver(
        store=MemoryOutbox(), uplink=MemoryUplink([]), dialect=dialect, clock=FixedClock(), on_command=on_command
    )
    link = Talking(said)
    try:
        await flow._listen(cast("Link", link), cast("Sending", Looking()))
    except UnattendedError:
        assert dialect.over
    list(dialect.due())
    return dialect, link.acknowledged


@given(st.lists(st.tuples(st.sampled_from([NCMD, STATE, TOPICS.ack]), PAYLOADS), max_size=6))
def test_whatever_a_stranger_says_is_acknowledged_and_ends_no_flow(said: list[tuple[str, bytes]]) -> None:
    dialect, acknowledged = asyncio.run(hear(said))
    if not dialect.over:  # but for a host that says that it goes
        assert acknowledged == [payload for _, payload in said]
