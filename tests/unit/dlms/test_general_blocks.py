"""General blocks: windows, blocks lost and sent again, bounds, and agreement with gurux-dlms on the octets."""

import pytest
from gurux_dlms import GXByteBuffer, GXReplyData

from dcu.dlms import axdr
from dcu.dlms.general_blocks import MAX_STRAY, GeneralBlock, GeneralGathering, is_general_block
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
