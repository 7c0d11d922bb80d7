"""What a line of the archive has to agree with: other lines, what it names, addresses, secrets."""

import pytest

from dcu.config.settings import GENERIC, DiscoverSettings
from tests.configurations import KEYS, KEYS_FILE, faults, good, parsed


def test_hdlc_addresses_depend_on_their_size() -> None:
    text = good("port: /dev/ttyS1", "port: /dev/ttyS1, address_size: 2")
    wide = text.replace("address: 17", "address: 126, logical_device: 200")
    assert faults(wide) == [
        "dcu.yaml:12: meters[0].address: expected 16 to 125, for 2-octet HDLC addresses, got '126'",
        "dcu.yaml:12: meters[0].logical_device: expected at most 125, for 2-octet HDLC addresses, got '200'",
    ]


def test_each_meter_has_what_its_access_needs() -> None:
    assert faults(good(), {KEYS_FILE: "meters: {M0001: {encryption_key: 000102030405060708090a0b0c0d0e0f}}"}) == [
        "dcu.yaml:12: meters[0]: /etc/dcu/keys.yaml has no password for M0001: access 'reader' needs it",
        "dcu.yaml:13: meters[1]: /etc/dcu/keys.yaml has no encryption_key for M0002: access 'management' needs it",
        "dcu.yaml:13: meters[1]: /etc/dcu/keys.yaml has no authentication_key for M0002: access 'management' needs it",
    ]


def test_a_serial_number_belongs_to_one_meter() -> None:
    text = good("profile: idis}", "profile: idis, serial: 4711}").replace(
        "management, profile: idis}", "management, profile: idis, serial: '4711'}"
    )
    assert faults(text) == ["dcu.yaml:13: meters[1].serial: expected another than meters[0] (line 12) has, got '4711'"]


def test_a_key_of_another_suite_is_named() -> None:
    text = good("ciphered: true", "ciphered: true, suite: 2")
    assert faults(text)[0].endswith("encryption_key of M0002: access 'management' needs 32 octets, not 16")


def test_a_broadcast_key_need_not_be_but_has_to_fit() -> None:
    long = KEYS.replace("M0002: {", f"M0002: {{broadcast_key: {'00' * 32}, ")
    assert faults(good(), {KEYS_FILE: long})[0].endswith(
        "broadcast_key of M0002: access 'management' needs 16 octets, not 32"
    )
    fitting = KEYS.replace("M0002: {", f"M0002: {{broadcast_key: {'00' * 16}, ")
    assert parsed(good(), {KEYS_FILE: fitting}).keys["M0002"].broadcast_key == bytes(16)


SEARCH = "{name: rs485-1, port: /dev/ttyS1, discover: {addresses: [17-250, 300], access: reader, profile: idis}}"


def test_where_new_meters_are_looked_for() -> None:
    config = parsed(good("{name: rs485-1, port: /dev/ttyS1}", SEARCH))
    search = config.buses[0].discover
    assert search == DiscoverSettings((range(17, 251), range(300, 301)), "reader", profile="idis")
    assert config.keys[""].password == b"secret"
    assert config.buses[1].discover is None
    adding = SEARCH.replace("profile: idis", "policy: add, profile: auto, profiles: {LGZ: idis}, every: 2d")
    search = faultless(adding)
    assert (search.add, search.profile, search.profiles, search.every) == (True, None, {"LGZ": "idis"}, 172_800.0)


@pytest.mark.parametrize(
    ("access", "default", "fault"),
    [
        ("reader", "", "has no password for default: access 'reader' needs it"),
        ("management", "password: p", "has no encryption_key for default: access 'management' needs it"),
        (
            "management",
            f"password: p, encryption_key: {'0' * 64}, authentication_key: {'0' * 32}",
            "encryption_key of default: access 'management' needs 16 octets, not 32",
        ),
    ],
)
def test_whoever_is_found_is_opened_with_default_secrets_that_must_fit(access: str, default: str, fault: str) -> None:
    own = KEYS.replace("meters:", "meters:\n  M0001: {password: secret}")
    text = good("{name: rs485-1, port: /dev/ttyS1}", SEARCH.replace("access: reader", f"access: {access}"))
    problems = faults(text, {KEYS_FILE: own.replace("password: secret", default, 1)})
    assert any(f"discover: {KEYS_FILE}" in each and fault in each for each in problems), problems


def test_a_search_that_needs_secrets_needs_a_file_of_them() -> None:
    text = good("{name: rs485-1, port: /dev/ttyS1}", SEARCH).replace("keys: keys.yaml\n", "")
    text = "\n".join(line for line in text.splitlines() if "id: M000" not in line).replace("meters:", "meters: []")
    assert any("discover.access: expected an access without secrets" in each for each in faults(text)), faults(text)


def faultless(bus: str) -> DiscoverSettings:
    profiles = {"idis": frozenset({"instant", "load0", "daily", "event.fraud"}), "generic": frozenset({"instant"})}
    found = parsed(good("{name: rs485-1, port: /dev/ttyS1}", bus), profiles=profiles).buses[0].discover
    assert found is not None
    return found


def test_the_longest_beginning_of_a_device_name_says_the_profile() -> None:
    search = DiscoverSettings((), "reader", profiles={"LGZ": "idis", "LGZ9": "dsmr"})
    assert [search.profile_of(name) for name in ("LGZ1", "LGZ99", "ISK1", "")] == ["idis", "dsmr", GENERIC, GENERIC]
    assert DiscoverSettings((), "reader", profile="idis").profile_of("ISK1") == "idis"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("access: reader", "access: read", "discover.access: expected one of management, reader, got 'read'"),
        ("profile: idis", "profile: idiss", "discover: no profile 'idiss': expected one of idis"),
        ("profile: idis", "profile: auto", "discover: no profile 'generic': expected one of idis"),
        ("17-250", "5-250", "discover.addresses: expected 16 to 16381, for 4-octet HDLC addresses, got a list"),
        ("17-250", "250-17", "discover.addresses[0]: expected a range such as 17-250, or a number, from 1 to 65535"),
        ("addresses: [17-250, 300], ", "", "discover: expected the key 'addresses'"),
    ],
)
def test_a_search_that_disagrees_is_named(old: str, new: str, fault: str) -> None:
    problems = faults(good("{name: rs485-1, port: /dev/ttyS1}", SEARCH.replace(old, new)))
    assert any(fault in problem for problem in problems), problems
