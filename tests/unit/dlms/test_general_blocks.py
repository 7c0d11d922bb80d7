"""General blocks: windows, blocks lost and sent again, bounds, and agreement with gurux-dlms on the octets."""

import pytest
from gurux_dlms import GXByteBuffer, GXReplyData

from dcu.dlms import axdr
from dcu.dlms.general_blocks import MAX_STRAY, GeneralBlock, GeneralGathering, GeneralSending, is_general_block
from dcu.errors import MeterError

from .gurux import client

WHOLE = bytes(range(50))


def block(number: int, *, streaming: bool = False, last: bool = False, content: bytes | None = None) -> bytes:
    part = WHOLE[(number - 1) * 10 : number * 10] if content is None else content
    return GeneralBlock(number, 0, part, last, streaming, 3).to_bytes()


def acknowledgement(said: int, received: int) -> bytes:
    return GeneralBlock(said, received, b"", last=True, window=3).to_bytes()


def test_the_octets_of_a_block() -> None:
    octets = bytes.fromhex("e0 c3 0001 0002 03 616263")
    assert GeneralBlock(1, 2, b"abc", last=True, streaming=True, window=3).to_bytes() == octets
    assert GeneralBlock.from_bytes(octets) == GeneralBlock(1, 2, b"abc", last=True, streaming=True, window=3)
    assert is_general_block(octets)
    assert not is_general_block(b"")


def test_a_block_cut_or_stretched_is_refused() -> None:
    octets = bytes.fromhex("e0 83 0001 0002 03 616263")
    for damaged in (*(octets[:size] for size in range(len(octets))), octets + b"x"):
        with pytest.raises(MeterError, match="general block"):
            GeneralBlock.from_bytes(damaged)


def test_one_block_at_a_time() -> None:
    gathering = GeneralGathering(3)
    for number in range(1, 5):
        assert gathering.take(block(number)) == (None, acknowledgement(number, number))
    assert gathering.take(block(5, last=True)) == (WHOLE, b"")


def test_a_window_is_acknowledged_at_its_end() -> None:
    gathering = GeneralGathering(3)
    assert gathering.take(block(1, streaming=True)) == (None, b"")
    assert gathering.take(block(2, streaming=True)) == (None, b"")
    assert gathering.take(block(3)) == (None, acknowledgement(1, 3))
    assert gathering.take(block(4, streaming=True)) == (None, b"")
    assert gathering.take(block(5, last=True)) == (WHOLE, b"")


def test_a_lost_block_is_sent_again() -> None:
    gathering = GeneralGathering(3)
    assert gathering.take(block(1, streaming=True)) == (None, b"")
    assert gathering.take(block(3)) == (None, acknowledgement(1, 1))
    assert gathering.take(block(2, streaming=True)) == (None, b"")
    assert gathering.take(block(3, streaming=True)) == (None, b"")
    assert gathering.take(block(4)) == (None, acknowledgement(2, 4))
    assert gathering.take(block(4)) == (None, acknowledgement(3, 4))
    assert gathering.take(block(5, last=True)) == (WHOLE, b"")


def test_a_last_block_before_the_others_is_asked_for_again() -> None:
    gathering = GeneralGathering(3)
    assert gathering.take(block(1, streaming=True)) == (None, b"")
    assert gathering.take(block(5, last=True)) == (None, acknowledgement(1, 1))


def test_a_meter_that_does_not_get_on_is_left() -> None:
    gathering = GeneralGathering(3)
    gathering.take(block(1))
    for _ in range(MAX_STRAY):
        gathering.take(block(1))
    with pytest.raises(MeterError, match="out of order"):
        gathering.take(block(1))


def test_blocks_of_nothing_are_refused() -> None:
    with pytest.raises(MeterError, match="empty"):
        GeneralGathering(3).take(block(1, content=b""))


def test_content_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(axdr, "MAX_OCTETS", 15)
    gathering = GeneralGathering(3)
    gathering.take(block(1))
    with pytest.raises(MeterError, match="too much"):
        gathering.take(block(2))


def test_gurux_puts_our_blocks_together_the_same() -> None:
    theirs = client()
    reply = GXReplyData()
    apdu = bytes.fromhex("c401c100 0905 6162636465")
    theirs.getData(GXByteBuffer(GeneralBlock(1, 0, apdu[:6], last=False).to_bytes()), reply, None)
    assert reply.isMoreData()
    theirs.getData(GXByteBuffer(GeneralBlock(2, 0, apdu[6:], last=True).to_bytes()), reply, None)
    assert bytes(reply.value) == b"abcde"


LIMIT = 10 + 9


def told(acknowledged: int, window: int = 3) -> GeneralBlock:
    return GeneralBlock(1, acknowledged, b"", last=True, window=window)


def numbers(row: list[bytes]) -> list[tuple[int, bool, bool]]:
    blocks = list(map(GeneralBlock.from_bytes, row))
    assert [block.content for block in blocks] == [WHOLE[(b.number - 1) * 10 : b.number * 10] for b in blocks]
    return [(block.number, block.streaming, block.last) for block in blocks]


def test_a_request_goes_a_block_at_a_time_until_the_meter_names_its_window() -> None:
    sending = GeneralSending(WHOLE, LIMIT, run=8)
    assert sending.count == 5
    assert numbers(sending.burst()) == [(1, False, False)]
    assert numbers(sending.take(told(1))) == [(2, True, False), (3, True, False), (4, False, False)]
    assert sending.unsent == 1
    assert numbers(sending.take(told(4))) == [(5, False, True)]
    assert sending.take(told(5)) == []


def test_what_the_meter_lacks_goes_again() -> None:
    sending = GeneralSending(WHOLE, LIMIT, run=8)
    sending.burst()
    sending.take(told(1))
    assert numbers(sending.take(told(2))) == [(3, True, False), (4, True, False), (5, False, True)]
    assert numbers(sending.take(told(2))) == [(3, True, False), (4, True, False), (5, False, True)]


def test_no_more_at_once_than_the_line_bears() -> None:
    sending = GeneralSending(WHOLE, LIMIT, run=2)
    sending.burst()
    assert numbers(sending.take(told(1, window=63))) == [(2, True, False), (3, False, False)]
    assert numbers(sending.take(told(3, window=0))) == [(4, False, False)]


@pytest.mark.parametrize("acknowledged", [0, 5])
def test_an_acknowledgement_of_what_was_not_sent_or_was_before_is_refused(acknowledged: int) -> None:
    sending = GeneralSending(WHOLE, LIMIT, run=8)
    sending.burst()
    sending.take(told(1))
    with pytest.raises(MeterError, match=f"up to {acknowledged} acknowledged, 4 were sent"):
        sending.take(told(acknowledged))


def test_a_block_is_not_sent_for_ever() -> None:
    sending = GeneralSending(WHOLE, LIMIT, run=8)
    sending.burst()
    for _ in range(MAX_STRAY):
        sending.take(told(0))
    with pytest.raises(MeterError, match="block 1 sent more than"):
        sending.take(told(0))


@pytest.mark.parametrize("limit", [1, 9, 10])
def test_blocks_that_cannot_carry_the_request(limit: int) -> None:
    with pytest.raises(MeterError, match="does not fit into blocks"):
        GeneralSending(bytes(70_000), limit, run=8)
