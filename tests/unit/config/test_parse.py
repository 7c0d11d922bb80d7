"""The configuration as a whole: what a good file becomes, and that all its faults come at once."""

import hashlib

import pytest

from dcu.config.settings import BusConfig, ClockSettings, DcuSettings, SparkplugSettings, TlsSettings, UplinkSettings
from dcu.forms.shape import MAX_PROBLEMS
from dcu.model import Access, Authentication, Framing, Keys, Meter, Priority, Task
from tests.configurations import FILE, KEYS, KEYS_FILE, faults, good, parsed


def test_a_good_file_becomes_settings() -> None:
    config = parsed(good())
    assert config.dcu.id == "DCU-0001"
    assert config.uplink == UplinkSettings("localhost", "DCU-0001")
    assert config.buses == (
        BusConfig("rs485-1", "/dev/ttyS1"),
        BusConfig("gateway", "tcp://10.0.0.7:4059", framing=Framing.WRAPPER, inter_octet=2.0),
    )
    assert config.access == {
        "reader": Access("reader", 2, Authentication.LLS),
        "management": Access("management", 1, Authentication.HLS_GMAC, ciphered=True),
    }
    assert config.meters == (
        Meter("M0001", "rs485-1", 17, "reader", "idis"),
        Meter("M0002", "gateway", 1, "management", "idis"),
    )
    assert config.timetable == (Task("instant", 300.0), Task("load0", 900.0, 60.0, 86400.0))
    assert config.file == FILE


def test_keys_are_the_default_overridden_one_by_one() -> None:
    keys = parsed(good()).keys
    assert keys["M0001"] == Keys(b"secret")
    assert keys["M0002"] == Keys(b"secret", bytes(range(16)), bytes(range(0xD0, 0xE0)))


def test_a_meter_without_secrets_has_empty_keys() -> None:
    text = (
        good("keys: keys.yaml\n")
        .replace("access: reader", "access: public")
        .replace("access: management", "access: public")
    )
    config = parsed(text.replace("access:\n", "access:\n  public: {client: 16}\n"), {})
    assert config.keys == {"M0001": Keys(), "M0002": Keys()}


def test_the_revision_is_that_of_the_file_and_not_of_the_secrets() -> None:
    config = parsed(good())
    assert config.revision == hashlib.sha256(good().encode()).hexdigest()[:16]
    assert parsed(good("client: 2", "client: 3")).revision != config.revision
    others = {KEYS_FILE: KEYS.replace("secret", "others")}
    assert parsed(good(), others).keys != config.keys
    assert parsed(good(), others).revision == config.revision


def test_an_empty_archive_is_a_start() -> None:
    config = parsed("dcu: {id: D}\nuplink: {host: h}\ntimetable: {}\nmeters:\nbuses:\n")
    assert (config.meters, config.buses, config.timetable) == ((), (), ())


def test_every_fault_is_named_at_once() -> None:
    text = good("host: localhost", "hots: x").replace("M0002, bus: gateway", "M0002, bus: gate")
    text = (
        text.replace("client: 2", "client: 200").replace("every: 5m", "every: 5").replace("address: 17", "address: 5")
    )
    assert faults(text) == [
        "dcu.yaml:3: uplink.hots: unknown key, did you mean 'host'?",
        "dcu.yaml:2: uplink: expected the key 'host'",
        "dcu.yaml:8: access.reader.client: expected a whole number from 1 to 127, got '200'",
        "dcu.yaml:15: timetable.instant.every: expected a duration from 10s to 31d, such as 20s, 5m, 1h30m, got '5'",
        "dcu.yaml:12: meters[0].address: expected 16 to 16381, for 4-octet HDLC addresses, got '5'",
        "dcu.yaml:13: meters[1].bus: expected one of gateway, rs485-1, got 'gate'",
    ]


def test_the_number_of_problems_shown_is_bounded() -> None:
    problems = faults("\n".join(f"key{number}: 1" for number in range(10 * MAX_PROBLEMS)))
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1] == f"only the first {MAX_PROBLEMS} problems are shown"


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n"])
def test_an_empty_file_lacks_the_required_sections(text: str) -> None:
    assert faults(text) == [f"dcu.yaml:1: expected the key '{key}'" for key in ("dcu", "uplink", "timetable")]


@pytest.mark.parametrize("text", ["just words", "- a list"])
def test_a_file_that_is_no_section(text: str) -> None:
    assert faults(text)[0].startswith("dcu.yaml:1: expected a section (key: value), got ")


def test_secrets_are_not_printed() -> None:
    files = {KEYS_FILE: KEYS, "/etc/dcu/mqtt": "very-secret\n"}
    config = parsed(good("host: localhost", "host: localhost\n  username: u\n  password_file: mqtt"), files)
    assert config.uplink.password == "very-secret"
    assert "secret" not in repr(config)


def test_another_dialect_with_and_without_a_primary_host() -> None:
    for words, host in (("{group: g}", None), ("{group: g, host: scada}", "scada")):
        config = parsed(good("host: localhost", f"host: localhost\n  sparkplug: {words}"))
        assert config.uplink.sparkplug == SparkplugSettings("g", host)


def test_the_tls_port_and_files() -> None:
    files = {KEYS_FILE: KEYS} | dict.fromkeys(("/etc/dcu/ca", "/etc/dcu/c", "/k"), "PEM")
    config = parsed(good("host: localhost", "host: localhost\n  tls: {ca: ca, cert: c, key: /k}"), files)
    assert config.uplink.tls == TlsSettings("/etc/dcu/ca", "/etc/dcu/c", "/k")
    assert config.uplink.port == 8883
    assert parsed(good("host: localhost", "host: localhost\n  port: 1\n  tls: {}"), files).uplink.port == 1


def test_priority_comes_from_the_kind_of_stream() -> None:
    config = parsed(good("instant:", "daily: {every: 1d}\n  event.fraud: {every: 1m}\n  instant:"))
    priorities = {task.stream: task.priority for task in config.timetable}
    assert priorities == {
        "daily": Priority.BILLING,
        "event.fraud": Priority.EVENT,
        "instant": Priority.SCHEDULED,
        "load0": Priority.SCHEDULED,
    }


def test_system_titles_differ_between_units_and_can_be_given() -> None:
    one, other = (parsed(good("DCU-0001", name)).dcu for name in ("A", "B"))
    assert len(one.system_title) == len(other.system_title) == 8
    assert one.system_title != other.system_title
    given = parsed(good("id: DCU-0001", 'id: D, system_title: "4443550000000001"')).dcu
    assert given == DcuSettings("D", bytes.fromhex("4443550000000001"))


def test_buses_behind_one_host_begin_in_turn_unless_they_say_when() -> None:
    lines = [
        f'  - {{name: b{number}, port: "tcp://10.0.0.9:{4000 + number}", framing: wrapper}}' for number in range(300)
    ]
    lines[2] = lines[2].replace("}", ", stagger: 7s}")
    buses = parsed(good("access:\n", "\n".join(lines) + "\naccess:\n")).buses
    staggers = [bus.stagger for bus in buses]
    assert staggers[:5] == [None, None, None, 0.2, 7.0]
    assert max(bus.stagger or 0.0 for bus in buses[5:]) < 60.0


def test_a_frame_on_a_slow_line_is_no_longer_than_a_command_may_wait() -> None:
    def offered(words: str) -> int:
        return parsed(good("port: /dev/ttyS1", f"port: /dev/ttyS1{words}")).buses[0].max_info

    assert [offered(f", baud: {baud}") for baud in (300, 1200, 9600)] == [66, 264, 2030]
    assert offered(", baud: 1200, max_info: 500") == 500


def test_a_clock_may_be_plausible_only() -> None:
    assert parsed(good()).clock == ClockSettings(synchronised=True, holdover=7 * 86_400.0)
    text = good("uplink:", "clock: {require: plausible, holdover: 1h}\nuplink:")
    assert parsed(text).clock == ClockSettings(synchronised=False, holdover=3600.0)


def test_a_clock_that_would_never_be_moved() -> None:
    (fault,) = faults(good() + "clock: {tolerance: 15m, limit: 1m}\n")
    assert fault.endswith("clock.limit: expected no less than the tolerance, got '1m'")
    assert parsed(good() + "clock: {tolerance: 15m, limit: 15m}\n").clock.limit == 900.0


def test_the_access_that_moves_clocks_is_one_there_is() -> None:
    assert parsed(good() + "clock: {set: true, access: management}\n").clock.access == "management"
    (fault,) = faults(good() + "clock: {set: true, access: manager}\n")
    assert fault.endswith("clock.access: expected one of management, reader, got 'manager'")
