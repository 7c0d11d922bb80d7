"""The client of gurux-dlms is let in at simulated meters at each level, suite and form of ciphering that it knows.

Not among them, because its Python client cannot: general-ciphering, and signatures of suite 2, whose private keys it
calls invalid.
"""

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from gurux_dlms.ecdsa.GXPrivateKey import GXPrivateKey
from gurux_dlms.ecdsa.GXPublicKey import GXPublicKey
from gurux_dlms.enums import Authentication, Conformance, InterfaceType, Security
from gurux_dlms.objects import GXDLMSRegister
from gurux_dlms.objects.enums import SecuritySuite
from gurux_dlms.secure import GXDLMSSecureClient

from dcu.clock import SystemClock
from dcu.model import Column, Keys
from dcu.obis import parse_obis
from sim.meter import SimMeter
from sim.server import ServerAssociation
from sim.truth import expected_values
from tests.system.gurux_talk import KEYS, Gurux, address_of, over_pty, over_tcp, simulated

NAME = "1.0.1.8.0.255"
LONG_KEYS = replace(KEYS, encryption_key=bytes(range(32)), authentication_key=bytes(range(0x40, 0x60)))

GURUX_SIGNS, METER_SIGNS = 0x1234567, 0x89ABCDE
SIZES = {1: 32, 2: 48}


def public(suite: int, number: int) -> bytes:
    """Return the public key of a private one, as keys files hold it."""
    private = ec.derive_private_key(number, ec.SECP256R1() if suite == 1 else ec.SECP384R1())
    return private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]


def keys_of(suite: int) -> Keys:
    """Return the secrets of a meter: of the sizes of its suite, and in those with signatures its own and gurux's."""
    keys = LONG_KEYS if suite == 2 else KEYS
    if suite not in SIZES:
        return keys
    return replace(keys, signing_key=METER_SIGNS.to_bytes(SIZES[suite]), verifying_key=public(suite, GURUX_SIGNS))


def client_of(meter: SimMeter, number: int, level: Authentication, interface: InterfaceType) -> Any:
    password = None if level == Authentication.HIGH_GMAC else "12345678"
    client = GXDLMSSecureClient(True, number, address_of(meter, interface), level, password, interface)
    client.ciphering.systemTitle = b"GURUX001"
    client.ciphering.blockCipherKey = meter.plate.keys.encryption_key
    client.ciphering.authenticationKey = meter.plate.keys.authentication_key
    client.ciphering.invocationCounter = 100
    client.proposedConformance &= ~Conformance.GENERAL_PROTECTION
    return client


def md5(meter: SimMeter, interface: InterfaceType) -> Any:
    return client_of(meter, 3, Authentication.HIGH_MD5, interface)


def sha1(meter: SimMeter, interface: InterfaceType) -> Any:
    return client_of(meter, 4, Authentication.HIGH_SHA1, interface)


def gmac(meter: SimMeter, interface: InterfaceType) -> Any:
    return client_of(meter, 5, Authentication.HIGH_GMAC, interface)


def sha256(meter: SimMeter, interface: InterfaceType) -> Any:
    return client_of(meter, 6, Authentication.HIGH_SHA256, interface)


def sealed(meter: SimMeter, interface: InterfaceType) -> Any:
    client = client_of(meter, 8, Authentication.LOW, interface)
    client.ciphering.security = Security.AUTHENTICATION_ENCRYPTION
    return client


def ciphered(meter: SimMeter, interface: InterfaceType) -> Any:
    client = client_of(meter, 1, Authentication.HIGH_GMAC, interface)
    client.ciphering.security = Security.AUTHENTICATION_ENCRYPTION
    client.ciphering.securitySuite = SecuritySuite(meter.plate.suite)
    return client


def dedicated(meter: SimMeter, interface: InterfaceType) -> Any:
    client = ciphered(meter, interface)
    client.ciphering.dedicatedKey = bytes(range(0x60, 0x60 + len(meter.plate.keys.encryption_key)))
    return client


def ecdsa(meter: SimMeter, interface: InterfaceType) -> Any:
    client = client_of(meter, 7, Authentication.HIGH_ECDSA, interface)
    client.ciphering.security = Security.AUTHENTICATION_ENCRYPTION
    client.ciphering.securitySuite = SecuritySuite(meter.plate.suite)
    private = GXPrivateKey.fromRawBytes(GURUX_SIGNS.to_bytes(SIZES[meter.plate.suite]))
    verifying = GXPublicKey.fromRawBytes(b"\x04" + public(meter.plate.suite, METER_SIGNS))
    client.ciphering.signingKeyPair = (verifying, private)
    client.ctoSChallenge = bytes(range(32))
    return client


def general_glo(meter: SimMeter, interface: InterfaceType) -> Any:
    client = ciphered(meter, interface)
    client.proposedConformance |= Conformance.GENERAL_PROTECTION
    return client


def general_ded(meter: SimMeter, interface: InterfaceType) -> Any:
    client = dedicated(meter, interface)
    client.proposedConformance |= Conformance.GENERAL_PROTECTION
    return client


#: Tags of what a GET is sent in: itself, global, dedicated, general-glo and general-ded.
PLAIN, GLO, DED, GENERAL, GENERAL_DED = 0xC0, 0xC8, 0xD0, 0xDB, 0xDC


@pytest.mark.parametrize(
    ("make", "suite", "tag"),
    [
        (md5, 0, PLAIN),
        (sha1, 0, PLAIN),
        (gmac, 0, PLAIN),
        (sha256, 0, PLAIN),
        (ecdsa, 1, GLO),
        (sealed, 0, GLO),
        *((ciphered, suite, GLO) for suite in range(3)),
        *((dedicated, suite, DED) for suite in range(3)),
        *((general_glo, suite, GENERAL) for suite in range(3)),
        *((general_ded, suite, GENERAL_DED) for suite in range(3)),
    ],
)
@pytest.mark.parametrize("interface", [InterfaceType.HDLC, InterfaceType.WRAPPER], ids=["hdlc", "wrapper"])
async def test_a_register(
    make: Any, suite: int, tag: int, interface: InterfaceType, monkeypatch: pytest.MonkeyPatch
) -> None:
    meter = simulated(suite=suite, keys=keys_of(suite))
    answer, tags = ServerAssociation.answer, list[int]()

    def noted(self: ServerAssociation, apdu: bytes, now: float) -> bytes:
        tags.append(apdu[0])
        return answer(self, apdu, now)

    monkeypatch.setattr(ServerAssociation, "answer", noted)

    def talk(gurux: Gurux) -> None:
        register = GXDLMSRegister(NAME)
        before = meter.clock_at(SystemClock().now())
        gurux.read(register, 2)
        after = meter.clock_at(SystemClock().now())
        low, high = (expected_values(meter, [Column(3, parse_obis(NAME))], at)[0] for at in (before, after))
        assert low <= register.value <= high

    await (over_pty if interface == InterfaceType.HDLC else over_tcp)(meter, make(meter, interface), talk)
    assert meter.served[parse_obis(NAME)] == 1
    assert tag in tags
