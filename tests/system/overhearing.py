"""What passes on a line of a stage: counted in octets and visits, which are the same however fast the machine is."""

import asyncio
from typing import NamedTuple

from dcu.dlms.hdlc import ServerAddress
from dcu.model import Meter
from sim.headend import Message
from sim.line import Line
from sim.stage import Stage


class _Passed(NamedTuple):
    """A frame, and the octets that had passed in both directions when it was handed to the line."""

    octets: int
    data: bytes

    @property
    def station(self) -> bytes:
        return self.data[3:7]


class Overheard:
    """Notes the frames of the daemon on a line; `busy` is set when a meter has said much."""

    def __init__(self, line: Line) -> None:
        self.sent: list[_Passed] = []
        self.busy = asyncio.Event()
        self._line = line
        self._take = line.receive_data
        line.receive_data = self.receive_data  # type: ignore[method-assign] # overheard, and passed on

    @property
    def octets(self) -> int:
        return self._line.counters.octets_in + self._line.counters.octets_out

    def receive_data(self, data: bytes, now: float) -> None:
        self.sent.append(_Passed(self.octets, data))
        if self._line.counters.octets_out > 2000:
            self.busy.set()
        self._take(data, now)


class Overtaking(NamedTuple):
    """How a command came to its meter: the octets and visits between its journal and its first frame."""

    answer: Message
    octets: int
    visits: int


async def overtaking(stage: Stage, overheard: Overheard, meter: Meter) -> Overtaking:
    """Read `meter` on demand, and return what else went over its line between the order and the question."""
    station, before = ServerAddress(1, meter.address, 4).to_bytes(), len(overheard.sent)
    results = stage.head.tally.results
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(stage.head.command("meter.read", meter.id))
        await stage.head.until(lambda: any(each["state"] == "running" for found in results.values() for each in found))
        under_way, octets = len(overheard.sent), overheard.octets
    first = next(at for at, each in enumerate(overheard.sent) if at >= before and each.station == station)
    between = {each.station for each in overheard.sent[under_way:first]}
    return Overtaking(asking.result(), max(0, overheard.sent[first].octets - octets), len(between))
