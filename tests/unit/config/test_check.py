"""Agreement between sections: names, addresses, framings, secrets."""

import pytest

from dcu.config.meters import ANY_LENGTH, needed_keys
from dcu.model import Access, Authentication
from tests.configurations import KEYS_FILE, faults, good

METER = "  - {id: M0001, bus: rs485-1, address: 17, access: reader, profile: idis}\n"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "name: gateway",
            "name: rs485-1",
            "dcu.yaml:6: buses[1].name: expected one that buses[0] (line 5) has not, got 'rs485-1'",
        ),
        (
            "port: /dev/ttyS1",
            'port: "tcp://10.0.0.7:4059"',
            "dcu.yaml:6: buses[1].port: expected one that buses[0] (line 5) has not, got 'tcp://10.0.0.7:4059'",
        ),
        (
            "id: M0002",
            "id: M0001",
            "dcu.yaml:13: meters[1].id: expected one that meters[0] (line 12) has not, got 'M0001'",
        ),
        (
            METER,
            METER + METER.replace("M0001", "M0003"),
            "dcu.yaml:13: meters[1].address: expected one that meters[0] (line 12) has not, got '17'",
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
            "dcu.yaml:16: timetable.load9: no profile has this: expected one of daily, event.fraud, instant, load0",
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


def test_hdlc_addresses_depend_on_their_size() -> None:
    text = good("port: /dev/ttyS1", "port: /dev/ttyS1, address_size: 2")
    wide = text.replace("address: 17", "address: 126, logical_device: 200")
    assert faults(wide) == [
        "dcu.yaml:12: meters[0].address: expected 16 to 125, for 2-octet HDLC addresses, got '126'",
        "dcu.yaml:12: meters[0].logical_device: expected at most 125, for 2-octet HDLC addresses, got '200'",
    ]


def test_entries_on_one_line_are_told_apart() -> None:
    buses = "buses: [{name: a, port: /dev/a}, {name: a, port: /dev/b}]"
    problems = faults(f"dcu: {{id: D}}\nuplink: {{host: h}}\ntimetable: {{}}\n{buses}\n")
    assert problems == ["dcu.yaml:4: buses[1].name: expected one that buses[0] (line 4) has not, got 'a'"]


def test_two_logical_devices_of_one_meter_are_two_entries() -> None:
    second = METER.replace("M0001", "M0003").replace("address: 17", "address: 17, logical_device: 2")
    problems = faults(good(METER, METER + second + "  - {}\n"))
    assert not any("has not" in problem for problem in problems)


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


def test_each_meter_has_what_its_access_needs() -> None:
    assert faults(good(), {KEYS_FILE: "meters: {M0001: {encryption_key: 000102030405060708090a0b0c0d0e0f}}"}) == [
        "dcu.yaml:12: meters[0]: /etc/dcu/keys.yaml has no password for M0001: access 'reader' needs it",
        "dcu.yaml:13: meters[1]: /etc/dcu/keys.yaml has no encryption_key for M0002: access 'management' needs it",
        "dcu.yaml:13: meters[1]: /etc/dcu/keys.yaml has no authentication_key for M0002: access 'management' needs it",
    ]


def test_without_a_key_file_one_fault_stands_for_all() -> None:
    assert faults(good("keys: keys.yaml\n")) == [
        "dcu.yaml:11: meters[0].access: expected an access without secrets, or 'keys' with a file of them, got 'reader'"
    ]


def test_a_key_file_that_cannot_be_read_is_the_only_fault() -> None:
    assert faults(good(), {}) == ["dcu.yaml:10: keys: /etc/dcu/keys.yaml: cannot be read"]


AES_128 = {"encryption_key": 16, "authentication_key": 16}
AES_256 = {"encryption_key": 32, "authentication_key": 32}


@pytest.mark.parametrize(
    ("access", "needed"),
    [
        (Access("a"), {}),
        (Access("a", 2, Authentication.LLS), {"password": ANY_LENGTH}),
        (Access("a", 2, Authentication.HLS_SHA256), {"password": ANY_LENGTH}),
        (Access("a", 2, Authentication.HLS_MD5, ciphered=True), {"password": ANY_LENGTH, **AES_128}),
        (Access("a", 1, Authentication.HLS_GMAC), AES_128),
        (Access("a", 1, Authentication.HLS_GMAC, suite=2), AES_256),
        (Access("a", 1, ciphered=True, suite=1), AES_128),
        (Access("a", 1, Authentication.HLS_ECDSA, suite=1), {"signing_key": 32, "verifying_key": 64}),
        (
            Access("a", 1, Authentication.HLS_ECDSA, ciphered=True, suite=2),
            {"signing_key": 48, "verifying_key": 96, **AES_256},
        ),
    ],
)
def test_needed_keys(access: Access, needed: dict[str, int]) -> None:
    assert needed_keys(access) == needed


def test_a_key_of_another_suite_is_named() -> None:
    text = good("ciphered: true", "ciphered: true, suite: 2")
    assert faults(text)[0].endswith("encryption_key of M0002: access 'management' needs 32 octets, not 16")
