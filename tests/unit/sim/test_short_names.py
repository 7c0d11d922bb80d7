"""Old meters: what their short names are, whom they let in, what they give and take."""

from dataclasses import replace
from typing import Any

import pytest

from dcu.dlms import axdr
from dcu.dlms.acse import Aare, Aarq, Initiate
from dcu.dlms.apdu import decode_response, encode_request
from dcu.dlms.association import SHORT_CONFORMANCE
from dcu.dlms.services import (
    AccessError,
    ExceptionResponse,
    Get,
    Read,
    ReadBlock,
    ReadNext,
    ReadResponse,
    Set,
    Variable,
    Write,
    by_entry,
)
from dcu.dlms.short_names import OBJECT_LIST, ShortNames
from dcu.errors import RefusedError
from dcu.model import Access, Attribute, Authentication, Referencing
from dcu.obis import parse_obis
from sim import objects
from sim.meter import SimMeter
from sim.profiles import CLOCK, LOAD_0
from sim.server import MANAGEMENT, OLD_READER, PUBLIC, READER, ServerAssociation
from sim.short_names import ATTRIBUTES, BASES
from tests.unit.sim.conversation import KEYS, NOW, Talk, hdlc, meter, wrapper

ENERGY = Get(Attribute(3, parse_obis("1-0:1.8.0.255")))
DENIED, UNDEFINED = AccessError(3), AccessError(4)


def old(**changes: Any) -> SimMeter:
    return meter(referencing=Referencing.SN, **changes)


def opened(simulated: SimMeter, access: Access = OLD_READER) -> Talk:
    talk = hdlc(simulated, access)
    talk.open()
    return talk


def names_of(talk: Talk) -> ShortNames:
    (value,) = talk.ask(Read((OBJECT_LIST,)))
    return ShortNames.from_value(value)


def variable(names: ShortNames, item: Get) -> Variable:
    found = names.variable(item)
    assert found is not None
    return found


@pytest.mark.parametrize("phases", [1, 3])
def test_no_two_attributes_share_a_name_and_all_are_told(phases: int) -> None:
    names = names_of(opened(old(phases=phases)))
    assert [(each.base, each.class_id, each.name) for each in names.objects] == [
        (base, *known) for base, known in sorted(BASES[phases].items())
    ]
    for name, attribute in ATTRIBUTES[phases].items():
        assert names.variable(Get(attribute)) == Variable(name)
    assert len(ATTRIBUTES[phases]) == len(set(ATTRIBUTES[phases].values()))


@pytest.mark.parametrize("road", [hdlc, wrapper])
def test_values_are_those_of_the_meter(road: Any) -> None:
    simulated = old()
    talk = road(simulated, OLD_READER)
    assert talk.open().conformance & SHORT_CONFORMANCE == SHORT_CONFORMANCE
    names = names_of(talk)
    rows = Get(Attribute(7, LOAD_0), by_entry(2, 4))
    energy, found, beyond = talk.ask(Read((variable(names, ENERGY), variable(names, rows), Variable(0x0003))))
    assert energy == simulated.value(ENERGY.attribute, simulated.clock_at(NOW))
    assert len(found) == 3
    assert beyond == UNDEFINED


def test_what_it_gives_is_counted() -> None:
    simulated = old()
    talk = opened(simulated)
    talk.ask(Read((variable(names_of(talk), ENERGY),)))
    assert simulated.given == {ENERGY.attribute.name: 1}


def test_a_value_is_written_under_the_password() -> None:
    simulated = old()
    talk = opened(simulated)
    names = names_of(talk)
    message = names.write(Set(Attribute(1, objects.MESSAGE), axdr.octets(b"hello")))
    energy = names.write(Set(ENERGY.attribute, axdr.u8(1)))
    assert message is not None
    assert energy is not None
    assert talk.ask(message) == [None]
    assert talk.ask(energy) == [DENIED]
    assert talk.ask(Write(((Variable(0x0003), axdr.u8(1)),))) == [UNDEFINED]
    assert simulated.message == b"hello"


def test_the_public_client_reads_little_and_writes_nothing() -> None:
    simulated = old()
    talk = opened(simulated, replace(PUBLIC, referencing=Referencing.SN))
    names = names_of(talk)
    clock = variable(names, Get(Attribute(8, CLOCK)))
    time, energy = talk.ask(Read((clock, variable(names, ENERGY))))
    assert isinstance(time, bytes)
    assert energy == DENIED
    assert talk.ask(Write(((clock, axdr.octets(bytes(12))),))) == [DENIED]


@pytest.mark.parametrize(
    ("referencing", "access"),
    [(Referencing.SN, READER), (Referencing.LN, OLD_READER), (Referencing.SN, MANAGEMENT)],
)
def test_the_wrong_names_are_refused(referencing: Referencing, access: Access) -> None:
    with pytest.raises(RefusedError, match="context not supported"):
        hdlc(meter(referencing=referencing), access).open()


def small(simulated: SimMeter, limit: int) -> ServerAssociation:
    """An association whose client takes APDUs of `limit` octets."""
    association = ServerAssociation(simulated, READER)
    information = Initiate(SHORT_CONFORMANCE, limit).request()
    asked = Aarq(information, False, Authentication.LLS, b"", KEYS.password, Referencing.SN)
    assert not Aare.from_bytes(association.answer(asked.to_bytes(), NOW)).result
    return association


def answered(association: ServerAssociation, request: Any) -> Any:
    return decode_response(association.answer(encode_request(request, 1), NOW))[0]


def test_a_long_answer_comes_in_blocks() -> None:
    association = small(old(), 100)
    block = answered(association, Read((OBJECT_LIST,)))
    whole, number = b"", 0
    while True:
        assert isinstance(block, ReadBlock)
        whole, number = whole + block.block.content, number + 1
        assert block.block.number == number
        if block.block.last:
            break
        block = answered(association, ReadNext(number))
    assert ShortNames.from_value(axdr.decode_all(whole)).witness[1] in objects.CLASSES["idis", 1]


def test_a_block_nobody_waits_for_is_unavailable() -> None:
    association = small(old(), 100)
    unavailable = ReadResponse((AccessError(14),))
    assert answered(association, ReadNext(1)) == unavailable
    assert isinstance(answered(association, Read((OBJECT_LIST,))), ReadBlock)
    assert answered(association, ReadNext(2)) == unavailable
    # the transfer is not over: who asks for the right one gets it
    following = answered(association, ReadNext(1))
    assert isinstance(following, ReadBlock)
    assert following.block.number == 2


@pytest.mark.parametrize("request_", [Get(ENERGY.attribute), Set(ENERGY.attribute, axdr.u8(1))])
def test_services_of_logical_names_are_not_known(request_: Any) -> None:
    assert answered(small(old(), 0), request_) == ExceptionResponse(2, 2)
