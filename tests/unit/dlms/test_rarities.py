"""The words for the attributes of rare objects, and their shapes: all that was seen of meters has a form for people."""

from typing import Any

import pytest

from dcu.dlms.apdu import decode_response
from dcu.dlms.names import CLASSES
from dcu.dlms.rarities import ATTRIBUTES
from dcu.dlms.services import GetResponse
from tests.unit.dlms.rare_values import READABLE, WRITABLE


def test_a_word_stands_for_one_attribute_of_its_class() -> None:
    for class_id, known in ATTRIBUTES.items():
        words = [word for word, _ in known.values()]
        assert len(set(words)) == len(words), class_id
        assert all(word.isidentifier() for word in words), class_id
        # the first attribute of every class is its name (IEC 62056-6-2, 4.1)
        assert min(known) > 1, class_id
    assert ATTRIBUTES.keys() <= CLASSES.keys()


def test_every_class_is_read_in_one_form_at_least() -> None:
    assert {class_id for class_id, *_ in READABLE + WRITABLE} == ATTRIBUTES.keys()


@pytest.mark.parametrize(("class_id", "attribute", "octets", "plain"), WRITABLE)
def test_the_plain_form_says_all_that_is_in_the_octets(class_id: int, attribute: int, octets: str, plain: Any) -> None:
    response, _ = decode_response(bytes.fromhex(f"c401c100 {octets}"))
    assert isinstance(response, GetResponse)
    _, shape = ATTRIBUTES[class_id][attribute]
    assert shape.plain(response.result) == plain
    assert shape.plain(shape.decoded(plain)) == plain
