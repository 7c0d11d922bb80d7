"""Profiles from YAML: what the shipped one says, and how a wrong file is refused."""

import pytest

from dcu.errors import ConfigError
from dcu.model import INSTANT, Attribute, EventCode
from dcu.obis import parse_obis
from dcu.profiles import CompanionProfile, ProfileStream, load_profile, parse_profile, stream_names

MINIMAL = """\
clock: 0-0:1.0.0.255
disconnect: 0-0:96.3.10.255
identity: [0-0:42.0.0.255]
registers: [1-0:1.8.0.255]
streams:
  load0: {object: 1-0:99.1.0.255, period: 900}
  event.fraud: {object: 0-0:99.98.1.255}
event_codes:
  event.fraud: {40: "terminal cover removed, alarm", 41: terminal cover closed}
"""


def test_a_profile_is_data() -> None:
    assert parse_profile("small", MINIMAL) == CompanionProfile(
        name="small",
        clock=Attribute(8, bytes([0, 0, 1, 0, 0, 255])),
        disconnect=Attribute(70, bytes([0, 0, 96, 3, 10, 255])),
        identity=(Attribute(1, bytes([0, 0, 42, 0, 0, 255])),),
        registers=(Attribute(3, bytes([1, 0, 1, 8, 0, 255])),),
        streams={
            "load0": ProfileStream(bytes([1, 0, 99, 1, 0, 255]), 900),
            "event.fraud": ProfileStream(bytes([0, 0, 99, 98, 1, 255])),
        },
        event_codes={
            "event.fraud": {40: EventCode("terminal cover removed", "alarm"), 41: EventCode("terminal cover closed")}
        },
    )


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("clock: 0-0:1.0.0.255\n", "", "bad.yaml: clock is missing"),
        ("0-0:1.0.0.255", "nine", "bad.yaml: 'nine' is not an OBIS code"),
        ("object:", "objekt:", "bad.yaml: .*objekt"),
        ("removed, alarm", "removed, alarm, twice", "bad.yaml: "),
        ("identity: [0-0:42.0.0.255]", "identity: 5", "bad.yaml: "),
        (MINIMAL, "- a list", "bad.yaml: "),
        (MINIMAL, "", "bad.yaml: "),
        (MINIMAL, "a: [", "bad.yaml: "),
        ("clock: 0-0", "clock: !!python/name:os.system 0-0", "bad.yaml: "),
    ],
)
def test_a_wrong_profile_is_the_operators_to_correct(old: str, new: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse_profile("bad", MINIMAL.replace(old, new))


@pytest.mark.parametrize("name", ["dsmr", "../idis", "/etc/passwd", ""])
def test_an_unknown_profile(name: str) -> None:
    with pytest.raises(ConfigError, match="expected one of idis"):
        load_profile(name)


def test_idis_has_the_streams_of_the_field() -> None:
    idis = load_profile("idis")
    assert {name: stream.name for name, stream in idis.streams.items()} == {
        "load0": parse_obis("1-0:99.1.0.255"),
        "load1": parse_obis("1-0:99.3.0.255"),
        "daily": parse_obis("1-0:99.2.0.255"),
        "billing": parse_obis("0-0:98.1.0.255"),
        "event.standard": parse_obis("0-0:99.98.0.255"),
        "event.fraud": parse_obis("0-0:99.98.1.255"),
        "event.disconnector": parse_obis("0-0:99.98.2.255"),
    }
    assert stream_names() == {"idis": frozenset(idis.streams) | {INSTANT}}
    assert len(set(idis.registers)) == len(idis.registers)


def test_every_event_stream_has_codes_of_known_severity() -> None:
    idis = load_profile("idis")
    logs = {name for name in idis.streams if name.startswith("event.")}
    assert logs == set(idis.event_codes)
    codes = [code for log in idis.event_codes.values() for code in log.values()]
    assert {code.severity for code in codes} == {"info", "warning", "alarm"}
    assert all(isinstance(number, int) for log in idis.event_codes.values() for number in log)
