"""What may stand under each key, by the fault that a wrong word gives."""

import re
from pathlib import Path

import pytest

from dcu.config import StreamSettings, channels, keys, sections, timetable
from dcu.forms.access import ACCESS
from dcu.forms.shape import Reader, Shape
from dcu.model import Access, Authentication, Ciphering, Role
from tests.configurations import KEYS, KEYS_FILE, faults, good, parsed

REFERENCE = Path(__file__).parents[3] / "docs/reference/configuration.md"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("id: DCU-0001", "id: a/b", "dcu.id: expected a name"),
        ("id: DCU-0001", "id: D, log: loud", "dcu.log: expected one of debug, info, warning, error, got 'loud'"),
        ("id: DCU-0001", "id: D, allow: [god]", "dcu.allow[0]: expected one of viewer, operator, engineer, installer"),
        ("id: DCU-0001", "id: D, allow: viewer", "dcu.allow: expected a list"),
        ("id: DCU-0001", "id: D, system_title: 00", "dcu.system_title: expected 8 octets"),
        ("id: DCU-0001", f"id: D, socket: {'x' * 100}", "dcu.socket: expected a path of at most 107 octets"),
        ("host: localhost", "host: a b", "uplink.host: expected a host name"),
        (
            "host: localhost",
            "host: 'broker:1883'",
            "uplink.host: expected a host name or an IP address, without a port",
        ),
        ("host: localhost", "host: h\n  port: 0", "uplink.port: expected a whole number from 1 to 65535, got '0'"),
        ("host: localhost", "host: h\n  prefix: a/+/b", "uplink.prefix: expected a topic prefix"),
        ("host: localhost", "host: h\n  prefix: a/b/c/d/e", "uplink.prefix: expected a topic prefix"),
        ("host: localhost", "host: h\n  max_qos: 0", "uplink.max_qos: expected a whole number from 1 to 2"),
        ("host: localhost", "host: h\n  retain: maybe", "uplink.retain: expected true or false"),
        ("host: localhost", "host: h\n  mqtt_version: 4", "uplink.mqtt_version: expected one of auto, 5, 3"),
        ("host: localhost", "host: h\n  tls: {cert: keys.yaml}", "uplink.tls: expected cert and key together"),
        ("host: localhost", "host: h\n  tls: {ca: none.pem}", "uplink.tls.ca: /etc/dcu/none.pem: cannot be read"),
        ("host: localhost", "host: h\n  password_file: keys.yaml", "uplink.password_file: expected a username"),
        (
            "host: localhost",
            "host: h\n  streams: {event.fraud: {delay: 1s}}",
            "uplink.streams.event.fraud.delay: expected 0s: events wait for nothing",
        ),
        (
            "host: localhost",
            "host: h\n  streams: {result: {rows: 1}}",
            "uplink.streams.result: expected a stream of captures",
        ),
        (
            "host: localhost",
            "host: h\n  streams: {load0: {encoding: cbor}}",
            "uplink.streams.load0.encoding: expected one of block, json, got 'cbor'",
        ),
        ("port: /dev/ttyS1", "port: ttyS1", "buses[0].port: expected a device"),
        ("port: /dev/ttyS1", "port: tcp://host:70000", "buses[0].port: expected a device"),
        ("port: /dev/ttyS1", "port: /dev/ttyS1, baud: 9601", "buses[0].baud: expected one of 300, 600"),
        ("port: /dev/ttyS1", "port: /dev/ttyS1, timeout: 1ms", "buses[0].timeout: expected a duration from 50ms"),
        ("port: /dev/ttyS1", "port: /dev/ttyS1, address_size: 3", "buses[0].address_size: expected one of 1, 2, 4"),
        ("port: /dev/ttyS1", "port: /dev/ttyS1, max_info: 31", "buses[0].max_info: expected a whole number from 32 to"),
        ("port: /dev/ttyS1", "port: /dev/ttyS1, window: 8", "buses[0].window: expected a whole number from 1 to 7"),
        (
            "port: /dev/ttyS1",
            "port: /dev/ttyS1, keep_open: 2h",
            "buses[0].keep_open: expected a duration from 0s to 1h",
        ),
        ("reader:", "a b:", "access.a b: expected a name"),
        ("client: 2", "client: 0x10", "access.reader.client: expected a whole number"),
        ("authentication: lls", "authentication: md5", "access.reader.authentication: expected one of none, lls"),
        ("authentication: lls", "authentication: hls-ecdsa", "access.reader.suite: expected 1 or 2, for hls-ecdsa"),
        ("authentication: lls", "suite: 3", "access.reader.suite: expected one of 0, 1, 2"),
        ("authentication: lls", "ciphering: ded", "access.reader.ciphering: expected ciphered: true beside it"),
        ("authentication: lls", "referencing: xn", "access.reader.referencing: expected one of ln, sn, got 'xn'"),
        ("authentication: lls", "invocation_counter: 0", "access.reader.invocation_counter: expected a logical name"),
        ("address: 17", "address: -1", "meters[0].address: expected a whole number"),
        ("offset: 60s", "offset: 15m", "timetable.load0.offset: expected less than every, got '15m'"),
        ("every: 15m", "every: 9s", "timetable.load0.every: expected a duration from 10s"),
        ("instant: {every: 5m}", "instant:", "timetable.instant: expected the key 'every'"),
        ("meters:", "meters: {}\nunknown:", "meters: expected a list"),
        ("access:", "access: []\nx:", "access: expected a section"),
    ],
)
def test_a_wrong_word_is_named(old: str, new: str, fault: str) -> None:
    problems = faults(good(old, new))
    assert any(fault in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("id: DCU-0001", "id: 00017"),
        ("id: DCU-0001", 'id: "null"'),
        ("host: localhost", "host: '::1'"),
        ("port: /dev/ttyS1", "port: 'tcp://[fe80::1]:4059'"),
        ("port: /dev/ttyS1", "port: /dev/ttyS1, address_size: 1"),
        ("address: 17", "address: 16381, logical_device: 16381"),
        ("host: localhost", "host: h\n  username:\n  tls:"),
        ("every: 15m", "every: 1h30m"),
    ],
)
def test_unusual_but_right(old: str, new: str) -> None:
    assert parsed(good(old, new))


def test_a_network_may_pause_longer_than_a_line_unless_said_otherwise() -> None:
    assert [bus.inter_octet for bus in parsed(good()).buses] == [0.2, 2.0]
    told = parsed(good("framing: wrapper", "framing: wrapper, inter_octet: 50ms"))
    assert [bus.inter_octet for bus in told.buses] == [0.2, 0.05]


def test_only_who_reads_may_command_unless_said_otherwise() -> None:
    assert parsed(good()).dcu.allow == {Role.VIEWER}
    told = parsed(good("id: DCU-0001", "id: D, allow: [viewer, engineer]"))
    assert told.dcu.allow == {Role.VIEWER, Role.ENGINEER}


def test_names_keep_their_zeros() -> None:
    config = parsed(good("M0001", "007"))
    assert config.meters[0].id == "007"


def test_too_many_entries() -> None:
    buses = "\n".join(f"  - {{name: b{number}, port: /dev/tty{number}}}" for number in range(1025))
    assert faults(good("buses:", f"buses:\n{buses}"))[0] == "dcu.yaml:4: buses: expected at most 1024 entries, got 1027"
    tasks = "\n".join(f"  s{number}: {{every: 1m}}" for number in range(40))
    assert "timetable: expected at most 32 entries" in faults(good("timetable:", f"timetable:\n{tasks}"))[0]


def test_the_password_is_the_first_line_of_its_file() -> None:
    text = good("host: localhost", "host: h\n  username: u\n  password_file: p")
    assert parsed(text, {KEYS_FILE: KEYS, "/etc/dcu/p": "two words\r\n"}).uplink.password == "two words"


@pytest.mark.parametrize("held", ["", "\n", "x\ny", "x\ry\n"])
def test_a_password_that_is_not_one_line_is_a_fault_that_does_not_show_it(held: str) -> None:
    text = good("host: localhost", "host: h\n  username: u\n  password_file: p")
    found = faults(text, {KEYS_FILE: KEYS, "/etc/dcu/p": held})
    assert found == ["dcu.yaml:5: uplink.password_file: expected a file of one line, got 'p'"]


def keys_of(reader: Reader) -> set[str]:
    """Return the keys that a section may have."""
    assert isinstance(reader, Shape)
    return reader.required.keys() | reader.optional.keys()


@pytest.mark.parametrize(
    ("title", "shape"),
    [
        ("dcu", sections.DCU),
        ("uplink", sections.UPLINK),
        ("buses", sections.BUS),
        ("access", ACCESS),
        ("keys", keys.ENTRY),
        ("meters", sections.METER),
        ("timetable", timetable.TASK),
        ("groups", timetable.GROUP),
        ("clock", sections.CLOCK),
        ("store", sections.STORE),
    ],
)
def test_every_key_is_described(title: str, shape: Reader) -> None:
    chapters = re.split(r"^## ", REFERENCE.read_text(), flags=re.MULTILINE)[1:]
    texts = {chapter.split("\n")[0]: chapter for chapter in chapters}
    assert texts.keys() == keys_of(sections.TOP)
    described = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\|([^|]*)\|", texts[title], re.MULTILINE))))
    assert keys_of(shape) <= described <= keys_of(shape) | {"default", "meters"}


def test_every_key_of_a_stream_is_described() -> None:
    described = set(re.findall(r"^\| `streams\.NAME\.(\w+)`", REFERENCE.read_text(), re.MULTILINE))
    assert described == keys_of(sections.STREAM)


def test_every_key_of_a_channel_is_described() -> None:
    described = set(re.findall(r"`channels\.(\w+)`", REFERENCE.read_text()))
    assert described == keys_of(channels.CHANNEL)


def test_how_streams_are_sent() -> None:
    words = "{default: {delay: 5m}, daily: {encoding: json, rows: 10}, event.fraud: {encoding: block}}"
    uplink = parsed(good("host: localhost", f"host: h\n  streams: {words}")).uplink
    assert uplink.stream("load0") == StreamSettings(delay=300.0)
    assert uplink.stream("daily") == StreamSettings(compact=False, delay=30.0, rows=10)
    assert uplink.stream("event.fraud") == StreamSettings(delay=0.0, rows=100)
    assert uplink.stream("event.standard") == StreamSettings(compact=False, delay=0.0, rows=100)
    assert parsed(good()).uplink.stream("load0") == StreamSettings(compact=True, delay=30.0, rows=500)


def test_everything_an_access_can_say() -> None:
    words = (
        "authentication: hls-sha256, ciphered: on, suite: 1, ciphering: general-ded, "
        "invocation_counter: 0-0:43.1.3.255, referencing: ln"
    )
    text = good("ciphered: true}", "ciphered: true}\n  other: {client: 3, " + words + "}")
    expected = Access("other", 3, Authentication.HLS_SHA256, True, 1, Ciphering.GENERAL_DED, b"\0\0\x2b\1\3\xff")
    assert parsed(text, {KEYS_FILE: KEYS}).access["other"] == expected
