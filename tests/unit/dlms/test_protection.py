"""The truth table: each lie, under each mechanism, suite and form of ciphering, is refused for what it is.

An association that was lied to is closed and gives no value; the next one with the same meter is as good as new.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dcu.dlms import axdr
from dcu.dlms.acse import Aare
from dcu.dlms.association import Response
from dcu.dlms.authentication import TITLED
from dcu.dlms.general_ciphering import INFORMED
from dcu.dlms.security import AUTHENTICATED_ENCRYPTED, is_ciphered
from dcu.dlms.services import Action, Request, Set, SetList
from dcu.errors import Breach, MeterError, NotServedError, RefusedError, SecurityError
from dcu.model import AGREED, Access, Attribute, Authentication, Ciphering
from sim.profiles import CLOCK
from tests.unit.sim.conversation import CLIENT_TITLE, NOW

from .truth import CHALLENGED, CLEAR, DEDICATED, FORMS, GENERAL, MECHANISMS, PROVEN, SERIAL, Lie, Truth, named


def _flipped_bit(_: Truth, apdu: bytes) -> bytes:
    return apdu[:-14] + bytes((apdu[-14] ^ 1,)) + apdu[-13:]


def _wrong_tag(_: Truth, apdu: bytes) -> bytes:
    return apdu[:-1] + bytes((apdu[-1] ^ 1,))


def _replay(truth: Truth, _: bytes) -> bytes:
    return truth.said[-2]


def _lower_counter(truth: Truth, _: bytes) -> bytes:
    return truth.sealed(truth.meter.title, truth.access.ciphering, truth.invoke, counter=1)


def _plain(truth: Truth, _: bytes) -> bytes:
    return truth.plain(truth.invoke)


def _other_meter(truth: Truth, _: bytes) -> bytes:
    return truth.sealed(b"MTR00002", truth.access.ciphering, truth.invoke)


def _our_own_voice(truth: Truth, _: bytes) -> bytes:
    return truth.sealed(CLIENT_TITLE, truth.access.ciphering, truth.invoke)


def _other_invoke_id(truth: Truth, _: bytes) -> bytes:
    return truth.sealed(truth.meter.title, truth.access.ciphering, (truth.invoke + 1) & 15)


def _truncated(_: Truth, apdu: bytes) -> bytes:
    return apdu[:-3]


def _other_suite(truth: Truth, apdu: bytes) -> bytes:
    control = bytes((AUTHENTICATED_ENCRYPTED | truth.access.suite,))
    at = apdu.rindex(control + truth.meter.spoken.to_bytes(4))
    return apdu[:at] + bytes((apdu[at] ^ 3,)) + apdu[at + 1 :]


def _nothing(_: Truth, __: bytes) -> bytes:
    return b""


def _other_transaction(truth: Truth, _: bytes) -> bytes:
    ours = truth.association._protection._cipher
    assert ours is not None
    true, ours._transaction = ours._transaction, b"another"
    apdu = truth.sealed(truth.meter.title, truth.access.ciphering, truth.invoke)
    ours._transaction = true
    return apdu


TITLE_OR_TAG = {True: Breach.TITLE, False: Breach.TAG}
#: What tells an old answer: the counters of one key, and where each answer has a key of its own, the question in it.
OLD = {True: Breach.TRANSACTION, False: Breach.COUNTER}
LIES: list[tuple[Lie, Callable[[Access], Breach | None]]] = [
    (_flipped_bit, lambda _: Breach.TAG),
    (_wrong_tag, lambda _: Breach.TAG),
    (_replay, lambda access: OLD[access.ciphering in AGREED]),
    (_plain, lambda _: Breach.PLAIN),
    (_other_meter, lambda access: TITLE_OR_TAG[access.ciphering in GENERAL]),
    (_our_own_voice, lambda access: TITLE_OR_TAG[access.ciphering in GENERAL]),
    (_other_invoke_id, lambda _: None),
    (_truncated, lambda _: Breach.LENGTH),
    (_other_suite, lambda _: Breach.CONTROL),
    (_nothing, lambda _: Breach.LENGTH),
]


@pytest.mark.parametrize("access", MECHANISMS + FORMS, ids=named)
@pytest.mark.parametrize(("lie", "breach"), LIES)
def test_no_lie_becomes_a_value(access: Access, lie: Lie, breach: Callable[[Access], Breach | None]) -> None:
    truth = Truth(access)
    truth.connect()
    truth.ask()
    truth.ask()
    with pytest.raises(MeterError) as refused:
        truth.ask(lie)
    assert (refused.value.breach if isinstance(refused.value, SecurityError) else None) is breach(access)
    truth.holds()


@pytest.mark.parametrize(
    "access", [access for access in MECHANISMS + FORMS if access.ciphering not in AGREED], ids=named
)
def test_a_lower_counter(access: Access) -> None:
    truth = Truth(access)
    truth.connect()
    truth.ask()
    truth.ask()
    with pytest.raises(SecurityError) as refused:
        truth.ask(_lower_counter)
    assert refused.value.breach is Breach.COUNTER
    truth.holds()


@pytest.mark.parametrize("access", [access for access in FORMS if access.ciphering in INFORMED], ids=named)
def test_an_answer_in_another_transaction(access: Access) -> None:
    truth = Truth(access)
    truth.connect()
    with pytest.raises(SecurityError) as refused:
        truth.ask(_other_transaction)
    assert refused.value.breach is Breach.TRANSACTION
    truth.holds()


@pytest.mark.parametrize("access", [access for access in FORMS if access.ciphering in DEDICATED | AGREED], ids=named)
@pytest.mark.parametrize("form", [Ciphering.GLO, Ciphering.GENERAL_GLO, Ciphering.GENERAL])
def test_the_global_key_is_no_substitute_for_one_of_this_association(access: Access, form: Ciphering) -> None:
    truth = Truth(access)
    truth.connect()
    with pytest.raises(SecurityError) as refused:
        truth.ask(lambda truth, _: truth.sealed(truth.meter.title, form, truth.invoke))
    assert refused.value.breach is Breach.CONTROL
    truth.holds()


@pytest.mark.parametrize("form", sorted(AGREED))
def test_a_scheme_that_was_not_chosen_is_not_taken(form: Ciphering) -> None:
    (other,) = AGREED - {form}
    for chosen in (other, Ciphering.GENERAL, Ciphering.GLO):
        truth = Truth(replace(FORMS[-1], ciphering=chosen))
        truth.connect()
        with pytest.raises(SecurityError) as refused:
            truth.ask(lambda truth, _: truth.sealed(truth.meter.title, form, truth.invoke))
        assert refused.value.breach is Breach.CONTROL
        truth.holds()


@pytest.mark.parametrize("access", MECHANISMS + FORMS, ids=named)
def test_an_answer_that_comes_after_its_time_out_is_refused(access: Access) -> None:
    """The time-out has ended the conversation; the late answer meets the next one, in both of its places."""
    truth = Truth(access)
    truth.connect()
    truth.ask()
    late = truth.server.answer(truth.association.send(SERIAL), NOW)
    with pytest.raises(MeterError, match=r"ACSE|not an APDU|length of"):
        truth.connect(lambda _, __: late)
    truth.connect()
    with pytest.raises(SecurityError) as refused:
        truth.ask(lambda _, __: late)
    assert refused.value.breach is OLD[access.ciphering in AGREED]
    truth.holds()


@pytest.mark.parametrize("access", CLEAR, ids=named)
@pytest.mark.parametrize("asked", range(3))
def test_an_answer_that_comes_after_its_time_out_is_refused_in_the_clear(access: Access, asked: int) -> None:
    """Nothing but its number says that it answers what another association asked."""
    truth = Truth(access)
    truth.connect()
    for _ in range(asked):
        truth.ask()
    late = truth.server.answer(truth.association.send(SERIAL), NOW)
    for place in range(3):
        truth.connect()
        for _ in range(place):
            truth.ask()
        with pytest.raises(MeterError, match="answer to request"):
            truth.ask(lambda _, __: late)
    truth.holds()


CHANGES: list[Request] = [
    Set(Attribute(8, CLOCK, 3), axdr.i16(60)),
    SetList((Set(Attribute(8, CLOCK, 3), axdr.i16(60)),) * 2),
    Action(70, bytes((0, 0, 96, 3, 10, 255)), 1, axdr.i8(0)),
]


@pytest.mark.parametrize("access", [MECHANISMS[0], *FORMS], ids=named)
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: type(change).__name__)
@pytest.mark.parametrize("said", ["d80202", "d80101", "d8010600000009", "0e050003"])
def test_a_change_is_not_refused_by_what_anybody_can_say(access: Access, change: Request, said: str) -> None:
    """The error APDUs have no protected form: whoever makes one must not have a change taken for not carried out."""
    truth = Truth(access)
    truth.connect()
    with pytest.raises(SecurityError, match="without protection") as refused:
        truth.ask(lambda _, __: bytes.fromhex(said), change)
    assert refused.value.breach is Breach.PLAIN
    truth.holds()


@pytest.mark.parametrize("access", [access for access in FORMS if access.ciphering in GENERAL], ids=named)
def test_a_change_is_refused_by_who_has_the_key(access: Access) -> None:
    """The general forms carry any APDU, so there an exception can be protected."""
    truth = Truth(access)
    truth.connect()

    def refusing(truth: Truth, _: bytes) -> bytes:
        return truth.sealed(truth.meter.title, access.ciphering, truth.invoke, plain=bytes.fromhex("d80202"))

    with pytest.raises(NotServedError, match="not supported"):
        truth.ask(refusing, CHANGES[0])


@pytest.mark.parametrize("access", MECHANISMS + FORMS, ids=named)
def test_a_recorded_association_does_not_open(access: Access) -> None:
    truth = Truth(access)
    truth.connect()
    recorded = list(truth.said)
    with pytest.raises(SecurityError) as refused:
        truth.connect(lambda _, __: recorded[0])
    assert refused.value.breach is Breach.COUNTER
    truth.holds()


def _aare(change: dict[str, Any]) -> Lie:
    def lie(_: Truth, apdu: bytes) -> bytes:
        return replace(Aare.from_bytes(apdu), **change).to_bytes() if apdu[0] == 0x61 else apdu

    return lie


@pytest.mark.parametrize("access", MECHANISMS + FORMS, ids=named)
@pytest.mark.parametrize("title", [b"MTR00002", CLIENT_TITLE, b"short", b""])
def test_a_wrong_title(access: Access, title: bytes) -> None:
    truth = Truth(access)
    with pytest.raises(SecurityError) as refused:
        truth.connect(_aare({"title": title}))
    forged = TITLE_OR_TAG[access.ciphering in GENERAL]
    assert refused.value.breach is (forged if title == b"MTR00002" else Breach.TITLE)
    truth.holds()


@pytest.mark.parametrize("access", PROVEN, ids=named)
def test_a_wrong_title_in_a_clear_association(access: Access) -> None:
    truth = Truth(access)
    lie = _aare({"title": b"MTR00002"})
    if access.authentication not in TITLED:  # nothing depends on it, and it is not believed
        assert truth.connect(lie).server_title == b""
        return
    # where our own proof covers the title, the true meter refuses it before it has to prove anything
    with pytest.raises((SecurityError, RefusedError), match=r"wrong answer|did not accept"):
        truth.connect(lie)
    with pytest.raises(SecurityError) as refused:
        truth.connect(_aare({"title": CLIENT_TITLE}))
    assert refused.value.breach is Breach.TITLE
    truth.holds()


@pytest.mark.parametrize("access", CHALLENGED, ids=named)
@pytest.mark.parametrize(
    ("change", "breach"),
    [
        ({"diagnostic": 0}, Breach.MECHANISM),
        ({"authentication": Authentication.LLS}, Breach.MECHANISM),
        ({"authentication": Authentication.NONE}, Breach.MECHANISM),
        ({"secret": b""}, Breach.CHALLENGE),
        ({"secret": b"short"}, Breach.CHALLENGE),
        ({"secret": bytes(65)}, Breach.CHALLENGE),
    ],
)
def test_a_weaker_association(access: Access, change: dict[str, Any], breach: Breach) -> None:
    truth = Truth(access)
    with pytest.raises(SecurityError) as refused:
        truth.connect(_aare(change))
    assert refused.value.breach is breach
    truth.holds()


@pytest.mark.parametrize("access", CHALLENGED, ids=named)
def test_our_own_challenge_does_not_come_back(access: Access) -> None:
    truth = Truth(access)

    def mirror(truth: Truth, apdu: bytes) -> bytes:
        return _aare({"secret": truth.association._protection._me.challenge})(truth, apdu)

    with pytest.raises(SecurityError) as refused:
        truth.connect(mirror)
    assert refused.value.breach is Breach.CHALLENGE


@pytest.mark.parametrize("access", PROVEN, ids=named)
def test_a_proof_that_is_none(access: Access) -> None:
    truth = Truth(access)
    truth.connect()
    recorded = truth.said[-1]

    def flipped(_: Truth, apdu: bytes) -> bytes:
        return apdu if apdu[0] == 0x61 else apdu[:-1] + bytes((apdu[-1] ^ 1,))

    def replayed(truth: Truth, apdu: bytes) -> bytes:
        if apdu[0] == 0x61:
            return apdu
        return recorded[:2] + bytes((recorded[2] & 0xF0 | truth.invoke,)) + recorded[3:]

    for lie in (flipped, replayed):
        with pytest.raises(SecurityError) as refused:
            truth.connect(lie)
        assert refused.value.breach is Breach.PROOF
        truth.holds()


@pytest.mark.parametrize("access", FORMS, ids=named)
def test_what_a_form_looks_like(access: Access) -> None:
    truth = Truth(access)
    truth.connect()
    truth.ask()
    tags = {Ciphering.DED: 0xD4, Ciphering.GENERAL_GLO: 0xDB, Ciphering.GENERAL_DED: 0xDC}
    assert truth.said[-1][0] == tags.get(access.ciphering, 0xDD)
    assert is_ciphered(truth.said[-1])


def test_a_meter_may_answer_in_the_general_form() -> None:
    truth = Truth(MECHANISMS[0])
    truth.connect()

    def general(truth: Truth, _: bytes) -> bytes:
        return truth.sealed(truth.meter.title, Ciphering.GENERAL_GLO, truth.invoke)

    assert truth.ask(general) == Response([7])


def test_a_general_answer_may_leave_out_the_title() -> None:
    truth = Truth(MECHANISMS[0])
    truth.connect()

    def untitled(truth: Truth, _: bytes) -> bytes:
        apdu = truth.sealed(truth.meter.title, Ciphering.GENERAL_GLO, truth.invoke)
        return apdu[:1] + b"\x00" + apdu[10:]

    assert truth.ask(untitled) == Response([7])
