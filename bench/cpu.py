"""Processor time of the client: a ciphered visit of ten registers, and the decoding of a day of profile rows.

The meter's side runs in the same process and is not counted: only the calls into `dcu.dlms` are timed, with the
process clock, so that other programs on the machine change the figures little.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any, TypeVar

from bench.figures import Figure
from dcu.dlms import axdr, cosem
from dcu.dlms.association import Associated, Association, Released, Response
from dcu.dlms.hdlc import FrameReader, ServerAddress
from dcu.dlms.hdlc_link import HdlcLink
from dcu.dlms.link import NEED_DATA, Transmit
from dcu.dlms.moment import DateTime
from dcu.dlms.services import GetList
from dcu.model import Access, Attribute, Authentication, Column, Keys
from dcu.obis import parse_obis
from sim.meter import Nameplate, SimMeter
from sim.stations import HdlcServer

KEYS = Keys(encryption_key=bytes(range(16)), authentication_key=bytes(range(16, 32)))
MANAGEMENT = Access("management", 1, Authentication.HLS_GMAC, ciphered=True)
NOW = 1_790_000_000

T = TypeVar("T")


class Stopwatch:
    """Adds up the processor time of the calls made through it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self, call: Callable[..., T], *arguments: Any) -> T:
        start = time.process_time()
        try:
            return call(*arguments)
        finally:
            self.seconds += time.process_time() - start


def run(quick: bool) -> Sequence[Figure]:  # noqa: FBT001 - the one question every benchmark is asked
    rounds = 200 if quick else 1000
    visits = list(_visits(rounds))
    decodes = list(_decodes(rounds))
    print(f"median of {rounds} rounds; association, HLS-GMAC, GET-WITH-LIST of 10 registers and release make one visit")
    return [
        Figure("cpu", "visit_ms", statistics.median(visits) * 1000),
        Figure("cpu", "decode_ms", statistics.median(decodes) * 1000),
    ]


def _visits(rounds: int) -> Iterator[float]:
    meter = SimMeter(Nameplate(1, "BENCH", keys=KEYS, phases=3))
    server = HdlcServer(meter)
    counter = count(1)
    registers = [Attribute(3, name) for name in list(meter.registers)[:10]]
    for _ in range(rounds):
        watch = Stopwatch()
        link = watch(HdlcLink, MANAGEMENT.client, ServerAddress(1, meter.plate.address, 4))
        association = watch(
            lambda link=link: Association(
                link, MANAGEMENT, KEYS, client_title=b"DCU00001", take_counter=lambda: next(counter)
            )
        )
        _until(Associated, watch(association.connect), association, server, watch)
        response = _until(Response, watch(association.send, GetList(tuple(registers))), association, server, watch)
        assert len(response.results) == 10
        _until(Released, watch(association.release), association, server, watch)
        yield watch.seconds


def _until(kind: type[T], data: bytes, association: Association, server: HdlcServer, watch: Stopwatch) -> T:
    while True:
        for answer in _answers(server, data):
            watch(association.receive_data, answer)
        event = watch(association.next_event)
        if isinstance(event, kind):
            return event
        assert event is not NEED_DATA
        assert isinstance(event, Transmit)
        data = event.data


def _answers(server: HdlcServer, data: bytes) -> list[bytes]:
    reader = FrameReader()
    reader.receive_data(data)
    answers: list[bytes] = []
    while frame := reader.next_frame():
        answers += server.receive_frame(frame, NOW)
    return answers


def _decodes(rounds: int) -> Iterator[float]:
    """A day of quarter hours with eight columns: the clock and seven registers of 32 bits, as GET delivers them."""
    registers = (Column(3, parse_obis(f"1-0:{quantity}.8.0.255")) for quantity in range(1, 8))
    columns = (Column(8, parse_obis("0-0:1.0.0.255")), *registers)
    rows = [
        axdr.structure(
            axdr.octets(DateTime.from_utc(NOW + 900 * row).to_bytes()),
            *(axdr.u32(100_000 * row + column) for column in range(7)),
        )
        for row in range(96)
    ]
    buffer = axdr.encode(axdr.array(*rows))
    for _ in range(rounds):
        watch = Stopwatch()
        found, bad = watch(lambda: cosem.profile_rows(axdr.decode_all(buffer), columns, 900))
        assert (len(found), bad) == (96, 0)
        yield watch.seconds
