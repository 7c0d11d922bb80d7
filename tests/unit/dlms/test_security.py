"""The Green Book's example, agreement with gurux-dlms, and every way an APDU can lie."""

from collections.abc import Callable
from itertools import count

import pytest
from gurux_dlms.objects import GXDLMSRegister
from gurux_dlms.objects.enums import SecuritySuite

from dcu.dlms.apdu import encode_request
from dcu.dlms.security import AUTHENTICATED, AUTHENTICATED_ENCRYPTED, Cipher
from dcu.dlms.services import Get
from dcu.errors import ConfigError, SecurityError
from dcu.model import KEY_OCTETS, Attribute, Keys

from .gurux import KEYS, TITLE, ciphered

METER_TITLE = b"MTR\x00\x00\x00\x00\x01"
GET = bytes.fromhex("C0010000080000010000FF0200")
ENERGY = Attribute(3, b"\x01\x00\x01\x08\x00\xff")


def pair(start: int = 1) -> tuple[Cipher, Cipher]:
    """Client and meter that know each other's titles."""
    client, meter = Cipher(KEYS, TITLE, count(start).__next__), Cipher(KEYS, METER_TITLE, count(start).__next__)
    client.peer, meter.peer = METER_TITLE, TITLE
    return client, meter


def test_green_book_example() -> None:
    """DLMS UA 1000-2, "Cryptographic protection of xDLMS APDUs: an example": a GET of the clock."""
    cipher = Cipher(KEYS, bytes.fromhex("4D4D4D0000BC614E"), lambda: 0x01234567)
    expected = "C81E3001234567411312FF935A47566827C467BC7D825C3BE4A77C3FCC056B6B"
    assert cipher.protect(GET) == bytes.fromhex(expected)


def test_gurux_protects_the_same() -> None:
    theirs = bytes(ciphered(counter=0x100).read(GXDLMSRegister("1.0.1.8.0.255"), 2)[0])
    ours = Cipher(KEYS, TITLE, lambda: 0x100)
    assert theirs == ours.protect(encode_request(Get(ENERGY), 0)[:2] + b"\xc1" + encode_request(Get(ENERGY), 1)[3:])


@pytest.mark.parametrize("suite", [1, 2])
def test_gurux_protects_the_same_in_other_suites(suite: int) -> None:
    size = KEY_OCTETS[suite]
    keys = Keys(b"", bytes(range(size)), bytes(range(0x80, 0x80 + size)))
    peer = ciphered(counter=0x100)
    peer.ciphering.securitySuite = SecuritySuite(suite)
    peer.ciphering.blockCipherKey, peer.ciphering.authenticationKey = keys.encryption_key, keys.authentication_key
    theirs = bytes(peer.read(GXDLMSRegister("1.0.1.8.0.255"), 2)[0])
    assert theirs[2] == AUTHENTICATED_ENCRYPTED | suite
    assert theirs == Cipher(keys, TITLE, lambda: 0x100, suite=suite).protect(encode_request(Get(ENERGY), 1))


def test_both_directions_and_growing_counters() -> None:
    client, meter = pair()
    for length in (1, 100, 1000):
        apdu = GET + bytes(length)
        assert meter.unprotect(client.protect(apdu)) == apdu
    assert meter.heard == 3
    answer = b"\xc4\x01\xc1\x00\x11\x05"
    assert client.unprotect(meter.protect(answer)) == answer


def test_every_flipped_bit_is_refused() -> None:
    client, meter = pair()
    sealed = client.protect(GET)
    for bit in range(len(sealed) * 8):
        damaged = bytearray(sealed)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SecurityError):
            meter.unprotect(bytes(damaged))
    assert meter.heard == -1
    assert meter.unprotect(sealed) == GET


@pytest.mark.parametrize("size", range(32))
def test_every_truncation_is_refused(size: int) -> None:
    client, meter = pair()
    with pytest.raises(SecurityError):
        meter.unprotect(client.protect(GET)[:size])


def _replay(client: Cipher, meter: Cipher) -> bytes:
    sealed = client.protect(GET)
    meter.unprotect(sealed)
    return sealed


def _lower_counter(client: Cipher, meter: Cipher) -> bytes:
    older = client.protect(GET)
    meter.unprotect(client.protect(GET))
    return older


def _other_title(client: Cipher, meter: Cipher) -> bytes:
    meter.peer = b"SOMEBODY"
    return client.protect(GET)


def _no_title(client: Cipher, meter: Cipher) -> bytes:
    meter.peer = b""
    return client.protect(GET)


def _other_keys(client: Cipher, meter: Cipher) -> bytes:
    return Cipher(Keys(b"", bytes(16), KEYS.authentication_key), TITLE, lambda: 9).protect(GET)


def _other_authentication_key(client: Cipher, meter: Cipher) -> bytes:
    return Cipher(Keys(b"", KEYS.encryption_key, bytes(16)), TITLE, lambda: 9).protect(GET)


def _other_service(client: Cipher, meter: Cipher) -> bytes:
    return b"\xcc" + client.protect(GET)[1:]


def _plain(client: Cipher, meter: Cipher) -> bytes:
    return GET


def _only_authenticated(client: Cipher, meter: Cipher) -> bytes:
    sealed = client.protect(GET)
    return sealed[:2] + bytes((AUTHENTICATED,)) + sealed[3:]


def _echo(client: Cipher, meter: Cipher) -> bytes:
    return meter.protect(GET)


@pytest.mark.parametrize(
    ("lie", "why"),
    [
        (_replay, "counter 1 after 1"),
        (_lower_counter, "counter 1 after 2"),
        (_other_title, "tag is wrong"),
        (_no_title, "has not given"),
        (_other_keys, "tag is wrong"),
        (_other_authentication_key, "tag is wrong"),
        (_other_service, "differs"),
        (_plain, "not ciphered"),
        (_only_authenticated, "security control 0x10"),
        (_echo, "tag is wrong"),
    ],
)
def test_lies(lie: Callable[[Cipher, Cipher], bytes], why: str) -> None:
    client, meter = pair()
    sealed = lie(client, meter)
    heard = meter.heard
    with pytest.raises(SecurityError, match=why):
        meter.unprotect(sealed)
    assert meter.heard == heard


def test_gmac_proves_who_answers_which_challenge() -> None:
    client, meter = pair()
    proof = meter.gmac(b"challenge one")
    client.check_gmac(proof, b"challenge one")
    for wrong in (b"challenge two", b""):
        with pytest.raises(SecurityError, match="wrong answer"):
            client.check_gmac(proof, wrong)
    for malformed in (b"", proof[:-1], proof + b"\x00", b"\x30" + proof[1:]):
        with pytest.raises(SecurityError, match="malformed"):
            client.check_gmac(malformed, b"challenge one")
    with pytest.raises(SecurityError, match="wrong answer"):
        client.check_gmac(client.gmac(b"challenge one"), b"challenge one")


def test_green_book_gmac_example() -> None:
    """DLMS UA 1000-2, "HLS with GMAC": the client's f(StoC) for the challenge P6wRJ21F."""
    cipher = Cipher(KEYS, bytes.fromhex("4D4D4D0000000001"), lambda: 1)
    assert cipher.gmac(b"P6wRJ21F") == bytes.fromhex("10000000011A52FE7DD3E72748973C1E28")


@pytest.mark.parametrize(
    ("keys", "title"), [(Keys(), TITLE), (Keys(b"", bytes(16), bytes(15)), TITLE), (KEYS, b"SHORT")]
)
def test_wrong_sizes_are_the_operators(keys: Keys, title: bytes) -> None:
    with pytest.raises(ConfigError):
        Cipher(keys, title, lambda: 0)
