"""The file of secrets: its form, its inheritance, and that nothing of it is ever shown."""

import pytest

from dcu.config.keys import KeyFile
from dcu.model import Keys
from tests.configurations import KEYS_FILE, faults, good, parsed


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
        ("default: {pasword: hunter2}", "keys.yaml:1: default.pasword: unknown key, did you mean 'password'?"),
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


def test_entries_for_meters_not_yet_in_the_archive_are_allowed() -> None:
    text = "default: {password: p, encryption_key: '{0}', authentication_key: '{0}'}\nmeters: {{M9: {{password: q}}}}"
    zeros = "0" * 32
    assert parsed(
        good(), {KEYS_FILE: text.replace("{0}", zeros).replace("{{", "{").replace("}}", "}")}
    ).keys.keys() == {
        "M0001",
        "M0002",
    }
