"""Lies an association refuses: each ends it, and none becomes a value."""

from typing import Any

import pytest

from dcu.dlms import axdr
from dcu.dlms.apdu import encode_response
from dcu.dlms.association import (
    Response,
)
from dcu.dlms.security import Cipher
from dcu.dlms.services import (
    Get,
    GetList,
    GetListResponse,
    GetResponse,
    SetResponse,
)
from dcu.errors import MeterError, SecurityError
from tests.unit.dlms.talk import VOLTAGE, connected

from .fake import (
    MANAGEMENT,
    METER_TITLE,
    PROVEN,
    READER,
    FakeMeter,
)
from .gurux import KEYS, TITLE


def _flipped_bit(_: FakeMeter, apdu: bytes) -> bytes:
    return apdu[:-14] + bytes((apdu[-14] ^ 1,)) + apdu[-13:]


def _wrong_tag(_: FakeMeter, apdu: bytes) -> bytes:
    return apdu[:-1] + bytes((apdu[-1] ^ 1,))


def _replayed_counter(meter: FakeMeter, apdu: bytes) -> bytes:
    again = Cipher(KEYS, METER_TITLE, lambda: meter.cipher.heard + 1)
    again.peer = TITLE
    return again.protect(encode_response(GetResponse(axdr.u8(7)), 1))


def _plain(_: FakeMeter, __: bytes) -> bytes:
    return encode_response(GetResponse(axdr.u8(7)), 2)


def _other_meter(_: FakeMeter, __: bytes) -> bytes:
    other = Cipher(KEYS, b"MTR00002", lambda: 5000)
    return other.protect(encode_response(GetResponse(axdr.u8(7)), 2))


def _other_invoke_id(meter: FakeMeter, _: bytes) -> bytes:
    return meter.protect(encode_response(GetResponse(axdr.u8(7)), 9))


def _truncated(_: FakeMeter, apdu: bytes) -> bytes:
    return apdu[:-3]


def _other_service(meter: FakeMeter, _: bytes) -> bytes:
    return meter.protect(encode_response(SetResponse(), 2))


def _our_own_request(meter: FakeMeter, _: bytes) -> bytes:
    return Cipher(KEYS, TITLE, lambda: 6000).protect(bytes.fromhex("c001c10003010020070 0ff0200".replace(" ", "")))


def _nothing(_: FakeMeter, __: bytes) -> bytes:
    return b""


def _garbage(_: FakeMeter, __: bytes) -> bytes:
    return b"\xff\xff"


@pytest.mark.parametrize(
    ("lie", "error"),
    [
        (_flipped_bit, SecurityError),
        (_wrong_tag, SecurityError),
        (_replayed_counter, SecurityError),
        (_plain, SecurityError),
        (_other_meter, SecurityError),
        (_other_invoke_id, MeterError),
        (_truncated, SecurityError),
        (_other_service, MeterError),
        (_our_own_request, MeterError),
        (_nothing, SecurityError),
        (_garbage, SecurityError),
    ],
)
def test_lies_in_a_ciphered_association(lie: Any, error: type[MeterError]) -> None:
    talk = connected(MANAGEMENT)
    talk.lie = lie
    with pytest.raises(error):
        talk.ask(Get(VOLTAGE))
    with pytest.raises(RuntimeError, match="CLOSED"):
        talk.association.send(Get(VOLTAGE))


def test_a_stale_answer_is_refused() -> None:
    talk = connected(MANAGEMENT)
    stale = talk.meter.reply(talk.association.send(Get(VOLTAGE)))
    talk.association.receive_data(stale)
    assert talk.association.next_event() == Response([230])
    talk.association.send(Get(VOLTAGE))
    talk.association.receive_data(stale)
    with pytest.raises(SecurityError, match="invocation counter"):
        talk.association.next_event()


@pytest.mark.parametrize(
    "lie", [_other_invoke_id, _other_service, _nothing, _garbage, _truncated], ids=lambda lie: lie.__name__
)
def test_lies_in_a_clear_association(lie: Any) -> None:
    talk = connected(READER)
    talk.lie = lie
    with pytest.raises(MeterError):
        talk.ask(Get(VOLTAGE))


def test_a_ciphered_answer_to_a_clear_question_is_refused() -> None:
    talk = connected(PROVEN)
    talk.lie = lambda meter, apdu: meter.cipher.protect(apdu)
    with pytest.raises(MeterError, match="unexpected APDU"):
        talk.ask(Get(VOLTAGE))


def test_a_list_of_another_length() -> None:
    talk = connected(READER)
    talk.meter.answer = lambda _: GetListResponse((axdr.u8(1),))
    with pytest.raises(MeterError, match="does not answer"):
        talk.ask(GetList((VOLTAGE, VOLTAGE)))


def test_an_answer_nobody_asked_for() -> None:
    talk = connected(READER)
    talk.association.receive_data(encode_response(GetResponse(axdr.u8(7)), 1))
    with pytest.raises(MeterError, match="unasked"):
        talk.association.next_event()
