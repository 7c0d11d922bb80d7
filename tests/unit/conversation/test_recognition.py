"""Whether a meter is still who it was: what it is asked, and what its answers prove."""

from dataclasses import replace
from typing import Any

import pytest

from dcu.conversation.recognition import (
    MAX_WORD,
    Asking,
    Scales,
    captured,
    identity,
    period_questions,
    questions,
    recast,
    repaced,
    rescaled,
    scaler_questions,
    scalers,
)
from dcu.conversation.shapes import CAPTURE_OBJECTS, CAPTURE_PERIOD, NOTHING, Shape
from dcu.dlms import axdr
from dcu.dlms.services import AccessError
from dcu.model import INSTANT, Attribute, Column
from dcu.obis import parse_obis
from dcu.profiles import load_profile
from tests.lines import COMPANION

CLOCK = [8, parse_obis("0-0:1.0.0.255"), 2, 0]
ENERGY = [3, parse_obis("1-0:1.8.0.255"), 2, 0]
COLUMNS = (Column(8, parse_obis("0-0:1.0.0.255")), Column(3, parse_obis("1-0:1.8.0.255"), scaler=1, unit=30))


def test_a_meter_is_asked_for_its_words_and_for_what_the_profiles_capture() -> None:
    asked = {asking: [each.attribute for each in questions(COMPANION, asking)] for asking in Asking}
    serial, firmware = COMPANION.identity["serial"], COMPANION.identity["firmware"]
    assert asked == {Asking.NOTHING: [], Asking.SERIAL: [serial], Asking.ALL: [serial, firmware]}
    assert questions(replace(COMPANION, identity={}), Asking.ALL) == []
    assert [each.attribute for each in captured(COMPANION, ["load0", "daily"])] == [
        Attribute(7, COMPANION.streams[stream].name, CAPTURE_OBJECTS) for stream in ("load0", "daily")
    ]


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (b"00123456", "00123456"),
        (b"12 \0\0", "12"),
        (b"\x01\xff", "01ff"),
        (b"a\nb", "610a62"),
        (4711, "4711"),
        ("V1.2", "V1.2"),
        (b"x" * 1000, "x" * MAX_WORD),
    ],
)
def test_a_word_is_text_however_the_meter_writes_it(answer: Any, word: str) -> None:
    assert identity(COMPANION, Asking.ALL, iter([answer, b"1.0"])) == {"serial": word, "firmware": "1.0"}
    assert identity(COMPANION, Asking.SERIAL, iter([answer])) == {"serial": word}


@pytest.mark.parametrize("answer", [AccessError(3), AccessError(1), b"", b"\0\0", None, [1]])
def test_what_the_meter_does_not_tell_is_no_word(answer: Any) -> None:
    assert identity(COMPANION, Asking.ALL, iter([answer, b"1.0"])) == {"firmware": "1.0"}


INDIAN = load_profile("is15959-1p")
ENERGY_NAME, LIMIT_NAME = parse_obis("1-0:1.8.0.255"), parse_obis("0-0:17.0.0.255")
SHAPES = {
    "load0": Shape(COLUMNS, 900),
    INSTANT: Shape((replace(COLUMNS[1], class_id=5, index=3), Column(1, LIMIT_NAME)), 0),
}


def test_which_registers_tell_their_own_scaler_and_where() -> None:
    known = scalers(COMPANION, SHAPES)
    assert known == Scales({(3, ENERGY_NAME): (1, 30), (5, ENERGY_NAME): (1, 30)})
    asked = [Attribute(3, ENERGY_NAME, 3), Attribute(5, ENERGY_NAME, 4)]
    assert [each.attribute for each in scaler_questions(known)] == asked


def test_which_registers_a_profile_tells_the_scaler_of() -> None:
    """In India they stand in profiles made for that, one for several logs."""
    logs = dict.fromkeys(("event.voltage", "event.current"), SHAPES["load0"])
    known = scalers(INDIAN, {"load0": SHAPES["load0"], **logs, "daily": NOTHING, "own": SHAPES[INSTANT]})
    names = parse_obis("1-0:94.91.4.255"), parse_obis("1-0:94.91.7.255")
    assert known == Scales({(5, ENERGY_NAME): (1, 30)}, {(3, ENERGY_NAME): (1, 30)}, names)
    assert [each.attribute for each in scaler_questions(known)] == [
        Attribute(5, ENERGY_NAME, 4),
        *(Attribute(7, name, index) for name in names for index in (3, 2)),
    ]


CAPTURED = [[3, ENERGY_NAME, 3, 0]]


@pytest.mark.parametrize(
    ("answers", "now"),
    [
        ([CAPTURED, [[[1, 30]]], CAPTURED, [[[1, 30]]]], None),
        ([CAPTURED, [[[3, 30]]], CAPTURED, [[[3, 30]]]], "1-0:1.8.0.255: 10^3 Wh"),
        ([CAPTURED, [[[3, 30]]], AccessError(4), AccessError(4)], "1-0:1.8.0.255: 10^3 Wh"),
        # of one object by two profiles: who tells what is known contradicts the other, and nothing was proved
        ([CAPTURED, [[[3, 30]]], CAPTURED, [[[1, 30]]]], None),
        ([CAPTURED, [], CAPTURED, [[[3, 30]], [[3, 30]]]], None),
        ([CAPTURED, [[[1, 300]]], CAPTURED, [[None]]], None),
        ([[[3, LIMIT_NAME, 3, 0]], [[[3, 30]]], None, 5], None),
        ([AccessError(1), [[[3, 30]]], CAPTURED, AccessError(3)], None),
    ],
)
def test_another_scaler_in_a_profile_of_scalers(answers: list[Any], now: str | None) -> None:
    known = scalers(INDIAN, {"load0": SHAPES["load0"], "event.voltage": SHAPES["load0"]})
    expected = None if now is None else ("1-0:1.8.0.255: 10^1 Wh", now)
    assert rescaled(known, answers) == expected


@pytest.mark.parametrize(
    ("answers", "now"),
    [
        ([[1, 30], [1, 30]], None),
        ([[1, 30], [3, 30]], "1-0:1.8.0.255: 10^3 Wh"),
        ([[1, 250], [3, 30]], "1-0:1.8.0.255: 10^1 of unit 250"),
        ([AccessError(1), None], None),
        ([object(), [1]], None),
        ([[1, 300], AccessError(4)], None),
    ],
)
def test_another_scaler_or_unit_is_told_and_what_is_none_is_not(answers: list[Any], now: str | None) -> None:
    expected = None if now is None else ("1-0:1.8.0.255: 10^1 Wh", now)
    assert rescaled(scalers(COMPANION, SHAPES), answers) == expected


def test_other_capture_objects_are_another_shape_whatever_their_scalers() -> None:
    assert not recast([CLOCK, ENERGY], COLUMNS)
    assert recast([CLOCK, [*ENERGY[:1], parse_obis("1-0:2.8.0.255"), 2, 0]], COLUMNS)
    assert recast([ENERGY, CLOCK], COLUMNS)
    assert recast([CLOCK], COLUMNS)


@pytest.mark.parametrize("answer", [AccessError(1), None, 5, [[1, 2]], axdr.octets(b"x")])
def test_an_answer_that_names_none_proves_nothing(answer: Any) -> None:
    assert not recast(answer, COLUMNS)


def test_another_capture_period_is_told_and_what_is_none_is_not() -> None:
    known = {"load0": 900, "daily": 86_400}
    asked = [Attribute(7, COMPANION.streams[stream].name, CAPTURE_PERIOD) for stream in known]
    assert [each.attribute for each in period_questions(COMPANION, known)] == asked
    assert repaced(known, [900, 86_400]) == []
    assert repaced(known, [1800, 86_400]) == ["load0"]
    assert repaced(known, [900, 0]) == ["daily"]
    for nothing in (AccessError(1), None, -1, True, b"x", 900.0):
        assert repaced(known, [nothing, 86_400]) == []
