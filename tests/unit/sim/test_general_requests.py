"""Long requests in general blocks, through the whole client to a simulated meter that knows them."""

from dataclasses import replace

import pytest

from dcu.dlms import axdr
from dcu.dlms.general_blocks import GeneralBlock
from dcu.dlms.services import Set
from dcu.dlms.wrapper import Packet, PacketReader, encode_packet
from dcu.errors import MeterError
from dcu.model import AGREED, Access, Attribute, Ciphering
from sim.objects import DATA
from sim.objects import MESSAGE as TEXT
from sim.server import MANAGEMENT, READER

from .conversation import Talk, meter, wrapper
from .test_guard import keys_of

MESSAGE = Attribute(DATA, TEXT)


def packets(data: bytes) -> list[Packet]:
    reader = PacketReader()
    reader.receive_data(data)
    return list(iter(reader.next_packet, None))


def listening(talk: Talk) -> list[bytes]:
    """Return a list that fills with what is sent."""
    sent: list[bytes] = []
    exchange = talk.exchange

    def listened(data: bytes) -> bytes:
        sent.append(data)
        return exchange(data)

    talk.exchange = listened
    return sent


@pytest.mark.parametrize("form", Ciphering)
def test_a_long_request_goes_in_rows_as_long_as_the_meter_takes(form: Ciphering) -> None:
    suite = 1 if form in AGREED else 0
    ours, theirs = keys_of(suite)
    simulated = meter(keys=theirs, suite=suite)
    talk = wrapper(simulated, replace(MANAGEMENT, ciphering=form, suite=suite), ours)
    talk.open()
    sent = listening(talk)
    text = bytes(range(256)) * 12
    assert talk.ask(Set(MESSAGE, axdr.octets(text))) == [None]
    assert simulated.message == text
    assert [len(packets(data)) for data in sent] == [1, 3]  # the first alone: it brings the meter's window
    assert talk.get(MESSAGE) == [text]


def test_a_block_lost_is_sent_again() -> None:
    simulated = meter()
    talk = wrapper(simulated)
    talk.open()
    exchange = talk.exchange
    lost: list[Packet] = []

    def lossy(data: bytes) -> bytes:
        row = packets(data)
        if len(row) > 1 and not lost:
            lost.append(row.pop(1))
        return exchange(b"".join(encode_packet(p.source, p.destination, p.apdu) for p in row))

    talk.exchange = lossy
    text = bytes(range(256)) * 16
    assert talk.ask(Set(MESSAGE, axdr.octets(text))) == [None]
    assert simulated.message == text
    assert GeneralBlock.from_bytes(lost[0].apdu).number == 3


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (bytes.fromhex("c501c10000"), "before it has the whole"),
        (GeneralBlock(1, 1, b"x", last=True).to_bytes(), "an answer to 1 of 2 blocks"),
        (GeneralBlock(1, 2, b"", last=True).to_bytes(), "up to 2 acknowledged, 1 were sent"),
    ],
)
def test_a_meter_that_does_not_keep_to_the_rules_is_not_believed(answer: bytes, reason: str) -> None:
    access: Access = READER
    talk = wrapper(meter(), access)
    talk.open()
    talk.exchange = lambda _: encode_packet(meter().plate.address, access.client, answer)
    with pytest.raises(MeterError, match=reason):
        talk.ask(Set(MESSAGE, axdr.octets(bytes(1500))))
