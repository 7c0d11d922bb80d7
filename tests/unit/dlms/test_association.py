"""Associations of every kind, blocks, releases, and the truth table: whatever is not proved never becomes a value."""

from dataclasses import replace
from typing import Any

import pytest

from dcu.dlms import axdr, hdlc
from dcu.dlms.acse import AUTHENTICATION_REQUIRED, Aare, Conformance, Initiate
from dcu.dlms.apdu import encode_results
from dcu.dlms.association import CONFORMANCE, MAX_NOTIFICATIONS, Associated, Association, Notified, Released, Response
from dcu.dlms.hdlc import ServerAddress
from dcu.dlms.hdlc_link import HdlcLink
from dcu.dlms.link import NEED_DATA
from dcu.dlms.notifications import EventNotification
from dcu.dlms.services import (
    AccessError,
    Action,
    ActionResponse,
    ConfirmedServiceError,
    ExceptionResponse,
    Get,
    GetBlock,
    GetList,
    GetListResponse,
    GetNext,
    GetResponse,
    Request,
    Set,
    SetResponse,
    by_entry,
)
from dcu.errors import ConfigError, MeterError, NotServedError, RefusedError, SecurityError
from dcu.model import Access, Attribute, Authentication, Ciphering, Keys
from tests.unit.dlms.talk import EVERY_ACCESS, PROFILE, RELAY, VOLTAGE, always, connected

from .fake import CTOS, MANAGEMENT, METER_TITLE, PROVEN, READER, SEALED, BareLink, Conversation, by_the_book
from .gurux import KEYS, TITLE


@pytest.mark.parametrize("access", EVERY_ACCESS, ids=lambda access: access.name)
def test_every_service_over_every_access(access: Access) -> None:
    talk = Conversation(access)
    title = METER_TITLE if access in {PROVEN, MANAGEMENT, SEALED} else b""
    assert talk.connect() == Associated(CONFORMANCE, 1024, title)
    assert talk.ask(Get(VOLTAGE)) == Response([230])
    assert talk.ask(Get(PROFILE, by_entry(1))) == Response([230])
    assert talk.ask(GetList((VOLTAGE, Get(PROFILE, by_entry(1))))) == Response([0, 1])
    assert talk.ask(Set(VOLTAGE, axdr.u8(1))) == Response([None])
    assert talk.ask(Action(*RELAY, axdr.i8(0))) == Response([None])
    assert talk.exchange(talk.association.release()) == Released()


@pytest.mark.parametrize("access", EVERY_ACCESS, ids=lambda access: access.name)
def test_refusals_are_values_and_leave_the_association_open(access: Access) -> None:
    talk = connected(access)
    denied = AccessError(3)
    answers: list[tuple[Request, Any]] = [
        (Get(VOLTAGE), GetResponse(denied)),
        (GetList((VOLTAGE,)), GetListResponse((denied,))),
        (Set(VOLTAGE, axdr.u8(1)), SetResponse(denied)),
        (Action(*RELAY), ActionResponse(denied)),
        (Action(*RELAY), ActionResponse(None, denied)),
    ]
    for request, answer in answers:
        talk.meter.answer = always(answer)
        assert talk.ask(request) == Response([denied])
    talk.meter.answer = by_the_book
    assert talk.ask(Get(VOLTAGE)) == Response([230])


def test_one_refused_item_leaves_the_others() -> None:
    talk = connected(READER)
    talk.meter.answer = lambda _: GetListResponse((axdr.u8(1), AccessError(4), axdr.u8(3)))
    assert talk.ask(GetList((VOLTAGE,) * 3)) == Response([1, AccessError(4), 3])


@pytest.mark.parametrize("access", [READER, MANAGEMENT], ids=lambda access: access.name)
def test_a_value_in_blocks(access: Access) -> None:
    talk = connected(access)
    value = axdr.encode(axdr.array(*(axdr.u32(number) for number in range(100))))
    talk.meter.blocks = [GetBlock(at // 200 + 1, at + 200 >= len(value), value[at : at + 200]) for at in (0, 200, 400)]
    assert talk.ask(Get(PROFILE)) == Response([list(range(100))])
    assert [request for request in talk.meter.requests if isinstance(request, GetNext)] == [GetNext(1), GetNext(2)]


def test_a_list_in_blocks() -> None:
    talk = connected(READER)
    octets = encode_results((axdr.octets(bytes(50)), AccessError(3)))
    talk.meter.blocks = [GetBlock(1, False, octets[:20]), GetBlock(2, True, octets[20:])]
    assert talk.ask(GetList((VOLTAGE, PROFILE))) == Response([bytes(50), AccessError(3)])


def test_a_list_that_ends_in_the_middle_of_its_blocks() -> None:
    talk = connected(READER)
    talk.meter.blocks = [GetBlock(1, False, b"\x02\x00"), GetBlock(2, True, AccessError(19))]
    assert talk.ask(GetList((VOLTAGE, PROFILE))) == Response([AccessError(19)] * 2)


@pytest.mark.parametrize(
    "blocks",
    [
        [GetBlock(2, True, b"\x11\x05")],
        [GetBlock(1, False, b"\x11"), GetBlock(1, True, b"\x05")],
        [GetBlock(1, False, b"")],
        [GetBlock(1, True, b"")],
        [GetBlock(1, True, b"\x11")],
        [GetBlock(1, True, b"\x11\x05\x00")],
    ],
)
def test_blocks_that_do_not_fit(blocks: list[GetBlock]) -> None:
    talk = connected(READER)
    talk.meter.blocks = list(blocks)
    with pytest.raises(MeterError):
        talk.ask(Get(VOLTAGE))


@pytest.mark.parametrize("octets", ["0100 1105", "0200 1105 00", "0200 1105", "0200 1105 01 03 00"])
def test_a_list_in_blocks_of_another_length(octets: str) -> None:
    talk = connected(READER)
    talk.meter.blocks = [GetBlock(1, True, bytes.fromhex(octets))]
    with pytest.raises(MeterError):
        talk.ask(GetList((VOLTAGE, PROFILE)))


def test_blocks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(axdr, "MAX_OCTETS", 1000)
    talk = connected(READER)
    talk.meter.blocks = [GetBlock(number, False, bytes(300)) for number in range(1, 10)]
    with pytest.raises(MeterError, match="block 4"):
        talk.ask(Get(VOLTAGE))


# --- The truth table: each lie, told inside a ciphered association, is refused and closes it. ---


@pytest.mark.parametrize("access", [READER, MANAGEMENT], ids=lambda access: access.name)
@pytest.mark.parametrize("error", [ExceptionResponse(1, 2), ConfirmedServiceError(5, 0, 3)])
def test_what_the_meter_cannot_treat(access: Access, error: ExceptionResponse | ConfirmedServiceError) -> None:
    talk = connected(access)
    talk.meter.answer = lambda _: error
    with pytest.raises(NotServedError, match=r"the meter refused: .*(not supported|service error)"):
        talk.ask(Get(VOLTAGE))
    talk.meter.answer = by_the_book
    assert talk.ask(Get(VOLTAGE)) == Response([230])


@pytest.mark.parametrize("access", [READER, MANAGEMENT], ids=lambda access: access.name)
@pytest.mark.parametrize(
    "error",
    [ExceptionResponse(1, 1), ExceptionResponse(1, 5), ExceptionResponse(2, 6, 9), ConfirmedServiceError(1, 0, 3)],
)
def test_exceptions_that_end_the_association(access: Access, error: ExceptionResponse | ConfirmedServiceError) -> None:
    talk = connected(access)
    talk.meter.answer = lambda _: error
    with pytest.raises(MeterError, match="the meter refused"):
        talk.ask(Get(VOLTAGE))
    with pytest.raises(RuntimeError, match="CLOSED"):
        talk.association.send(Get(VOLTAGE))


EVENT = bytes.fromhex("c2 00 0046 000060030aff 03 1600")


@pytest.mark.parametrize("access", [READER, MANAGEMENT], ids=lambda access: access.name)
def test_what_the_meter_says_unasked_is_no_answer(access: Access) -> None:
    talk = connected(access)
    request = talk.association.send(Get(VOLTAGE))
    talk.association.receive_data(talk.meter.protect(EVENT))
    talk.association.receive_data(talk.meter.reply(request))
    expected = EventNotification(None, Attribute(70, RELAY[1], 3), 0)
    assert talk.association.next_event() == Notified(expected)
    assert talk.association.next_event() == Response([230])


def test_what_the_meter_says_between_two_requests() -> None:
    talk = connected(READER)
    talk.association.receive_data(EVENT)
    assert isinstance(talk.association.next_event(), Notified)
    assert talk.ask(Get(VOLTAGE)) == Response([230])


def test_a_flood_of_notifications_ends_the_association() -> None:
    talk = connected(READER)
    talk.association.send(Get(VOLTAGE))
    for _ in range(MAX_NOTIFICATIONS + 1):
        talk.association.receive_data(EVENT)
    for _ in range(MAX_NOTIFICATIONS):
        assert isinstance(talk.association.next_event(), Notified)
    with pytest.raises(MeterError, match="more than 16"):
        talk.association.next_event()


def test_a_plain_notification_in_a_ciphered_association_is_refused() -> None:
    talk = connected(MANAGEMENT)
    talk.association.receive_data(EVENT)
    with pytest.raises(SecurityError, match="not ciphered"):
        talk.association.next_event()


def test_a_broken_notification() -> None:
    talk = connected(READER)
    talk.association.receive_data(EVENT[:-1])
    with pytest.raises(MeterError, match="truncated"):
        talk.association.next_event()


# --- Lies while associating. ---

SECURE_LIES: list[tuple[Access, dict[str, Any]]] = [
    (MANAGEMENT, {"ciphered": False, "information": Initiate(CONFORMANCE, 1024).response()}),
    (MANAGEMENT, {"information": Initiate(CONFORMANCE, 1024).response()}),
    (MANAGEMENT, {"information": b""}),
    (MANAGEMENT, {"title": b"MTR00002"}),
    (MANAGEMENT, {"title": TITLE}),
    (MANAGEMENT, {"title": b""}),
    (MANAGEMENT, {"diagnostic": 0}),
    (MANAGEMENT, {"authentication": Authentication.LLS}),
    (MANAGEMENT, {"secret": b"short"}),
    (MANAGEMENT, {"secret": bytes(65)}),
    (MANAGEMENT, {"secret": CTOS}),
    (PROVEN, {"title": b"MTR00002"}),
    (PROVEN, {"ciphered": True}),
    (READER, {"diagnostic": AUTHENTICATION_REQUIRED}),
    (READER, {"ciphered": True}),
]


@pytest.mark.parametrize(("access", "change"), SECURE_LIES)
def test_lies_while_associating(access: Access, change: dict[str, Any]) -> None:
    talk = Conversation(access)
    talk.meter.aare = lambda aare: replace(aare, **change)
    with pytest.raises(SecurityError):
        talk.connect()
    with pytest.raises(RuntimeError, match="CLOSED"):
        talk.association.send(Get(VOLTAGE))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Aare(b"", 1, 13).to_bytes(), "authentication failure"),
        (bytes.fromhex("0e010601"), "service error 1.6.1"),
        (bytes.fromhex("d80102"), "not supported"),
        (b"", "not an APDU"),
        (Aare(b"\x08\x00\x06").to_bytes(), "malformed initiate"),
    ],
)
def test_refused_associations(answer: bytes, why: str) -> None:
    talk = Conversation(READER)
    talk.lie = lambda _, __: answer
    with pytest.raises(MeterError, match=why):
        talk.connect()


@pytest.mark.parametrize(
    "proof",
    [
        ActionResponse(),
        ActionResponse(None, AccessError(3)),
        ActionResponse(None, axdr.octets(bytes(17))),
        ActionResponse(None, axdr.octets(b"\x10" + bytes(16))),
        ActionResponse(None, axdr.u8(1)),
        GetResponse(axdr.u8(1)),
    ],
)
@pytest.mark.parametrize("access", [PROVEN, MANAGEMENT], ids=lambda access: access.name)
def test_a_meter_that_does_not_prove_itself(access: Access, proof: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Conversation(access)
    monkeypatch.setattr(talk.meter, "respond", lambda _: proof)
    with pytest.raises(SecurityError):
        talk.connect()


@pytest.mark.parametrize("access", [PROVEN, MANAGEMENT], ids=lambda access: access.name)
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (ActionResponse(AccessError(3)), "read-write denied"),
        (ExceptionResponse(1, 6, 9), "invocation counter error"),
        (ExceptionResponse(1, 2), "not supported"),
    ],
)
def test_a_meter_that_does_not_take_our_proof(
    access: Access, answer: Any, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = Conversation(access)
    monkeypatch.setattr(talk.meter, "respond", lambda _: answer)
    with pytest.raises(RefusedError, match=why):
        talk.connect()
    with pytest.raises(RuntimeError, match="CLOSED"):
        talk.association.send(Get(VOLTAGE))


def test_only_what_both_can_do_is_agreed() -> None:
    talk = Conversation(READER)
    granted = Conformance.GET | Conformance.GENERAL_BLOCK_TRANSFER
    talk.meter.aare = lambda aare: replace(aare, information=Initiate(granted, 0).response())
    assert talk.connect() == Associated(Conformance.GET, 0, b"")


def test_a_request_longer_than_the_meter_takes() -> None:
    talk = Conversation(READER)
    talk.meter.aare = lambda aare: replace(aare, information=Initiate(CONFORMANCE, 20).response())
    talk.connect()
    with pytest.raises(NotServedError, match="20 octets that the meter takes"):
        talk.association.send(Set(VOLTAGE, axdr.octets(bytes(30))))


def test_a_long_request_where_blocks_are_not_agreed() -> None:
    talk = Conversation(READER)
    talk.meter.aare = lambda aare: replace(aare, information=Initiate(Conformance.SET, 20).response())
    talk.connect()
    with pytest.raises(NotServedError, match="the meter takes 20"):
        talk.association.send(Set(VOLTAGE, axdr.octets(bytes(30))))
    # nothing was sent, and the next one may be shorter
    assert talk.association.send(Get(VOLTAGE))


def test_invoke_ids_follow_each_other() -> None:
    talk = connected(READER)
    seen = []
    for _ in range(18):
        request = talk.association.send(Get(VOLTAGE))
        seen.append(request[2] & 15)
        talk.association.receive_data(talk.meter.reply(request))
        talk.association.next_event()
    assert seen == [*range(1, 16), 0, 1, 2]


def test_every_protected_apdu_takes_a_new_counter() -> None:
    talk = connected(MANAGEMENT)
    for _ in range(3):
        talk.ask(Get(VOLTAGE))
    assert next(talk.counter) == 1 + 3 + 3  # AARQ, proof, reply to HLS; three GETs


def test_the_release_is_authenticated_where_the_association_is() -> None:
    talk = connected(MANAGEMENT)
    assert talk.association.release()[5:7] == b"\xbe\x23"
    assert connected(READER).association.release().hex() == "6203800100"


def test_nothing_to_release() -> None:
    talk = Conversation(READER)
    talk.association.connect()
    assert talk.association.release() == b""
    assert talk.association.next_event() == NEED_DATA


def test_over_hdlc_the_disc_ends_both_layers() -> None:
    association = Association(HdlcLink(2, ServerAddress(1, 17)), READER, KEYS, client_title=b"", take_counter=lambda: 0)
    association.connect()
    assert association.release()[6] == hdlc.control(hdlc.DISC)
    ended = hdlc.encode_frame(b"\x05", b"\x02\x23", hdlc.control(hdlc.UA))
    association.receive_data(ended)
    assert association.next_event() == Released()


@pytest.mark.parametrize(
    ("access", "keys", "why"),
    [
        (Access("a", 1, Authentication.HLS_MD5), Keys(), "no password"),
        (Access("a", 1, Authentication.HLS_SHA256), Keys(), "no password"),
        (Access("a", 1, Authentication.HLS_ECDSA), KEYS, "needs security suite 1 or 2"),
        (Access("a", 1, Authentication.HLS_ECDSA, suite=1), KEYS, "signing key of 32"),
        (Access("a", 1, Authentication.HLS_GMAC, suite=2), KEYS, "32 octets"),
        (Access("a", 1, ciphered=True, suite=1, ciphering=Ciphering.GENERAL_STATIC), KEYS, "agreement key of 32"),
        (Access("a", 1, ciphered=True, ciphering=Ciphering.GENERAL_ONE_PASS), KEYS, "needs security suite 1 or 2"),
        (SEALED, replace(KEYS, broadcast_key=bytes(32)), "broadcast key of 16"),
        (READER, Keys(), "no password"),
        (MANAGEMENT, Keys(b"12345678"), "16 octets"),
        (PROVEN, Keys(b"12345678"), "16 octets"),
    ],
)
def test_access_without_its_secrets(access: Access, keys: Keys, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        Association(BareLink(), access, keys, client_title=TITLE, take_counter=lambda: 0)
