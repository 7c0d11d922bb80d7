"""General block transfer: an APDU of any kind, protected or not, that comes in acknowledged blocks (IEC 62056-5-3).

Both directions: what the meter sends so, and our own long requests, where both sides agreed to it. The blocks of single
services, for meters that know no others, are `transfer`'s.
"""

from dataclasses import dataclass
from typing import Final

from dcu.dlms import axdr
from dcu.dlms.axdr import encode_length, read_length
from dcu.errors import MeterError

GENERAL_BLOCK_TRANSFER: Final = 0xE0
#: Bits of block-control; the others are the window.
_LAST: Final = 0x80
_STREAMING: Final = 0x40
MAX_WINDOW: Final = 0x3F
#: Blocks out of order that one transfer may have: lost ones are sent again, a meter that never gets on is left.
MAX_STRAY: Final = 64
_HEADER_SIZE: Final = 6
#: Header and the longest length field of a block that fits any APDU.
_OVERHEAD: Final = _HEADER_SIZE + 3
MAX_BLOCKS: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class GeneralBlock:
    """Block `number` of one side, which has the blocks of the other up to `acknowledged`, and takes `window` at once.

    `streaming`: more of this window follows without an acknowledgement.
    """

    number: int
    acknowledged: int
    content: bytes
    last: bool
    streaming: bool = False
    window: int = 1

    def to_bytes(self) -> bytes:
        control = (_LAST if self.last else 0) | (_STREAMING if self.streaming else 0) | self.window
        numbers = self.number.to_bytes(2) + self.acknowledged.to_bytes(2)
        return bytes((GENERAL_BLOCK_TRANSFER, control)) + numbers + encode_length(len(self.content)) + self.content

    @classmethod
    def from_bytes(cls, data: bytes) -> "GeneralBlock":
        """MeterError when `data` is not one whole block."""
        try:
            control, (length, start) = data[1], read_length(data, _HEADER_SIZE)
        except IndexError:
            raise MeterError("general block is truncated") from None
        if start + length != len(data):
            raise MeterError(f"general block of {len(data)} octets should have {start + length}")
        return cls(
            number=int.from_bytes(data[2:4]),
            acknowledged=int.from_bytes(data[4:6]),
            content=data[start:],
            last=bool(control & _LAST),
            streaming=bool(control & _STREAMING),
            window=control & MAX_WINDOW,
        )


def is_general_block(apdu: bytes) -> bool:
    return apdu[:1] == bytes((GENERAL_BLOCK_TRANSFER,))


class GeneralGathering:
    """The blocks of one APDU, and our acknowledgements, which let the meter send `window` blocks at once."""

    __slots__ = ("_content", "_received", "_said", "_stray", "_window")

    def __init__(self, window: int, said: int = 0) -> None:
        """`said`: the blocks that we have sent before."""
        self._window = window
        self._content = bytearray()
        self._said = said
        self._received = self._stray = 0

    def take(self, apdu: bytes) -> tuple[bytes | None, bytes]:
        """Return the whole APDU once its last block is there, else what to send now: b"" while the meter streams.

        MeterError for a malformed block, too much content, or a meter that does not get on.
        """
        block = GeneralBlock.from_bytes(apdu)
        if block.number == self._received + 1:
            self._received += 1
            self._content += block.content
            if len(self._content) > axdr.MAX_OCTETS or not (block.content or block.last):
                raise MeterError(f"general block {block.number} of {len(block.content)} octets is empty or too much")
            if block.last:
                return bytes(self._content), b""
        else:
            # lost, or sent again: what is acknowledged below tells the meter where to go on
            self._stray += 1
            if self._stray > MAX_STRAY:
                raise MeterError(f"more than {MAX_STRAY} general blocks out of order")
        return None, b"" if block.streaming and not block.last else self._acknowledge()

    def _acknowledge(self) -> bytes:
        self._said += 1
        return GeneralBlock(
            self._said & 0xFFFF, self._received, b"", last=True, streaming=False, window=self._window
        ).to_bytes()


class GeneralSending:
    """One APDU of ours in blocks for a meter that takes APDUs of `limit` octets; at most `run` blocks before its turn.

    The first goes alone: how many at once the meter takes, it says in its acknowledgement.
    """

    __slots__ = ("_acknowledged", "_apdu", "_count", "_run", "_sent", "_size", "_stray", "_window")

    def __init__(self, apdu: bytes, limit: int, run: int) -> None:
        """MeterError when not even blocks fit."""
        self._size = limit - _OVERHEAD
        self._apdu = apdu
        self._count = -(-len(apdu) // self._size) if self._size > 0 else MAX_BLOCKS + 1
        if self._count > MAX_BLOCKS:
            raise MeterError(f"a request of {len(apdu)} octets does not fit into blocks of {limit}")
        self._run = run
        self._window = 1
        self._acknowledged = self._sent = self._stray = 0

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return self._count

    @property
    def unsent(self) -> int:
        return self._count - self._sent

    def burst(self) -> list[bytes]:
        """Return the blocks to send now: a window of those that the meter has not acknowledged."""
        last = min(self._acknowledged + self._window, self._count)
        self._sent = max(self._sent, last)
        return [self._block(number, streaming=number < last) for number in range(self._acknowledged + 1, last + 1)]

    def take(self, block: GeneralBlock) -> list[bytes]:
        """Return what to send after an acknowledgement: the next window, or again what the meter lacks of the last.

        MeterError when it acknowledges what was not sent, or does not get on.
        """
        if not self._acknowledged <= block.acknowledged <= self._sent:
            raise MeterError(f"general blocks up to {block.acknowledged} acknowledged, {self._sent} were sent")
        if block.acknowledged == self._acknowledged:
            self._stray += 1
            if self._stray > MAX_STRAY:
                raise MeterError(f"general block {self._acknowledged + 1} sent more than {MAX_STRAY} times")
        self._acknowledged = block.acknowledged
        self._window = max(1, min(block.window, self._run))
        return self.burst()

    def _block(self, number: int, *, streaming: bool) -> bytes:
        content = self._apdu[(number - 1) * self._size : number * self._size]
        return GeneralBlock(number, 0, content, number == self._count, streaming, self._run).to_bytes()
