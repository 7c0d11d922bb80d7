"""What the kernel counted of a connection, and what follows: whether it lives, and what its octets come to.

What is done about it is `ways`'s business. Counters are those of `struct tcp_info` (Linux, include/uapi/linux/tcp.h).
"""

import socket
import struct
from dataclasses import dataclass
from enum import Enum

from dcu.clock import DAY

#: Octets of `struct tcp_info` that are asked for, and where our fields lie: tcpi_unacked, tcpi_bytes_acked and
#: _received, tcpi_segs_out and _in, tcpi_notsent_bytes (Linux 4.6), tcpi_bytes_sent, repeats too (Linux 4.19).
_ASKED = 208
_COUNTERS = struct.Struct("=24x I 92x QQ III")
_SENT = struct.Struct("=200x Q")

#: Octets of headers of one segment: IPv4 and TCP with timestamps.
HEADERS = 52

#: Octets of PINGREQ and PINGRESP, of two TLS 1.3 records around them, and of the headers of three segments: the
#: question, the answer, its acknowledgement.
PING, RECORDS, PING_HEADERS = 4, 44, 3 * HEADERS

#: A silent connection is asked for a sign of life after this share of the silence, and looked at so often within it.
PING_SHARE = 0.5
LOOKS = 8


@dataclass(frozen=True, slots=True)
class Traffic:
    """Octets that the other side's TCP acknowledged, that came from it, and all that passed, with headers and repeats.

    `waiting`: some of ours are not acknowledged yet.
    """

    acknowledged: int = 0
    received: int = 0
    octets: int = 0
    waiting: bool = False


def traffic(line: socket.socket | None) -> Traffic | None:
    """Return what was counted of `line` up to now; None when it is closed, or the kernel does not count."""
    try:
        info = line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ASKED) if line is not None else b""
    except OSError:
        return None
    if len(info) < _COUNTERS.size:
        return None
    unacknowledged, acknowledged, received, out, back, unsent = _COUNTERS.unpack_from(info)
    (sent,) = _SENT.unpack_from(info) if len(info) >= _SENT.size else (acknowledged,)
    return Traffic(acknowledged, received, sent + received + HEADERS * (out + back), bool(unacknowledged or unsent))


class Sign(Enum):
    """What to do about a connection."""

    FINE = "fine"
    PING = "ping"
    LOST = "lost"


class Pulse:
    """Whether anything comes through: octets from the other side, or, while more of ours wait, octets it has taken.

    So a line that is slow and full lives, and a broker whose system takes everything and which says nothing does not.
    That is known after `silence` seconds and the time between two looks; after half of them it is asked for a sign.
    """

    def __init__(self, silence: float, now: float) -> None:
        self.silence = silence
        self._moved = now
        self._seen = Traffic()
        self._asked = False

    def look(self, now: float, counted: Traffic) -> Sign:
        """Judge by what was counted up to `now` (monotonic seconds)."""
        seen, self._seen = self._seen, counted
        if counted.received != seen.received or (counted.waiting and counted.acknowledged != seen.acknowledged):
            self._moved, self._asked = now, False
        quiet = now - self._moved
        if quiet >= self.silence:
            return Sign.LOST
        if quiet >= self.silence * PING_SHARE and not self._asked:
            self._asked = True
            return Sign.PING
        return Sign.FINE


def noticed_within(keepalive: float, silence: float | None) -> float:
    """Return the seconds after which a loss that nobody tells of is known, at most."""
    return 2 * keepalive if silence is None else silence * (1 + 2 / LOOKS)


def idle_octets(keepalive: float, silence: float | None, *, tls: bool) -> int:
    """Return the octets a day that signs of life cost on a connection that has nothing else to say, both ways."""
    each = PING + PING_HEADERS + (RECORDS if tls else 0)
    return round(DAY / (keepalive if silence is None else min(keepalive, silence * PING_SHARE)) * each)
