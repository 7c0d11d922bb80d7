"""Whether a meter is still who it was: what it is asked, and what its answers prove."""

from dataclasses import replace
from typing import Any

import pytest

from dcu.conversation.recognition import MAX_WORD, Asking, captured, identity, questions, recast
from dcu.conversation.shapes import CAPTURE_OBJECTS
from dcu.dlms import axdr
from dcu.dlms.services import AccessError
from dcu.model import Attribute, Column
from dcu.obis import parse_obis
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


def test_other_capture_objects_are_another_shape_whatever_their_scalers() -> None:
    assert not recast([CLOCK, ENERGY], COLUMNS)
    assert recast([CLOCK, [*ENERGY[:1], parse_obis("1-0:2.8.0.255"), 2, 0]], COLUMNS)
    assert recast([ENERGY, CLOCK], COLUMNS)
    assert recast([CLOCK], COLUMNS)


@pytest.mark.parametrize("answer", [AccessError(1), None, 5, [[1, 2]], axdr.octets(b"x")])
def test_an_answer_that_names_none_proves_nothing(answer: Any) -> None:
    assert not recast(answer, COLUMNS)
