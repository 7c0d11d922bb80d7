"""The JSON of rows: what goes in comes out, octets and odd text included."""

import math

import pytest

from dcu.model import Column, Value
from dcu.store.cells import cells_json, columns_from, columns_text, from_json, to_json, values_from


@pytest.mark.parametrize(
    "values",
    [
        (),
        (0, -1, 1 << 70, True, False, None),
        (b"", b"\x00\xff", "text", "ü\ud800", '{"hex": "00"}'),
        (1.5, 1.0, float("inf")),
    ],
)
def test_values_come_back_as_they_were(values: tuple[Value, ...]) -> None:
    text = to_json(values)
    assert text.isascii()
    found = values_from(text)
    assert found == values
    assert [type(value) for value in found] == [type(value) for value in values]


def test_values_are_compact() -> None:
    assert to_json((1, None, b"\x0a")) == '[1,null,{"hex":"0a"}]'


def test_numbers_that_json_has_no_word_for_are_objects_in_cells() -> None:
    text = cells_json([(1, 0.5, float("nan")), [float("-inf"), b"\x0a", "NaN"]])
    assert text == '[[1,0.5,{"float":"nan"}],[{"float":"-inf"},{"hex":"0a"},"NaN"]]'
    [[_, _, nan], rest] = from_json(text)
    assert math.isnan(nan)
    assert rest == [float("-inf"), b"\x0a", "NaN"]


def test_a_stranger_among_the_values_is_refused() -> None:
    with pytest.raises(TypeError, match="set is not a value"):
        to_json([{1}])


def test_columns_come_back_as_they_were() -> None:
    columns = (Column(3, bytes(6), 2, 0, -3, 27), Column(7, b"\x01\x00\x63\x01\x00\xff", index=2, data_index=1))
    assert columns_from(columns_text(columns)) == columns
