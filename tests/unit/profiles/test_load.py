"""Profiles from their files: the shipped ones, the operator's own, and how one builds on another."""

import os
from pathlib import Path

import pytest

from dcu.errors import ConfigError
from dcu.model import ALARM, INSTANT, Attribute, Authentication, EventCode
from dcu.obis import parse_obis
from dcu.profiles import ProfileFolders, ProfileStream, load_profile, parse_profile, stream_names
from dcu.profiles.load import MAX_STEPS, SHIPPED

NAMES = ("dsmr", "generic", "idis", "is15959-1p", "is15959-3p")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return tmp_path


def write(folder: Path, name: str, text: str) -> ProfileFolders:
    (folder / f"{name}.yaml").write_text(text)
    return ProfileFolders(folder)


@pytest.mark.parametrize("name", ["dlms", "../idis", "/etc/passwd", ""])
def test_an_unknown_profile(name: str) -> None:
    with pytest.raises(ConfigError, match="expected one of dsmr, generic, idis"):
        load_profile(name)


def test_the_shipped_profiles_are_there_and_right() -> None:
    found = stream_names(str(SHIPPED))
    assert tuple(found) == NAMES
    for name in NAMES:
        profile = load_profile(name)
        assert found[name] == profile.stream_names
        assert len(set(profile.registers)) == len(profile.registers)
        assert {"serial", "firmware"} <= profile.identity.keys()
        codes = [code for log in profile.event_codes.values() for code in log.values()]
        assert {code.severity for code in codes} <= {"info", "warning", "alarm"}


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
    assert idis.stream_names == idis.streams.keys() | {INSTANT, ALARM}
    assert idis.event_codes["event.fraud"][45] == EventCode("meter cover closed", "info", restores=44)
    assert idis.event_codes["event.fraud"][255] == idis.event_codes["event.standard"][255]
    assert idis.alarms is not None
    assert idis.alarms.bits[13] == EventCode("fraud attempt", "alarm")
    assert idis.status is not None
    assert idis.status.bits == {
        0: "critical error",
        1: "clock invalid",
        2: "data not valid",
        5: "clock adjusted",
        7: "power down",
    }


def test_dsmr_is_idis_with_registers_of_its_own_and_one_log_more() -> None:
    idis, dsmr = load_profile("idis"), load_profile("dsmr")
    assert dsmr.streams.keys() - idis.streams.keys() == {"event.powerfail"}
    assert dsmr.event_codes["event.fraud"] == idis.event_codes["event.fraud"]
    assert dsmr.registers[0] == Attribute(3, parse_obis("1-0:1.8.1.255"))
    assert dsmr.registers != idis.registers


def test_indian_meters_have_scaler_profiles_a_profile_of_instantaneous_values_and_clients_for_tasks() -> None:
    one, three = load_profile("is15959-1p"), load_profile("is15959-3p")
    assert one.streams[INSTANT] == ProfileStream(
        parse_obis("1-0:94.91.0.255"), scalers=parse_obis("1-0:94.91.3.255"), whole=True
    )
    assert one.streams["load0"].period == 1800
    assert one.nameplate == Attribute(7, parse_obis("0-0:94.91.10.255"))
    setting = one.client("clock.set")
    assert setting is not None
    assert (setting.client, setting.authentication) == (48, Authentication.HLS_GMAC)
    assert one.client("load0") is None
    assert one.client("firmware.activate") == one.clients["firmware"]
    assert three.streams == one.streams
    assert 1 not in one.event_codes["event.voltage"]
    assert three.event_codes["event.voltage"][2] == EventCode("phase L1 missing ended", restores=1)
    assert three.event_codes["event.voltage"][101] == one.event_codes["event.power"][101]
    assert one.alarms is not None
    assert three.alarms is not None
    assert three.alarms.bits.keys() - one.alarms.bits.keys() == {0, 1, 2, 5, 7, 8, 9}


def test_an_own_file_of_the_same_name_replaces_the_shipped_one(own: Path) -> None:
    folders = write(own, "idis", "{clock: 0-0:1.0.0.255, disconnect: 0-0:96.3.10.255, registers: [1-0:1.7.0.255]}")
    assert load_profile("idis", folders).streams == {}
    assert stream_names(str(own))["idis"] == {INSTANT}
    assert load_profile("dsmr", folders).streams.keys() == {"event.powerfail"}, (
        "what builds on it builds on the own one"
    )


def test_an_own_file_of_the_same_name_may_build_on_the_shipped_one(own: Path) -> None:
    folders = write(own, "idis", "{extends: idis, streams: {load1: {period: 5m}, hourly: {object: 1-0:99.4.0.255}}}")
    mine, shipped = load_profile("idis", folders), load_profile("idis")
    assert mine.streams["load1"] == ProfileStream(shipped.streams["load1"].name, 300)
    assert mine.streams.keys() - shipped.streams.keys() == {"hourly"}
    assert mine.event_codes == shipped.event_codes


def test_profiles_build_on_one_another_and_not_in_circles(own: Path) -> None:
    write(own, "maker", "{extends: idis, event_codes: {event.fraud: {200: {name: our own, restores: 40}}}}")
    folders = write(own, "model", "{extends: maker, registers: []}")
    codes = load_profile("model", folders).event_codes["event.fraud"]
    assert codes[200] == EventCode("our own", restores=40)
    assert codes[40].severity == "alarm"
    write(own, "maker", "extends: model")
    with pytest.raises(ConfigError, match=f"maker.yaml: extends: more than {MAX_STEPS} profiles|model.yaml: extends"):
        load_profile("model", folders)


def test_what_is_extended_has_to_be_there(own: Path) -> None:
    folders = write(own, "mine", "extends: yours")
    with pytest.raises(ConfigError, match=r"mine\.yaml: extends: no profile 'yours' to extend"):
        load_profile("mine", folders)
    folders = write(own, "self", "extends: self")
    with pytest.raises(ConfigError, match="no profile 'self' to extend"):
        load_profile("self", folders)


def test_every_fault_of_every_file_is_told(own: Path) -> None:
    write(own, "one", "extends: idis\nclock: nine")
    write(own, "two", "extends: idis\n\nregister: []")
    with pytest.raises(ConfigError) as caught:
        stream_names(str(own))
    assert [problem.removeprefix(f"{own}/") for problem in caught.value.problems] == [
        "one.yaml:2: clock: expected a logical name such as 1-0:1.8.0.255, a class id before it if need be, got 'nine'",
        "two.yaml:3: register: unknown key, did you mean 'registers'?",
    ]


def test_a_fault_is_told_once_and_where_it_was_made(own: Path) -> None:
    write(own, "idis", "extends: idis\nevent_codes:\n  event.fraud:\n    201: {name: x, restores: 999}")
    write(own, "mine", "extends: idis\nevent_codes: {event.fraud: {202: y}}")
    with pytest.raises(ConfigError) as caught:
        stream_names(str(own))
    assert caught.value.problems == (
        f"{own}/idis.yaml:4: event_codes.event.fraud.201: restores 999, which is not in this table",
    )


def test_the_folder_is_where_it_is_said_or_where_it_always_is(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcu.profiles.load.OWN", own / "none")
    assert ProfileFolders.at(None) == ProfileFolders()
    monkeypatch.setattr("dcu.profiles.load.OWN", own)
    assert ProfileFolders.at(None) == ProfileFolders(own)
    assert ProfileFolders.at("/x") == ProfileFolders(Path("/x"))
    with pytest.raises(ConfigError, match="/x: no folder of profiles"):
        stream_names("/x")


def test_a_text_is_parsed_without_a_file() -> None:
    assert parse_profile("mine", "extends: dsmr").streams == load_profile("dsmr").streams


def test_what_an_editor_keeps_beside_a_file_is_no_profile(own: Path) -> None:
    (own / ".#idis.yaml").symlink_to("me@nowhere.1234:1700000000")
    (own / ".idis.yaml.swp").write_text("")
    assert stream_names(str(own)).keys() == {*NAMES}


def test_what_is_no_file_is_told_with_its_name(own: Path) -> None:
    (own / "folder.yaml").mkdir()
    os.mkfifo(own / "pipe.yaml")
    (own / "nowhere.yaml").symlink_to("gone")
    (own / "late.yml").write_text("extends: idis")
    with pytest.raises(ConfigError) as caught:
        stream_names(str(own))
    assert [problem.removeprefix(f"{own}/") for problem in caught.value.problems] == [
        "late.yml: expected a name that ends in .yaml",
        "folder.yaml: cannot be read: Is a directory",
        "nowhere.yaml: cannot be read: No such file or directory",
        "pipe.yaml: expected a regular file",
    ]
