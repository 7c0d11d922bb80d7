"""Explains octets to a person: HDLC frames, WRAPPER packets, bare APDUs or Data, deciphered where keys are given.

Unlike an association it believes nothing and refuses nothing: what is wrong is said in the place where it is wrong.
"""

from dataclasses import dataclass
from typing import Final

from dcu.dlms import hdlc
from dcu.dlms.account import TAGS, Account, is_data
from dcu.dlms.hdlc import Frame, Parameters, ServerAddress
from dcu.dlms.outline import Octets, Outline, octets_text
from dcu.errors import MeterError
from dcu.model import Keys

#: Octets of one account; a visit with a long profile has a tenth of it.
MAX_INPUT: Final = 131_072
#: Conversations in one input whose segments are put together.
_MAX_CONVERSATIONS: Final = 64

_WRAPPER: Final = b"\x00\x01"
_WRAPPER_SIZE: Final = 8
#: What eleven bits can state, and the flag behind it.
_MAX_FRAME: Final = 2048
_KINDS: Final = {
    hdlc.I: "I (information)",
    hdlc.RR: "RR (receive ready)",
    hdlc.RNR: "RNR (receive not ready)",
    hdlc.REJ: "REJ (reject)",
    hdlc.UI: "UI (unnumbered information)",
    hdlc.DM: "DM (disconnected mode)",
    hdlc.DISC: "DISC (disconnect)",
    hdlc.UA: "UA (unnumbered acknowledge)",
    hdlc.SNRM: "SNRM (set normal response mode)",
    hdlc.FRMR: "FRMR (frame reject)",
}
_NO_KEYS: Final = Keys()


@dataclass(frozen=True, slots=True)
class Explanation:
    """`text` has one line per fact, indented by what it is part of; `good` is False when a line says what is wrong."""

    text: str
    good: bool


def explain(data: bytes, keys: Keys = _NO_KEYS, title: bytes = b"") -> Explanation:
    """Explain `data`: HDLC frames, WRAPPER packets, one APDU, or one Data, whichever it begins like.

    `keys` decipher; `title` is the sender's system title where no AARQ, AARE or header in `data` gives it. Never
    raises for what `data` holds; ConfigError for keys that are none.
    """
    out = Outline()
    with out.attempt():
        _tell(data, Account(out, keys, title))
    return Explanation(str(out), out.good)


def _tell(data: bytes, account: Account) -> None:
    if not 0 < len(data) <= MAX_INPUT:
        raise MeterError(f"{len(data)} octets; 1 to {MAX_INPUT} can be explained")
    line = _Line(account)
    if data.startswith(_WRAPPER) and len(data) >= _WRAPPER_SIZE:
        line.packets(Octets(data))
    # the number of the flag may stand inside a bare APDU as well
    elif data[0] == hdlc.FLAG or (hdlc.FLAG in data and data[0] not in TAGS and not is_data(data)):
        line.frames(data)
    else:
        account.bare(data)


class _Line:
    """The frames or packets of one input, and the segments that wait for the rest of their APDU."""

    def __init__(self, account: Account) -> None:
        self.out = account.out
        self._account = account
        self._segments: dict[bytes, bytes] = {}

    def frames(self, data: bytes) -> None:
        at = 0
        while (start := data.find(hdlc.FLAG, at)) >= 0:
            if start > at:
                self.out.say(f"no frame: {octets_text(data[at:start])}")
            at = start + 1
            if at >= len(data) or data[at] == hdlc.FLAG:
                continue
            with self.out.attempt():
                at += self.frame(data, at)
        if at < len(data):
            self.out.protest(f"no frame: {octets_text(data[at:])}")
        if not str(self.out):
            self.out.say("flags, and no frame between them")
        for left in self._segments.values():
            self.out.say(f"the rest is missing after {octets_text(left)}")

    def frame(self, data: bytes, at: int) -> int:
        """Tell the frame between the flags before `at` and after it; return its octets."""
        octets = Octets(data[at : at + _MAX_FRAME])
        form = octets.number(2)
        length = form & 0x07FF
        if form & 0xF000 != 0xA000:
            raise MeterError(f"frame format {form:#06x} is not of type 3")
        if length >= len(octets.data) or octets.data[length] != hdlc.FLAG:
            raise MeterError(f"no flag after the {length} octets that the frame states")
        octets = Octets(octets.data[:length])
        octets.take(2)
        with self.out.part(f"HDLC frame of {length} octets"):
            self._frame(octets, segmented=bool(form & 0x0800))
        return length

    def _frame(self, octets: Octets, *, segmented: bool) -> None:
        destination, source, control = _address(octets), _address(octets), octets.number()
        out = self.out
        frame = Frame(destination, source, control, segmented=segmented)
        out.say(f"to {_address_text(destination)}")
        out.say(f"from {_address_text(source)}")
        out.say(_control_text(frame))
        intact = self._check("HCS" if octets.left > 2 else "FCS", octets)
        if not octets.left:
            return
        payload = octets.take(max(octets.left - 2, 0))
        carries = {hdlc.I, hdlc.UI, hdlc.SNRM, hdlc.UA}
        if not self._check("FCS", octets) or not intact or frame.kind not in carries:
            out.say(f"information {octets_text(payload)}")
        elif frame.kind in {hdlc.SNRM, hdlc.UA}:
            self._parameters(payload)
        else:
            self._information(frame, payload)

    def _check(self, name: str, octets: Octets) -> bool:
        """Tell the check sequence that comes next; return whether it is good."""
        expected = hdlc.fcs16(octets.data[: octets.at])
        found = octets.take(2)
        if found == expected:
            self.out.say(f"{name} {found.hex(' ')}: good")
        else:
            self.out.protest(f"{name} {found.hex(' ')}: bad, the octets before it give {expected.hex(' ')}")
        return found == expected

    def _parameters(self, payload: bytes) -> None:
        agreed = Parameters.from_bytes(payload)
        info = f"information field {agreed.transmit} to send, {agreed.receive} to receive"
        self.out.say(f"{info}; window {agreed.transmit_window} to send, {agreed.receive_window} to receive")

    def _information(self, frame: Frame, payload: bytes) -> None:
        way = frame.destination + frame.source
        whole = self._segments.pop(way, b"") + payload
        if not frame.segmented:
            with self.out.attempt():
                self._account.apdu(whole)
            return
        if len(self._segments) == _MAX_CONVERSATIONS:
            raise MeterError(f"segments of more than {_MAX_CONVERSATIONS} conversations")
        self._segments[way] = whole
        self.out.say(f"segment, others follow: {octets_text(payload)}")

    def packets(self, octets: Octets) -> None:
        while octets.left:
            version, source, destination, length = (octets.number(2) for _ in range(4))
            if version != 1:
                raise MeterError(f"wrapper version {version}")
            with self.out.part(f"WRAPPER packet: from wPort {source} to wPort {destination}, {length} octets"):
                apdu = octets.take(length)
                with self.out.attempt():
                    self._account.apdu(apdu)


def _address(octets: Octets) -> bytes:
    start = octets.at
    while not octets.number() & 1:
        if octets.at - start == 4:
            raise MeterError("address of more than 4 octets")
    address = octets.data[start : octets.at]
    if len(address) == 3:
        raise MeterError("address of 3 octets")
    return address


def _address_text(field: bytes) -> str:
    address = ServerAddress.from_bytes(field)
    if len(field) == 1:
        return f"{address.logical} ({field.hex(' ')})"
    return f"logical device {address.logical}, physical device {address.physical} ({field.hex(' ')})"


def _control_text(frame: Frame) -> str:
    numbers = []
    if frame.kind == hdlc.I:
        numbers.append(f"N(S) {frame.send}")
    if frame.kind in {hdlc.I, hdlc.RR, hdlc.RNR, hdlc.REJ}:
        numbers.append(f"N(R) {frame.receive}")
    words = [_KINDS.get(frame.kind, "unknown"), *numbers, "poll/final" if frame.final else "not final"]
    return f"control {frame.control:02x}: {', '.join(words)}"
