"""An access as it is written. What each word may be is tested with the configuration, in test_sections."""

import pytest

from dcu.errors import ConfigError
from dcu.forms.access import access
from dcu.forms.files import read
from dcu.forms.node import compose
from dcu.forms.shape import Place, Problems
from dcu.model import Access, Authentication, Ciphering, Referencing


def written(text: str) -> Access:
    problems = Problems()
    found = access("us", Place("f", "", compose(text, "f"), problems, read))
    problems.end()
    return found


def test_what_is_written_becomes_an_access() -> None:
    assert written("{client: 48, authentication: hls-gmac, ciphered: yes, ciphering: ded}") == Access(
        "us", 48, Authentication.HLS_GMAC, ciphered=True, ciphering=Ciphering.DED
    )


def test_keys_may_be_agreed_on() -> None:
    assert written("{client: 1, ciphered: yes, suite: 2, ciphering: general-one-pass}") == Access(
        "us", 1, ciphered=True, suite=2, ciphering=Ciphering.GENERAL_ONE_PASS
    )


def test_an_old_meter_has_short_names() -> None:
    for word, mechanism in (("lls", Authentication.LLS), ("hls-gmac", Authentication.HLS_GMAC)):
        assert written(f"{{client: 2, authentication: {word}, referencing: sn}}") == Access(
            "us", 2, mechanism, referencing=Referencing.SN
        )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{client: 1, authentication: hls-ecdsa}", "suite: expected 1 or 2, for hls-ecdsa"),
        (
            "{client: 1, ciphered: true, ciphering: general-static}",
            "suite: expected 1 or 2, for general-static",
        ),
        ("{client: 1, ciphering: ded}", "ciphering: expected ciphered: true beside it"),
    ],
)
def test_what_does_not_go_together_is_said(text: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        written(text)
