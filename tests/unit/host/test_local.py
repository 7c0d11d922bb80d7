"""The local door: what a client at the Unix socket meets, in virtual time (both ends are in one loop)."""

import asyncio
import json
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from dcu.errors import OperatorError, StoreError
from dcu.host.local import CONNECTIONS, LINGER, REQUEST_BOUND, REQUEST_TIMEOUT, LocalDoor
from sim.virtual import VirtualClock
from tests.lines import virtually


async def echo(request: bytes) -> AsyncIterator[bytes]:
    yield b'{"state": "running"}'
    yield request.strip()


@asynccontextmanager
async def door(path: Path, answer: Callable[[bytes], AsyncIterator[bytes]] = echo) -> AsyncIterator[None]:
    """A door that is open, and shut again at the end."""
    task = asyncio.create_task(LocalDoor(path, answer).run())
    while not path.is_socket():  # noqa: ASYNC110 - no event of ours is set there
        await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def ask(path: Path, request: bytes) -> list[bytes]:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(request)
    lines = (await reader.read()).splitlines()
    writer.close()
    return lines


def at_the_door(path: Path, work: Callable[[VirtualClock], Awaitable[None]], answer: object = echo) -> None:
    async def run(clock: VirtualClock) -> None:
        async with door(path, answer):  # type: ignore[arg-type]
            await work(clock)
        for _ in range(5):  # conversations that were cut off end by themselves
            await asyncio.sleep(0)

    virtually(run)


def test_every_answer_is_a_line_and_then_the_connection_ends(tmp_path: Path) -> None:
    async def work(clock: VirtualClock) -> None:
        for _ in range(3):
            assert await ask(tmp_path / "s", b'{"name": "x"}\n') == [b'{"state": "running"}', b'{"name": "x"}']

    at_the_door(tmp_path / "s", work)


def test_owner_and_group_may_use_it_and_nobody_else(tmp_path: Path) -> None:
    async def work(clock: VirtualClock) -> None:
        await asyncio.sleep(0)
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o660

    at_the_door(tmp_path / "s", work)
    assert not (tmp_path / "s").exists()


async def test_what_a_crash_left_behind_is_no_obstacle(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    task = asyncio.create_task(LocalDoor(tmp_path / "s", echo).run())
    answers: list[bytes] = []
    while not (answers or task.done()):
        with suppress(ConnectionRefusedError, FileNotFoundError):
            answers = await ask(tmp_path / "s", b"new\n")
        await asyncio.sleep(0)
    assert answers == [b'{"state": "running"}', b"new"]
    task.cancel()
    await asyncio.wait([task])
    assert not (tmp_path / "s").exists()


def test_a_request_without_end_is_refused(tmp_path: Path) -> None:
    async def work(clock: VirtualClock) -> None:
        (line,) = await ask(tmp_path / "s", b"x" * (REQUEST_BOUND + 10))
        answer = json.loads(line)
        assert answer["state"] == "failed"
        assert "limit" in answer["error"]

    at_the_door(tmp_path / "s", work)


def test_a_client_that_says_nothing_is_shown_the_door(tmp_path: Path) -> None:
    async def work(clock: VirtualClock) -> None:
        (line,) = await ask(tmp_path / "s", b"")
        assert json.loads(line) == {"state": "failed", "error": "no request came in time"}
        assert clock.monotonic() == pytest.approx(REQUEST_TIMEOUT)

    at_the_door(tmp_path / "s", work)


def test_a_store_that_fails_is_told_and_the_door_stays_open(tmp_path: Path) -> None:
    async def failing(request: bytes) -> AsyncIterator[bytes]:
        if b"bad" in request:
            raise StoreError('disk "full"')
        yield b"good"

    async def work(clock: VirtualClock) -> None:
        (line,) = await ask(tmp_path / "s", b"bad\n")
        assert json.loads(line) == {"state": "failed", "error": 'disk "full"'}
        assert await ask(tmp_path / "s", b"fine\n") == [b"good"]

    at_the_door(tmp_path / "s", work, failing)


def test_a_client_that_hangs_up_harms_nobody(tmp_path: Path) -> None:
    async def work(clock: VirtualClock) -> None:
        _, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.write(b"{}\n")
        writer.transport.abort()
        assert len(await ask(tmp_path / "s", b"{}\n")) == 2

    at_the_door(tmp_path / "s", work)


def test_one_more_client_than_places_waits_for_its_turn(tmp_path: Path) -> None:
    release = asyncio.Event()
    begun: list[bytes] = []

    async def slow(request: bytes) -> AsyncIterator[bytes]:
        begun.append(request)
        if request != b"last\n":
            await release.wait()
        yield b"done"

    async def work(clock: VirtualClock) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(CONNECTIONS):
                group.create_task(ask(tmp_path / "s", b"%d\n" % number))
            await asyncio.sleep(1)
            last = group.create_task(ask(tmp_path / "s", b"last\n"))
            await asyncio.sleep(1)
            assert len(begun) == CONNECTIONS
            release.set()
            assert await last == [b"done"]

    at_the_door(tmp_path / "s", work, slow)


def test_a_client_that_waits_for_a_slow_meter_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async def endless(request: bytes) -> AsyncIterator[bytes]:
        yield b"running"
        await asyncio.Event().wait()

    waiting: list[asyncio.Task[list[bytes]]] = []

    async def work(clock: VirtualClock) -> None:
        waiting.append(asyncio.create_task(ask(tmp_path / "s", b"{}\n")))
        await asyncio.sleep(1)

    async def run(clock: VirtualClock) -> None:
        async with door(tmp_path / "s", endless):
            await work(clock)
        assert await waiting[0] == [b"running"]
        assert clock.monotonic() < 2

    virtually(run)


def test_who_waits_for_a_meter_takes_no_place_from_whoever_asks(tmp_path: Path) -> None:
    async def patient(request: bytes) -> AsyncIterator[bytes]:
        yield b"running"
        if request == b"read\n":
            await asyncio.Event().wait()

    async def work(clock: VirtualClock) -> None:
        waiting = [await begun(tmp_path / "s", b"read\n") for _ in range(2 * CONNECTIONS)]
        async with asyncio.timeout(1.0):
            assert await ask(tmp_path / "s", b"status\n") == [b"running"]
        for writer in waiting:
            writer.close()

    at_the_door(tmp_path / "s", work, patient)


def test_who_hangs_up_is_waited_for_no_more(tmp_path: Path) -> None:
    left: list[float] = []

    async def endless(request: bytes) -> AsyncIterator[bytes]:
        yield b"running"
        try:
            await asyncio.Event().wait()
        finally:
            left.append(asyncio.get_running_loop().time())

    async def work(clock: VirtualClock) -> None:
        writer = await begun(tmp_path / "s", b"{}\n")
        await asyncio.sleep(60.0)
        assert left == []
        writer.close()
        await asyncio.sleep(60.0)
        assert left == [pytest.approx(60.0 + LINGER, abs=1.0)]

    at_the_door(tmp_path / "s", work, endless)


def test_who_only_has_nothing_more_to_say_is_answered(tmp_path: Path) -> None:
    async def slow(_: bytes) -> AsyncIterator[bytes]:
        await asyncio.sleep(LINGER - 1.0)
        yield b"done"

    async def work(clock: VirtualClock) -> None:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.write(b"{}\n")
        writer.write_eof()
        assert await reader.read() == b"done\n"
        writer.close()

    at_the_door(tmp_path / "s", work, slow)


async def begun(path: Path, request: bytes) -> asyncio.StreamWriter:
    """Return a connection on which `request` was taken."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(request)
    assert await reader.readline() == b"running\n"
    return writer


async def test_a_path_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "s"
    with pytest.raises(OperatorError, match=f"{path}: cannot open the local socket"):
        await LocalDoor(path, echo).run()


def test_the_socket_of_another_daemon_is_left_alone(tmp_path: Path) -> None:
    async def work(clock: VirtualClock) -> None:
        with pytest.raises(OperatorError, match="another dcu run answers there"):
            await LocalDoor(tmp_path / "s", echo).run()
        assert await ask(tmp_path / "s", b"still here\n") == [b'{"state": "running"}', b"still here"]

    at_the_door(tmp_path / "s", work)


def test_what_took_the_place_of_the_socket_stays(tmp_path: Path) -> None:
    async def work(clock: VirtualClock) -> None:
        await ask(tmp_path / "s", b"{}\n")
        (tmp_path / "new").write_text("")
        (tmp_path / "new").replace(tmp_path / "s")

    at_the_door(tmp_path / "s", work)
    assert (tmp_path / "s").exists()


async def test_a_file_that_is_no_socket_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "dcu.yaml").write_text("dcu: {}")
    with pytest.raises(OperatorError, match="cannot open the local socket"):
        await LocalDoor(tmp_path / "dcu.yaml", echo).run()
    assert (tmp_path / "dcu.yaml").read_text() == "dcu: {}"
