"""The file of secrets: its form, its inheritance, and that nothing of it is ever shown."""

import pytest

from dcu.config.keys import KeyFile
from dcu.model import Keys
from tests.configurations import KEYS, KEYS_FILE, faults, good, parsed


def test_a_meter_without_its_own_entry_shares_the_default() -> None:
    keys = KeyFile("k", Keys(b"d"), {"M1": {"password": b"own"}, "M2": {}})
    assert keys.of("M1") == Keys(b"own")
    assert keys.of("M2") is keys.of("M3") is keys.default


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("default: hunter2", "keys.yaml:1: default: expected a section (key: value)"),
        ("meters: {M1: hunter2}", "keys.yaml:1: meters.M1: expected a section (key: value)"),
        (
            "default: {encryption_key: hunter2}",
            "keys.yaml:1: default.encryption_key: expected 16 or 32 octets as 32 or 64 hexa",
        ),
        ("default: {password: hex:hunter2}", "keys.yaml:1: default.password: expected text, or hex: and pairs"),
        ("default: {password: [hunter2]}", "keys.yaml:1: default.password: expected text, or hex: and pairs"),
        ("default: {pasword: hunter2}", "keys.yaml:1: default: unknown key, did you mean 'password'?"),
        ("default: {}\nhunter2:", "keys.yaml:2: unknown key; known are default, meters"),
        ("meters:\n  hunter2: {}\n  hunter2: {}", "keys.yaml:3: meters: given twice, first on line 2"),
        ("meters:\n  M0001:\n    hunter2:", "keys.yaml:3: meters.M0001: unknown key; known are"),
        ("default: {password: 'hunter2", "keys.yaml:1: not YAML: found unexpected end of stream"),
        ("default: &hunter2 {}", "keys.yaml:1: expected no anchors"),
    ],
)
def test_a_fault_is_named_without_the_secret(text: str, fault: str) -> None:
    problems = faults(good(), {KEYS_FILE: text})
    assert problems[0].startswith(fault), problems
    assert "hunter2" not in "".join(problems)


def test_passwords_are_text_or_octets() -> None:
    other = "encryption_key: 000102030405060708090a0b0c0d0e0f, authentication_key: 000102030405060708090a0b0c0d0e0f"
    text = f"default: {{password: 00000001, {other}}}\nmeters: {{M0002: {{password: 'hex:00FF'}}}}"
    keys = parsed(good(), {KEYS_FILE: text}).keys
    assert (keys["M0001"].password, keys["M0002"].password) == (b"00000001", b"\0\xff")


def test_keys_to_agree_by_are_as_long_as_their_curve() -> None:
    for name, octets in (("agreement_key", 32), ("meter_agreement_key", 64)):
        text = KEYS.replace("M0002: {", f"M0002: {{{name}: {'0a' * octets}, ")
        assert getattr(parsed(good(), {KEYS_FILE: text}).keys["M0002"], name) == b"\x0a" * octets
        wrong = KEYS.replace("M0002: {", f"M0002: {{{name}: {'0a' * (octets + 1)}, ")
        assert f"M0002.{name}: expected {octets} or {octets * 3 // 2} octets" in faults(good(), {KEYS_FILE: wrong})[0]


def test_entries_for_meters_not_yet_in_the_archive_are_allowed() -> None:
    text = "default: {password: p, encryption_key: '{0}', authentication_key: '{0}'}\nmeters: {{M9: {{password: q}}}}"
    zeros = "0" * 32
    assert parsed(
        good(), {KEYS_FILE: text.replace("{0}", zeros).replace("{{", "{").replace("}}", "}")}
    ).keys.keys() == {
        "M0001",
        "M0002",
    }


NEW_FILE = "/etc/dcu/new.yaml"
NEW = good().replace("keys: keys.yaml", "keys: keys.yaml\nnew_keys: new.yaml")
MASTER = KEYS.replace("M0002: {", "M0002: {master_key: 0123456789abcdef0123456789abcdef, ")


def test_new_keys_stand_in_a_file_of_the_same_form() -> None:
    text = "default: {password: other}\nmeters: {M0002: {encryption_key: ffffffffffffffffffffffffffffffff}}"
    config = parsed(NEW, {KEYS_FILE: MASTER, NEW_FILE: text})
    assert config.new_keys["M0001"].password == b"other"
    assert config.new_keys["M0002"].encryption_key == b"\xff" * 16
    assert config.keys["M0002"].master_key.hex() == "0123456789abcdef0123456789abcdef"
    assert parsed(good()).new_keys == {}


def test_what_is_missing_among_new_keys_stays_as_it_is() -> None:
    assert parsed(NEW, {KEYS_FILE: KEYS, NEW_FILE: "default: {}"}).new_keys["M0002"] == Keys()


@pytest.mark.parametrize(
    ("keys", "new", "fault"),
    [
        (KEYS, "f" * 32, "keys.yaml has no master_key for M0002: access 'management' needs it"),
        (MASTER, "f" * 64, "new.yaml: encryption_key of M0002: access 'management' needs 16 octets, not 32"),
        (
            KEYS.replace("M0002: {", f"M0002: {{master_key: {'0' * 64}, "),
            "f" * 32,
            "keys.yaml: master_key of M0002: access 'management' needs 16 octets, not 32",
        ),
    ],
)
def test_new_keys_must_fit_and_need_one_to_travel_under(keys: str, new: str, fault: str) -> None:
    files = {KEYS_FILE: keys, NEW_FILE: f"meters: {{M0002: {{encryption_key: {new}}}}}"}
    [problem] = faults(NEW, files)
    assert problem.endswith(fault.replace("keys.yaml", "/etc/dcu/keys.yaml").replace("new.yaml", "/etc/dcu/new.yaml"))
