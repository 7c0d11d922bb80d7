"""General block transfer: an APDU of any kind, protected or not, that comes in acknowledged blocks (IEC 62056-5-3).

We receive what the meter sends so; our own long requests go in the blocks of their service, which are `transfer`'s.
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

    def __init__(self, window: int) -> None:
        self._window = window
        self._content = bytearray()
        self._received = self._said = self._stray = 0

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
