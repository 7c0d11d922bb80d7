"""What all lines made of streams share, over streams in memory: whose fault an end is, and how long is waited."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dcu.bus.port import CLOSE_BOUND, DRAIN_BOUND, READ_SIZE, StreamPort
from dcu.errors import BusError
from sim.virtual import VirtualClock
from tests.lines import virtually


class Wire(asyncio.Transport):
    """Takes what is written; whether it tells that it was closed, `ends` says."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = b""
        self.aborted = False
        self.protocol: Any = None
        self.ends = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.taken += bytes(data)

    def is_closing(self) -> bool:
        return self.aborted

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.aborted = True
        if self.ends:
            self.protocol.connection_lost(None)


class Memory(StreamPort):
    """A port whose far end is in reach: `reader` is fed, `wire` has what was written."""

    reader: asyncio.StreamReader
    wire: Wire
    refusal: Exception | None = None

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.refusal:
            raise self.refusal
        loop = asyncio.get_running_loop()
        self.reader, self.wire = asyncio.StreamReader(), Wire()
        protocol = asyncio.StreamReaderProtocol(self.reader)
        self.wire.protocol = protocol
        protocol.connection_made(self.wire)
        return self.reader, asyncio.StreamWriter(self.wire, protocol, self.reader, loop)


@asynccontextmanager
async def opened() -> AsyncIterator[Memory]:
    port = Memory("line")
    await port.open()
    yield port
    await port.close()


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (OSError("no such device"), "no such device"),
        (ValueError("rate"), "rate"),
        (TimeoutError(), "no answer in time"),
        (OSError(2, "could not open port /dev/x: [Errno 2] No such file"), "No such file or directory"),
        (OSError(11, "Could not exclusively lock port"), "another process has it"),
        (OSError(111, "Connect call failed ('127.0.0.1', 1)"), "Connection refused"),
        (OSError(-2, "Name or service not known"), "Name or service not known"),
    ],
)
async def test_a_line_that_cannot_be_opened_is_a_bus_error_that_names_it(refusal: Exception, words: str) -> None:
    port = Memory("line")
    port.refusal = refusal
    with pytest.raises(BusError) as caught:
        await port.open()
    assert str(caught.value) == f"line: cannot open: {words}"
    with pytest.raises(BusError, match="not open"):
        await port.read()


async def test_what_is_opened_again_was_closed_before() -> None:
    async with opened() as port:
        before = port.wire
        await port.open()
        assert (before.aborted, port.wire.aborted) == (True, False)


async def test_octets_count_when_the_line_took_them_and_when_they_came() -> None:
    async with opened() as port:
        await port.write(b"question")
        assert (port.wire.taken, port.octets_sent, port.octets_received) == (b"question", 8, 0)
        port.reader.feed_data(bytes(READ_SIZE + 1))
        assert [len(await port.read()) for _ in range(2)] == [READ_SIZE, 1]
        assert port.octets_received == READ_SIZE + 1


async def test_a_line_that_breaks_is_a_bus_error_and_seen_without_a_read() -> None:
    async with opened() as port:
        assert not port.hung_up()
        port.reader.set_exception(OSError("unplugged"))
        assert port.hung_up()
        with pytest.raises(BusError, match="line: lost while reading: unplugged"):
            await port.read()
        with pytest.raises(BusError, match="line: lost while writing: unplugged"):
            await port.write(b"x")
        assert port.octets_sent == 0


async def test_the_end_of_what_came_is_the_other_ends_doing() -> None:
    async with opened() as port:
        port.reader.feed_data(b"last")
        port.reader.feed_eof()
        assert await port.read() == b"last"
        assert port.hung_up()
        with pytest.raises(BusError, match="closed at the other end"):
            await port.read()


def test_draining_ends_with_silence_and_with_chatter_at_its_bound() -> None:
    async def work(clock: VirtualClock) -> None:
        async with opened() as port:
            begin = clock.monotonic()
            port.reader.feed_data(b"late")
            assert not await port.drain(0.5)
            assert clock.monotonic() - begin == pytest.approx(0.5)

            async def chatter() -> None:
                while True:
                    port.reader.feed_data(b"?")
                    await asyncio.sleep(0.1)

            foreign, begin = asyncio.create_task(chatter()), clock.monotonic()
            await port.drain(0.5)
            assert DRAIN_BOUND <= clock.monotonic() - begin < DRAIN_BOUND + 0.5
            foreign.cancel()
            await asyncio.wait([foreign])

    virtually(work)


@pytest.mark.parametrize(("ends", "took"), [(True, 0.0), (False, CLOSE_BOUND)])
def test_closing_drops_what_is_unsent_and_is_waited_for_no_longer_than_its_bound(ends: bool, took: float) -> None:
    async def work(clock: VirtualClock) -> None:
        async with opened() as port:
            port.wire.ends = ends
            begin = clock.monotonic()
            await port.close()
            assert port.wire.aborted
            assert clock.monotonic() - begin == pytest.approx(took)
            await port.close()  # of what is closed already nothing is left to be waited for
            assert clock.monotonic() - begin == pytest.approx(took)
            port.wire.protocol.connection_lost(None)

    virtually(work)
