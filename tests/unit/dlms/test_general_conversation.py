"""A whole conversation in general-ciphering, and what gurux-dlms makes of each APDU that either side sends in it.

Its Python client has no such conversation of its own: what it would open is refused for a misspelt name, its agreement
on a shared secret and its signatures on P-384 fail at once. What works is asked: the tag and what it covers, AES-GCM,
the arithmetic of both curves, and signatures on P-256. The derivation of the key is written out once more here.
"""

import hashlib
from typing import Any

import pytest
from gurux_dlms.AesGcmParameter import AesGcmParameter
from gurux_dlms.ecdsa._GXShamirs import _GXShamirs
from gurux_dlms.ecdsa.enums import Ecc
from gurux_dlms.ecdsa.GXCurve import GXCurve
from gurux_dlms.ecdsa.GXEccPoint import GXEccPoint
from gurux_dlms.ecdsa.GXEcdsa import GXEcdsa
from gurux_dlms.ecdsa.GXPublicKey import GXPublicKey
from gurux_dlms.enums import Security
from gurux_dlms.GXDLMSChippering import GXDLMSChippering
from gurux_dlms.GXDLMSChipperingStream import GXDLMSChipperingStream
from gurux_dlms.objects.enums import SecuritySuite

from dcu.dlms import axdr
from dcu.dlms.association import Associated, Released
from dcu.dlms.general_ciphering import INFORMED, AgreedKey, GeneralHeader, GlobalKey, Scheme, octets
from dcu.dlms.security import Cipher
from dcu.dlms.services import Action, Get, GetList, Set
from dcu.model import CURVE_OCTETS, KEY_OCTETS, Access, Attribute, Authentication, Keys
from sim.meter import SERIAL_NUMBER
from sim.objects import ASSOCIATION, DATA, MESSAGE

from .truth import SERIAL, Truth, named

SCHEMES = {1: Ecc.P256, 2: Ecc.P384}
HASHES = {1: hashlib.sha256, 2: hashlib.sha384}
RELAY = (70, bytes((0, 0, 96, 3, 10, 255)), 1, axdr.i8(0))

Sealed = tuple[Cipher, bytes, bytes]


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch) -> list[Sealed]:
    """All that either side protects: who, what, and how it leaves."""
    found: list[Sealed] = []
    protect = Cipher.protect

    def noted(self: Cipher, apdu: bytes, *form: Any) -> bytes:
        made = protect(self, apdu, *form)
        found.append((self, apdu, made))
        return made

    monkeypatch.setattr(Cipher, "protect", noted)
    return found


def _shared(suite: int, private: bytes, point: bytes) -> bytes:
    """Return the shared secret, by gurux's arithmetic."""
    size, product = CURVE_OCTETS[suite], GXEccPoint()
    at = GXEccPoint(int.from_bytes(point[:size]), int.from_bytes(point[size:]))
    _GXShamirs.pointMulti(GXCurve(SCHEMES[suite]), product, at, int.from_bytes(private))
    return int(product.x).to_bytes(size)


def _derived(suite: int, header: GeneralHeader, shared: bytes, nonce: bytes = b"") -> bytes:
    other = bytes((0x60, 0x85, 0x74, 5, 8, 3, suite - 1)) + header.originator + nonce + header.recipient
    return HASHES[suite](bytes((0, 0, 0, 1)) + shared + other).digest()[: KEY_OCTETS[suite]]


def _key(suite: int, header: GeneralHeader, sender: Keys, recipient: Keys) -> bytes:
    """Return the key that `header` names."""
    match header.key:
        case AgreedKey(Scheme.STATIC, b""):
            nonce = bytes((len(header.transaction),)) + header.transaction
            return _derived(suite, header, _shared(suite, sender.agreement_key, sender.meter_agreement_key), nonce)
        case AgreedKey(Scheme.ONE_PASS, exchanged):
            half = 2 * CURVE_OCTETS[suite]
            if suite == 1:
                public = GXPublicKey.fromRawBytes(b"\x04" + recipient.verifying_key)
                assert GXEcdsa(public).verify(exchanged[half:], exchanged[:half])
            return _derived(suite, header, _shared(suite, recipient.agreement_key, exchanged[:half]))
        case named:
            assert named is GlobalKey.UNICAST
            return sender.encryption_key


def _by_gurux(
    suite: int, header: GeneralHeader, key: bytes, authentication: bytes, counter: int, plain: bytes
) -> bytes:
    """Return the ciphertext and its tag."""
    parameters = AesGcmParameter(0xDD, header.originator, key, authentication)
    parameters.security, parameters.securitySuite = Security.AUTHENTICATION_ENCRYPTION, SecuritySuite(suite)
    parameters.recipientSystemTitle = header.recipient
    parameters.invocationCounter = int.from_bytes(header.transaction)  # what gurux has for a transaction
    covered = GXDLMSChippering.getAuthenticatedData(parameters, 0x30 | suite, plain)
    nonce = GXDLMSChippering.getNonse(counter, header.originator)
    stream = GXDLMSChipperingStream(parameters.security, True, key, covered, nonce, None)
    stream.write(plain)
    return bytes(stream.flushFinalBlock()) + bytes(stream.tag)


@pytest.mark.parametrize(
    "access",
    [
        Access("a", 1, Authentication.HLS_GMAC, ciphered=True, suite=suite, ciphering=form)
        for suite in (1, 2)
        for form in sorted(INFORMED)
    ],
    ids=named,
)
def test_each_apdu_is_as_gurux_would_protect_it(access: Access, sealed: list[Sealed]) -> None:
    truth = Truth(access)
    assert isinstance(truth.connect(), Associated)
    assert truth.ask().results == [truth.meter.identity[SERIAL_NUMBER]]
    assert len(truth.ask(request=GetList((SERIAL, Get(Attribute(15, ASSOCIATION))))).results) == 2
    truth.ask(request=Set(Attribute(DATA, MESSAGE), axdr.octets(b"from the box")))
    truth.ask(request=Action(*RELAY))
    assert isinstance(truth.exchange(truth.association.release()), Released)
    assert len(sealed) >= 12
    checked = 0
    for cipher, plain, apdu in sealed:
        header, at = GeneralHeader.from_bytes(apdu, 1)
        if not header.recipient:  # of the AARQ, which goes to nobody known; gurux takes it for another form
            continue
        content, end = octets(apdu, at)
        assert (end, content[0]) == (len(apdu), 0x30 | access.suite)
        ours = cipher._keys == truth.keys
        sender, recipient = (truth.keys, truth.meter_keys)[:: 1 if ours else -1]
        key = _key(access.suite, header, sender, recipient)
        counter = int.from_bytes(content[1:5])
        assert content[5:] == _by_gurux(access.suite, header, key, sender.authentication_key, counter, plain)
        checked += 1
    assert checked >= 11
