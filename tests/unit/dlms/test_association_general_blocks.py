"""General blocks around protected APDUs, both ways, with the simulated meter: cut after it and joined before it."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest

from dcu.dlms import axdr
from dcu.dlms.association import Associated, Association, Response
from dcu.dlms.general_blocks import GeneralBlock, is_general_block
from dcu.dlms.link import NEED_DATA, Transmit
from dcu.dlms.services import Get, GetList, Request, Set
from dcu.dlms.wrapper import PacketReader, WrapperLink, encode_packet
from dcu.errors import Breach, SecurityError
from dcu.model import Attribute, Ciphering, Keys
from dcu.obis import parse_obis
from sim import server
from sim.meter import Nameplate, SimMeter
from sim.server import MANAGEMENT, ServerAssociation

KEYS = Keys(b"12345678", bytes(range(16)), bytes(range(0x20, 0x30)))
NOW = 1_790_000_100.0
ENERGY = Attribute(3, parse_obis("1-0:1.8.0.255"))
MESSAGE = Attribute(1, parse_obis("0-0:96.13.0.255"))
#: Octets of one APDU, of either side: a list of this length is many, and so is the message.
SIZE = 100
LIST = GetList((Get(ENERGY),) * 40)


class Talk:
    """A client and a meter, each hearing the other; `change` may change what the meter says."""

    def __init__(self, form: Ciphering) -> None:
        self.meter = SimMeter(Nameplate(seed=5, id="M0042", address=1, keys=KEYS))
        self.server = ServerAssociation(self.meter, MANAGEMENT)
        access = replace(MANAGEMENT, ciphering=form)
        self.client = Association(
            WrapperLink(1, 1), access, KEYS, client_title=b"DCU00001", take_counter=count(1).__next__
        )
        self.change: Callable[[bytes], bytes] = lambda apdu: apdu
        self.asked: list[bytes] = []
        self.said: list[bytes] = []
        assert isinstance(self.follow(self.client.connect()), Associated)

    def ask(self, request: Request) -> object:
        return self.follow(self.client.send(request))

    def follow(self, octets: bytes) -> object:
        """Carry octets to and fro until something results that is no more to be carried."""
        while True:
            reader = PacketReader()
            reader.receive_data(octets)
            for packet in iter(reader.next_packet, None):
                self.asked.append(packet.apdu)
                if answer := self.server.answer(packet.apdu, NOW):
                    self.said.append(answer)
                    self.client.receive_data(encode_packet(1, 1, self.change(answer)))
            octets = b""
            while isinstance(event := self.client.next_event(), Transmit):
                octets += event.data
            if event is not NEED_DATA or not octets:
                return event


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dcu.dlms.association.MAX_PDU", SIZE)
    monkeypatch.setattr(server, "MAX_PDU", SIZE)


FORMS = [Ciphering.GLO, Ciphering.DED, Ciphering.GENERAL_GLO, Ciphering.GENERAL_DED, Ciphering.GENERAL]
forms = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)


@forms
def test_a_long_question_and_its_long_answer(form: Ciphering) -> None:
    talk = Talk(form)
    response = talk.ask(LIST)
    assert isinstance(response, Response)
    assert len(response.results) == 40
    assert set(response.results) == {talk.meter.value(ENERGY, talk.meter.clock_at(NOW))}
    assert sum(map(is_general_block, talk.said)) > 3
    assert sum(map(is_general_block, talk.asked)) > 3


@forms
def test_a_long_change(form: Ciphering) -> None:
    talk = Talk(form)
    said = bytes(range(32, 127)) * 3
    assert talk.ask(Set(MESSAGE, axdr.octets(said))) == Response([None])
    assert talk.meter.message == said


@forms
def test_a_block_of_somebody_else_in_their_midst(form: Ciphering) -> None:
    talk = Talk(form)

    def forged(apdu: bytes) -> bytes:
        if not is_general_block(apdu) or not (block := GeneralBlock.from_bytes(apdu)).content:
            return apdu
        last = bytes((block.content[-1] ^ 1,))
        return replace(block, content=block.content[:-1] + last).to_bytes()

    talk.change = forged
    with pytest.raises(SecurityError) as refused:
        talk.ask(LIST)
    assert refused.value.breach in {Breach.TAG, Breach.LENGTH}
    with pytest.raises(RuntimeError, match="CLOSED"):
        talk.client.send(LIST)


def test_an_answer_that_is_protected_by_nothing_but_its_blocks() -> None:
    talk = Talk(Ciphering.GLO)
    plain = b"\xc4\x01\xc3\x00\x06\x00\x00\x00\x01"
    talk.change = lambda _: GeneralBlock(1, 0, plain, last=True, window=1).to_bytes()
    with pytest.raises(SecurityError) as refused:
        talk.ask(Get(ENERGY))
    assert refused.value.breach is Breach.PLAIN
