"""The three kinds of bus. What is timed here is coarse on purpose: machines that run tests are busy."""

import asyncio
import math
import os
from collections.abc import Iterator
from contextlib import suppress

import pytest

from dcu.clock import SystemClock
from dcu.dlms.acse import Aarq, Initiate
from dcu.dlms.hdlc import (
    LLC_COMMAND,
    SNRM,
    UA,
    FrameReader,
    I,
    Parameters,
    ServerAddress,
    client_address,
    control,
    encode_frame,
)
from dcu.dlms.wrapper import PacketReader, encode_packet
from sim.bus import MemoryBus, MemoryGateway, PtyBus, TcpBus
from sim.faults import Faults
from sim.line import Line
from sim.server import CONFORMANCE, PUBLIC
from sim.virtual import VirtualClock, VirtualLoop
from tests.unit.sim.conversation import NOW, meter

HERE = ServerAddress(1, 17, 4).to_bytes()
CLIENT = client_address(PUBLIC.client)
CONNECT = encode_frame(HERE, CLIENT, control(SNRM), Parameters(2030, 2030).to_bytes())
AARQ = Aarq(Initiate(CONFORMANCE, 0).request()).to_bytes()
ASSOCIATE = encode_frame(HERE, CLIENT, control(I), LLC_COMMAND + AARQ)


@pytest.fixture
def virtual() -> Iterator[VirtualLoop]:
    loop = VirtualLoop()
    yield loop
    loop.close()


def make_line(baud: int = 9600) -> Line:
    return Line([meter(), meter(id="M0002", address=18)], baud=baud, turnaround=0.02)


class PtyEnd:
    """The reader's end of a pty: asks, and waits for a whole frame."""

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._frames = FrameReader()

    async def ask(self, request: bytes) -> int:
        os.write(self._fd, request)
        loop = asyncio.get_running_loop()
        while not (frame := self._frames.next_frame()):
            readable = asyncio.Event()
            loop.add_reader(self._fd, readable.set)
            await readable.wait()
            loop.remove_reader(self._fd)
            self._frames.receive_data(os.read(self._fd, 4096))
        return frame.kind

    def close(self) -> None:
        os.close(self._fd)


async def on_a_pty(line: Line) -> float:
    """Return the seconds that connecting and associating took over a pty."""
    loop = asyncio.get_running_loop()
    async with PtyBus("rs485-1", line, SystemClock()) as bus:
        end = PtyEnd(bus.path)
        started = loop.time()
        assert [await end.ask(CONNECT), await end.ask(ASSOCIATE)] == [UA, I]
        took = loop.time() - started
        end.close()
    return took


async def in_memory(line: Line, loop: VirtualLoop) -> float:
    """Return the virtual seconds that the same took in memory."""
    port = MemoryBus("rs485-1", line, VirtualClock(loop, NOW)).port
    await port.open()
    frames = FrameReader()
    started = loop.time()
    for request in (CONNECT, ASSOCIATE):
        await port.write(request)
        while not frames.next_frame():
            frames.receive_data(await port.read())
    assert port.octets_sent == len(CONNECT) + len(ASSOCIATE) == line.counters.octets_in
    assert port.octets_received == line.counters.octets_out
    return loop.time() - started


def line_time(line: Line) -> float:
    octets = line.counters.octets_in + line.counters.octets_out
    return octets * 10 / 9600 + line.counters.requests * 0.02


def test_memory_takes_exactly_its_line_time(virtual: VirtualLoop) -> None:
    line = make_line()
    assert virtual.run_until_complete(in_memory(line, virtual)) == pytest.approx(line_time(line), rel=1e-3)


async def test_a_pty_takes_the_time_that_memory_takes(virtual: VirtualLoop) -> None:
    """The least of many tries: a busy machine makes a try longer, and none shorter than the line allows."""
    line = make_line()
    expected = await asyncio.to_thread(lambda: virtual.run_until_complete(in_memory(line, virtual)))
    best = math.inf
    for _ in range(40):
        best = min(best, await on_a_pty(make_line()))
        if best < expected * 1.10:
            break
    assert expected * 0.99 < best < expected * 1.10


async def test_a_line_lives_on_when_its_reader_goes() -> None:
    async with PtyBus("rs485-1", make_line(115_200), SystemClock()) as bus:
        for _ in range(2):
            end = PtyEnd(bus.path)
            assert await end.ask(CONNECT) == UA
            end.close()


async def test_a_pty_that_nobody_reads_loses_octets_and_goes_on() -> None:
    line = Line([meter()], baud=10_000_000, turnaround=0.0)
    async with PtyBus("rs485-1", line, SystemClock()) as bus:
        writer = os.open(bus.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        async with asyncio.timeout(20):
            while not bus.counters.overruns:
                with suppress(BlockingIOError):
                    os.write(writer, CONNECT)
                await asyncio.sleep(0)
        os.close(writer)
        end = PtyEnd(bus.path)
        async with asyncio.timeout(20):
            assert await end.ask(CONNECT) == UA
        end.close()


def test_reading_a_silent_line_waits_for_the_writer(virtual: VirtualLoop) -> None:
    async def converse() -> bytes:
        bus = MemoryBus("rs485-1", make_line(), VirtualClock(virtual, NOW))
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(bus.port.read())
            await asyncio.sleep(5)
            await bus.port.write(CONNECT)
        return reading.result()

    assert virtual.run_until_complete(converse())


def test_draining_takes_what_comes_late_and_then_a_silence(virtual: VirtualLoop) -> None:
    async def converse() -> float:
        line = make_line()
        bus = MemoryBus("rs485-1", line, VirtualClock(virtual, NOW))
        bus.faults = Faults(late=1.0, late_by=0.15)
        await bus.port.write(CONNECT)
        await bus.port.drain(0.25)
        assert line.counters.replies == 1
        assert line.next_wake() is None
        await bus.port.close()
        return virtual.time()

    assert virtual.run_until_complete(converse()) < 1.5


def test_a_meter_can_be_silenced_and_woken(virtual: VirtualLoop) -> None:
    async def converse() -> None:
        bus = MemoryBus("rs485-1", make_line(), VirtualClock(virtual, NOW))
        bus.silence("M0001")
        await bus.port.write(CONNECT)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await bus.port.read()
        bus.silence()
        await bus.port.write(CONNECT)
        assert await bus.port.read()
        assert [each.id for each in bus.meters] == ["M0001", "M0002"]

    virtual.run_until_complete(converse())


async def ask_gateway(port: int, *requests: bytes) -> int | None:
    """Return the first octet of the first answer, or None when the connection ended without one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    packets = PacketReader()
    for request in requests:
        writer.write(request)
    try:
        while data := await reader.read(4096):
            packets.receive_data(data)
            if packet := packets.next_packet():
                return packet.apdu[0]
        return None
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_gateway_answers_for_its_meters() -> None:
    async with TcpBus("gateway-1", [meter()], SystemClock(), turnaround=0.0) as bus:
        assert bus.path == f"tcp://127.0.0.1:{bus.port}"
        assert await ask_gateway(bus.port, encode_packet(16, 17, AARQ)) == 0x61
        assert (bus.counters.requests, bus.counters.replies) == (1, 1)
        assert bus.counters.octets_in == 8 + len(AARQ)


async def test_a_silent_meter_behind_a_gateway_is_passed_over() -> None:
    other = meter(id="M0002", address=18)
    async with TcpBus("gateway-1", [meter(), other], SystemClock(), turnaround=0.0) as bus:
        bus.silence("M0001")
        requests = [encode_packet(16, number, AARQ) for number in (17, 99, 18)]
        assert await ask_gateway(bus.port, *requests) == 0x61
        assert (bus.counters.requests, bus.counters.replies) == (3, 1)


async def test_what_is_no_packet_ends_one_connection_only() -> None:
    async with TcpBus("gateway-1", [meter()], SystemClock(), turnaround=0.0) as bus:
        assert await ask_gateway(bus.port, b"GET / HTTP/1.0\r\n\r\n") is None
        assert await ask_gateway(bus.port, encode_packet(16, 17, AARQ)) == 0x61


def test_a_gateway_in_memory_answers_in_virtual_time(virtual: VirtualLoop) -> None:
    async def converse() -> float:
        other = meter(id="M0002", address=18)
        bus = MemoryGateway("gateway-1", [meter(), other], VirtualClock(virtual, NOW), turnaround=2.5)
        bus.silence("M0001")
        async with bus:
            await bus.port.open()
            for number in (17, 99, 18):
                await bus.port.write(encode_packet(16, number, AARQ))
            packets = PacketReader()
            packets.receive_data(await bus.port.read())
            packet = packets.next_packet()
            assert packet is not None
            assert (packet.source, packet.apdu[0]) == (18, 0x61)
            assert (bus.counters.requests, bus.counters.replies) == (3, 1)
        return virtual.time()

    assert virtual.run_until_complete(converse()) == 2.5


def test_a_gateway_in_memory_forgets_what_was_asked_before_a_drain(virtual: VirtualLoop) -> None:
    async def converse() -> None:
        port = MemoryGateway("gateway-1", [meter()], VirtualClock(virtual, NOW)).port
        await port.write(encode_packet(16, 17, AARQ))
        await port.drain(0.25)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await port.read()

    virtual.run_until_complete(converse())
