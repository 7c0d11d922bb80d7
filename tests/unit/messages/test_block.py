"""What the writer of compact blocks does by itself; that everything comes back is in tests/property/test_block.py."""

import math

import pytest

from dcu.messages.block import MAX_BODY, Kind, encode_block, integers, kind_of, split, varint
from tests.outbox import capture


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, Kind.NULL),
        (True, Kind.TRUE),
        (2**61 - 1, Kind.INT),
        (-(2**61), Kind.BIG),
        (0.1, Kind.DECIMAL),
        (1_769_860_807.125, Kind.DECIMAL),
        (0.1234567, Kind.FLOAT),
        (-0.0, Kind.FLOAT),
        (1e10, Kind.FLOAT),
        (math.nan, Kind.FLOAT),
        ("x", Kind.TEXT),
        (b"x", Kind.OCTETS),
    ],
)
def test_kinds(value: float | str | bytes | bool | None, kind: Kind) -> None:
    assert kind_of(value) is kind


def test_what_is_no_value_is_refused() -> None:
    with pytest.raises(TypeError, match="set"):
        kind_of({1})  # type: ignore[arg-type]


def test_a_body_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match="octets"):
        encode_block({"columns": [[{}]]}, [capture(values=("x" * MAX_BODY,))], [0], [None])


def test_values_that_no_column_describes_are_refused() -> None:
    with pytest.raises(ValueError, match="columns"):
        encode_block({"columns": [[{}]]}, [capture(values=(1, 2))], [0], [None])


def test_registers_that_grow_are_told_by_their_growth() -> None:
    meters = [f"M{number % 4}" for number in range(64)]
    values = [number % 4 * 10**7 + number // 4 * (50 + number % 4) for number in range(64)]
    assert integers(values, meters)[0] in {2, 3}
    assert integers([value // 7919 % 5000 for value in range(0, 10**6, 9973)], ())[0] in {0, 1}


def test_numbers_at_the_end_of_words() -> None:
    assert split(b"M0099") == (b"M", b"0099")
    assert split(b"99M") == (b"99M", b"")
    assert split(b"1" * 20) == (b"1" * 5, b"1" * 15)


def test_groups_of_seven() -> None:
    assert [varint(number) for number in (0, 127, 128, 300)] == [b"\0", b"\x7f", b"\x80\x01", b"\xac\x02"]
