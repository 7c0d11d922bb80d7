"""Simulated lines that something can be plugged into: a pty, a port in memory, a TCP gateway.

When octets pass is decided in `sim.line`, what meters say in `sim.stations`; here is only the waiting.
"""

import asyncio
import os
import tty
from asyncio import StreamReader, StreamWriter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Self

from dcu.clock import Clock
from dcu.dlms.wrapper import Packet, PacketReader
from dcu.errors import MeterError
from sim.faults import Faults
from sim.line import Line, LineCounters
from sim.meter import SimMeter
from sim.stations import WrapperServer

READ_SIZE = 4096

#: A silence of the line is looked for this many times before drain gives up (foreign chatter may never end).
DRAIN_ROUNDS = 30


class Bus:
    """Some meters on one line: what goes wrong there, and what was counted. `clock` gives the meters their time."""

    def __init__(self, name: str, line: Line, clock: Clock) -> None:
        self.name = name
        self.line = line
        self._clock = clock

    @property
    def meters(self) -> tuple[SimMeter, ...]:
        return self.line.meters

    @property
    def counters(self) -> LineCounters:
        return self.line.counters

    @property
    def faults(self) -> Faults:
        return self.line.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self.line.faults = faults

    def silence(self, *meters: str) -> None:
        """Let exactly these meters say nothing from now on; none named: all talk again."""
        self.faults = replace(self.faults, silent=frozenset(meters))


class PtyBus(Bus):
    """A line that ends in a pseudo-terminal; open the device `path` as the serial port it stands for.

    A context manager inside a running loop. It keeps the terminal open itself, so that the other end may come and go.
    """

    def __init__(self, name: str, line: Line, clock: Clock) -> None:
        super().__init__(name, line, clock)
        self._timer: asyncio.TimerHandle | None = None
        self._ends: tuple[int, int] | None = None
        self.path = ""

    async def __aenter__(self) -> Self:
        # the slave end stays open, or the master would read EIO whenever the other side closes its port
        master, slave = self._ends = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        self.path = os.ttyname(slave)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(master, self._receive)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._ends is not None
        self._loop.remove_reader(self._ends[0])
        if self._timer:
            self._timer.cancel()
        for end in self._ends:
            os.close(end)
        self._ends = None

    def _receive(self) -> None:
        assert self._ends is not None
        # a pty takes octets at once: the moment they are read is the moment they start to pass
        self.line.receive_data(os.read(self._ends[0], READ_SIZE), self._loop.time())
        self._pump()

    def _pump(self) -> None:
        assert self._ends is not None
        data = self.line.transmit(self._loop.time(), self._clock.now())
        if data:
            try:
                os.write(self._ends[0], data)
            except BlockingIOError:
                # nobody reads the other end: a line does not keep octets for later
                self.counters.overruns += 1
        if self._timer:
            self._timer.cancel()
        wake = self.line.next_wake()
        self._timer = self._loop.call_at(wake, self._pump) if wake is not None else None


class InMemory:
    """Opens as the others do, and has nothing to open in the world."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return


class MemoryBus(Bus, InMemory):
    """A line in memory, for virtual time: `port` is one for `dcu.bus`'s users, with the pacing of the pty."""

    def __init__(self, name: str, line: Line, clock: Clock) -> None:
        super().__init__(name, line, clock)
        self.port = MemoryPort(line, clock)
        self.path = f"/dev/memory/{name}"

    def push(self, meter: str, client: int, apdu: bytes) -> None:
        """Let `meter` say `apdu` to `client` now, unasked."""
        self.line.push(meter, client, apdu, asyncio.get_running_loop().time())
        self.port.stir()


class MemoryPort:
    """The master's end of a line in memory. One owner: only one task reads, writes or drains at a time."""

    def __init__(self, line: Line, clock: Clock) -> None:
        self.octets_sent = 0
        self.octets_received = 0
        self._line = line
        self._clock = clock
        self._written = asyncio.Event()

    async def open(self) -> None:
        await self.close()

    def hung_up(self) -> bool:
        return False

    async def write(self, data: bytes) -> None:
        self._line.receive_data(data, asyncio.get_running_loop().time())
        self.octets_sent += len(data)
        self._written.set()

    def stir(self) -> None:
        """Let who reads see that something is on the line that nobody asked for."""
        self._written.set()

    async def read(self) -> bytes:
        """Return the next octets, at least one; waits for ever."""
        loop = asyncio.get_running_loop()
        while not (data := self._appeared()):
            wake = self._line.next_wake()
            if wake is None:
                self._written.clear()
                await self._written.wait()
            else:
                await asyncio.sleep(wake - loop.time())
        self.octets_received += len(data)
        return data

    async def drain(self, quiet: float) -> bool:
        """Discard what appears until a span of `quiet` seconds had nothing; the line stays what it is."""
        self._appeared()
        for _ in range(DRAIN_ROUNDS):
            await asyncio.sleep(quiet)
            if not self._appeared():
                break
        return False

    async def close(self) -> None:
        """Forget what appeared on the line meanwhile."""
        self._appeared()

    def _appeared(self) -> bytes:
        return self._line.transmit(asyncio.get_running_loop().time(), self._clock.now())


class Gateway:
    """Meters behind one network address, WRAPPER framing, told apart by wPort: who answers, and what was counted.

    `silent` names meters that say nothing; `turnaround` is in seconds.
    """

    def __init__(self, name: str, meters: Iterable[SimMeter], clock: Clock, *, turnaround: float = 0.02) -> None:
        self.name = name
        self.meters = tuple(meters)
        self.counters = LineCounters()
        self.silent: frozenset[str] = frozenset()
        self.turnaround = turnaround
        self._clock = clock

    def silence(self, *meters: str) -> None:
        """Let exactly these meters say nothing from now on; none named: all talk again."""
        self.silent = frozenset(meters)


class _Caller:
    """One connection to a gateway: `heard` gives the requests in what comes in, `answer` what a meter says to one."""

    def __init__(self, gateway: Gateway, clock: Clock) -> None:
        self._gateway = gateway
        self._clock = clock
        self._packets = PacketReader()
        self._server = WrapperServer(gateway.meters)

    def heard(self, data: bytes) -> Iterator[Packet]:
        """Yield the packets that a meter will answer. Raises MeterError for what is no packet."""
        gateway = self._gateway
        self._packets.receive_data(data)
        gateway.counters.octets_in += len(data)
        while packet := self._packets.next_packet():
            gateway.counters.requests += 1
            meter = self._server.addressed(packet)
            if meter is not None and meter.id not in gateway.silent:
                yield packet

    def answer(self, packet: Packet) -> bytes:
        """Return the answer to `packet`; nothing for a client that the meter does not know."""
        answer = self._server.receive_packet(packet, self._clock.now()) or b""
        self._gateway.counters.replies += bool(answer)
        self._gateway.counters.octets_out += len(answer)
        return answer


class TcpBus(Gateway):
    """A gateway on loopback. A context manager."""

    def __init__(self, name: str, meters: Iterable[SimMeter], clock: Clock, *, turnaround: float = 0.02) -> None:
        super().__init__(name, meters, clock, turnaround=turnaround)
        self._server: asyncio.Server | None = None
        self._open: set[StreamWriter] = set()
        self.port = 0

    @property
    def path(self) -> str:
        """What a configuration names as the `port` of this bus."""
        return f"tcp://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._open:
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        """One connection, until its other end or a malformed packet ends it."""
        self._open.add(writer)
        caller = _Caller(self, self._clock)
        try:
            while data := await reader.read(READ_SIZE):
                for packet in caller.heard(data):
                    await asyncio.sleep(self.turnaround)
                    writer.write(caller.answer(packet))
                    await writer.drain()
        except (MeterError, ConnectionError):
            # what is no packet, like a lost connection, ends this conversation and no other
            return
        finally:
            self._open.discard(writer)
            writer.close()


class MemoryGateway(Gateway, InMemory):
    """A gateway in memory, for virtual time: `port` is one for `dcu.bus`'s users."""

    #: No network is asked: a configuration only has to see that it is none of this machine's devices.
    path = "tcp://memory:4059"

    def __init__(self, name: str, meters: Iterable[SimMeter], clock: Clock, *, turnaround: float = 0.02) -> None:
        super().__init__(name, meters, clock, turnaround=turnaround)
        self.port = GatewayPort(self, clock)


class GatewayPort:
    """The caller's end of a gateway in memory; the network takes no time. One owner."""

    def __init__(self, gateway: Gateway, clock: Clock) -> None:
        self.octets_sent = 0
        self.octets_received = 0
        self._gateway = gateway
        self._clock = clock
        self._asked: asyncio.Queue[tuple[float, Packet]] = asyncio.Queue()
        self._caller = _Caller(gateway, clock)

    async def open(self) -> None:
        await self.close()

    def hung_up(self) -> bool:
        return False

    async def write(self, data: bytes) -> None:
        self.octets_sent += len(data)
        due = asyncio.get_running_loop().time() + self._gateway.turnaround
        for packet in self._caller.heard(data):
            self._asked.put_nowait((due, packet))

    async def read(self) -> bytes:
        """Return the next answer; waits for ever."""
        data = b""
        while not data:
            due, packet = await self._asked.get()
            await asyncio.sleep(due - asyncio.get_running_loop().time())
            data = self._caller.answer(packet)
        self.octets_received += len(data)
        return data

    async def drain(self, quiet: float) -> bool:
        """Discard what would be answered yet; the connection stays."""
        await asyncio.sleep(quiet)
        while not self._asked.empty():
            self._asked.get_nowait()
        return False

    async def close(self) -> None:
        """Hang up: what was asked is forgotten, and so is every association."""
        self._asked = asyncio.Queue()
        self._caller = _Caller(self._gateway, self._clock)
