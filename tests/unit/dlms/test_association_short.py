"""Associations by short names: their contexts, their services plain and ciphered, and lies about them."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from dcu.dlms import axdr
from dcu.dlms.acse import Aare, Aarq, Conformance, Initiate
from dcu.dlms.apdu import decode_request, encode_response
from dcu.dlms.association import MAX_PDU, SHORT_CONFORMANCE, Associated, Association, Response
from dcu.dlms.link import Transmit
from dcu.dlms.security import Cipher
from dcu.dlms.services import (
    AccessError,
    Answer,
    Block,
    ConfirmedServiceError,
    Get,
    GetResponse,
    Read,
    ReadBlock,
    ReadNext,
    ReadResponse,
    ServiceError,
    Variable,
    Write,
    WriteResponse,
)
from dcu.errors import MeterError, NotServedError, SecurityError
from dcu.model import Access, Attribute, Authentication, Ciphering, Referencing

from .fake import METER_TITLE, BareLink
from .gurux import KEYS, TITLE

PASSWORD = Access("old", 2, Authentication.LLS, referencing=Referencing.SN)
SEALED = replace(PASSWORD, ciphered=True)
DEDICATED = replace(SEALED, ciphering=Ciphering.DED)
GENERAL = replace(SEALED, ciphering=Ciphering.GENERAL_GLO)
EVERY = pytest.mark.parametrize(
    "access", [PASSWORD, SEALED, DEDICATED, GENERAL], ids=["plain", "glo", "ded", "general"]
)

GRANTED = Initiate(SHORT_CONFORMANCE, 512)
VOLTAGE = Variable(0x0128)


class OldMeter:
    """Answers APDUs; `aare` and `answer` may be replaced to change what it says."""

    def __init__(self, access: Access) -> None:
        self.cipher = Cipher(KEYS, METER_TITLE, count(1000).__next__)
        self.cipher.peer = TITLE
        self.access = access
        self.aare: Callable[[Aare], Aare] = lambda aare: aare
        self.answer: Answer | ServiceError = ReadResponse((axdr.u16(2301),))
        self.referencing = Referencing.SN
        self.tags: list[int] = []
        self.aarq: Aarq | None = None

    def reply(self, apdu: bytes) -> bytes:
        self.tags.append(apdu[0])
        return self.associate(Aarq.from_bytes(apdu)) if self.aarq is None else self.serve(apdu)

    def associate(self, aarq: Aarq) -> bytes:
        self.aarq = aarq
        information = GRANTED.response(self.referencing)
        if aarq.ciphered:
            initiate = Initiate.from_request(self.cipher.unprotect(aarq.information))
            information = self.cipher.protect(information)
            if initiate.dedicated_key:
                self.cipher.dedicate(initiate.dedicated_key)
        title = METER_TITLE if aarq.ciphered else b""
        aare = Aare(information, 0, 0, aarq.ciphered, aarq.authentication, title, b"", aarq.referencing)
        return self.aare(aare).to_bytes()

    def serve(self, apdu: bytes) -> bytes:
        ciphered = self.access.ciphered
        decode_request(self.cipher.unprotect(apdu, self.access.ciphering) if ciphered else apdu)
        answer = encode_response(self.answer, 1)
        if ciphered and not isinstance(self.answer, ConfirmedServiceError):
            answer = self.cipher.protect(answer, self.access.ciphering)
        self.tags.append(answer[0])
        return answer


class Talk:
    """An association with an old meter."""

    def __init__(self, access: Access) -> None:
        self.meter = OldMeter(access)
        self.association = Association(
            BareLink(), access, KEYS, client_title=TITLE, take_counter=count(1).__next__, challenge=bytes
        )

    def exchange(self, data: bytes) -> Any:
        while True:
            self.association.receive_data(self.meter.reply(data))
            event = self.association.next_event()
            if not isinstance(event, Transmit):
                return event
            data = event.data


def connected(access: Access) -> Talk:
    talk = Talk(access)
    event = talk.exchange(talk.association.connect())
    assert isinstance(event, Associated)
    return talk


@EVERY
def test_values_by_their_short_names(access: Access) -> None:
    talk = connected(access)
    assert talk.meter.aarq is not None
    assert (talk.meter.aarq.referencing, talk.meter.aarq.ciphered) == (Referencing.SN, access.ciphered)
    assert talk.exchange(talk.association.send(Read((VOLTAGE,)))) == Response([2301])
    talk.meter.answer = WriteResponse((AccessError(3),))
    assert talk.exchange(talk.association.send(Write(((VOLTAGE, axdr.u8(1)),)))) == Response([AccessError(3)])


@pytest.mark.parametrize(
    ("access", "tags"),
    [(PASSWORD, "05 0c 06 0d"), (SEALED, "25 2c 26 2d"), (DEDICATED, "45 4c 46 4d"), (GENERAL, "db db db db")],
    ids=["plain", "glo", "ded", "general"],
)
def test_each_service_has_its_tags(access: Access, tags: str) -> None:
    talk = connected(access)
    talk.exchange(talk.association.send(Read((VOLTAGE,))))
    talk.meter.answer = WriteResponse((None,))
    talk.exchange(talk.association.send(Write(((VOLTAGE, axdr.u8(1)),))))
    assert bytes(talk.meter.tags[1:]) == bytes.fromhex(tags)


def test_what_is_proposed_is_what_short_names_need() -> None:
    talk = connected(PASSWORD)
    assert talk.meter.aarq is not None
    proposed = Initiate.from_request(talk.meter.aarq.information)
    assert proposed == Initiate(SHORT_CONFORMANCE, MAX_PDU)
    assert Conformance.GET not in proposed.conformance


def test_a_long_answer_comes_in_blocks_asked_for_by_number() -> None:
    talk = connected(PASSWORD)
    talk.meter.answer = ReadBlock(Block(1, last=False, content=b"\x12"))
    talk.association.receive_data(talk.meter.reply(talk.association.send(Read((VOLTAGE,)))))
    following = talk.association.next_event()
    assert isinstance(following, Transmit)
    assert decode_request(following.data) == (ReadNext(1), 0)
    talk.meter.answer = ReadBlock(Block(2, last=True, content=b"\x08\xfd"))
    assert talk.exchange(following.data) == Response([2301])


def test_a_list_that_is_refused_leaves_the_association_open() -> None:
    talk = connected(PASSWORD)
    talk.meter.answer = ConfirmedServiceError(5, 2, 1)
    with pytest.raises(NotServedError, match=r"5\.2\.1"):
        talk.exchange(talk.association.send(Read((VOLTAGE, VOLTAGE))))
    talk.meter.answer = ReadResponse((axdr.u8(7),))
    assert talk.exchange(talk.association.send(Read((VOLTAGE,)))) == Response([7])


@EVERY
@pytest.mark.parametrize(
    "answer",
    [ReadResponse((axdr.u8(1), axdr.u8(2))), WriteResponse((None,)), GetResponse(axdr.u8(1))],
)
def test_an_answer_to_something_else_ends_it(access: Access, answer: Answer) -> None:
    talk = connected(access)
    talk.meter.answer = answer
    with pytest.raises(MeterError):
        talk.exchange(talk.association.send(Read((VOLTAGE,))))
    with pytest.raises(RuntimeError):
        talk.association.send(Read((VOLTAGE,)))


@EVERY
def test_a_meter_that_changes_the_context_is_refused(access: Access) -> None:
    talk = Talk(access)
    talk.meter.aare = lambda aare: replace(aare, referencing=Referencing.LN)
    with pytest.raises(SecurityError, match="context"):
        talk.exchange(talk.association.connect())


def test_a_meter_that_names_another_object_is_refused() -> None:
    talk = Talk(PASSWORD)
    talk.meter.referencing = Referencing.LN
    with pytest.raises(MeterError, match="malformed initiate"):
        talk.exchange(talk.association.connect())


def test_values_by_short_names_answer_no_logical_name() -> None:
    talk = Talk(replace(PASSWORD, referencing=Referencing.LN))
    talk.meter.referencing = Referencing.LN
    assert isinstance(talk.exchange(talk.association.connect()), Associated)
    with pytest.raises(MeterError, match="answer to request None"):
        talk.exchange(talk.association.send(Get(Attribute(3, bytes(6)))))


def test_a_plain_answer_in_a_ciphered_association_is_refused() -> None:
    talk = connected(SEALED)
    request = talk.association.send(Read((VOLTAGE,)))
    talk.meter.reply(request)
    talk.association.receive_data(bytes.fromhex("0c 01 00 1105"))
    with pytest.raises(SecurityError, match="not ciphered"):
        talk.association.next_event()
