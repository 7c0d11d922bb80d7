"""A-XDR over the whole space: what is encoded comes back, and no octets whatever do anything but raise MeterError."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcu.dlms import axdr
from dcu.dlms.apdu import decode_request, decode_response
from dcu.dlms.axdr import BitString, DateTime, Typed
from dcu.errors import MeterError


def _integers(tag: int, bits: int, *, signed: bool) -> st.SearchStrategy[tuple[Typed, object]]:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return st.integers(low, high).map(lambda value: (Typed(tag, value), value))


@st.composite
def bit_strings(draw: st.DrawFn) -> tuple[Typed, object]:
    length = draw(st.integers(0, 200))
    bits = BitString(draw(st.integers(0, (1 << length) - 1)), length)
    return Typed(axdr.BIT_STRING, bits), bits


SCALARS = st.one_of(
    st.just((axdr.null(), None)),
    st.booleans().map(lambda value: (axdr.boolean(value), value)),
    _integers(axdr.INTEGER, 8, signed=True),
    _integers(axdr.LONG, 16, signed=True),
    _integers(axdr.DOUBLE_LONG, 32, signed=True),
    _integers(axdr.LONG64, 64, signed=True),
    _integers(axdr.UNSIGNED, 8, signed=False),
    _integers(axdr.LONG_UNSIGNED, 16, signed=False),
    _integers(axdr.DOUBLE_LONG_UNSIGNED, 32, signed=False),
    _integers(axdr.LONG64_UNSIGNED, 64, signed=False),
    _integers(axdr.ENUM, 8, signed=False),
    st.floats(allow_nan=False).map(lambda value: (Typed(axdr.FLOAT64, value), value)),
    st.floats(allow_nan=False, width=32).map(lambda value: (Typed(axdr.FLOAT32, value), value)),
    st.binary(max_size=300).map(lambda value: (axdr.octets(value), value)),
    st.text(max_size=50).map(lambda value: (Typed(axdr.UTF8_STRING, value), value)),
    st.text(st.characters(max_codepoint=255), max_size=50).map(lambda value: (axdr.text(value), value)),
    bit_strings(),
)


def _lists(children: st.SearchStrategy[tuple[Typed, object]]) -> st.SearchStrategy[tuple[Typed, object]]:
    return st.tuples(st.booleans(), st.lists(children, max_size=6)).map(
        lambda drawn: (
            (axdr.array if drawn[0] else axdr.structure)(*(typed for typed, _ in drawn[1])),
            [value for _, value in drawn[1]],
        )
    )


VALUES = st.recursive(SCALARS, _lists, max_leaves=30).filter(lambda drawn: depth(drawn[0]) < axdr.MAX_DEPTH)


def depth(typed: Typed) -> int:
    return 1 + max(map(depth, typed.value), default=0) if typed.tag in {axdr.ARRAY, axdr.STRUCTURE} else 0


@given(VALUES)
def test_what_is_encoded_comes_back(drawn: tuple[Typed, object]) -> None:
    typed, value = drawn
    assert axdr.decode_all(axdr.encode(typed)) == value


@given(VALUES, st.data())
def test_what_is_cut_is_refused(drawn: tuple[Typed, object], data: st.DataObject) -> None:
    octets = axdr.encode(drawn[0])
    size = data.draw(st.integers(0, len(octets) - 1))
    with pytest.raises(MeterError):
        axdr.decode_all(octets[:size])


@given(VALUES, st.data())
def test_a_flipped_bit_raises_nothing_but_meter_error(drawn: tuple[Typed, object], data: st.DataObject) -> None:
    octets = bytearray(axdr.encode(drawn[0]))
    bit = data.draw(st.integers(0, len(octets) * 8 - 1))
    octets[bit // 8] ^= 1 << bit % 8
    try:
        axdr.decode_all(bytes(octets))
    except MeterError:
        return


HOSTILE = st.one_of(
    st.binary(max_size=400),
    # tags and counts more likely than chance would have it
    st.lists(st.sampled_from([0, 1, 2, 4, 9, 17, 19, 0x81, 0x82, 0x84, 0xFF]), max_size=400).map(bytes),
)


@given(HOSTILE)
def test_hostile_octets_are_refused_or_bounded(octets: bytes) -> None:
    try:
        value, end = axdr.decode(octets)
    except MeterError:
        return
    assert 0 < end <= len(octets)
    assert elements(value) <= axdr.MAX_ELEMENTS


def elements(value: object) -> int:
    return 1 + sum(map(elements, value)) if isinstance(value, list) else 1


@given(HOSTILE)
def test_hostile_apdus_are_refused(octets: bytes) -> None:
    for head in (b"", b"\xc4\x01\xc1\x00", b"\xc4\x02\xc1", b"\xc4\x03\xc1", b"\xc7\x01\xc1\x00\x01"):
        for decode in (decode_response, decode_request):
            assert refused_or_read(decode, head + octets)


def refused_or_read(decode: Callable[[bytes], object], octets: bytes) -> bool:
    """Whether `octets` are refused as a meter's fault, or become something; any other error passes through."""
    try:
        return decode(octets) is not None
    except MeterError:
        return True


@given(st.binary(min_size=12, max_size=12))
def test_every_date_time_survives(octets: bytes) -> None:
    moment = DateTime.from_bytes(octets)
    assert moment.to_bytes() == octets
    seconds = moment.utc()
    if seconds is not None and moment.hundredths == 0 and moment.second != 0xFF:
        again = DateTime.from_utc(seconds, moment.deviation or 0, moment.status)
        assert again._replace(weekday=0, deviation=0) == moment._replace(weekday=0, deviation=0)


# on the first day, half the world still shows 1969
@given(st.integers(86_400, 2**33), st.integers(-720, 720), st.integers(0, 255))
def test_every_second_comes_back(seconds: int, deviation: int, status: int) -> None:
    moment = DateTime.from_bytes(DateTime.from_utc(seconds, deviation, status).to_bytes())
    assert (moment.utc(), moment.status, moment.deviation) == (seconds, status, deviation)
