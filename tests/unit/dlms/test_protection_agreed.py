"""The truth table for agreed keys: what is lied about the key of an answer, over a whole conversation, is refused."""

from dataclasses import replace

import pytest

from dcu.dlms.acse import Conformance
from dcu.dlms.association import Associated, Notified, Response
from dcu.dlms.curves import CURVES
from dcu.dlms.general_ciphering import SCHEMES, AgreedKey, GeneralHeader, Scheme
from dcu.dlms.security import Cipher
from dcu.dlms.services import Get, GetList
from dcu.errors import Breach, SecurityError
from dcu.model import AGREED, Access, Attribute, Authentication, Ciphering
from sim.meter import SERIAL_NUMBER
from sim.objects import ASSOCIATION

from .truth import FORMS, MECHANISMS, SERIAL, Lie, Truth, named

AGREEING = [access for access in FORMS if access.ciphering in AGREED]
ONE_PASS = [access for access in AGREEING if access.ciphering is Ciphering.GENERAL_ONE_PASS]
#: What is proved before, and whether anything, is all the same to the keys.
EVERYONE = [
    replace(access, ciphering=form, suite=suite)
    for access in MECHANISMS
    if access.suite == 1
    for form in sorted(AGREED)
    for suite in CURVES
]


@pytest.mark.parametrize("access", EVERYONE, ids=named)
def test_every_mechanism_goes_with_agreed_keys(access: Access) -> None:
    truth = Truth(access)
    opened = truth.connect()
    assert isinstance(opened, Associated)
    assert Conformance.GENERAL_PROTECTION in opened.conformance
    assert truth.ask() == Response([truth.meter.identity[SERIAL_NUMBER]])
    assert truth.said[-1][0] == 0xDD


@pytest.mark.parametrize("access", AGREEING, ids=named)
def test_lists_and_blocks_under_agreed_keys(access: Access) -> None:
    truth = Truth(access)
    truth.connect()
    both = truth.ask(request=GetList((SERIAL, Get(Attribute(15, ASSOCIATION)))))
    assert both.results[0] == truth.meter.identity[SERIAL_NUMBER]
    assert len(both.results[1]) > 10


def _header(apdu: bytes) -> tuple[GeneralHeader, int]:
    return GeneralHeader.from_bytes(apdu, 1)


def _rewritten(apdu: bytes, exchanged: bytes) -> bytes:
    header, at = _header(apdu)
    assert isinstance(header.key, AgreedKey)
    key = AgreedKey(header.key.scheme, exchanged)
    return apdu[:1] + replace(header, key=key).to_bytes() + apdu[at:]


def _exchanged(apdu: bytes) -> bytes:
    key = _header(apdu)[0].key
    assert isinstance(key, AgreedKey)
    return key.exchanged


def _other_point(_: Truth, apdu: bytes) -> bytes:
    exchanged = _exchanged(apdu)
    return _rewritten(apdu, bytes((exchanged[0] ^ 1,)) + exchanged[1:])


def _other_signature(_: Truth, apdu: bytes) -> bytes:
    exchanged = _exchanged(apdu)
    return _rewritten(apdu, exchanged[:-1] + bytes((exchanged[-1] ^ 1,)))


def _unsigned(_: Truth, apdu: bytes) -> bytes:
    return _rewritten(apdu, _exchanged(apdu)[: len(_exchanged(apdu)) // 2])


def _nothing(_: Truth, apdu: bytes) -> bytes:
    return _rewritten(apdu, b"")


def _earlier_key(truth: Truth, apdu: bytes) -> bytes:
    """The meter's own, signed by it, from the answer before."""
    return _rewritten(apdu, _exchanged(truth.said[-2]))


def _our_key(truth: Truth, apdu: bytes) -> bytes:
    ours = truth.association._protection._cipher
    assert ours is not None
    header = GeneralHeader(b"\x01", b"", truth.meter.title)
    return _rewritten(apdu, ours._agreements[Scheme.ONE_PASS].originate(header)[1].exchanged)


LIES: list[tuple[Lie, Breach]] = [
    (_other_point, Breach.KEY),
    (_other_signature, Breach.KEY),
    (_our_key, Breach.KEY),
    (_unsigned, Breach.LENGTH),
    (_nothing, Breach.LENGTH),
    (_earlier_key, Breach.TAG),
]


@pytest.mark.parametrize("access", ONE_PASS, ids=named)
@pytest.mark.parametrize(("lie", "breach"), LIES)
def test_no_lie_about_the_key(access: Access, lie: Lie, breach: Breach) -> None:
    truth = Truth(access)
    truth.connect()
    truth.ask()
    with pytest.raises(SecurityError) as refused:
        truth.ask(lie)
    assert refused.value.breach is breach
    truth.holds()


@pytest.mark.parametrize("access", AGREEING, ids=named)
@pytest.mark.parametrize(
    ("strange", "breach"),
    [("agreement_key", Breach.TAG), ("signing_key", Breach.KEY)],
)
def test_who_has_all_but_one_private_key(access: Access, strange: str, breach: Breach) -> None:
    """A signature tells who is party U of one pass; of two static keys both are needed for every answer."""
    if (strange == "signing_key") is not (access.ciphering is Ciphering.GENERAL_ONE_PASS):
        return

    def forged(truth: Truth, _: bytes) -> bytes:
        true, size = truth.meter_keys, CURVES[access.suite].size
        truth.meter_keys = replace(true, **{strange: (7).to_bytes(size)})
        apdu = truth.sealed(truth.meter.title, access.ciphering, truth.invoke)
        truth.meter_keys = true
        return apdu

    truth = Truth(access)
    truth.connect()
    with pytest.raises(SecurityError) as refused:
        truth.ask(forged)
    assert refused.value.breach is breach
    truth.holds()


@pytest.mark.parametrize("access", AGREEING, ids=named)
def test_the_meter_takes_no_recorded_question(access: Access) -> None:
    truth = Truth(access)
    truth.connect()
    question = truth.association.send(SERIAL)
    assert truth.server.answer(question, 0.0)[0] == 0xDD
    assert truth.server.answer(question, 0.0)[0] == 0xD8  # exception-response


@pytest.mark.parametrize("access", AGREEING, ids=named)
def test_what_was_said_beside_the_answer_is_not_said_again(access: Access) -> None:
    """A meter may tell more than the answer in our transaction; who records that must not have it told once more."""
    truth = Truth(access)
    truth.connect()
    push = bytes.fromhex("0f 00000001 00 11 05")

    def telling(truth: Truth, _: bytes) -> bytes:
        return truth.sealed(truth.meter.title, access.ciphering, truth.invoke, plain=push)

    assert isinstance(truth.ask(telling), Notified)
    recorded = truth.sealed(truth.meter.title, access.ciphering, truth.invoke, plain=push)
    truth.association.receive_data(recorded)
    assert isinstance(truth.association.next_event(), Notified)
    truth.association.receive_data(recorded)
    with pytest.raises(SecurityError) as refused:
        truth.association.next_event()
    assert refused.value.breach is Breach.COUNTER
    truth.holds()


def test_nothing_is_agreed_outside_of_an_association() -> None:
    access = Access("a", 1, Authentication.HLS_GMAC, ciphered=True, suite=1, ciphering=Ciphering.GENERAL_STATIC)
    truth = Truth(access)
    truth.connect()
    apdu = truth.sealed(truth.meter.title, access.ciphering, truth.invoke)
    listening = Cipher(truth.keys, b"DCU00001", lambda: 1, suite=1)
    listening.peer = truth.meter.title
    with pytest.raises(SecurityError, match="in answer to nothing"):
        listening.unprotect_any(apdu)


def test_each_form_names_its_scheme() -> None:
    assert {*SCHEMES} == AGREED
    assert {*SCHEMES.values()} == {*Scheme}
