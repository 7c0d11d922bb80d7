"""Simulated lines that something can be plugged into: a pty, a port in memory, a TCP gateway.

When octets pass is decided in `sim.line`, what meters say in `sim.stations`; here is only the waiting.
"""

import asyncio
import os
import tty
from asyncio import StreamReader, StreamWriter
from collections.abc import Iterable
from dataclasses import replace
from types import TracebackType
from typing import Self

from dcu.clock import Clock
from dcu.dlms.wrapper import PacketReader
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


class MemoryBus(Bus):
    """A line in memory, for virtual time: `port` is one for `dcu.bus`'s users, with the pacing of the pty."""

    def __init__(self, name: str, line: Line, clock: Clock) -> None:
        super().__init__(name, line, clock)
        self.port = MemoryPort(line, clock)


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

    async def write(self, data: bytes) -> None:
        self._line.receive_data(data, asyncio.get_running_loop().time())
        self.octets_sent += len(data)
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

    async def drain(self, quiet: float) -> None:
        """Discard what appears until a span of `quiet` seconds had nothing."""
        self._appeared()
        for _ in range(DRAIN_ROUNDS):
            await asyncio.sleep(quiet)
            if not self._appeared():
                return

    async def close(self) -> None:
        """Forget what appeared on the line meanwhile."""
        self._appeared()

    def _appeared(self) -> bytes:
        return self._line.transmit(asyncio.get_running_loop().time(), self._clock.now())


class TcpBus:
    """Meters behind a TCP gateway on loopback, WRAPPER framing, told apart by wPort. A context manager.

    `silent` names meters that say nothing; `turnaround` is in seconds.
    """

    def __init__(self, name: str, meters: Iterable[SimMeter], clock: Clock, *, turnaround: float = 0.02) -> None:
        self.name = name
        self.meters = tuple(meters)
        self.counters = LineCounters()
        self.silent: frozenset[str] = frozenset()
        self._clock = clock
        self._turnaround = turnaround
        self._server: asyncio.Server | None = None
        self._open: set[StreamWriter] = set()
        self.port = 0

    @property
    def path(self) -> str:
        """What a configuration names as the `port` of this bus."""
        return f"tcp://127.0.0.1:{self.port}"

    def silence(self, *meters: str) -> None:
        """Let exactly these meters say nothing from now on; none named: all talk again."""
        self.silent = frozenset(meters)

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
        packets = PacketReader()
        server = WrapperServer(self.meters)
        try:
            while data := await reader.read(READ_SIZE):
                packets.receive_data(data)
                self.counters.octets_in += len(data)
                await self._answer(packets, server, writer)
        except (MeterError, ConnectionError):
            # what is no packet, like a lost connection, ends this conversation and no other
            return
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(self, packets: PacketReader, server: WrapperServer, writer: StreamWriter) -> None:
        while packet := packets.next_packet():
            self.counters.requests += 1
            meter = server.addressed(packet)
            if meter is None or meter.id in self.silent:
                continue
            await asyncio.sleep(self._turnaround)
            answer = server.receive_packet(packet, self._clock.now())
            if answer is not None:
                writer.write(answer)
                await writer.drain()
                self.counters.replies += 1
                self.counters.octets_out += len(answer)
