"""What was tampered with, repeated, sent to another or is stale, offered to the client's checks: how much it takes.

Answers of a ciphered meter with each bit flipped, each answer again, all earlier ones, and those of a meter that has
the same keys and another title; on the line, frames with each bit flipped, and good ones between other stations.
Hostile octets of other kinds are the business of the property tests.
"""

from collections.abc import Iterator
from itertools import count
from random import Random

from dcu.dlms import hdlc
from dcu.dlms.hdlc import ServerAddress
from dcu.dlms.hdlc_link import HdlcLink
from dcu.dlms.link import ApduReceived, LinkOpened, NeedData
from dcu.dlms.security import Cipher
from dcu.errors import MeterError
from dcu.model import Keys

KEYS = Keys(b"12345678", bytes(range(16)), bytes(range(0xD0, 0xE0)))
CLIENT, METER, OTHER = b"DCU00001", b"MTR00001", b"MTR00002"

#: A GET-response with octets of any value.
HEAD = bytes((0xC4, 1, 0xC1, 0, 9))

#: The information frame that answers the first of ours.
ANSWER = hdlc.control(hdlc.I, send=0, receive=1)

CLIENT_ADDRESS, STATION, STRANGER = 2, ServerAddress(1, 17), ServerAddress(1, 18)


def accepted(rounds: int) -> tuple[int, int]:
    """Return how much was offered, and how much of it was accepted or kept something good from being accepted."""
    dice = Random(2026)
    found = [*_ciphered(rounds, dice), *_framed(rounds, dice)]
    return len(found), sum(found)


def _ciphered(rounds: int, dice: Random) -> Iterator[bool]:
    """Yield for each thing offered whether the cipher did wrong."""
    ours = Cipher(KEYS, CLIENT, lambda: 1)
    ours.peer = METER
    meter, other = Cipher(KEYS, METER, count(1).__next__), Cipher(KEYS, OTHER, count(1).__next__)
    earlier: list[bytes] = []
    for _ in range(rounds):
        said = HEAD + dice.randbytes(dice.randint(1, 60))
        good = meter.protect(said)
        yield from (_opens(ours, wrong) for wrong in (*_flipped(good), other.protect(said)))
        yield not _opens(ours, good)
        yield from (_opens(ours, old) for old in (good, *earlier))
        earlier = [*earlier, good][-20:]


def _opens(cipher: Cipher, apdu: bytes) -> bool:
    try:
        cipher.unprotect(apdu)
    except MeterError:
        return False
    return True


def _framed(rounds: int, dice: Random) -> Iterator[bool]:
    """Yield for each frame offered whether the link did wrong."""
    client = hdlc.client_address(CLIENT_ADDRESS)
    for _ in range(rounds):
        payload = b"\xe6\xe7\x00" + HEAD + dice.randbytes(dice.randint(1, 60))
        good = hdlc.encode_frame(client, STATION.to_bytes(), ANSWER, payload)
        strange = hdlc.encode_frame(client, STRANGER.to_bytes(), ANSWER, payload)
        elsewhere = hdlc.encode_frame(hdlc.client_address(3), STATION.to_bytes(), ANSWER, payload)
        yield from (_heard(wrong) for wrong in (*_flipped(good), strange, elsewhere))
        yield not _heard(good)


def _heard(frame: bytes) -> bool:
    """Whether a link that waits for an answer takes this for one."""
    link = HdlcLink(CLIENT_ADDRESS, STATION)
    link.open()
    client = hdlc.client_address(CLIENT_ADDRESS)
    link.receive_data(hdlc.encode_frame(client, STATION.to_bytes(), hdlc.control(hdlc.UA)))
    while not isinstance(link.next_event(), LinkOpened):
        pass
    link.send(b"\xc0")
    link.receive_data(frame)
    while not isinstance(event := link.next_event(), NeedData):
        if isinstance(event, ApduReceived):
            return True
    return False


def _flipped(octets: bytes) -> Iterator[bytes]:
    """Yield `octets` with each of its bits flipped in turn."""
    for bit in range(8 * len(octets)):
        at = bit // 8
        yield octets[:at] + bytes([octets[at] ^ 1 << bit % 8]) + octets[at + 1 :]
