"""High level authentication by short names: each mechanism with a simulated old meter, its octets, and proofs that are
none.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from dcu.dlms import axdr
from dcu.dlms.apdu import decode_request, encode_response
from dcu.dlms.association import Associated, Association, Response
from dcu.dlms.authentication import HIGH_LEVEL
from dcu.dlms.link import Transmit
from dcu.dlms.services import (
    AccessError,
    ActionResponse,
    Answer,
    Block,
    ExceptionResponse,
    Read,
    ReadBlock,
    ReadResponse,
    Selection,
    Variable,
    WriteResponse,
)
from dcu.dlms.short_names import INVOKE, OWN_NAME, REPLY_TO_HLS
from dcu.errors import Breach, MeterError, RefusedError, SecurityError
from dcu.model import Access, Authentication, Ciphering, Keys, Referencing
from sim.objects import ASSOCIATION
from sim.server import ServerAssociation
from tests.unit.sim.conversation import CLIENT_TITLE, NOW, meter
from tests.unit.sim.test_guard import keys_of

from .fake import BareLink
from .truth import FORMS, MECHANISMS, PROVEN, named

Lie = Callable[[bytes], bytes]

PLAIN = [replace(access, referencing=Referencing.SN) for access in PROVEN]
EVERY = PLAIN + [
    replace(access, referencing=Referencing.SN) for access in MECHANISMS + FORMS if access.authentication in HIGH_LEVEL
]
MD5 = Access("a", 1, Authentication.HLS_MD5, referencing=Referencing.SN)
every = pytest.mark.parametrize("access", EVERY, ids=named)
plain = pytest.mark.parametrize("access", PLAIN, ids=named)


class Talk:
    """An association with an old meter. `said` is what either side wrote, the client first."""

    def __init__(self, access: Access) -> None:
        ours, theirs = keys_of(access.suite)
        self.access, self.keys = access, ours
        self.server = ServerAssociation(meter(keys=theirs, suite=access.suite, referencing=Referencing.SN), access)
        self.said: list[bytes] = []
        self.counter = count(1)
        self.association = self.anew()

    def anew(self, keys: Keys | None = None) -> Association:
        return Association(
            BareLink(),
            self.access,
            keys or self.keys,
            client_title=CLIENT_TITLE,
            take_counter=self.counter.__next__,
        )

    def exchange(self, data: bytes, lie: Lie = bytes) -> Any:
        while True:
            answer = self.server.answer(data, NOW)
            self.said += [data, answer]
            self.association.receive_data(lie(answer))
            event = self.association.next_event()
            if not isinstance(event, Transmit):
                return event
            data = event.data

    def connect(self, lie: Lie = bytes, keys: Keys | None = None) -> Any:
        """Associate; `lie` changes what the meter says to our proof."""
        self.association = self.anew(keys)
        return self.exchange(self.association.connect(), lambda apdu: apdu if apdu[0] == 0x61 else lie(apdu))


@every
def test_each_mechanism_opens_and_reads(access: Access) -> None:
    talk = Talk(access)
    assert isinstance(talk.connect(), Associated)
    assert talk.exchange(talk.association.send(Read((OWN_NAME,)))) == Response([ASSOCIATION])


def test_the_octets() -> None:
    """READ of FA58 by selector 0, with the proof as its parameter; what it returns is the meter's."""
    talk = Talk(MD5)
    talk.connect()
    asked, answered = talk.said[2:]
    assert asked.startswith(bytes.fromhex("05 01 04 fa58 00 09 10"))
    assert answered.startswith(bytes.fromhex("0c 01 00 09 10"))
    assert len(asked) == len(answered) + 3 == 24


@every
def test_whoever_has_other_secrets_is_not_let_in(access: Access) -> None:
    talk = Talk(access)
    wrong = replace(talk.keys, password=b"other", encryption_key=bytes(len(talk.keys.encryption_key)))
    if access.authentication is Authentication.HLS_ECDSA:
        wrong = replace(wrong, signing_key=b"\x07" * len(wrong.signing_key))
    with pytest.raises(MeterError):
        talk.connect(keys=wrong)
    assert not talk.server._open


@plain
def test_a_flipped_bit_of_the_proof(access: Access) -> None:
    talk = Talk(access)
    with pytest.raises(SecurityError) as refused:
        talk.connect(lambda apdu: apdu[:-1] + bytes((apdu[-1] ^ 1,)))
    assert refused.value.breach is Breach.PROOF
    assert isinstance(talk.connect(), Associated)


@plain
def test_a_recorded_proof(access: Access) -> None:
    talk = Talk(access)
    talk.connect()
    recorded = talk.said[-1]
    with pytest.raises(SecurityError) as refused:
        talk.connect(lambda _: recorded)
    assert refused.value.breach is Breach.PROOF


@pytest.mark.parametrize(
    "answer",
    [
        ReadResponse((axdr.u8(7),)),
        ReadResponse((axdr.octets(bytes(16)), axdr.octets(bytes(16)))),
        ReadBlock(Block(1, last=True, content=bytes(18))),
        WriteResponse((None,)),
    ],
    ids=lambda answer: type(answer).__name__,
)
def test_an_answer_that_proves_nothing(answer: Answer) -> None:
    talk = Talk(MD5)
    with pytest.raises(SecurityError, match="did not prove itself"):
        talk.connect(lambda _: encode_response(answer, 1))
    with pytest.raises(RuntimeError, match="CLOSED"):
        talk.association.send(Read((OWN_NAME,)))


@pytest.mark.parametrize("answer", [ReadResponse((AccessError(3),)), ExceptionResponse(1, 1)], ids=str)
def test_a_proof_that_is_not_accepted(answer: Answer) -> None:
    with pytest.raises(RefusedError, match="our proof"):
        Talk(MD5).connect(lambda _: encode_response(answer, 1))


def test_no_answer_by_logical_names() -> None:
    with pytest.raises(MeterError, match="answer to request 1"):
        Talk(MD5).connect(lambda _: encode_response(ActionResponse(None, axdr.octets(bytes(16))), 1))


def test_before_the_proof_the_meter_tells_nothing() -> None:
    talk = Talk(MD5)
    talk.server.answer(talk.association.connect(), NOW)
    for asked in ("05 01 02 fa00", "05 01 04 fa58 01 09 00", "05 02 02 fa00 02 fa00"):
        assert talk.server.answer(bytes.fromhex(asked), NOW)[0] == 0xD8  # exception-response


def test_the_question_is_told_as_what_it_is() -> None:
    proof = axdr.octets(b"x" * 16)
    request, _ = decode_request(bytes.fromhex("05 01 04 fa58 00 09 10") + b"x" * 16)
    assert request == Read((Variable(REPLY_TO_HLS, Selection(INVOKE, proof.value)),))


def test_a_dedicated_key_begins_with_the_proof() -> None:
    """Both the proof and the answer to it are under it already, in the forms of READ."""
    access = next(each for each in EVERY if each.ciphering is Ciphering.DED and not each.suite)
    talk = Talk(access)
    talk.connect()
    assert [apdu[0] for apdu in talk.said] == [0x60, 0x61, 0x45, 0x4C]
