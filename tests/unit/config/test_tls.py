"""The files of TLS and other secrets, as they are named."""

import pytest

from dcu.config import TlsSettings
from tests.configurations import KEYS, faults, good, parsed

FILES = {"/etc/dcu/keys.yaml": KEYS, "/etc/dcu/ca": "", "/etc/dcu/c": "", "/run/credentials/dcu/unit.key": "secret\n"}


def uplink(words: str) -> str:
    return good("host: localhost", f"host: h\n  {words}")


def test_everything_it_can_say() -> None:
    text = uplink("tls: {ca: ca, alpn: [mqtt, x-amzn-mqtt-ca], minimum: 1.3}")
    expected = TlsSettings("/etc/dcu/ca", alpn=("mqtt", "x-amzn-mqtt-ca"), only_13=True)
    assert parsed(text, FILES).uplink.tls == expected


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("minimum: 1.1", "uplink.tls.minimum: expected one of 1.2, 1.3, got '1.1'"),
        ("alpn: mqtt", "uplink.tls.alpn: expected a list"),
        ("alpn: ['a b']", "uplink.tls.alpn[0]: expected a name"),
        ("key: k", "uplink.tls.key: /etc/dcu/k: cannot be read"),
        ("cert: c", "uplink.tls: expected cert and key together"),
        ("ca: credential:ca", "uplink.tls.ca: expected credential:NAME of one that systemd passes on"),
    ],
)
def test_a_wrong_word_is_named(words: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    problems = faults(uplink(f"tls: {{{words}}}"), FILES)
    assert any(fault in problem for problem in problems), problems


def test_secrets_that_systemd_passes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/dcu")
    text = uplink(
        "username: u\n  password_file: credential:unit.key\n  tls: {cert: c, key: credential:unit.key, ca: ca}"
    )
    found = parsed(text, FILES).uplink
    assert found.password == "secret"
    assert found.tls == TlsSettings("/etc/dcu/ca", "/etc/dcu/c", "/run/credentials/dcu/unit.key")


@pytest.mark.parametrize("name", ["../shadow", "a/b", ""])
def test_a_credential_is_a_name_and_no_path(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/dcu")
    assert any(
        "expected credential:NAME" in each for each in faults(uplink(f"tls: {{ca: 'credential:{name}'}}"), FILES)
    )
