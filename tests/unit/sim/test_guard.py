"""Every mechanism, suite and form of ciphering between our client, gurux-dlms's and the simulated meter."""

from dataclasses import replace
from itertools import product
from typing import Any

import pytest
from gurux_dlms import GXByteBuffer, GXReplyData
from gurux_dlms.enums import Authentication as GuruxAuthentication
from gurux_dlms.enums import Security
from gurux_dlms.objects import GXDLMSData
from gurux_dlms.objects.enums import SecuritySuite

from dcu.dlms.acse import Conformance
from dcu.errors import MeterError
from dcu.model import AGREED, KEY_OCTETS, Access, Attribute, Authentication, Ciphering, Keys
from sim import objects
from sim.meter import SERIAL_NUMBER, SimMeter
from sim.server import ACCESS, MANAGEMENT, PUBLIC, ServerAssociation
from tests.unit.dlms.gurux import client, written
from tests.unit.dlms.signing import both_keys
from tests.unit.sim.conversation import CLIENT_TITLE, NOW, Talk, hdlc, meter, wrapper

SERIAL = Attribute(1, SERIAL_NUMBER)
COUNTER = Attribute(1, objects.INVOCATION_COUNTER)
SECURE = [access for access in ACCESS.values() if access.authentication > Authentication.LLS or access.ciphered]
GENERAL = {*Ciphering} - {Ciphering.GLO, Ciphering.DED}


def keys_of(suite: int) -> tuple[Keys, Keys]:
    """Our keys and the meter's, as long as the suite has them."""
    size = KEY_OCTETS[suite]
    symmetric = {"encryption_key": bytes(range(size)), "authentication_key": bytes(range(100, 100 + size))}
    ours, theirs = (replace(keys, **symmetric) for keys in both_keys(max(suite, 1)))
    return ours, theirs


def talk(access: Access, road: Any = hdlc) -> tuple[Talk, SimMeter]:
    ours, theirs = keys_of(access.suite)
    simulated = meter(keys=theirs, suite=access.suite)
    return road(simulated, access, ours), simulated


@pytest.mark.parametrize("access", SECURE, ids=lambda access: access.name)
@pytest.mark.parametrize("suite", KEY_OCTETS)
def test_every_client_opens_in_every_suite(access: Access, suite: int) -> None:
    if access.authentication is Authentication.HLS_ECDSA and not suite:
        return
    ours, simulated = talk(replace(access, suite=suite))
    opened = ours.open()
    titled = access.ciphered or access.authentication > Authentication.HLS_SHA1
    assert opened.server_title == (simulated.title if titled else b"")
    assert ours.get(SERIAL) == [simulated.identity[SERIAL_NUMBER]]
    ours.close()


EVERY_FORM = [(suite, form) for suite, form in product(KEY_OCTETS, Ciphering) if suite or form not in AGREED]


@pytest.mark.parametrize(("suite", "form"), EVERY_FORM, ids=str)
def test_every_form_of_ciphering(suite: int, form: Ciphering) -> None:
    ours, simulated = talk(replace(MANAGEMENT, suite=suite, ciphering=form), wrapper)
    opened = ours.open()
    assert (Conformance.GENERAL_PROTECTION in opened.conformance) is (form in GENERAL)
    before = simulated.heard
    assert ours.get(SERIAL, SERIAL) == [simulated.identity[SERIAL_NUMBER]] * 2
    dedicated = form in {Ciphering.DED, Ciphering.GENERAL_DED}
    assert (simulated.heard == before) is dedicated  # a dedicated key has its own counters
    rows = ours.get(Attribute(15, objects.ASSOCIATION))
    assert len(rows[0]) == len(objects.CLASSES["idis", 1])
    ours.close()


def test_the_dedicated_key_is_new_each_time_and_never_seen_plain() -> None:
    access = replace(MANAGEMENT, ciphering=Ciphering.DED)
    made: list[bytes] = []
    for _ in range(2):
        ours, _ = talk(access, wrapper)
        protection = ours.association._protection
        ours.open()
        made.append(protection._dedicated)
    assert len(set(made)) == 2
    assert len(made[0]) == KEY_OCTETS[0]


@pytest.mark.parametrize("access", SECURE, ids=lambda access: access.name)
def test_wrong_secrets_open_nothing(access: Access) -> None:
    access = replace(access, suite=1)
    _, simulated = talk(access)
    wrong = Keys(b"wrong", bytes(16), bytes(16), (7).to_bytes(32), keys_of(1)[0].verifying_key)
    with pytest.raises(MeterError):
        hdlc(simulated, access, wrong).open()
    assert not simulated.served


def test_another_suite_opens_nothing() -> None:
    simulated = meter(keys=keys_of(0)[1])
    with pytest.raises(MeterError, match="refused"):
        hdlc(simulated, replace(MANAGEMENT, suite=1), keys_of(1)[0]).open()


def test_a_counter_that_does_not_grow_is_named() -> None:
    ours, simulated = talk(MANAGEMENT)
    simulated.heard = 2**31
    with pytest.raises(MeterError, match="invocation counter error"):
        ours.open()
    public = hdlc(simulated, PUBLIC)
    public.open()
    assert public.get(COUNTER) == [2**31]


def test_gmac_without_ciphering_counts_too() -> None:
    ours, simulated = talk(ACCESS[5])
    simulated.heard = 2**31
    with pytest.raises(MeterError, match="did not accept our proof"):
        ours.open()


# --- gurux-dlms as the client of our meter, in bare APDUs. ---

_GURUX = {
    Authentication.LLS: GuruxAuthentication.LOW,
    Authentication.HLS_MD5: GuruxAuthentication.HIGH_MD5,
    Authentication.HLS_SHA1: GuruxAuthentication.HIGH_SHA1,
    Authentication.HLS_GMAC: GuruxAuthentication.HIGH_GMAC,
    Authentication.HLS_SHA256: GuruxAuthentication.HIGH_SHA256,
}


def gurux_client(access: Access, keys: Keys) -> Any:
    made = client(authentication=_GURUX[access.authentication], number=access.client)
    made.password = keys.password
    made.ciphering.systemTitle = CLIENT_TITLE
    made.ciphering.blockCipherKey, made.ciphering.authenticationKey = keys.encryption_key, keys.authentication_key
    made.ciphering.invocationCounter = 1
    made.ciphering.securitySuite = SecuritySuite(access.suite)
    if access.ciphered:
        made.ciphering.security = Security.AUTHENTICATION_ENCRYPTION
    return made


def reply(peer: Any, server: ServerAssociation, request: Any) -> Any:
    (apdu,) = written(request)
    data = GXReplyData()
    peer.getData(GXByteBuffer(server.answer(apdu, NOW)), data, None)
    assert not data.error
    return data


@pytest.mark.parametrize(
    "access", [access for access in SECURE if access.authentication in _GURUX], ids=lambda access: access.name
)
@pytest.mark.parametrize("suite", [0, 1])
def test_gurux_opens_and_reads(access: Access, suite: int, capsys: pytest.CaptureFixture[str]) -> None:
    access = replace(access, suite=suite)
    ours, theirs = keys_of(suite)
    simulated = meter(keys=theirs, suite=suite)
    server, peer = ServerAssociation(simulated, access), gurux_client(access, ours)
    peer.parseAareResponse(reply(peer, server, peer.aarqRequest()).data)
    if access.authentication > Authentication.LLS:
        peer.parseApplicationAssociationResponse(reply(peer, server, peer.getApplicationAssociationRequest()).data)
    answer = reply(peer, server, peer.read(GXDLMSData("0.0.96.1.0.255"), 2))
    assert bytes(answer.value) == simulated.identity[SERIAL_NUMBER]
