from collections.abc import Callable

import pytest

from dcu.dlms import axdr
from dcu.dlms.acse import AARQ, Conformance, encode_release
from dcu.dlms.apdu import decode_response, encode_request
from dcu.dlms.general_blocks import GeneralBlock, is_general_block
from dcu.dlms.services import (
    AccessError,
    Action,
    ExceptionResponse,
    Get,
    GetBlock,
    GetNext,
    Set,
    SetList,
    by_entry,
)
from dcu.errors import MeterError
from dcu.model import Access, Attribute, Authentication, Keys
from dcu.obis import parse_obis
from sim import objects
from sim.blocks import Blocks
from sim.meter import SimMeter
from sim.profiles import CLOCK, LOAD_0
from sim.server import MANAGEMENT, MAX_PDU, PUBLIC, READER, ServerAssociation
from tests.unit.sim.conversation import KEYS, NOW, Talk, hdlc, meter, wrapper

TIME = Attribute(8, CLOCK)
MESSAGE = Attribute(1, objects.MESSAGE)
ENERGY = Attribute(3, parse_obis("1-0:1.8.0.255"))

NOT_SUPPORTED = ExceptionResponse(2, 2)

Road = Callable[..., Talk]
roads = pytest.mark.parametrize("road", [hdlc, wrapper])


@roads
@pytest.mark.parametrize("access", [PUBLIC, READER, MANAGEMENT], ids=lambda access: access.name)
def test_each_client_associates_and_reads_the_clock(road: Road, access: Access) -> None:
    talk = road(meter(), access)
    opened = talk.open()
    assert opened.max_pdu == MAX_PDU
    assert Conformance.MULTIPLE_REFERENCES in opened.conformance
    (time,) = talk.get(TIME)
    assert axdr.DateTime.from_bytes(time).utc() == int(NOW)
    talk.close()


def test_the_public_client_sees_little() -> None:
    talk = hdlc(meter(), PUBLIC)
    talk.open()
    assert talk.get(ENERGY, TIME)[0] == objects.READ_WRITE_DENIED
    assert isinstance(talk.get(Attribute(1, objects.INVOCATION_COUNTER))[0], int)


@roads
@pytest.mark.parametrize(
    ("access", "keys"),
    [
        (READER, Keys(b"wrong")),
        (MANAGEMENT, Keys(b"", KEYS.encryption_key, bytes(16))),
        (MANAGEMENT, Keys(b"", bytes(16), KEYS.authentication_key)),
        (Access("plain", 1, Authentication.LLS), KEYS),
        (Access("plain", 1), KEYS),
        (Access("unciphered", 1, Authentication.HLS_GMAC), KEYS),
        (Access("ciphered", 2, Authentication.HLS_GMAC, ciphered=True), KEYS),
    ],
)
def test_who_cannot_prove_himself_is_refused(road: Road, access: Access, keys: Keys) -> None:
    simulated = meter()
    with pytest.raises(MeterError, match="refused"):
        road(simulated, access, keys).open()
    assert not simulated.served


def test_a_meter_without_keys_refuses_to_cipher() -> None:
    with pytest.raises(MeterError, match="authentication failure"):
        hdlc(meter(keys=Keys(b"secret"))).open()


def test_the_client_gets_the_counter_that_the_meter_heard_last() -> None:
    simulated = meter()
    talk = hdlc(simulated)
    talk.open()
    talk.get(TIME)
    public = hdlc(simulated, PUBLIC)
    public.open()
    assert public.get(Attribute(1, objects.INVOCATION_COUNTER)) == [simulated.heard]
    assert simulated.heard > 0


def test_all_values_of_one_answer_belong_to_one_second() -> None:
    simulated = meter()
    talk = hdlc(simulated, READER)
    talk.open()
    assert len(set(talk.get(*[TIME] * 20))) == 1


def test_answers_longer_than_the_client_takes_come_in_blocks() -> None:
    server, invoke = opened_for(limit=100), 5
    whole = objects.read(server_meter(), Attribute(15, objects.ASSOCIATION), int(NOW))
    assert isinstance(whole, axdr.Typed)
    content = b""
    block = ask(server, Get(Attribute(15, objects.ASSOCIATION)), invoke)
    for number in range(1, 10_000):
        assert isinstance(block, GetBlock)
        assert isinstance(block.content, bytes)
        assert block.number == number
        content += block.content
        if block.last:
            break
        block = ask(server, GetNext(number), invoke)
    assert content == axdr.encode(whole)


@pytest.mark.parametrize("access", [READER, MANAGEMENT], ids=lambda access: access.name)
def test_behind_a_gateway_long_answers_come_in_general_blocks(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcu.dlms.association.MAX_PDU", 200)
    simulated = meter()
    talk = wrapper(simulated, access)
    assert Conformance.GENERAL_BLOCK_TRANSFER in talk.open().conformance
    (rows,) = talk.ask(Get(Attribute(7, LOAD_0), by_entry(1, 50)))
    assert len(rows) == 50
    # the last question was an acknowledgement, and a block that is not there is not given
    assert is_general_block(talk.last[8:])
    beyond = GeneralBlock(9, 99, b"", last=True).to_bytes()
    assert decode_response(talk.exchange(talk.last[:6] + len(beyond).to_bytes(2) + beyond)[8:])[0] == NOT_SUPPORTED
    assert talk.get(TIME)


def test_on_a_line_nobody_speaks_of_general_blocks() -> None:
    assert Conformance.GENERAL_BLOCK_TRANSFER not in hdlc(meter()).open().conformance


def test_a_wrong_block_number_ends_the_transfer() -> None:
    server = opened_for(limit=100)
    ask(server, Get(Attribute(15, objects.ASSOCIATION)), 1)
    assert ask(server, GetNext(7), 1) == GetBlock(7, last=True, content=AccessError(19))
    assert ask(server, GetNext(1), 1) == GetBlock(1, last=True, content=AccessError(14))


def test_a_new_question_ends_the_transfer() -> None:
    server = opened_for(limit=100)
    ask(server, Get(Attribute(15, objects.ASSOCIATION)), 1)
    ask(server, Get(TIME), 2)
    assert ask(server, GetNext(1), 1) == GetBlock(1, last=True, content=AccessError(14))


def test_before_an_association_nothing_is_served() -> None:
    server = ServerAssociation(meter(), PUBLIC)
    assert ask(server, Get(TIME), 1) == ExceptionResponse(1, 1)


def test_after_the_release_nothing_is_served() -> None:
    server = opened_for(limit=0)
    server.answer(encode_release(0x62), NOW)
    assert ask(server, Get(TIME), 1) == ExceptionResponse(1, 1)


@pytest.mark.parametrize("apdu", [b"", b"\xc0", b"\xc0\x01\xc1\x00", b"\x00\x01", bytes((AARQ, 0))])
def test_what_is_no_request_gets_an_answer_all_the_same(apdu: bytes) -> None:
    assert opened_for(limit=0).answer(apdu, NOW)


def test_only_management_writes() -> None:
    simulated = meter()
    later = axdr.date_time(axdr.DateTime.from_utc(int(NOW) + 3600))
    reader = hdlc(simulated, READER)
    reader.open()
    assert reader.ask(Set(TIME, later)) == [objects.READ_WRITE_DENIED]
    management = hdlc(simulated)
    management.open()
    assert management.ask(Set(TIME, later)) == [None]
    assert axdr.DateTime.from_bytes(management.get(TIME)[0]).utc() == int(NOW) + 3600


@pytest.mark.parametrize("road", [hdlc, wrapper])
def test_one_item_that_cannot_be_written_leaves_the_others(road: Road) -> None:
    simulated = meter()
    talk = road(simulated)
    talk.open()
    items = (
        Set(ENERGY, axdr.u32(0)),
        Set(MESSAGE, axdr.octets(b"hello")),
        Set(Attribute(3, b"absent"), axdr.null()),
        Set(TIME, axdr.u8(1)),
        Set(Attribute(3, objects.MESSAGE), axdr.octets(b"")),
    )
    assert talk.ask(SetList(items)) == [
        objects.READ_WRITE_DENIED,
        None,
        objects.OBJECT_UNDEFINED,
        objects.TYPE_UNMATCHED,
        objects.CLASS_INCONSISTENT,
    ]
    assert simulated.message == b"hello"


@pytest.mark.parametrize("value", [axdr.u8(1), axdr.octets(bytes(objects.MESSAGE_SIZE + 1))])
def test_a_message_that_the_display_cannot_show(value: axdr.Typed) -> None:
    talk = hdlc(meter())
    talk.open()
    assert talk.ask(Set(MESSAGE, value)) == [objects.TYPE_UNMATCHED]


def test_a_time_that_is_none_does_not_set_the_clock() -> None:
    talk = hdlc(meter())
    talk.open()
    assert talk.ask(Set(TIME, axdr.octets(b"\xff" * 12))) == [objects.TYPE_UNMATCHED]


def test_only_management_works_the_relay() -> None:
    simulated = meter()
    disconnect = Action(70, objects.DISCONNECT, 1, axdr.i8(0))
    reader = hdlc(simulated, READER)
    reader.open()
    assert reader.ask(disconnect) == [objects.READ_WRITE_DENIED]
    assert not simulated.relay.history
    management = hdlc(simulated)
    management.open()
    assert management.ask(disconnect) == [None]
    assert not simulated.relay.connected
    assert simulated.relay.history[-1] == (int(NOW), 62)


def test_a_replayed_request_is_refused_and_changes_nothing() -> None:
    simulated = meter()
    talk = wrapper(simulated)
    talk.open()
    talk.ask(Action(70, objects.DISCONNECT, 1, axdr.i8(0)))
    answer = talk.exchange(talk.last)
    assert decode_response(answer[8:])[0] == ExceptionResponse(1, 6, simulated.heard)
    assert len(simulated.relay.history) == 1


def test_a_used_counter_opens_no_association() -> None:
    simulated = meter()
    simulated.heard = 2**31
    with pytest.raises(MeterError, match="refused"):
        hdlc(simulated).open()


def test_reads_are_counted_with_their_rows() -> None:
    simulated = meter()
    talk = hdlc(simulated, READER)
    talk.open()
    talk.get(ENERGY, ENERGY, Attribute(3, b"absent"), Attribute(3, ENERGY.name, 3))
    (rows,) = talk.ask(Get(Attribute(7, LOAD_0)))
    assert simulated.served == {ENERGY.name: 3, LOAD_0: 1}
    assert simulated.given == {ENERGY.name: 2, LOAD_0: len(rows)}


def server_meter() -> SimMeter:
    return meter(phases=3)


def opened_for(limit: int) -> ServerAssociation:
    """Return an open association with a client that takes APDUs of `limit` octets."""
    server = ServerAssociation(server_meter(), READER)
    server._open = True
    server._blocks = Blocks(limit, Conformance.GET | Conformance.BLOCK_TRANSFER_GET)
    return server


def ask(server: ServerAssociation, request: Get | GetNext, invoke: int) -> object:
    response, echoed = decode_response(server.answer(encode_request(request, invoke), NOW))
    assert echoed in {invoke, None}
    return response
