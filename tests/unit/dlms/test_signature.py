"""Signatures of both suites: taken by the other side alone, for one message alone, and never the same twice."""

from dataclasses import replace

import pytest

from dcu.dlms.signature import EllipticSignature
from dcu.errors import ConfigError, SecurityError

from .signing import both_keys

SIZES = pytest.mark.parametrize(("suite", "size"), [(1, 64), (2, 96)])


def pair(suite: int) -> tuple[EllipticSignature, EllipticSignature]:
    ours, theirs = (EllipticSignature(suite, keys) for keys in both_keys(suite))
    return ours, theirs


@SIZES
def test_the_other_side_takes_what_we_sign(suite: int, size: int) -> None:
    ours, theirs = pair(suite)
    proof = ours.sign(b"message")
    assert len(proof) == size
    theirs.verify(proof, b"message")
    assert proof != ours.sign(b"message")  # the random part of a signature must never repeat


@SIZES
def test_what_is_none_of_the_other_side_for_this_message_is_refused(suite: int, size: int) -> None:
    ours, theirs = pair(suite)
    proof = ours.sign(b"message")
    with pytest.raises(SecurityError, match="wrong"):
        theirs.verify(proof, b"another")
    with pytest.raises(SecurityError, match="wrong"):
        ours.verify(proof, b"message")
    with pytest.raises(SecurityError, match="wrong"):
        theirs.verify(bytes(size), b"message")
    for other in (proof[:-1], proof + b"\x00", b""):
        with pytest.raises(SecurityError, match="malformed"):
            theirs.verify(other, b"message")


@pytest.mark.parametrize(
    ("suite", "change", "why"),
    [
        (0, {}, "suite 1 or 2"),
        (1, {"signing_key": b""}, "signing key of 32"),
        (1, {"signing_key": bytes(32)}, "signing key of 32"),
        (1, {"verifying_key": bytes(64)}, "verifying key of 64"),
        (1, {"verifying_key": b""}, "verifying key of 64"),
        (2, {}, "signing key of 48"),
    ],
)
def test_keys_that_are_none(suite: int, change: dict[str, bytes], why: str) -> None:
    keys = replace(both_keys()[0], **change)
    with pytest.raises(ConfigError, match=why):
        EllipticSignature(suite, keys)
