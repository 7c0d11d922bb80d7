"""Each mechanism's proof as the Green Book defines it, as gurux-dlms computes it, and every proof that is none."""

import hashlib
from itertools import count

import pytest
from gurux_dlms.enums import Authentication as GuruxAuthentication

from dcu.dlms.apdu import decode_request
from dcu.dlms.authentication import HIGH_LEVEL, Authenticator, Party
from dcu.dlms.security import Cipher
from dcu.dlms.services import Action
from dcu.errors import SecurityError
from dcu.model import Access, Authentication

from .gurux import CHALLENGE, KEYS, TITLE, client
from .signing import both_keys

METER = Party(b"MTR00001", b"meter challenge! meter challenge")
US = Party(TITLE, b"client challenge client challeng")
PASSWORD = KEYS.password


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
