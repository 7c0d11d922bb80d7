"""A loop whose time passes only when there is nothing to do."""

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest

from dcu.clock import Clock
from sim.virtual import Outside, VirtualClock, VirtualLoop


@pytest.fixture
def loop() -> Iterator[VirtualLoop]:
    made = VirtualLoop()
    yield made
    made.close()


def test_a_day_passes_in_no_time(loop: VirtualLoop) -> None:
    began = time.monotonic()
    loop.run_until_complete(asyncio.sleep(86_400))
    assert loop.time() == 86_400
    assert time.monotonic() - began < 10


def test_timers_ring_in_their_order_and_at_their_time(loop: VirtualLoop) -> None:
    rung: list[tuple[str, float]] = []

    async def wait(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        rung.append((name, loop.time()))

    async def work() -> None:
        await asyncio.gather(wait("late", 30.0), wait("early", 0.5), wait("middle", 7.25))

    loop.run_until_complete(work())
    assert rung == [("early", 0.5), ("middle", 7.25), ("late", 30.0)]


def test_while_there_is_something_to_do_no_time_passes(loop: VirtualLoop) -> None:
    async def work() -> float:
        asyncio.get_running_loop().call_later(1.0, lambda: None)
        for _ in range(1000):
            await asyncio.sleep(0)
        return loop.time()

    assert loop.run_until_complete(work()) == 0.0


def test_what_is_ready_on_a_socket_comes_before_what_time_would_bring(loop: VirtualLoop) -> None:
    here, there = socket.socketpair()

    async def work() -> bytes:
        here.setblocking(False)
        there.setblocking(False)
        loop.call_later(1000.0, lambda: None)
        reading = asyncio.create_task(loop.sock_recv(here, 10))
        await asyncio.sleep(0)
        await loop.sock_sendall(there, b"hello")
        return await reading

    with here, there:
        assert loop.run_until_complete(work()) == b"hello"
    assert loop.time() == 0.0


def test_time_outs_are_on_it_too(loop: VirtualLoop) -> None:
    async def work() -> None:
        async with asyncio.timeout(5):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        loop.run_until_complete(work())
    assert loop.time() == 5.0


def test_what_waits_for_nothing_is_a_mistake_and_no_endless_wait(loop: VirtualLoop) -> None:
    with pytest.raises(RuntimeError, match="virtual time has stopped"):
        loop.run_until_complete(asyncio.Event().wait())


def test_both_ends_of_a_socket_may_live_in_it(loop: VirtualLoop) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(60)
        writer.write(await reader.readline())
        writer.close()

    async def work() -> bytes:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"hello\n")
            answer = await reader.read()
            writer.close()
            return answer

    assert loop.run_until_complete(work()) == b"hello\n"
    assert loop.time() >= 60


def test_the_clock_shows_the_loops_time(loop: VirtualLoop) -> None:
    clock: Clock = VirtualClock(loop, 1000.0)
    assert (clock.now(), clock.monotonic(), clock.trusted()) == (1000.0, 0.0, True)
    loop.run_until_complete(asyncio.sleep(2.5))
    assert (clock.now(), clock.monotonic()) == (1002.5, 2.5)


class Disk:
    """Work outside: a thread that takes its time."""

    size = 7

    async def write(self, seconds: float) -> str:
        await asyncio.get_running_loop().run_in_executor(None, time.sleep, seconds)
        return "written"


def test_time_stands_still_for_what_is_told_to_be_outside(loop: VirtualLoop) -> None:
    disk = Outside(Disk(), loop)

    async def work() -> tuple[str, float]:
        loop.call_later(10.0, lambda: None)
        return await disk.write(0.02), loop.time()

    assert loop.run_until_complete(work()) == ("written", 0.0)
    assert disk.size == 7


def test_untold_work_outside_is_overtaken_by_time(loop: VirtualLoop) -> None:
    async def work() -> float:
        writing = asyncio.create_task(Disk().write(0.02))
        await asyncio.sleep(5.0)
        assert not writing.done()
        with loop.outside():
            await writing
        return loop.time()

    assert loop.run_until_complete(work()) == 5.0
