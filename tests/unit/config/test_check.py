"""Agreement between sections: names, addresses, framings, secrets."""

from pathlib import Path

import pytest

from tests.configurations import faults, good

STREAMS = "clock, daily, event.fraud, identity, instant, load0"
METER = "  - {id: M0001, bus: rs485-1, address: 17, access: reader, profile: idis}\n"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "name: gateway",
            "name: rs485-1",
            "dcu.yaml:6: buses[1].name: expected another than buses[0] (line 5) has, got 'rs485-1'",
        ),
        (
            "port: /dev/ttyS1",
            'port: "tcp://10.0.0.7:4059"',
            "dcu.yaml:6: buses[1].port: expected another than buses[0] (line 5) has, got 'tcp://10.0.0.7:4059'",
        ),
        (
            "id: M0002",
            "id: M0001",
            "dcu.yaml:13: meters[1].id: expected another than meters[0] (line 12) has, got 'M0001'",
        ),
        (
            METER,
            METER + METER.replace("M0001", "M0003"),
            "dcu.yaml:13: meters[1].address: expected another than meters[0] (line 12) has, got '17'",
        ),
        ("profile: idis", "profile: dsmr", "dcu.yaml:12: meters[0].profile: expected one of idis, got 'dsmr'"),
        (
            "access: reader",
            "access: read",
            "dcu.yaml:12: meters[0].access: expected one of management, reader, got 'read'",
        ),
        (
            "load0:",
            "load9:",
            f"dcu.yaml:16: timetable.load9: expected 'objects', or one of {STREAMS}, did you mean 'load0'?",
        ),
        (
            'port: "tcp://10.0.0.7:4059"',
            "port: /dev/ttyS2",
            "dcu.yaml:6: buses[1].framing: expected hdlc on a device; wrapper needs tcp://HOST:PORT, got 'wrapper'",
        ),
    ],
)
def test_disagreement_is_named(old: str, new: str, fault: str) -> None:
    assert fault in faults(good(old, new))


def test_entries_on_one_line_are_told_apart() -> None:
    buses = "buses: [{name: a, port: /dev/a}, {name: a, port: /dev/b}]"
    problems = faults(f"dcu: {{id: D}}\nuplink: {{host: h}}\ntimetable: {{}}\n{buses}\n")
    assert problems == ["dcu.yaml:4: buses[1].name: expected another than buses[0] (line 4) has, got 'a'"]


def test_one_line_by_two_paths(tmp_path: Path) -> None:
    (tmp_path / "by-id").symlink_to("/dev/ttyS1")
    (problem,) = faults(good("- {name: gateway", f"- {{name: again, port: {tmp_path}/by-id}}\n  - {{name: gateway"))
    assert "buses[1].port: expected another than buses[0] (line 5) has" in problem


def test_two_logical_devices_of_one_meter_are_two_entries() -> None:
    second = METER.replace("M0001", "M0003").replace("address: 17", "address: 17, logical_device: 2")
    problems = faults(good(METER, METER + second + "  - {}\n"))
    assert not any("another than" in problem for problem in problems)


def test_a_name_whose_entry_is_faulty_is_known_all_the_same() -> None:
    assert len(faults(good("port: /dev/ttyS1", "prt: /dev/ttyS1"))) == 2
    assert len(faults(good("client: 2,", ""))) == 1


def test_a_reference_to_nothing() -> None:
    text = "dcu: {id: D}\nuplink: {host: h}\ntimetable: {}\nmeters:\n" + METER
    assert "dcu.yaml:5: meters[0].bus: expected a name, and there is none yet, got 'rs485-1'" in faults(text)


def test_a_long_list_of_known_names_is_cut() -> None:
    buses = "\n".join(f"  - {{name: b{number}, port: /dev/tty{number}}}" for number in range(20))
    problems = faults(good("buses:", f"buses:\n{buses}").replace("bus: rs485-1", "bus: x"))
    assert problems[0].endswith("expected one of b0, b1, b10, b11, b12, b13, b14, b15, …, got 'x'")


def test_known_names_are_shown_short_and_on_one_line() -> None:
    problems = faults(
        good("  reader:", f'  "a\\nb": {{client: 1}}\n  {"c" * 99}: {{client: 1}}\n  reader:').replace(
            "access: r", "access: x"
        )
    )
    assert problems[-1].endswith(f"expected one of 'a\\nb', {'c' * 40}…, management, reader, got 'xeader'")


def test_without_a_key_file_one_fault_stands_for_all() -> None:
    assert faults(good("keys: keys.yaml\n")) == [
        "dcu.yaml:11: meters[0].access: expected an access without secrets, or 'keys' with a file of them, got 'reader'"
    ]


def test_a_key_file_that_cannot_be_read_is_the_only_fault() -> None:
    assert faults(good(), {}) == ["dcu.yaml:10: keys: /etc/dcu/keys.yaml: cannot be read"]
