"""The types of what is written to rare objects: every one was tried, and a value of another shape has none."""

from typing import Any

import pytest

from dcu.dlms import axdr
from dcu.dlms.rare_types import METHODS, TYPES, Kind, typed
from dcu.dlms.rarities import ATTRIBUTES
from dcu.dlms.shapes import MISFITS
from tests.unit.dlms.rare_values import WRITABLE

PAIR: Kind = (axdr.UNSIGNED, axdr.OCTET_STRING)


def test_every_attribute_that_can_be_written_has_a_value_to_try_it_by_and_a_word() -> None:
    assert {(class_id, attribute) for class_id, attribute, _, _ in WRITABLE} == TYPES.keys()
    assert {(class_id, index) for class_id, known in ATTRIBUTES.items() for index in known} >= TYPES.keys()


@pytest.mark.parametrize(
    ("kind", "value", "octets"),
    [
        (axdr.LONG_UNSIGNED, 5, "12 0005"),
        (axdr.LONG_UNSIGNED, [5, 6], "0102 12 0005 12 0006"),
        (PAIR, [1, b"A"], "0202 1101 090141"),
        ([PAIR], [[1, b"A"], [2, b""]], "0102 0202 1101 090141 0202 1102 0900"),
        ([PAIR], [], "0100"),
        (axdr.octets, b"A", "090141"),
    ],
)
def test_a_kind_types_a_value_and_all_that_is_in_it(kind: Kind, value: Any, octets: str) -> None:
    assert axdr.encode(typed(kind, value)) == bytes.fromhex(octets)


@pytest.mark.parametrize(("kind", "value"), [(PAIR, [1]), (PAIR, [1, b"A", 2]), (PAIR, 1), ([PAIR], 1), ([PAIR], [1])])
def test_a_value_of_another_shape_has_no_type(kind: Kind, value: Any) -> None:
    with pytest.raises(MISFITS):
        typed(kind, value)


@pytest.mark.parametrize(
    ("value", "octets"),
    [(127, "0f7f"), (-128, "0f80"), (128, "100080"), (1 << 31, "140000000080000000"), (True, "0301"), (None, "00")],
)
def test_what_the_class_leaves_open_is_as_short_as_it_can_be(value: Any, octets: str) -> None:
    kind = TYPES[9, 2]
    assert kind is not None
    scripts = typed(kind, [[1, [[2, 70, bytes(6), 1, value]]]])
    assert axdr.encode(scripts) == bytes.fromhex(
        f"0101 0202 120001 0101 0205 1602 120046 0906000000000000 0f01 {octets}"
    )


@pytest.mark.parametrize("key", [(18, 3), (18, 4), (20, 1), (40, 1), (111, 1), (113, 2)])
def test_a_method_that_takes_nothing_has_a_null_of_its_own_and_refuses_an_argument(key: tuple[int, int]) -> None:
    _, argument = METHODS[key]
    assert axdr.encode(argument(None)) == b"\x0f\x00"  # integer(0), as the Blue Book has it
    with pytest.raises(TypeError):
        argument(7)
