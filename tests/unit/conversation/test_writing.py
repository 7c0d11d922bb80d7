"""A profile as the YAML that is read again, with a remark on what each object is."""

from dataclasses import replace

import pytest

from dcu.conversation.writing import written
from dcu.model import Attribute
from dcu.obis import parse_obis
from dcu.profiles import ProfileStream, load_profile, parse_profile

GENERIC = load_profile("generic")


@pytest.mark.parametrize("name", ["idis", "dsmr", "is15959-1p", "is15959-3p"])
def test_what_is_written_is_read_again(name: str) -> None:
    profile = replace(load_profile(name), clients={}, tasks={})
    assert parse_profile(name, written(profile)) == profile


def test_columns_and_unusual_classes_are_written_with_a_remark() -> None:
    stream = ProfileStream(parse_obis("1-0:99.1.0.255"), 900, (parse_obis("1-0:1.8.0.255"),))
    registers = (Attribute(4, parse_obis("1-0:1.6.0.255")), Attribute(3, parse_obis("1-0:1.8.0.255")))
    profile = replace(GENERIC, discovers=False, registers=registers, streams={"load0": stream})
    text = written(profile)
    assert "    - 1-0:1.8.0.255    # active energy import" in text
    assert "- 4 1-0:1.6.0.255" in text
    assert parse_profile("generic", text) == profile
