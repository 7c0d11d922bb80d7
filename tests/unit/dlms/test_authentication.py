"""Each mechanism's proof as the Green Book defines it, as gurux-dlms computes it, and every proof that is none."""

import hashlib
from dataclasses import replace
from itertools import count

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from gurux_dlms.enums import Authentication as GuruxAuthentication

from dcu.dlms.apdu import decode_request
from dcu.dlms.authentication import HIGH_LEVEL, Authenticator, Party
from dcu.dlms.security import Cipher
from dcu.dlms.services import Action
from dcu.errors import ConfigError, SecurityError
from dcu.model import Access, Authentication, Keys

from .gurux import CHALLENGE, KEYS, TITLE, client

METER = Party(b"MTR00001", b"meter challenge! meter challenge")
US = Party(TITLE, b"client challenge client challeng")
PASSWORD = KEYS.password
_SHARED = (PASSWORD, KEYS.encryption_key, KEYS.authentication_key)


def signing(suite: int, number: int) -> tuple[bytes, bytes]:
    """A private key and its public one, as keys files hold them."""
    curve, size = ((ec.SECP256R1(), 32), (ec.SECP384R1(), 48))[suite - 1]
    private = ec.derive_private_key(number, curve)
    public = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return number.to_bytes(size), public[1:]


def both_keys(suite: int = 1) -> tuple[Keys, Keys]:
    """Ours and the meter's: secrets are shared, keys to sign and to agree by are not."""
    (ours, our_public), (theirs, their_public) = signing(suite, 0x1234567), signing(suite, 0x89ABCDE)
    (mine, my_public), (its, its_public) = signing(suite, 0x2345678), signing(suite, 0x9ABCDEF)
    return (
        Keys(*_SHARED, ours, their_public, agreement_key=mine, meter_agreement_key=its_public),
        Keys(*_SHARED, theirs, our_public, agreement_key=its, meter_agreement_key=my_public),
    )


def pair(mechanism: Authentication, suite: int = 1) -> tuple[Authenticator, Authenticator]:
    access = Access("a", 1, mechanism, suite=suite)
    made = []
    for keys, party, other in zip(both_keys(suite), (US, METER), (METER, US), strict=True):
        cipher = Cipher(KEYS, party.title, count(1).__next__, suite=suite) if suite < 2 else None
        if cipher:
            cipher.peer = other.title
        made.append(Authenticator(access, keys, cipher))
    return made[0], made[1]


mechanisms = pytest.mark.parametrize("mechanism", sorted(HIGH_LEVEL), ids=lambda mechanism: mechanism.name)


@mechanisms
def test_each_side_takes_the_others_proof(mechanism: Authentication) -> None:
    ours, theirs = pair(mechanism)
    theirs.check(ours.prove(US, METER), METER, US)
    ours.check(theirs.prove(METER, US), US, METER)


@mechanisms
def test_every_flipped_bit_and_every_truncation_is_refused(mechanism: Authentication) -> None:
    ours, theirs = pair(mechanism)
    proof = theirs.prove(METER, US)
    for bit in range(0, len(proof) * 8, 7):
        damaged = bytearray(proof)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SecurityError):
            ours.check(bytes(damaged), US, METER)
    for wrong in (b"", proof[:-1], proof + b"\x00", bytes(len(proof))):
        with pytest.raises(SecurityError):
            ours.check(wrong, US, METER)


@mechanisms
def test_a_proof_is_good_for_one_challenge(mechanism: Authentication) -> None:
    ours, theirs = pair(mechanism)
    earlier = theirs.prove(METER, US)
    with pytest.raises(SecurityError, match="wrong answer"):
        ours.check(earlier, US._replace(challenge=bytes(32)), METER)


@mechanisms
def test_our_own_proof_does_not_come_back(mechanism: Authentication) -> None:
    ours, _ = pair(mechanism)
    with pytest.raises(SecurityError):
        ours.check(ours.prove(US, METER), US, METER)


@pytest.mark.parametrize("mechanism", [Authentication.HLS_GMAC, Authentication.HLS_SHA256, Authentication.HLS_ECDSA])
def test_a_proof_is_good_for_one_meter(mechanism: Authentication) -> None:
    ours, theirs = pair(mechanism)
    access = Access("a", 1, mechanism, suite=1)
    cipher = Cipher(KEYS, b"MTR00002", count(1).__next__, suite=1)
    other = Authenticator(access, both_keys()[1], cipher)
    with pytest.raises(SecurityError, match="wrong answer"):
        ours.check(other.prove(METER._replace(title=b"MTR00002"), US), US, METER)
    ours.check(theirs.prove(METER, US), US, METER)


def test_green_book_definitions() -> None:
    """DLMS UA 1000-2, "High Level Security (HLS) authentication": f(StoC), what the client sends in pass 3."""
    stoc, ctos = METER.challenge, US.challenge
    assert pair(Authentication.HLS_MD5)[0].prove(US, METER) == hashlib.md5(stoc + PASSWORD).digest()
    assert pair(Authentication.HLS_SHA1)[0].prove(US, METER) == hashlib.sha1(stoc + PASSWORD).digest()
    sha256 = pair(Authentication.HLS_SHA256)
    assert sha256[0].prove(US, METER) == hashlib.sha256(PASSWORD + TITLE + METER.title + stoc + ctos).digest()
    assert sha256[1].prove(METER, US) == hashlib.sha256(PASSWORD + METER.title + TITLE + ctos + stoc).digest()


@pytest.mark.parametrize(
    ("mechanism", "theirs"),
    [
        (Authentication.HLS_MD5, GuruxAuthentication.HIGH_MD5),
        (Authentication.HLS_SHA1, GuruxAuthentication.HIGH_SHA1),
        (Authentication.HLS_SHA256, GuruxAuthentication.HIGH_SHA256),
    ],
)
def test_gurux_proves_the_same(mechanism: Authentication, theirs: GuruxAuthentication) -> None:
    peer = client(authentication=theirs, number=1)
    peer.password = PASSWORD
    peer.ciphering.systemTitle, peer.settings.sourceSystemTitle = TITLE, METER.title
    peer.settings.ctoSChallenge, peer.settings.stoCChallenge = CHALLENGE, METER.challenge
    request, _ = decode_request(bytes(peer.getApplicationAssociationRequest()[0]))
    assert isinstance(request, Action)
    ours = Authenticator(Access("a", 1, mechanism), KEYS)
    assert request.argument == ours.prove(Party(TITLE, CHALLENGE), METER)


@pytest.mark.parametrize("suite", [1, 2])
def test_signatures_of_both_suites(suite: int) -> None:
    ours, theirs = pair(Authentication.HLS_ECDSA, suite)
    proof = ours.prove(US, METER)
    assert len(proof) == {1: 64, 2: 96}[suite]
    theirs.check(proof, METER, US)
    assert proof != ours.prove(US, METER)  # the random part of a signature must never repeat


@pytest.mark.parametrize(
    ("mechanism", "challenge"),
    [
        (Authentication.HLS_MD5, b"short"),
        (Authentication.HLS_SHA256, bytes(65)),
        (Authentication.HLS_ECDSA, bytes(31)),
        (Authentication.HLS_MD5, US.challenge),
    ],
)
def test_challenges_that_prove_nothing(mechanism: Authentication, challenge: bytes) -> None:
    with pytest.raises(SecurityError, match="challenge"):
        pair(mechanism)[0].check_challenge(US, Party(METER.title, challenge))


def test_challenge_sizes() -> None:
    assert pair(Authentication.HLS_MD5)[0].challenge_size == 16
    assert pair(Authentication.HLS_ECDSA)[0].challenge_size == 32


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
        Authenticator(Access("a", 1, Authentication.HLS_ECDSA, suite=suite), keys)
