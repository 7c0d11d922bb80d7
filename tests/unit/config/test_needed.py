"""The secrets that each kind of access needs, and their lengths."""

import pytest

from dcu.config.needed import ANY_LENGTH, needed_keys
from dcu.model import Access, Authentication, Ciphering

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
        (
            Access("a", 1, ciphered=True, suite=1, ciphering=Ciphering.GENERAL_STATIC),
            {"agreement_key": 32, "meter_agreement_key": 64, **AES_128},
        ),
        (
            Access("a", 1, ciphered=True, suite=2, ciphering=Ciphering.GENERAL_ONE_PASS),
            {"signing_key": 48, "verifying_key": 96, "agreement_key": 48, "meter_agreement_key": 96, **AES_256},
        ),
    ],
)
def test_needed_keys(access: Access, needed: dict[str, int]) -> None:
    assert needed_keys(access) == needed
