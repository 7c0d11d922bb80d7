"""What a line of the archive has to agree with: other lines, what it names, addresses, secrets."""

import pytest

from dcu.config.meters import ANY_LENGTH, needed_keys
from dcu.model import Access, Authentication
from tests.configurations import KEYS_FILE, faults, good


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
    assert faults(text) == ["dcu.yaml:13: meters[1].serial: expected one that meters[0] (line 12) has not, got '4711'"]


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
