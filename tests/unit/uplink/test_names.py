"""Names of brokers: an answer that does not come holds up nobody, and the last one that came serves meanwhile."""

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from dcu.uplink import names as module
from dcu.uplink.names import MAX_NAMES, Names

ANSWER = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 1883))]


class NameServer:
    """Answers, refuses, or hangs until the test is over."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.asked: list[Any] = []
        self.failure: OSError | None = None
        self.hanging = False
        self.over = threading.Event()

    def hang(self) -> None:
        """Answer nothing any more, for which nobody shall wait long."""
        self.hanging = True
        self._patch.setattr(module, "FIRST_ANSWER", 0.02)
        self._patch.setattr(module, "NEWER_ANSWER", 0.02)

    def getaddrinfo(self, *key: Any, **_: Any) -> list[Any]:
        self.asked.append(key)
        if self.hanging:
            self.over.wait()
        if self.failure:
            raise self.failure
        return ANSWER


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    server = NameServer(monkeypatch)
    monkeypatch.setattr(socket, "getaddrinfo", server.getaddrinfo)
    # whoever answers does so at once, but in a thread, which on a busy machine may have to wait for its turn
    monkeypatch.setattr(module, "FIRST_ANSWER", 120.0)
    yield server
    server.over.set()


async def test_an_answer(server: NameServer) -> None:
    assert await Names().addresses("broker", 1883) == ANSWER
    assert server.asked == [(b"broker", 1883)]


async def test_a_name_server_that_hangs_is_not_waited_for_and_asked_once(server: NameServer) -> None:
    names = Names()
    server.hang()
    for _ in range(3):
        with pytest.raises(OSError, match="broker: no name server answers in time"):
            await names.addresses("broker", 1883)
    assert server.asked == [(b"broker", 1883)]


async def test_the_last_answer_serves_while_there_is_no_newer(server: NameServer) -> None:
    names = Names()
    await names.addresses("broker", 1883)
    server.failure = socket.gaierror(-3, "Temporary failure in name resolution")
    assert await names.addresses("broker", 1883) == ANSWER
    server.failure = None
    server.hang()
    assert await names.addresses("broker", 1883) == ANSWER


async def test_a_name_that_is_none(server: NameServer) -> None:
    server.failure = socket.gaierror(-2, "Name or service not known")
    with pytest.raises(OSError, match="broker: Name or service not known"):
        await Names().addresses("broker", 1883)


async def test_giving_up_leaves_the_question_to_the_next(server: NameServer) -> None:
    server.hanging, names = True, Names()
    task = asyncio.create_task(names.addresses("broker", 1883))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    server.over.set()
    assert await names.addresses("broker", 1883) == ANSWER
    assert len(server.asked) == 1


async def test_questions_and_answers_are_bounded(server: NameServer) -> None:
    names = Names()
    for number in range(MAX_NAMES + 1):
        await names.addresses(f"b{number}", 1883)
    server.hang()
    assert await names.addresses("b1", 1883) == ANSWER
    with pytest.raises(OSError, match="b0"):
        await names.addresses("b0", 1883)
    for number in range(2, MAX_NAMES):
        await names.addresses(f"b{number}", 1883)
    with pytest.raises(OSError, match="too many name look-ups hang"):
        await names.addresses("one more", 1883)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "fe80::1%lo"])
async def test_an_address_is_not_asked_for(host: str) -> None:
    (found, *_) = await Names().addresses(host, 1883)
    assert found[4][1] == 1883


async def test_a_name_in_another_script_is_asked_for_as_it_is_written(server: NameServer) -> None:
    await Names().addresses("zähler.example", 1883)
    assert server.asked == [("zähler.example", 1883)]


def test_other_scripts_are_not_loaded_for_what_has_none() -> None:
    program = (
        "import asyncio, sys; from dcu.uplink.names import Names;"
        "print(asyncio.run(Names().addresses('127.0.0.1', 1))[0][4], 'stringprep' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "('127.0.0.1', 1) False\n"
