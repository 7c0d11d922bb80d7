"""HDLC frames as octets: frame format type 3, addresses, check sequences, negotiated parameters (IEC 62056-46).

The conversation that a client holds in these frames is in `hdlc_link`; what they carry is in `apdu`.
"""

from binascii import crc_hqx
from collections import deque
from dataclasses import dataclass
from typing import Final

from dcu.errors import MeterError

FLAG: Final = 0x7E
LLC_COMMAND: Final = b"\xe6\xe6\x00"
LLC_RESPONSE: Final = b"\xe6\xe7\x00"

#: Control field without its poll/final bit and sequence numbers (clause 6.4.3).
I: Final = 0x00  # noqa: E741 - the standard's name of the frame
RR: Final = 0x01
RNR: Final = 0x05
REJ: Final = 0x09
UI: Final = 0x03
DM: Final = 0x0F
DISC: Final = 0x43
UA: Final = 0x63
SNRM: Final = 0x83
FRMR: Final = 0x87
POLL_FINAL: Final = 0x10

#: Information field lengths and frames per window that stations may negotiate (clause 6.4.4.4).
MIN_INFO: Final = 32
MAX_INFO: Final = 2030
MAX_WINDOW: Final = 7
#: Sixteen of the longest frames: more than two full windows; beyond it the oldest octets are dropped.
MAX_BUFFER: Final = 32_768

_FORMAT: Final = 0xA000
_FORMAT_MASK: Final = 0xF000
_SEGMENTED: Final = 0x0800
_LENGTH: Final = 0x07FF
_ADDRESS_SIZES: Final = (1, 2, 4)
_REVERSED: Final = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
_RESIDUE: Final = 0x1D0F
_PARAMETERS: Final = b"\x81\x80"
#: Longest parameter field taken apart: four parameters of six octets, and as much again of unknown ones.
_MAX_PARAMETERS: Final = 51


def fcs16(data: bytes) -> bytes:
    """Return the check sequence of `data` as it is sent, low octet first (CRC-16/X-25, ISO/IEC 13239).

    `crc_hqx` has the same polynomial but shifts the other way, so octets go in and come out with bits reversed.
    """
    crc = crc_hqx(data.translate(_REVERSED), 0xFFFF) ^ 0xFFFF
    return crc.to_bytes(2).translate(_REVERSED)


def _checked(data: bytes) -> bool:
    """Whether `data` ends with its own check sequence."""
    return crc_hqx(data.translate(_REVERSED), 0xFFFF) == _RESIDUE


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A server's HDLC address: `size` octets (1, 2, 4; 0: the shorter of 2 and 4 that fits).

    One octet carries the logical device alone; two and four split evenly between logical and physical part.
    """

    logical: int
    physical: int = 0
    size: int = 0

    def to_bytes(self) -> bytes:
        """Return the address field (clause 6.4.2.2); ValueError when the parts do not fit its size."""
        size = self.size or (2 if max(self.logical, self.physical) < 0x80 else 4)
        half = size // 2 * 7 or 7  # every octet holds seven bits; its lowest says whether it is the last
        if size not in _ADDRESS_SIZES or max(self.logical, self.physical) >> half or (size == 1 and self.physical):
            raise ValueError(f"{self} does not fit {size} octets")
        if size == 1:
            return bytes((self.logical << 1 | 1,))
        number = self.logical << half | self.physical
        parts = [(number >> shift & 0x7F) << 1 for shift in range(7 * (size - 1), -1, -7)]
        return bytes((*parts[:-1], parts[-1] | 1))

    @classmethod
    def from_bytes(cls, field: bytes) -> "ServerAddress":
        """Return the address of a field that `FrameReader` took from a frame."""
        if len(field) == 1:
            return cls(field[0] >> 1, 0, 1)
        half = len(field) // 2 * 7
        number = 0
        for octet in field:
            number = number << 7 | octet >> 1
        return cls(number >> half, number & (1 << half) - 1, len(field))


def client_address(client: int) -> bytes:
    """Return the one-octet address field of a client; ValueError above 127."""
    return ServerAddress(client, 0, 1).to_bytes()


def control(kind: int, *, send: int = 0, receive: int = 0, final: bool = True) -> int:
    """Return the control octet of `kind` with N(S) `send` (I) and N(R) `receive` (I, RR, RNR, REJ)."""
    return kind | receive << 5 | send << 1 | (POLL_FINAL if final else 0)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: raw address fields, control octet, information field (LLC included), segmentation bit."""

    destination: bytes
    source: bytes
    control: int
    payload: bytes = b""
    segmented: bool = False

    @property
    def kind(self) -> int:
        """Which of the control words this is: I, RR … FRMR."""
        # I frames end in 0, supervisory frames in 01, unnumbered ones in 11 and have no sequence numbers to mask
        if not self.control & 1:
            return I
        return self.control & (0x0F if not self.control & 2 else ~POLL_FINAL)

    @property
    def final(self) -> bool:
        return bool(self.control & POLL_FINAL)

    @property
    def send(self) -> int:
        """N(S) of an I frame."""
        return self.control >> 1 & 7

    @property
    def receive(self) -> int:
        """N(R) of an I or supervisory frame."""
        return self.control >> 5


def encode_frame(
    destination: bytes, source: bytes, control: int, payload: bytes = b"", *, segmented: bool = False
) -> bytes:
    """Return the frame between its flags. The addresses are fields as `ServerAddress.to_bytes` makes them."""
    body = destination + source + bytes((control,))
    length = 2 + len(body) + (len(payload) + 4 if payload else 2)
    if length > _LENGTH:
        raise ValueError(f"frame of {length} octets")
    body = (_FORMAT | (_SEGMENTED if segmented else 0) | length).to_bytes(2) + body
    body += fcs16(body)
    if payload:
        body += payload
        body += fcs16(body)
    return b"\x7e" + body + b"\x7e"


class FrameReader:
    """Finds frames in whatever arrives: noise, echoes, and frames cut short cost at most themselves.

    A header that passed its check is believed for as many octets as it states (2047 at most) or until the line falls
    silent, whichever comes first: then `break_off` finds what is whole behind it. `rejected` counts what began like a
    frame and failed a check sequence or its closing flag.
    """

    def __init__(self) -> None:
        self.rejected = 0
        self._buffer = bytearray()
        self._found: deque[Frame] = deque()
        self._damaged = b""  # addresses and rest of a frame whose header was good, with nothing whole after it

    def receive_data(self, data: bytes) -> None:
        self._buffer += data
        if (surplus := len(self._buffer) - MAX_BUFFER) > 0:
            del self._buffer[:surplus]
            self.rejected += 1

    def next_frame(self) -> Frame | None:
        """Return the next whole frame with good check sequences, or None until more data is received."""
        return self._found.popleft() if self._found else self._scan()

    def begun(self, addresses: bytes) -> bool:
        """Whether a frame with these two address fields has begun, or came damaged, since the last whole one."""
        buffer = self._buffer
        arriving = len(buffer) > 1 and buffer[1] & _FORMAT_MASK >> 8 == _FORMAT >> 8
        ours = arriving and addresses.startswith(buffer[3 : 3 + len(addresses)])
        return ours or self._damaged.startswith(addresses)

    def break_off(self) -> bool:
        """Give up what has begun: the line fell silent. Return whether whole frames were hidden behind it."""
        while self._buffer:
            if (frame := self._scan()) is not None:
                self._found.append(frame)
            elif self._buffer:
                self.rejected += len(self._buffer) > 1  # a lone flag closed the frame before
                del self._buffer[0]
        self._damaged = b""
        return bool(self._found)

    def _scan(self) -> Frame | None:
        buffer = self._buffer
        while (start := buffer.find(FLAG)) >= 0:
            del buffer[:start]
            header = self._header()
            if header is None:
                return None
            if not header:
                del buffer[0]
                continue
            length = int.from_bytes(buffer[1:3]) & _LENGTH
            if len(buffer) < length + 2:
                return None
            frame = bytes(buffer[1 : length + 1])
            if buffer[length + 1] == FLAG and (len(header) == length or _checked(frame)):
                del buffer[: length + 1]  # the closing flag may open the next frame
                self._damaged = b""
                return _parse(frame, len(header))
            self.rejected += 1
            self._damaged = frame[2:]
            del buffer[0]
        buffer.clear()
        return None

    def _header(self) -> bytes | None:
        """Return the checked header behind the flag, b"" when there is none, None when more octets are needed.

        The header's own check sequence is tested before its length is believed, so noise cannot make us wait.
        """
        buffer = self._buffer
        if len(buffer) < 3:
            return None
        form = int.from_bytes(buffer[1:3])
        destination = self._address_end(3)
        source = destination and self._address_end(destination)
        end = source + 3  # control, check sequence
        if form & _FORMAT_MASK != _FORMAT or not source or end - 1 > form & _LENGTH:
            return b""
        if len(buffer) < end:
            return None
        header = bytes(buffer[1:end])
        if _checked(header):
            return header
        self.rejected += 1
        return b""

    def _address_end(self, start: int) -> int:
        """Return the offset behind the address at `start`, or the least it can be while octets lack; 0: no address."""
        buffer = self._buffer
        for end in range(start + 1, start + 5):
            if end > len(buffer):
                return end
            if buffer[end - 1] & 1:
                return end if end - start in _ADDRESS_SIZES else 0
        return 0


def _parse(frame: bytes, header: int) -> Frame:
    """Take a checked frame apart; `header` counts its octets up to the first check sequence, inclusive."""
    ends = [at for at in range(2, header - 3) if frame[at] & 1]
    destination = frame[2 : ends[0] + 1]
    source = frame[ends[0] + 1 : header - 3]
    return Frame(destination, source, frame[header - 3], frame[header:-2], bool(frame[0] & _SEGMENTED >> 8))


@dataclass(frozen=True, slots=True)
class Parameters:
    """What SNRM proposes or UA grants: octets per information field and frames per window, seen from the sender."""

    transmit: int = 128
    receive: int = 128
    transmit_window: int = 1
    receive_window: int = 1

    def to_bytes(self) -> bytes:
        """Return the information field of SNRM or UA, without what has its default (clause 6.4.4.4)."""
        body = b"".join(
            bytes((tag, size)) + value.to_bytes(size)
            for tag, size, value, default in (
                (5, 1 + (self.transmit > 0xFF), self.transmit, 128),
                (6, 1 + (self.receive > 0xFF), self.receive, 128),
                (7, 4, self.transmit_window, 1),
                (8, 4, self.receive_window, 1),
            )
            if value != default
        )
        return _PARAMETERS + bytes((len(body),)) + body if body else b""

    @classmethod
    def from_bytes(cls, field: bytes) -> "Parameters":
        """Return the parameters of an information field: what is left out has its default. MeterError if malformed."""
        if not field:
            return cls()
        if field[:2] != _PARAMETERS or field[2:3] != bytes((len(field[3:]) & 0xFF,)) or len(field) > _MAX_PARAMETERS:
            raise MeterError("malformed HDLC parameters")
        values = {5: 128, 6: 128, 7: 1, 8: 1}
        at = 3
        while at < len(field):
            size = field[at + 1] if at + 1 < len(field) else len(field)
            if at + 2 + size > len(field):
                raise MeterError("malformed HDLC parameters")
            # a parameter of another number is kept and never looked at
            values[field[at]] = int.from_bytes(field[at + 2 : at + 2 + size])
            at += 2 + size
        if min(values[5], values[6]) < MIN_INFO or not values[7] or not values[8]:
            raise MeterError(f"impossible HDLC parameters {field.hex()}")
        info = (min(values[5], MAX_INFO), min(values[6], MAX_INFO))
        return cls(*info, min(values[7], MAX_WINDOW), min(values[8], MAX_WINDOW))
