"""What a profile may say, and how a wrong one is refused: FILE:LINE: key: expected X, got Y."""

import pytest

from dcu.errors import ConfigError
from dcu.model import Access, Attribute, EventCode
from dcu.obis import parse_obis
from dcu.profiles import Alarms, CompanionProfile, ProfileStream, StatusBits, parse_profile

SMALL = """\
clock: 0-0:1.0.0.255
disconnect: 0-0:96.3.10.255
identity: {serial: 0-0:96.1.0.255}
registers: [1-0:1.8.0.255, 4 1-0:1.6.0.255]
streams:
  load0: {object: 1-0:99.1.0.255, period: 15m, columns: [1-0:1.8.0.255]}
  event.fraud: {object: 0-0:99.98.1.255, whole: true}
event_codes:
  event.*: {255: cleared}
  event.fraud: {40: "cover removed, alarm", 41: {name: cover closed, restores: 40}}
alarms: {register: 0-0:97.98.0.255, bits: {2: "power up"}}
status: {columns: [0-0:96.10.1.255], bits: {7: power down}}
clients: {setting: {client: 48}}
tasks: {clock.set: setting}
"""


def test_a_profile_is_data() -> None:
    assert parse_profile("small", SMALL) == CompanionProfile(
        name="small",
        clock=Attribute(8, parse_obis("0-0:1.0.0.255")),
        disconnect=Attribute(70, parse_obis("0-0:96.3.10.255")),
        identity={"serial": Attribute(1, parse_obis("0-0:96.1.0.255"))},
        registers=(Attribute(3, parse_obis("1-0:1.8.0.255")), Attribute(4, parse_obis("1-0:1.6.0.255"))),
        streams={
            "load0": ProfileStream(parse_obis("1-0:99.1.0.255"), 900, columns=(parse_obis("1-0:1.8.0.255"),)),
            "event.fraud": ProfileStream(parse_obis("0-0:99.98.1.255"), whole=True),
        },
        event_codes={
            "event.fraud": {
                40: EventCode("cover removed", "alarm"),
                41: EventCode("cover closed", restores=40),
                255: EventCode("cleared"),
            }
        },
        alarms=Alarms(Attribute(1, parse_obis("0-0:97.98.0.255")), bits={2: EventCode("power up")}),
        status=StatusBits(frozenset((parse_obis("0-0:96.10.1.255"),)), {7: "power down"}),
        clients={"setting": Access("setting", 48)},
        tasks={"clock.set": "setting"},
    )


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("clock: 0-0:1.0.0.255\n", "", "bad.yaml:1: expected the key 'clock'"),
        ("0-0:1.0.0.255", "nine", "bad.yaml:1: clock: expected a logical name such as 1-0:1.8.0.255, .* got 'nine'"),
        ("4 1-0", "4 4 1-0", "bad.yaml:4: registers.1.: expected a logical name"),
        ("4 1-0", "x 1-0", "bad.yaml:4: registers.1.: expected a logical name"),
        ("{object: 1-0", "{objekt: 1-0", "bad.yaml:6: streams.load0.objekt: unknown key, did you mean 'object'"),
        ("{object: 1-0:99.1.0.255, p", "{p", "bad.yaml:6: streams.load0: expected the key 'object'"),
        ("15m", "900", "bad.yaml:6: streams.load0.period: expected a duration from 1s to 366d"),
        ("load0:", "Load0:", "bad.yaml:6: streams.Load0: expected a name of at most 32 small letters"),
        ("load0:", "event.alarm:", "bad.yaml:6: streams.event.alarm: this name is taken"),
        ("load0:", "result:", "bad.yaml:6: streams.result: this name is taken"),
        ("load0:", "instant:", "bad.yaml:4: registers: expected registers, or the stream 'instant', not both"),
        ("event.*", "event.theft", "bad.yaml:9: event_codes.event.theft: no such stream"),
        ("removed, alarm", "removed, loud", "bad.yaml:10: .*: expected name, or name and severity: info, warning or"),
        ("40: ", "forty: ", "bad.yaml:10: event_codes.event.fraud.forty: expected the number of an event"),
        ("restores: 40", "restores: 39", "bad.yaml:10: event_codes.event.fraud.41: restores 39, which is not in"),
        ("name: cover closed, ", "", "bad.yaml:10: event_codes.event.fraud.41: expected the key 'name'"),
        ("register: 0-0:97.98.0.255, ", "", "bad.yaml:11: alarms: expected the key 'register'"),
        ("columns: [0-0:96.10.1.255], ", "", "bad.yaml:12: status: expected the key 'columns'"),
        ("{7: power", "{seven: power", "bad.yaml:12: status.bits.seven: expected the number of a bit below 128"),
        ("{7: power", "{128: power", "bad.yaml:12: status.bits.128: expected the number of a bit below 128"),
        ("client: 48", "client: 500", "bad.yaml:13: clients.setting.client: expected a whole number from 1 to 127"),
        ("set: setting", "set: someone", "bad.yaml:14: tasks.clock.set: no client 'someone' among clients"),
        (SMALL, "- a list", "bad.yaml:1: expected a section"),
        (SMALL, "", "bad.yaml:1: expected the key 'clock'"),
        (SMALL, "a: [", "bad.yaml:2: not YAML"),
        ("clock: 0-0", "clock: !!python/name:os.system 0-0", "bad.yaml:1: expected no tags"),
    ],
)
def test_a_wrong_profile_is_the_operators_to_correct(old: str, new: str, problem: str) -> None:
    assert old in SMALL
    with pytest.raises(ConfigError, match=problem):
        parse_profile("bad", SMALL.replace(old, new, 1))


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_profile("bad", SMALL.replace("0-0:1.0.0.255", "nine").replace("15m", "x").replace("48", "x"))
    assert [problem.split(": ")[0] for problem in caught.value.problems] == ["bad.yaml:1", "bad.yaml:6", "bad.yaml:13"]
