"""One half-duplex line with many meters, sans-I/O: when which octets appear on it, and what a fault makes of them.

It never waits: times go in, and `next_wake` says when to ask again. Ptys and memory ports are in `sim.bus`.

    request octets pass at line rate → the meter answers after its turnaround → answer octets pass at line rate
"""

from bisect import insort
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from dcu.dlms.hdlc import LLC_RESPONSE, UI, Frame, FrameReader, client_address, control, encode_frame
from sim.faults import Dice, Faults
from sim.meter import SimMeter
from sim.stations import HdlcServer

#: Start, eight data bits, stop (8N1).
BITS_PER_OCTET = 10

#: Octets that wait to pass. A master that writes more without listening talks to nobody: the surplus is lost.
MAX_BACKLOG = 65_536

#: Answers that wait for their time on the line, late ones above all; the surplus is lost.
MAX_PENDING = 256

#: How much of a frame appears at once, in seconds: small against any time-out, large against the cost of a timer.
GRAIN = 0.01

#: Octets closer than this are at the same instant: sums of floating-point seconds do not meet exactly.
CLOSE = 0.01


@dataclass(slots=True)
class LineCounters:
    """What the line has seen. `busy` is seconds with octets on it; `requests` and `replies` count whole frames."""

    octets_in: int = 0
    octets_out: int = 0
    busy: float = 0.0
    requests: int = 0
    replies: int = 0
    lost: int = 0
    late: int = 0
    misaddressed: int = 0
    chatter: int = 0
    collisions: int = 0
    garbled: int = 0
    overruns: int = 0


@dataclass(slots=True)
class _Burst:
    """Octets that pass without a gap from `start` on; `sent` of them have passed."""

    start: float
    data: bytes
    sent: int = 0


class Line:
    """A line at `baud`, on which each of `meters` answers `turnaround` seconds after the request's last octet.

    Times are seconds on one monotonic clock; `wall` is UTC, from which the meters' own clocks follow. `faults` may be
    exchanged at any time.
    """

    def __init__(
        self,
        meters: Iterable[SimMeter],
        *,
        baud: int = 9600,
        turnaround: float = 0.02,
        faults: Faults | None = None,
        seed: int = 0,
        grain: float = GRAIN,
    ) -> None:
        self.faults = faults or Faults()
        self.counters = LineCounters()
        self._octet = BITS_PER_OCTET / baud
        self._grain = max(1, round(grain / self._octet))
        self._turnaround = turnaround
        self.meters = tuple(meters)
        servers = map(HdlcServer, self.meters)
        self._stations = {address: server for server in servers for address in server.addresses}
        self._addresses = sorted(self._stations)
        self._dice = Dice(seed)
        self._reader = FrameReader()
        self._incoming: deque[_Burst] = deque()
        self._outgoing: list[_Burst] = []
        #: When the last octet of the requests, and of the answers, has passed.
        self._heard = self._said = 0.0

    def receive_data(self, data: bytes, now: float) -> None:
        """Take octets that the master hands to the line at `now`; they pass after those it handed over before."""
        if sum(len(burst.data) for burst in self._incoming) + len(data) > MAX_BACKLOG:
            self.counters.overruns += 1
            return
        start = max(now, self._heard)
        self._incoming.append(_Burst(start, data))
        self._heard = start + len(data) * self._octet
        self.counters.octets_in += len(data)
        self.counters.busy += len(data) * self._octet

    def exchange(self, old: str, new: SimMeter) -> None:
        """Put `new`, which has the same address, where the meter `old` hangs."""
        server = HdlcServer(new)
        self._stations |= {address: server for address, each in self._stations.items() if each.meter.id == old}
        self.meters = tuple(new if each.id == old else each for each in self.meters)

    def push(self, meter: str, client: int, apdu: bytes, now: float) -> None:
        """Let `meter`, which is on this line, say `apdu` to `client` at `now` without being asked: in a UI frame."""
        station = next(each for each in self._stations.values() if each.meter.id == meter)
        source = station.addresses[-1]
        frame = encode_frame(client_address(client), source, control(UI, final=False), LLC_RESPONSE + apdu)
        self._say(max(now, self._said), frame)

    def transmit(self, now: float, wall: float) -> bytes:
        """Return the octets that have appeared since the last call: answers, and the master's own when they echo.

        `wall` is UTC at `now`.
        """
        soon = now + CLOSE * self._octet
        echo = bytearray()
        # requests first: whether a meter hears one decides what may follow on the line
        while self._incoming and self._end(self._incoming[0]) <= soon:
            burst = self._incoming.popleft()
            self._hear(burst, wall)
            # all at once, as from an adapter with a buffer; they pass the line only once, so they are not counted
            echo += burst.data if self.faults.echo else b""
        out = bytearray()
        while self._outgoing and self._outgoing[0].start < soon:
            out += self._pass(self._outgoing[0], soon)
            if self._outgoing[0].sent < len(self._outgoing[0].data):
                break
            del self._outgoing[0]
        self.counters.octets_out += len(out)
        self.counters.busy += len(out) * self._octet
        return self._garbled(bytes(echo + out))

    def _garbled(self, data: bytes) -> bytes:
        if not self.faults.byte_errors:
            return data
        garbled = self._dice.garble(data, self.faults.byte_errors)
        self.counters.garbled += sum(before != after for before, after in zip(data, garbled, strict=True))
        return garbled

    def next_wake(self) -> float | None:
        """Return when `transmit` has something to do next, or None while the line rests."""
        wakes = []
        if self._incoming:
            wakes.append(self._end(self._incoming[0]))
        if self._outgoing:
            burst = self._outgoing[0]
            upto = min(burst.sent + self._grain, len(burst.data))
            wakes.append(max(burst.start, self._said - burst.sent * self._octet) + upto * self._octet)
        return min(wakes, default=None)

    def _end(self, burst: _Burst) -> float:
        return burst.start + len(burst.data) * self._octet

    def _pass(self, burst: _Burst, now: float) -> bytes:
        """Return the octets of `burst` that appear by `now`; those that meet the master's own are garbled."""
        if not burst.sent:
            # answers never overlap each other: a simplification, since the reader would get neither
            burst.start = max(burst.start, self._said)
        upto = min(int((now - burst.start) / self._octet), len(burst.data))
        data, burst.sent = burst.data[burst.sent : upto], upto
        self._said = burst.start + upto * self._octet
        # half-duplex: octets that pass while the master sends are neither's any more
        if self._incoming and self._incoming[0].start < self._said:
            return bytes(octet ^ 0xFF for octet in data)
        return data

    def _hear(self, burst: _Burst, wall: float) -> None:
        """Give what the master said to the meters, unless a meter talked at the same time."""
        end = self._end(burst)
        talking = bool(self._outgoing) and self._outgoing[0].start < end - CLOSE * self._octet
        if talking or self._said > burst.start + CLOSE * self._octet:
            self.counters.collisions += 1
            return
        self._reader.receive_data(self._garbled(burst.data))
        while frame := self._reader.next_frame():
            self._request(frame, end, wall)

    def _request(self, frame: Frame, end: float, wall: float) -> None:
        # counted whether or not anybody answers: each cost the line its time
        self.counters.requests += 1
        start = end + self._turnaround
        if self._dice.falls(self.faults.chatter):
            self.counters.chatter += 1
            self._say(start, self._dice.chatter(self._addresses))
        station = self._stations.get(frame.destination)
        if station is None or station.meter.id in self.faults.silent:
            return
        if self._dice.falls(self.faults.frame_loss):
            self.counters.lost += 1
            return
        if self._dice.falls(self.faults.late):
            self.counters.late += 1
            start += self.faults.late_by
        for answer in station.receive_frame(frame, wall):
            self._answer(start, answer)

    def _answer(self, start: float, answer: bytes) -> None:
        if self._dice.falls(self.faults.frame_loss):
            self.counters.lost += 1
            return
        if self._dice.falls(self.faults.misaddressed):
            self.counters.misaddressed += 1
            answer = self._dice.readdress(answer, self._addresses)
        self.counters.replies += 1
        self._say(start, answer)

    def _say(self, start: float, data: bytes) -> None:
        """Put `data` on the line at `start`, behind what begins before."""
        if len(self._outgoing) >= MAX_PENDING:
            self.counters.overruns += 1
            return
        insort(self._outgoing, _Burst(start, data), key=lambda burst: burst.start)
