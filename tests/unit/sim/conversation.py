"""A client of the daemon's own code talking to a simulated meter, octets passed by hand: no line, no waiting."""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from dcu.dlms.association import Associated, Association, Released, Response
from dcu.dlms.hdlc import FrameReader, Parameters, ServerAddress
from dcu.dlms.hdlc_link import OFFER, HdlcLink
from dcu.dlms.link import NEED_DATA, Link, Transmit
from dcu.dlms.services import Get, GetList, Request
from dcu.dlms.wrapper import PacketReader, WrapperLink
from dcu.model import Access, Attribute, Keys
from sim.meter import Nameplate, SimMeter
from sim.server import MANAGEMENT
from sim.stations import HdlcServer, WrapperServer

NOW = 1_790_000_000.5
KEYS = Keys(b"secret", bytes(range(16)), bytes(range(16, 32)))
PLATE = Nameplate(seed=1, id="M0001", keys=KEYS)
CLIENT_TITLE = b"DCU00001"

#: Client counters grow over all the associations of a test run, as the daemon's do.
COUNTERS = count(1)


def meter(**changes: Any) -> SimMeter:
    return SimMeter(Nameplate(**{"seed": 1, "id": "M0001", "keys": KEYS, **changes}))


class Talk:
    """One conversation. `exchange` is how octets reach the meter; `turns` counts what was sent, `last` is the last."""

    def __init__(self, link: Link, exchange: Callable[[bytes], bytes], access: Access, keys: Keys = KEYS) -> None:
        self.exchange = exchange
        self.turns = 0
        self.last = b""
        self.association = Association(
            link, access, keys, client_title=CLIENT_TITLE, take_counter=lambda: next(COUNTERS)
        )

    def open(self) -> Associated:
        event = self._until(self.association.connect(), Associated)
        assert isinstance(event, Associated)
        return event

    def ask(self, request: Request) -> list[Any]:
        event = self._until(self.association.send(request), Response)
        assert isinstance(event, Response)
        return event.results

    def get(self, *attributes: Attribute | Get) -> list[Any]:
        return self.ask(GetList(attributes))

    def close(self) -> None:
        self._until(self.association.release(), Released)

    def _until(self, data: bytes, kind: type) -> object:
        self._send(data)
        for event in self._events():
            if isinstance(event, kind):
                return event
        raise AssertionError(f"no {kind.__name__} came")

    def _send(self, data: bytes) -> None:
        self.turns += 1
        self.last = data
        self.association.receive_data(self.exchange(data))

    def _events(self) -> Iterator[object]:
        while (event := self.association.next_event()) is not NEED_DATA:
            if isinstance(event, Transmit):
                self._send(event.data)
            else:
                yield event


class HdlcExchange:
    """Gives the client's octets to the meter as frames and returns its frames; `now` is UTC seconds."""

    def __init__(self, server: HdlcServer) -> None:
        self.server = server
        self.now = NOW
        self._reader = FrameReader()

    def __call__(self, data: bytes) -> bytes:
        self._reader.receive_data(data)
        answers = []
        while frame := self._reader.next_frame():
            answers += self.server.receive_frame(frame, self.now)
        return b"".join(answers)


def hdlc(simulated: SimMeter, access: Access = MANAGEMENT, keys: Keys = KEYS, offer: Parameters = OFFER) -> Talk:
    link = HdlcLink(access.client, ServerAddress(1, simulated.plate.address), offer)
    return Talk(link, HdlcExchange(HdlcServer(simulated)), access, keys)


def wrapper(simulated: SimMeter, access: Access = MANAGEMENT, keys: Keys = KEYS) -> Talk:
    server = WrapperServer([simulated])
    reader = PacketReader()

    def exchange(data: bytes) -> bytes:
        reader.receive_data(data)
        answers = []
        while packet := reader.next_packet():
            answers.append(server.receive_packet(packet, NOW) or b"")
        return b"".join(answers)

    return Talk(WrapperLink(access.client, simulated.plate.address), exchange, access, keys)
